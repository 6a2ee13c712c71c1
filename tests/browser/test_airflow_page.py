"""The page Browse > Revor, in a real API server."""

from __future__ import annotations

import re

import pytest
from browser.conftest import fits
from ui.api_server import EVIL
from ui.conftest import api_server, records, revor  # noqa: F401

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session", autouse=True)
def _dags_before_the_browser(api_server):  # noqa: F811
    """Run the Dags first: Playwright leaves an event loop running, in which ``dag.test()`` cannot work."""


@pytest.fixture
def log_in(page, api_server):  # noqa: F811
    def as_user(user):
        page.context.add_cookies([{"name": "_token", "value": api_server.token(user), "url": api_server.url}])
        page.goto(f"{api_server.page}/")
        page.locator("#state", has_text="Updated").wait_for()

    return as_user


@pytest.mark.parametrize("scheme", ["light", "dark"], indirect=True)
def test_it_shows_accounts_gates_and_outreach(page, log_in, picture):
    log_in("admin")
    accounts, gates, outreach = (page.locator(f"#{name}") for name in ("accounts", "gates", "outreach"))
    picture("airflow")
    # Each of the two connections has both accounts.
    assert accounts.get_by_text("✓ can send").count() == 2
    assert accounts.get_by_text("ready@example.com").count() == 2
    assert (
        accounts.get_by_role("link", name="Open the console")
        .first.get_attribute("href")
        .startswith("https://revor.ai/")
    )
    assert gates.get_by_text("any email account").count() == 6
    assert gates.get_by_role("link", name="open_dag: deferred").count() == 1
    assert outreach.get_by_role("link", name="open_dag: send").count() == 1
    # An account's name is text, whatever it looks like.
    assert accounts.get_by_text(EVIL).count() == 2
    assert page.locator("main script").count() == 0
    assert fits(page)


def test_who_may_not_edit_sees_no_identifier(page, log_in):
    log_in("reader")
    assert page.get_by_text("r•••").count() == 1
    assert page.get_by_text("ready@example.com").count() == 0
    assert page.get_by_text(re.compile("revor_secret|secret_dag")).count() == 0


def test_a_link_leads_to_the_task(page, log_in, api_server):  # noqa: F811
    log_in("admin")
    href = page.get_by_role("link", name="open_dag: deferred").evaluate("link => link.href")
    assert href.startswith(f"{api_server.url}/dags/open_dag/runs/")
    assert href.endswith("/tasks/deferred")

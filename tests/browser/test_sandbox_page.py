"""The sandbox's page, as a person uses it."""

from __future__ import annotations

import pytest
import requests
from browser.conftest import fits

pytestmark = pytest.mark.browser

EVIL = "<script>alert(1)</script>"
LONG = "a" * 300


def dispatch(sandbox, account_id, text, address="ada@example.com"):
    response = requests.post(
        f"{sandbox.url}/api/v1/outreach/dispatches",
        json={
            "account_id": account_id,
            "channel": "email",
            "action": "outreach",
            "recipient": {"address": address, "name": "Ada"},
            "content": {"subject": "Hello", "text": text},
        },
        headers={"x-api-key": sandbox.api_key, "Idempotency-Key": text[:100]},
        timeout=30,
    )
    assert response.ok, response.text


@pytest.mark.parametrize("scheme", ["light", "dark"], indirect=True)
def test_a_person_reconnects_an_account_and_sees_what_is_sent(revor_sandbox, page, picture):
    page.goto(revor_sandbox.url)
    page.get_by_text("Live").wait_for()
    page.get_by_role("button", name="Reconnect acc_email_anna").click()
    page.get_by_role("button", name="Block acc_email_anna").wait_for()
    assert revor_sandbox.accounts[0]["status"] == "ok"

    # Live: nobody reloads.
    dispatch(revor_sandbox, "acc_email_anna", "Shall we talk?")
    page.get_by_text("Hello: Shall we talk?").wait_for()
    page.get_by_text("POST /api/v1/outreach/dispatches").wait_for()
    revor_sandbox.fail(503, times=3)
    page.locator("#faults").get_by_text("status: 503").wait_for()
    assert fits(page)
    picture("sandbox")

    page.get_by_role("button", name="Block acc_email_anna").click()
    page.get_by_role("button", name="Reconnect acc_email_anna").wait_for()
    assert revor_sandbox.accounts[0]["status"] == "credentials"


def test_faults_are_scripted_and_cleared(revor_sandbox, page):
    page.goto(revor_sandbox.url)
    page.get_by_role("button", name="Rate limit (429)").click()
    page.locator("#faults").get_by_text("status: 429").wait_for()
    page.get_by_role("button", name="Clear the faults").click()
    page.get_by_text("The next requests get normal responses.").wait_for()


def test_what_looks_like_markup_is_text(revor_sandbox, page, picture):
    revor_sandbox.set_accounts(
        [
            {"account_id": f"acc_{EVIL}", "channel": "email", "name": EVIL, "account_identifier": LONG},
            {"account_id": "acc_1", "channel": "email", "name": '"><img src=x onerror=alert(1)>'},
        ]
    )
    dispatch(revor_sandbox, "acc_1", EVIL + LONG, address="ada+<b>@example.com")
    revor_sandbox.fail(503, message=EVIL)
    page.goto(revor_sandbox.url)
    assert page.locator("#accounts").get_by_text(EVIL).count() == 2
    page.locator("#outbox").get_by_text(EVIL).wait_for()
    page.locator("#faults").get_by_text(EVIL).wait_for()
    assert page.locator("main script, main img").count() == 0
    assert fits(page)
    picture("sandbox-markup")


def test_it_says_when_the_sandbox_has_stopped(chromium):
    from airflow_provider_revor.sandbox import Sandbox

    tab = chromium.new_page()
    with Sandbox() as sandbox:
        tab.goto(sandbox.url)
        tab.get_by_text("Live").wait_for()
    tab.get_by_text("The sandbox has stopped").wait_for()
    tab.close()


def test_the_focus_stays_on_its_button_while_others_change(revor_sandbox, page):
    page.goto(revor_sandbox.url)
    button = page.get_by_role("button", name="Reconnect acc_linkedin_anna")
    button.focus()
    revor_sandbox.reconnect("acc_email_anna")
    page.get_by_role("button", name="Block acc_email_anna").wait_for()
    assert button.evaluate("each => each === document.activeElement")

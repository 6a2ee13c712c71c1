"""Debian's Chromium, driven by Playwright, at the width of a desktop and of a phone."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

WIDTHS = {"desktop": 1280, "narrow": 390}

# It imports what takes the pictures for the documentation, which only `make test-browser` installs.
collect_ignore = [] if find_spec("PIL") and find_spec("playwright") else ["test_airflow_ui.py"]


@pytest.fixture(scope="session")
def chromium():
    """Return a headless Chromium for the session."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path, "Chromium is needed: apt-get install chromium"
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start as root.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture(params=WIDTHS)
def width(request):
    """Run the test once for each width."""
    return request.param


@pytest.fixture(params=["light"])
def scheme(request):
    """Return the colour scheme that the person prefers; a test may ask for both."""
    return request.param


@pytest.fixture
def page(chromium, width, scheme):
    """Return an empty tab; what its console complains of, or what it asks of other hosts, fails the test."""
    context = chromium.new_context(viewport={"width": WIDTHS[width], "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    complaints, hosts = [], set()
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}") or dialog.dismiss())
    tab.on("request", lambda asked: hosts.add(asked.url.partition("://")[2].partition("/")[0].partition(":")[0]))
    yield tab
    context.close()
    assert complaints == []
    assert hosts - {"", "127.0.0.1"} == set()


@pytest.fixture
def picture(request, page, width, scheme):
    """Return a function that keeps a picture of the page, where BROWSER_PICTURES names a folder."""

    def keep(name: str) -> None:
        if folder := os.environ.get("BROWSER_PICTURES"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder, f"{name}-{width}-{scheme}.png"), full_page=True)

    return keep


def fits(page) -> bool:
    """Whether nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

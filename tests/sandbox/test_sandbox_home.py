"""The page at ``/``: what it is told, and what a browser may do with it. tests/browser looks at it in a browser."""

from __future__ import annotations

import re

import pytest
import requests

from airflow_provider_revor.sandbox.web.home import MOST_SHOWN

FILES = ("/", "/sandbox/home/home.js", "/sandbox/home/home.css")


@pytest.fixture
def overview(revor_sandbox):
    return lambda: requests.get(f"{revor_sandbox.url}/sandbox/overview", timeout=30).json()


@pytest.mark.parametrize("path", FILES)
def test_only_its_own_files_run_and_no_frame_shows_it(revor_sandbox, path):
    response = requests.get(revor_sandbox.url + path, timeout=30)
    assert response.status_code == 200
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_it_asks_no_third_party_and_has_no_inline_script(revor_sandbox):
    page, script, style = (requests.get(revor_sandbox.url + path, timeout=30).text for path in FILES)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == {
        "/docs",
        "/sandbox/home/home.css",
        "/sandbox/home/home.js",
        "data:,",
    }
    assert "style=" not in page
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == [""]
    assert not re.search(r"https?:|innerHTML|insertAdjacentHTML|document\.write|eval", page + script + style)


@pytest.mark.parametrize("name", ["index.html", "__init__.py", "%2e%2e%2fcontrol.py", "..%2f..%2f__main__.py"])
def test_no_other_file_is_served(revor_sandbox, name):
    assert requests.get(f"{revor_sandbox.url}/sandbox/home/{name}", timeout=30).status_code == 404


@pytest.mark.parametrize("path", [*FILES, "/sandbox/overview"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "rebound.example.com"}, id="rebound-name"),
        pytest.param({"Origin": "https://example.com"}, id="foreign-page"),
    ],
)
def test_other_web_pages_get_nothing(revor_sandbox, path, headers):
    assert requests.get(revor_sandbox.url + path, headers=headers, timeout=30).status_code == 403


@pytest.mark.parametrize("what", ["block", "reconnect"])
def test_the_buttons_are_for_the_page_alone(revor_sandbox, what):
    before = revor_sandbox.accounts
    url = f"{revor_sandbox.url}/sandbox/accounts/acc_email_anna/{what}"
    assert requests.post(url, headers={"Origin": "https://example.com"}, timeout=30).status_code == 403
    assert requests.get(url, timeout=30).status_code == 405
    assert revor_sandbox.accounts == before


def test_an_account_is_blocked_and_reconnected(revor_sandbox, control, overview):
    def anna():
        return overview()["accounts"]["items"][0]

    assert (anna()["account_id"], anna()["sendable"]) == ("acc_email_anna", False)
    control("POST", "/accounts/acc_email_anna/reconnect")
    assert anna()["sendable"]
    blocked = control("POST", "/accounts/acc_email_anna/block").json()
    assert blocked == revor_sandbox.block("acc_email_anna")
    assert (blocked["status"], blocked["can_send"], anna()["sendable"]) == ("credentials", False, False)
    assert control("POST", "/accounts/nobody/block").status_code == 404


def test_an_account_that_may_not_send_is_not_sendable(revor_sandbox, overview):
    revor_sandbox.set_accounts(
        [
            {"account_id": "a", "channel": "email", "status": "error"},
            {"account_id": "b", "channel": "email", "can_send": False},
            {"account_id": "c", "channel": "email"},
        ]
    )
    assert [each["sendable"] for each in overview()["accounts"]["items"]] == [False, False, True]


def test_it_shows_the_latest_first_and_no_more_than_fits(ready, post, overview):
    ready.script_jobs("failed")
    for number in range(MOST_SHOWN + 2):
        post("/linkedin/post-likes", {"profile_url": f"https://linkedin.example.com/in/{number}", "topic": "hiking"})
    shown = overview()
    assert {name: part["total"] for name, part in shown.items()} == {
        "accounts": 3,
        "outbox": MOST_SHOWN + 1,
        "jobs": MOST_SHOWN + 2,
        "faults": 0,
        "requests": MOST_SHOWN + 2,
    }
    for name in ("outbox", "jobs", "requests"):
        assert len(shown[name]["items"]) == MOST_SHOWN
    assert [job["id"] for job in shown["jobs"]["items"]] == [job["id"] for job in ready.jobs[: -MOST_SHOWN - 1 : -1]]
    assert shown["outbox"]["items"][0]["recipient"]["profile_url"].endswith(f"/{MOST_SHOWN + 1}")
    times = [request["received_at"] for request in shown["requests"]["items"]]
    assert times == sorted(times, reverse=True)


def test_it_shows_the_faults_to_come(revor_sandbox, overview):
    revor_sandbox.fail(503, times=3)
    revor_sandbox.drop(method="POST")
    faults = overview()["faults"]["items"]
    assert [(fault["kind"], fault["times"], fault["method"]) for fault in faults] == [
        ("error", 3, None),
        ("drop", 1, "POST"),
    ]


def test_looking_is_not_counted_and_meets_no_fault(revor_sandbox, overview):
    revor_sandbox.fail(503)
    assert len(overview()["faults"]["items"]) == len(overview()["faults"]["items"]) == 1
    assert revor_sandbox.request_count == 0


def test_it_tells_no_api_key(ready, post, overview):
    post("/linkedin/post-likes", {"profile_url": "https://linkedin.example.com/in/dana", "topic": "hiking"})
    assert ready.api_key not in str(overview())

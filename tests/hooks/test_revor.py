from __future__ import annotations

import asyncio
import logging

import pytest
import requests
from factories import account, item, listing, refusal

from airflow_provider_revor import __version__
from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook

URL = "https://revor.ai/api/v1/connect/accounts"


@pytest.fixture(autouse=True)
def naps(monkeypatch):
    """The waits that were asked for; none of them is slept."""
    slept: list[float] = []

    async def nap(seconds):
        slept.append(seconds)

    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    monkeypatch.setattr("asyncio.sleep", nap)
    return slept


@pytest.fixture
def hook(connect):
    connect()
    with RevorHook() as hook:
        yield hook


# -- what is sent ----------------------------------------------------------------------------------------


def test_the_request_is_as_documented(hook, requests_mock):
    requests_mock.get(URL, json=listing(item()))
    assert hook.list_connect_accounts(channel="email", can_send=True) == [account()]
    sent = requests_mock.last_request
    assert sent.qs == {"channel": ["email"], "can_send": ["true"]}
    assert sent.headers["Authorization"] == "Bearer sk-revor-canary"
    assert sent.headers["User-Agent"] == f"airflow-provider-revor/{__version__}"
    assert sent.timeout == 30.0
    assert sent.verify is True
    assert not sent.allow_redirects


def test_without_filters_nothing_is_asked_for(hook, requests_mock):
    requests_mock.get(URL, json=listing())
    assert hook.list_connect_accounts() == []
    assert requests_mock.last_request.qs == {}


def test_sendable_filters_what_revor_lists(hook, requests_mock):
    requests_mock.get(URL, json=listing(item(), item(account_id="acc_2", status="error")))
    assert hook.list_connect_accounts(sendable=True) == [account()]
    assert [one.account_id for one in hook.list_connect_accounts(sendable="false")] == ["acc_2"]
    assert requests_mock.last_request.qs == {}


def test_extras_reach_the_request(connect, requests_mock):
    connect(host="https://gateway.example", extra={"timeout": 5, "verify": False, "proxies": "http://proxy:3128"})
    requests_mock.get("https://gateway.example/api/v1/connect/accounts", json=listing())
    RevorHook().list_connect_accounts()
    sent = requests_mock.last_request
    assert (sent.timeout, sent.verify, sent.proxies["https"]) == (5.0, False, "http://proxy:3128")


def test_a_companys_ca_bundle_counts_unless_the_connection_says_otherwise(connect, requests_mock, monkeypatch):
    bundle = requests.certs.where()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    requests_mock.get(URL, json=listing())
    connect()
    RevorHook().list_connect_accounts()
    assert requests_mock.last_request.verify == bundle
    connect(extra={"verify": False})
    RevorHook().list_connect_accounts()
    assert requests_mock.last_request.verify is False


@pytest.mark.parametrize("kwargs", [{"channel": "sms"}, {"can_send": "perhaps"}, {"sendable": "perhaps"}])
def test_a_bad_filter_is_a_value_error_before_any_request(hook, requests_mock, kwargs):
    with pytest.raises(ValueError, match="sms|perhaps"):
        hook.list_connect_accounts(**kwargs)
    with pytest.raises(ValueError, match="sms|perhaps"):
        asyncio.run(hook.alist_connect_accounts(**kwargs))
    assert requests_mock.call_count == 0


def test_any_endpoint_can_be_called(hook, requests_mock):
    answer = {"ok": True, "request_id": "req_9", "item": {"id": "job_1"}}
    requests_mock.post("https://revor.ai/api/v1/outreach/dispatches", json=answer, status_code=202)
    body = {"content": {"text": "Grüße"}}
    assert hook.request("POST", "/api/v1/outreach/dispatches", json=body, idempotency_key="k-1") == answer
    sent = requests_mock.last_request
    assert sent.json() == body
    assert sent.headers["Idempotency-Key"] == "k-1"
    assert sent.headers["Content-Type"] == "application/json; charset=utf-8"


def test_one_session_is_reused_and_closed(hook, requests_mock):
    requests_mock.get(URL, json=listing())
    session = hook.get_conn()
    hook.list_connect_accounts()
    assert hook.get_conn() is session
    hook.close()
    assert hook.get_conn() is not session


def test_the_session_gives_the_key_to_no_other_host(hook, requests_mock):
    requests_mock.get("https://evil.example/", text="")
    requests_mock.get("https://revor.ai:444/", text="")
    requests_mock.get("https://revor.ai:443/", text="")
    for url, signed in [
        ("https://evil.example/", False),
        ("https://revor.ai:444/", False),
        ("https://revor.ai:443/", True),
    ]:
        hook.get_conn().get(url)
        assert ("Authorization" in requests_mock.last_request.headers) is signed


def test_netrc_does_not_replace_the_key(hook, requests_mock, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine revor.ai login someone password else")
    monkeypatch.setenv("NETRC", str(netrc))
    requests_mock.get(URL, json=listing())
    hook.list_connect_accounts()
    assert requests_mock.last_request.headers["Authorization"] == "Bearer sk-revor-canary"


# -- retries ---------------------------------------------------------------------------------------------


def test_a_rate_limit_is_waited_out_as_long_as_it_says(hook, requests_mock, naps, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.0)
    limit = {"status_code": 429, "json": refusal("api_rate_limit_exceeded")}
    requests_mock.get(
        URL,
        [
            {**limit, "headers": {"Retry-After": "7"}},
            {**limit, "headers": {"X-RateLimit-Window-Ms": "1500"}},
            {"json": listing()},
        ],
    )
    assert hook.list_connect_accounts() == []
    assert naps == [7.0, 1.5]


def test_requests_that_hit_a_limit_together_do_not_come_back_together_nor_too_early(connect, requests_mock, naps):
    connect(extra={"max_retries": 40})
    requests_mock.get(URL, status_code=429, json=refusal(), headers={"Retry-After": "8"})
    with pytest.raises(e.RevorRateLimitError):
        RevorHook().list_connect_accounts()
    assert len(naps) == 40
    assert len(set(naps)) > 20
    assert all(8 <= nap <= 10 for nap in naps)


def test_too_many_jobs_are_waited_out_like_a_rate_limit(hook, requests_mock, naps):
    limit = {"json": refusal("external_api_job_concurrency_limit_exceeded"), "headers": {"Retry-After": "5"}}
    requests_mock.get(URL, [{**limit, "status_code": 409}, {**limit, "status_code": 400}, {"json": listing()}])
    assert hook.list_connect_accounts() == []
    assert [round(nap // 5) for nap in naps] == [1, 1]


@pytest.mark.parametrize("status", [402, 429, 503])
def test_credits_that_are_used_up_are_not_asked_for_again(hook, requests_mock, status):
    requests_mock.get(URL, status_code=status, json=refusal("insufficient_credits"), headers={"Retry-After": "1"})
    with pytest.raises(e.RevorPlanError, match="add credits"):
        hook.list_connect_accounts()
    assert requests_mock.call_count == 1


def test_without_a_hint_it_backs_off_with_full_jitter(connect, requests_mock, naps):
    connect(extra={"max_retries": 8})
    requests_mock.get(URL, status_code=503, json=refusal())
    with pytest.raises(e.RevorServerError):
        RevorHook().list_connect_accounts()
    assert len(naps) == 8
    assert all(0 <= nap <= min(2**n, 60) for n, nap in enumerate(naps))
    assert len(set(naps)) > 1


def test_a_wait_beyond_the_cap_is_not_slept(hook, requests_mock, naps):
    requests_mock.get(URL, status_code=429, json=refusal(), headers={"Retry-After": "61"})
    with pytest.raises(e.RevorRateLimitError) as caught:
        hook.list_connect_accounts()
    assert caught.value.retry_after == 61.0
    assert (requests_mock.call_count, naps) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 501, 301])
def test_what_asking_again_cannot_heal_is_asked_once(hook, requests_mock, status):
    requests_mock.get(URL, status_code=status, json=refusal())
    with pytest.raises(e.RevorError):
        hook.list_connect_accounts()
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_heal_is_asked_again_within_bounds(hook, requests_mock, status):
    requests_mock.get(URL, status_code=status, json=refusal())
    with pytest.raises(e.RevorTransientError):
        hook.list_connect_accounts()
    assert requests_mock.call_count == 4


@pytest.mark.parametrize(("key", "count"), [(None, 1), ("k-1", 4)])
@pytest.mark.parametrize("fault", [{"status_code": 503, "json": {}}, {"exc": requests.ConnectionError}])
def test_a_write_is_repeated_only_with_an_idempotency_key(hook, requests_mock, key, count, fault):
    requests_mock.post("https://revor.ai/api/v1/x", **fault)
    with pytest.raises(e.RevorTransientError):
        hook.request("POST", "x", json={}, idempotency_key=key)
    assert requests_mock.call_count == count
    assert {r.headers.get("Idempotency-Key") for r in requests_mock.request_history} == {key}


def test_the_callers_bound_beats_the_connections(connect, requests_mock):
    connect(extra={"max_retries": 5})
    requests_mock.get(URL, status_code=503, json=refusal())
    with pytest.raises(e.RevorServerError):
        RevorHook(max_retries=0).list_connect_accounts()
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("fault", [{"status_code": 503, "json": {}}, {"exc": requests.ConnectionError}])
def test_a_hook_for_polling_leaves_the_retry_to_the_next_look(connect, requests_mock, naps, fault):
    connect("other", extra={"max_retries": 5})
    requests_mock.get(URL, **fault)
    with RevorHook.for_polling("other") as hook, pytest.raises(e.RevorTransientError):
        hook.list_connect_accounts()
    assert (requests_mock.call_count, naps) == (1, [])


# -- errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exception", "words"),
    [
        (requests.ConnectTimeout(), "timed out after 30 s"),
        (requests.ReadTimeout(), "timed out after 30 s"),
        (requests.ConnectionError(OSError(111, "Connection refused")), "Connection refused"),
        (requests.exceptions.SSLError("bad certificate"), "bad certificate"),
        (requests.exceptions.ChunkedEncodingError("cut"), "cut"),
    ],
)
def test_no_answer_is_a_connection_error_in_plain_words(hook, requests_mock, exception, words):
    requests_mock.get(URL, exc=exception)
    with pytest.raises(e.RevorConnectionError, match=words) as caught:
        hook.list_connect_accounts()
    for part in ("https://revor.ai", "GET /api/v1/connect/accounts", "'revor_default'"):
        assert part in str(caught.value)


def test_a_server_that_quotes_the_key_does_not_get_it_into_a_message(hook, requests_mock):
    requests_mock.get(URL, status_code=401, json=refusal("api_key_invalid", "The key sk-revor-canary is unknown."))
    with pytest.raises(e.RevorAuthenticationError) as caught:
        hook.list_connect_accounts()
    assert "sk-revor-canary" not in str(caught.value)
    assert "The key *** is unknown." in str(caught.value)


def test_turning_verification_off_is_warned_of_once(connect, requests_mock, caplog, monkeypatch):
    connect(extra={"verify": False})
    requests_mock.get(URL, json=listing())
    monkeypatch.setattr("airflow_provider_revor.hooks.sending._warned_of", set())
    monkeypatch.setattr(RevorHook, "log", logging.getLogger("hook"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            RevorHook().list_connect_accounts()
    assert caplog.text.count("verify: false") == 1


@pytest.mark.parametrize(
    ("host", "ask"),
    [
        pytest.param("https://127.0.0.1:1", "list_connect_accounts", id="this-machine"),
        pytest.param("https://revor.ai", "test_connection", id="an-id-that-airflow-makes-up"),
    ],
)
def test_verify_false_is_no_warning_where_nobody_stands_between_or_nobody_would_read_it(
    connect, requests_mock, caplog, monkeypatch, host, ask
):
    connect(host=host, extra={"verify": False})
    requests_mock.get(f"{host}/api/v1/connect/accounts", json=listing())
    monkeypatch.setattr("airflow_provider_revor.hooks.sending._warned_of", set())
    monkeypatch.setattr(RevorHook, "log", logging.getLogger("hook"))
    with caplog.at_level(logging.WARNING):
        getattr(RevorHook(), ask)()
    assert "verify: false" not in caplog.text


# -- the Test button -------------------------------------------------------------------------------------


def test_the_test_button_counts_accounts(hook, requests_mock):
    requests_mock.get(URL, json=listing(item(), item(account_id="acc_2", can_send=False)))
    assert hook.test_connection() == (True, "Revor answers: 2 Connect accounts, 1 of them can send.")


def test_the_test_button_asks_once(hook, requests_mock, naps):
    requests_mock.get(URL, status_code=429, json=refusal(), headers={"Retry-After": "4"})
    assert hook.test_connection()[0] is False
    assert (requests_mock.call_count, naps) == (1, [])


@pytest.mark.parametrize(
    ("fields", "answer", "words"),
    [
        ({"password": ""}, {}, "has no API key"),
        (
            {},
            {"status_code": 401, "json": refusal("api_key_invalid")},
            "Put a valid one into the field API key",
        ),
        ({}, {"status_code": 403, "json": refusal("permission_denied")}, "connect.accounts:read"),
        ({}, {"exc": requests.ConnectionError("Name or service not known")}, "Name or service not known"),
        ({}, {"text": "<html>"}, "not the documented JSON"),
        ({"host": "http://revor.ai"}, {}, "in the clear"),
    ],
)
def test_the_test_button_says_what_is_wrong(connect, requests_mock, fields, answer, words):
    connect(**fields)
    requests_mock.get(URL, **answer)
    with RevorHook() as hook:
        ok, message = hook.test_connection()
    assert not ok
    assert words in message


def test_the_form_of_older_airflows_is_made_from_the_provider_info():
    wtforms = pytest.importorskip("wtforms", reason="this Airflow draws the form without wtforms")
    widgets = RevorHook.get_connection_form_widgets()
    extras = {"api_version", "timeout", "max_response_mb", "max_retries", "verify", "proxies", "allow_http"}
    assert set(widgets) == extras
    assert widgets["timeout"].field_class is wtforms.IntegerField
    behaviour = RevorHook.get_ui_field_behaviour()
    assert behaviour["relabeling"]["password"] == "API key"
    assert set(behaviour) == {"hidden_fields", "relabeling", "placeholders"}

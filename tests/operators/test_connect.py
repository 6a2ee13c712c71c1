from __future__ import annotations

import logging

import pytest
from factories import item, listing

from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator

URL = "https://revor.ai/api/v1/connect/accounts"


def test_it_returns_plain_dicts(connect, requests_mock):
    connect()
    requests_mock.get(URL, json=listing(item(), item(account_id="acc_2")))
    operator = ListConnectAccountsOperator(task_id="t", channel="email", can_send=True)
    assert operator.execute({}) == [item(), item(account_id="acc_2")]
    assert requests_mock.last_request.qs == {"channel": ["email"], "can_send": ["true"]}


@pytest.mark.parametrize(("sendable", "ids"), [(True, ["acc_1"]), ("{{ 1 }}", ["acc_1"]), (False, ["acc_2", "acc_3"])])
def test_it_lists_those_that_can_really_send(connect, requests_mock, sendable, ids):
    connect()
    off = [item(account_id="acc_2", status="error"), item(account_id="acc_3", can_send=False)]
    requests_mock.get(URL, json=listing(item(), *off))
    operator = ListConnectAccountsOperator(task_id="t", sendable=sendable)
    operator.render_template_fields({})
    assert [account["account_id"] for account in operator.execute({})] == ids


def test_no_account_is_a_success(connect, requests_mock):
    connect()
    requests_mock.get(URL, json=listing())
    assert ListConnectAccountsOperator(task_id="t").execute({}) == []


def test_it_logs_a_line_per_channel_and_nothing_personal(connect, requests_mock, caplog, monkeypatch):
    connect()
    requests_mock.get(URL, json=listing(item(), item(can_send=False), item(channel="linkedin"), item(channel="new")))
    operator = ListConnectAccountsOperator(task_id="t")
    monkeypatch.setattr(ListConnectAccountsOperator, "log", logging.getLogger("operator"))
    with caplog.at_level(logging.INFO):
        operator.execute({})
    lines = [record.getMessage() for record in caplog.records if record.name == "operator"]
    assert [line for line in lines if "outside" not in line] == [
        "email: 2 Connect accounts, 1 can send",
        "linkedin: 1 Connect account, 1 can send",
        "whatsapp: 0 Connect accounts, 0 can send",
        "new: 1 Connect account, 1 can send",
    ]
    assert "ada@example.com" not in caplog.text
    assert "sk-revor-canary" not in caplog.text


def test_many_odd_channels_are_a_few_short_lines(connect, requests_mock, caplog, monkeypatch):
    connect()
    requests_mock.get(URL, json=listing(*(item(channel=f"{n}\nERROR forged" + "x" * 400) for n in range(1_000))))
    operator = ListConnectAccountsOperator(task_id="t")
    monkeypatch.setattr(ListConnectAccountsOperator, "log", logging.getLogger("operator"))
    with caplog.at_level(logging.INFO, "operator"):
        assert len(operator.execute({})) == 1_000
    lines = [record.getMessage() for record in caplog.records if "Connect account" in record.getMessage()]
    assert len(lines) == 3 + 10
    assert all(line.isprintable() and len(line) < 200 for line in lines)
    assert "and 990 more channels" in caplog.text


@pytest.mark.parametrize(
    "kwargs", [{"channel": "sms"}, {"can_send": "perhaps"}, {"can_send": 7}, {"sendable": "perhaps"}]
)
def test_a_bad_literal_fails_when_the_dag_is_parsed(kwargs):
    with pytest.raises(ValueError, match="sms|perhaps|7"):
        ListConnectAccountsOperator(task_id="t", **kwargs)


@pytest.mark.parametrize("rendered", ["true", "1", "True"])
def test_a_template_is_read_once_it_is_rendered(connect, requests_mock, rendered):
    connect()
    requests_mock.get(URL, json=listing())
    operator = ListConnectAccountsOperator(task_id="t", channel="{{ params.c }}", can_send="{{ params.s }}")
    operator.render_template_fields({"params": {"c": "whatsapp", "s": rendered}})
    operator.execute({})
    assert requests_mock.last_request.qs == {"channel": ["whatsapp"], "can_send": ["true"]}


def test_a_template_that_renders_to_nonsense_fails_without_retries(connect, requests_mock):
    connect()
    operator = ListConnectAccountsOperator(task_id="t", channel="{{ params.c }}")
    operator.render_template_fields({"params": {"c": "sms"}})
    with pytest.raises(RevorValueError, match="'sms' is no Revor channel"):
        operator.execute({})
    assert requests_mock.call_count == 0

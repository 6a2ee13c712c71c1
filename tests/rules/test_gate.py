from __future__ import annotations

import pytest
from factories import account
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.exceptions import RevorConnectionError, RevorRateLimitError
from airflow_provider_revor.rules.gate import ACCOUNTS_QUESTION, Gate
from airflow_provider_revor.tasks.progress import WaitLog

ANY, EMAIL, THAT = Gate.of(), Gate.of(channel="email"), Gate.of(account_id="acc_2")


def test_the_first_sendable_account_of_the_channel_opens_the_gate():
    accounts = [
        account(account_id="acc_0", channel="linkedin"),
        account(account_id="acc_1", can_send=False),
        account(account_id="acc_2"),
        account(account_id="acc_3"),
    ]
    assert ANY.find(accounts).account_id == "acc_0"
    assert EMAIL.find(accounts).account_id == "acc_2"
    assert THAT.find(accounts).account_id == "acc_2"
    assert Gate.of(channel="whatsapp").find(accounts) is None


def test_a_sticky_gate_takes_one_account_for_a_key_as_long_as_that_one_can_send():
    accounts = [account(account_id=f"acc_{n}") for n in range(1, 6)]
    gate = Gate.of(pick="sticky", sticky_key="lead-1")
    assert gate.find(accounts).account_id == "acc_5"
    assert gate == Gate.of(pick="sticky", digest=gate.digest)
    assert gate.find(accounts[:-1]).account_id == "acc_4"
    assert "lead-1" not in repr(gate)


@given(
    st.lists(
        st.builds(
            account,
            account_id=st.sampled_from(["acc_1", "acc_2", "acc_3"]),
            channel=st.sampled_from(["email", "linkedin", "other"]),
            status=st.sampled_from(["ok", "credentials", "error", "new"]),
            can_send=st.booleans(),
        )
    ),
    st.sampled_from([ANY, EMAIL, THAT]),
)
def test_a_gate_opens_only_for_what_it_waits_for_and_otherwise_says_why(accounts, gate):
    found = gate.find(accounts)
    fitting = [a for a in accounts if gate.channel in (None, a.channel) and gate.account_id in (None, a.account_id)]
    if found is None:
        assert not any(a.sendable for a in fitting)
        reason = gate.explain(accounts)
        assert all(a.account_id in reason for a in fitting[:20])
        assert "ada@example.com" not in reason
        assert "Ada" not in reason
    else:
        assert found in fitting
        assert found.sendable


def test_an_id_that_rendered_to_a_number_is_still_an_id():
    assert Gate.of(account_id=123).find([account(account_id="123")]).account_id == "123"


def test_why_it_waits():
    assert "No email account is connected at all" in EMAIL.explain([account(channel="linkedin")])
    assert "No account is connected at all" in ANY.explain([])
    assert "Account acc_2 is not connected" in THAT.explain([account()])
    assert "No email account can send yet. acc_1: its credentials must be updated: reconnect it at" in EMAIL.explain(
        [account(status="credentials")]
    )


def test_a_long_list_is_cut():
    reason = EMAIL.explain([account(account_id=f"acc_{n}", can_send=False) for n in range(1_000)])
    assert "acc_19" in reason
    assert "acc_20:" not in reason
    assert "and 980 more" in reason


def test_an_account_of_another_channel_can_never_open_the_gate():
    with pytest.raises(ValueError, match="is of the channel linkedin, so it can never send on email"):
        Gate.of(channel="email", account_id="acc_1").find([account(channel="linkedin")])


class Recorder:
    def __init__(self):
        self.lines = []

    def info(self, msg, *args):
        self.lines.append(("info", msg % args))

    def warning(self, msg, *args):
        self.lines.append(("warning", msg % args))


def test_the_log_tells_once_per_change():
    recorder = Recorder()
    log = WaitLog(recorder, ACCOUNTS_QUESTION)
    for reason in ("A", "A", "B", "B", "A"):
        log.waiting(reason)
    assert [line for _, line in recorder.lines] == ["Waiting. A", "Waiting. B", "Waiting. A"]


def test_a_new_request_id_alone_is_no_news():
    recorder = Recorder()
    log = WaitLog(recorder, ACCOUNTS_QUESTION)
    for n in range(3):
        log.trouble(RevorRateLimitError(f"limited (req_{n})", code="x", status_code=429))
    log.trouble(RevorConnectionError("no answer"))
    assert [level for level, _ in recorder.lines] == ["warning", "warning"]
    assert "req_0" in recorder.lines[0][1]


def test_what_the_worker_told_the_trigger_does_not_tell_again():
    recorder = Recorder()
    first = WaitLog(recorder, ACCOUNTS_QUESTION)
    first.waiting("A")
    WaitLog(recorder, ACCOUNTS_QUESTION, first.last_logged).waiting("A")
    assert len(recorder.lines) == 1


def test_what_a_peer_says_is_bounded_and_on_one_line():
    flood = "x\nERROR forged" * 30_000
    blocked = [
        account(account_id=f"{n}{flood}", channel=flood, status=flood, lifecycle_status=flood) for n in range(99)
    ]
    for gate in (ANY, Gate.of(account_id=f"0{flood}"), Gate.of(account_id=f"no{flood}")):
        assert len(gate.explain(blocked)) < 10_000
        assert "\n" not in gate.explain(blocked)
    with pytest.raises(ValueError, match="can never send on email") as refused:
        Gate.of(channel="email", account_id=f"0{flood}").find(blocked)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)

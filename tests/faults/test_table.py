"""Every cell of the fault table, over real sockets and with a clock that nobody waits for."""

from __future__ import annotations

import json
import re

import pytest
from faults import stage as ask
from faults.cells import Asks
from faults.table import ROWS
from modes import MODES

from airflow_provider_revor import exceptions as e

ACCOUNTS = [row for row in ROWS if "accounts" in row.kinds]
JOBS = [row for row in ROWS if "job" in row.kinds]


def rows(which):
    return pytest.mark.parametrize("row", which, ids=lambda row: row.slug)


modes = pytest.mark.parametrize("mode", MODES)


def check_error(row, error):
    assert type(error) is row.error
    said = str(error)
    assert re.search(row.says, said), said
    assert "on connection 'revor_default'" in said
    assert "sk-revor-canary" not in said
    assert "dana@example.com" not in said
    assert "ada@example.com" not in said
    assert len(said) < 1500


def check_asked(stage, wanted: Asks):
    assert stage.requests == wanted.requests
    # A date leaves out fractions of a second. Real time goes on, too: for seconds, with large bodies on a busy machine.
    assert wanted.span - 3 <= stage.span <= wanted.span + 25


def without_numbers(message):
    return re.sub(r"127\.0\.0\.1:\d+|req_\w+|\d+ s\b", "…", message)


@rows(ACCOUNTS)
def test_the_hook_and_the_list_operator_sync_and_async(stage, row):
    ends = []
    for who in (ask.hook_sync, ask.hook_async, ask.list_operator):
        stage.set_up(row)
        found, error = ask.caught(lambda who=who: who(stage))
        check_asked(stage, row.hook)
        if row.error:
            check_error(row, error)
            ends.append(without_numbers(str(error)).partition(": ")[0])
        else:
            assert error is None
            assert len(found) == row.found
            ends.append([one if isinstance(one, dict) else one.as_dict() for one in found])
    assert ends[0] == ends[1] == ends[2]


@modes
@rows(ACCOUNTS)
def test_a_gate(stage, row, mode):
    stage.set_up(row, lasts=2 if row.wait.requests == 4 else 1)
    found, error = ask.caught(lambda: ask.gate(mode, stage))
    check_wait(stage, row, found, error)
    if error is None:
        assert found["can_send"] is True


@modes
@rows(JOBS)
def test_a_job_sensor(stage, row, mode):
    stage.set_up(row, lasts=2 if row.wait.requests == 4 else 1)
    found, error = ask.caught(lambda: ask.job_sensor(mode, stage))
    check_wait(stage, row, found, error)
    if error is None:
        assert found["status"] == "succeeded"


@pytest.mark.parametrize("mode", ["poke", "deferred"])
@rows(JOBS)
def test_a_dispatch_that_waits_for_its_job(stage, row, mode):
    # It sends, and asks for the job at once.
    stage.set_up(row, lasts=2 if row.wait.requests == 4 else 1, after=2)
    found, error = ask.caught(lambda: ask.dispatch(mode, stage))
    check_wait(stage, row, found, error, row.wait._replace(requests=row.wait.requests + 1))
    assert [method for _, method, _ in stage.sent] == ["POST", *["GET"] * (stage.requests - 1)]
    if error is None:
        assert found["status"] == "succeeded"


def check_wait(stage, row, found, error, asked=None):
    check_asked(stage, asked or row.wait)
    if row.error and issubclass(row.error, e.RevorTransientError):
        assert error is None
        assert len(stage.troubles) == 2
        for trouble in stage.troubles:
            check_error(row, trouble)
    elif row.error:
        check_error(row, error)
    else:
        assert error is None
        assert stage.troubles == []
    if error is None:
        assert json.loads(json.dumps(found)) == found


@rows([row for row in JOBS if row.error])
def test_a_dispatch_fails_and_the_next_try_sends_under_the_same_key(stage, row):
    stage.set_up(row)
    _, error = ask.caught(lambda: ask.dispatch("poke", stage))
    check_asked(stage, row.dispatch or row.hook)
    check_error(row, error)
    stage.end()
    found, error = ask.caught(lambda: ask.dispatch("poke", stage))
    assert error is None
    assert found["status"] == "succeeded"
    keys = {key for _, method, key in stage.sent if method == "POST"}
    assert len(keys) == 1


def test_the_server_saw_what_was_sent(stage):
    """That what is counted are requests indeed."""
    for row in ROWS:
        if row.place in ("plain", "trusted") and row.found == 1 and len(row.slug) < 20:
            stage.set_up(row)
            ask.caught(lambda: ask.hook_sync(stage))
            assert len(stage.peer.heads) == row.hook.requests

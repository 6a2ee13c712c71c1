"""The sandbox's own clock: moved on, set wrong; and the intervals that it keeps if told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest
import requests

from airflow_provider_revor.sandbox import Sandbox

HOUR, DAY = 3_600, 86_400
LIKE = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}
SLACK = timedelta(seconds=60)


@pytest.fixture
def like(post):
    return lambda key=None, **more: post("/linkedin/post-likes", {**LIKE, **more}, key=key)


def statuses(sandbox):
    return [job["status"] for job in sandbox.jobs]


def times(job):
    return [datetime.fromisoformat(job[name]) for name in ("scheduled_at", "started_at", "finished_at") if job[name]]


def near(moment, other):
    return abs(moment - other) < SLACK


# Moving on


def test_jobs_become_due(ready, like):
    ready.script_jobs("failed", scheduled_in=2 * HOUR, after=HOUR)
    like()
    seen = [statuses(ready)]
    for _ in range(3):
        ready.advance(hours=1)
        seen.append(statuses(ready))
    assert seen == [["scheduled"], ["scheduled"], ["running"], ["failed"]]
    scheduled, started, finished = times(ready.jobs[0])
    assert scheduled == started == finished - timedelta(hours=1)


def test_all_times_move_on(ready, like, get):
    ready.advance(days=1, hours=2, minutes=3, seconds=4)
    then = datetime.now(UTC) + timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert near(ready.now, then)
    assert near(parsedate_to_datetime(get().headers["Date"]), then)
    like()
    assert all(near(moment, then) for moment in times(ready.jobs[0]))
    assert near(ready.outbox[0].created_at, then)
    assert near(ready.requests[-1].received_at, then)


def test_a_held_job_is_not_due_by_time(ready, like):
    ready.script_jobs(after=None)
    like()
    ready.advance(days=365)
    assert statuses(ready) == ["running"]


@pytest.mark.parametrize("wrong", [{"hours": -1}, {"days": 3_651}, {"seconds": float("nan")}])
def test_time_does_not_go_back(ready, wrong):
    with pytest.raises(ValueError, match=r"advance|NaN"):
        ready.advance(**wrong)
    assert near(ready.now, datetime.now(UTC))


def test_time_has_an_end(ready, get):
    for _ in range(3):
        ready.advance(days=3_650)
    assert near(ready.now, datetime.now(UTC) + timedelta(days=3_650))
    assert get().status_code == 200


# Set wrong


@pytest.mark.parametrize("offset", [-DAY, -2, 2, DAY])
def test_a_wrong_clock_is_wrong_everywhere(ready, like, get, offset):
    ready.set_clock_offset(seconds=offset)
    then = datetime.now(UTC) + timedelta(seconds=offset)
    ready.script_jobs(scheduled_in=HOUR)
    for _ in range(2):
        answer = like()
        date = parsedate_to_datetime(answer.headers["Date"])
        assert near(date, then)
    waiting, done = ready.jobs
    assert (waiting["status"], done["status"]) == ("scheduled", "succeeded")
    assert near(times(waiting)[0], then + timedelta(hours=1))
    assert all(near(moment, then) for moment in times(done))
    assert near(parsedate_to_datetime(get("?channel=fax").headers["Date"]), then)


def test_jobs_move_along_with_the_clock(ready, like):
    ready.script_jobs("failed", scheduled_in=HOUR, after=HOUR)
    like()
    like()
    before = ready.jobs
    for offset in (-DAY, DAY, 0):
        ready.set_clock_offset(offset)
        assert statuses(ready) == ["scheduled", "succeeded"]
        assert [[each - timedelta(seconds=offset) for each in times(job)] for job in ready.jobs] == [
            times(job) for job in before
        ]
    ready.advance(hours=2)
    assert statuses(ready) == ["failed", "succeeded"]


def test_a_replay_is_the_response_as_it_was_then(ready, like):
    ready.script_jobs(scheduled_in=HOUR)
    first = like(key="k1").json()["item"]
    ready.set_clock_offset(DAY)
    ready.advance(hours=2)
    assert statuses(ready) == ["succeeded"]
    assert like(key="k1").json()["item"] == first


def test_a_fault_may_have_a_date_of_its_own(ready, get):
    ready.set_clock_offset(DAY)
    date = "Wed, 21 Oct 2065 07:28:00 GMT"
    ready.fail(429, headers={"Date": date})
    ready.fail(429)
    assert get().headers["Date"] == date
    assert near(parsedate_to_datetime(get().headers["Date"]), datetime.now(UTC) + timedelta(days=1))


def test_control(ready, control, like):
    assert control("GET", "/clock").json()["offset"] == 0
    ready.script_jobs(scheduled_in=HOUR)
    like()
    answer = control("PUT", "/clock", {"advance": HOUR, "offset": -DAY})
    assert answer.json()["offset"] == -DAY
    assert near(datetime.fromisoformat(answer.json()["now"]), datetime.now(UTC) + timedelta(hours=1, days=-1))
    assert statuses(ready) == ["succeeded"]
    for wrong in ({"advance": -1}, {"offset": 1e12}, {"to": 1}):
        assert control("PUT", "/clock", wrong).status_code == 422


# Intervals


def test_intervals_are_only_noted_by_default(ready, like):
    for _ in range(3):
        like(min_channel_task_interval_seconds=HOUR)
    assert statuses(ready) == ["succeeded"] * 3


def test_intervals_are_kept_per_owner_and_channel():
    accounts = [{"account_id": f"acc_{channel}", "channel": channel} for channel in ("linkedin", "email")]
    dispatch = {
        "account_id": "acc_email",
        "channel": "email",
        "action": "outreach",
        "recipient": {"address": "dana@example.com"},
        "content": {"subject": "Hello", "text": "Hello Dana"},
    }
    with Sandbox(accounts=accounts, keep_intervals=True) as sandbox:
        sandbox.add_key("sk-revor-other", accounts=accounts)

        def send(path, body, key=sandbox.api_key):
            url = f"{sandbox.url}/api/v1/outreach/{path}"
            return requests.post(url, json=body, headers={"x-api-key": key}, timeout=30).json()["item"]

        likes = [
            send("linkedin/post-likes", {**LIKE, "min_channel_task_interval_seconds": interval})
            for interval in (180, 240, 0)
        ]
        starts = [datetime.fromisoformat(each["scheduled_at"]) for each in likes]
        assert [each["status"] for each in likes] == ["queued", "scheduled", "scheduled"]
        assert [later - earlier for earlier, later in pairwise(starts)] == [
            timedelta(seconds=240),
            timedelta(seconds=60),
        ]
        assert send("dispatches", dispatch)["status"] == "queued"
        assert send("linkedin/post-likes", LIKE, "sk-revor-other")["status"] == "queued"
        assert statuses(sandbox) == ["succeeded", "scheduled", "scheduled", "succeeded", "succeeded"]
        sandbox.advance(minutes=4)
        assert statuses(sandbox).count("scheduled") == 1
        sandbox.advance(minutes=1)
        assert statuses(sandbox).count("scheduled") == 0
        sandbox.advance(hours=1)
        assert send("linkedin/post-likes", LIKE)["status"] == "queued"
        sandbox.reset_jobs()
        assert send("linkedin/post-likes", LIKE)["status"] == "queued"

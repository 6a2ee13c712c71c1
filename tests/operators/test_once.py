"""Each person gets a message once and only once, whatever happens to the task."""

from __future__ import annotations

import logging
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from factories import job, resource
from outreach_tasks import EMAIL, ROOT, Store, both, context, dispatch, keys

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator

# -- once and only once ----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("make_store", [lambda: None, Store], ids=["keys-alone", "store"])
def test_clearing_a_success_sends_nothing_new(ready, make, make_store):
    store = make_store()
    first = make().execute(context(store=store))
    assert [make().execute(context(n, store=store))["id"] for n in (2, 3, 9)] == [first["id"]] * 3
    assert len(ready.outbox) == len(keys(ready)) == 1


@both
def test_a_try_that_sends_nothing_says_so(ready, make, caplog, monkeypatch):
    monkeypatch.setattr(type(make()), "log", logging.getLogger("operator"))
    caplog.set_level(logging.INFO, "operator")
    store = Store()
    job_id = make().execute(context(store=store))["id"]
    assert "Nothing is sent" not in caplog.text
    make().execute(context(2, store=store))
    assert caplog.messages[-2:] == [
        f"Nothing is sent: outreach job {job_id} was created before this try.",
        f"Outreach job {job_id} has succeeded.",
    ]


@both
@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_clearing_a_failure_sends_again(ready, make, status):
    store = Store()
    ready.script_jobs(status)
    with pytest.raises(e.RevorJobFailedError):
        make().execute(context(store=store))
    done = make().execute(context(2, store=store))
    assert (done["status"], len(ready.jobs), len(ready.outbox)) == ("succeeded", 2, 1)
    first, second = keys(ready)
    assert second.startswith(first)


@pytest.mark.parametrize("make_store", [lambda: None, Store], ids=["keys-alone", "store"])
def test_a_try_sends_again_once_at_the_most(ready, make_store):
    store = make_store()
    ready.script_jobs("failed", times=3)
    # Two tries came to nothing; the third is the first that sends.
    with pytest.raises(e.RevorJobFailedError):
        dispatch().execute(context(3, store=store))
    assert len(ready.jobs) == 1
    if store is None:
        # The job has only just ended: without a record, it might be this try's own.
        with pytest.raises(e.RevorJobFailedError):
            dispatch().execute(context(4))
        assert len(ready.jobs) == 1
        return
    for n, jobs in ((4, 2), (5, 3)):
        with pytest.raises(e.RevorJobFailedError):
            dispatch().execute(context(n, store=store))
        assert len(ready.jobs) == jobs
    assert dispatch().execute(context(6, store=store))["status"] == "succeeded"
    assert len(ready.outbox) == 1


def test_a_retry_waits_for_the_job_that_goes_on(ready):
    ready.script_jobs(after=None)
    with pytest.raises(e.RevorJobTimeoutError, match="sends nothing twice") as late:
        dispatch(timeout=0.2).execute(context())
    assert not isinstance(late.value, AirflowFailException)
    ready.finish_job(ready.jobs[0]["id"])
    assert dispatch().execute(context(2, automatic=True))["id"] == ready.jobs[0]["id"]
    assert len(ready.jobs) == 1


@both
@pytest.mark.parametrize("fault", ["lose_answer", "slow"])
def test_what_revor_accepted_unnoticed_is_found_by_the_next_try(ready, connect, make, fault):
    connect(host=ready.url, password=ready.api_key, extra={"timeout": 3, "max_retries": 0})
    if fault == "slow":
        ready.slow(30, after_acting=True, method="POST")
    else:
        ready.lose_answer(method="POST")
    with pytest.raises(e.RevorConnectionError):
        make().execute(context())
    done = make().execute(context(try_number=2))
    assert [one["id"] for one in ready.jobs] == [done["id"]]


@both
def test_two_runs_tasks_and_dags_are_two_messages_and_a_worker_makes_none(ready, make):
    for ids in ({}, {"run_id": "r2"}, {"task_id": "t2"}, {"dag_id": "d2"}, {"hostname": "another", "map_index": 5}):
        make().execute(context(**ids))
    assert len(ready.outbox) == len(set(keys(ready))) == 4


def test_a_lead_that_is_in_a_reordered_list_twice_gets_one_message(ready):
    leads = [f"{name}@example.com" for name in "abcab"]
    for try_number, seed in ((1, 1), (2, 2), (3, 3)):
        random.Random(seed).shuffle(leads)
        for index, lead in enumerate(leads):
            dispatch(recipient={"address": lead}).execute(context(try_number, map_index=index))
    assert sorted(sent.recipient["address"] for sent in ready.outbox) == sorted(set(leads))


def test_another_spelling_of_a_person_is_no_second_message(ready):
    dispatch().execute(context())
    with pytest.raises(e.RevorIdempotencyConflictError):
        dispatch(recipient={"address": "DANA@example.com"}).execute(context())
    assert len(ready.outbox) == 1


CORRECTED = {"content": {"subject": "Hello", "text": "Another"}, "min_channel_task_interval_seconds": 90}


def test_without_a_store_another_text_is_a_conflict_unless_a_key_says_that_it_is_meant(ready):
    dispatch().execute(context())
    with pytest.raises(e.RevorIdempotencyConflictError, match="`idempotency_key` of its own") as conflict:
        dispatch(**CORRECTED).execute(context(2))
    assert isinstance(conflict.value, AirflowFailException)
    assert len(ready.outbox) == 1
    for meant in ("one", "two", "two"):
        operator = dispatch(**CORRECTED, idempotency_key="{{ params.meant }}")
        operator.render_template_fields({"params": {"meant": meant}})
        operator.execute(context())
    assert [sent.idempotency_key for sent in ready.outbox[1:]] == ["one", "two"]


def test_another_text_after_a_success_is_not_sent_and_not_an_error(ready, caplog, monkeypatch):
    monkeypatch.setattr(OutreachDispatchOperator, "log", logging.getLogger("operator"))
    store = Store()
    done = dispatch().execute(context(store=store))
    for n, automatic in ((2, True), (3, False)):
        assert dispatch(**CORRECTED).execute(context(n, automatic=automatic, store=store)) == done
    assert (len(ready.outbox), len(keys(ready))) == (1, 1)
    assert caplog.text.count("differs from what this task now holds") == 2
    # The record is that of what was sent.
    lead = {**EMAIL["recipient"], "score": 7}
    for n, recipient in ((4, EMAIL["recipient"]), (5, lead)):
        assert dispatch(recipient=recipient).execute(context(n, store=store)) == done
    assert caplog.text.count("differs from what this task now holds") == 2


def test_another_key_means_another_message_only_if_a_person_has_cleared_the_task(ready):
    store = Store()
    first = dispatch(idempotency_key="one").execute(context(store=store))
    # Such as a template that renders to something else in each try.
    assert dispatch(idempotency_key="two").execute(context(2, automatic=True, store=store)) == first
    assert dispatch(idempotency_key="two").execute(context(2, store=store)) != first
    assert keys(ready) == ["one", "two"]


@pytest.mark.parametrize("nothing", [None, "", "None", " ", float("nan")])
def test_a_key_that_rendered_to_nothing_is_an_error_not_the_key_of_this_run(ready, nothing):
    operator = dispatch(idempotency_key="{{ params.key }}")
    operator.idempotency_key = nothing
    with pytest.raises(e.RevorValueError, match="idempotency_key rendered to"):
        operator.execute(context())
    assert ready.request_count == 0


def test_no_key_of_a_mapped_list_is_the_key_of_this_run(ready):
    dispatch(idempotency_key=None).execute(context())
    assert [key.startswith("airflow-") for key in keys(ready)] == [True]


def test_a_key_may_be_a_number(ready):
    operator = dispatch(idempotency_key="{{ params.key }}")
    operator.idempotency_key = 12
    operator.execute(context())
    assert keys(ready) == ["12"]


DAY = 86_400


@pytest.mark.parametrize("ahead", [-DAY, -3600, -2, 0, 2, 3600, DAY])
@pytest.mark.parametrize(("ended", "sent"), [(-60, 2), (-3, 1), (0, 1), (60, 1)])
def test_whether_a_job_ended_before_this_try_is_asked_in_revors_clock(connect, requests_mock, ahead, ended, sent):
    connect()

    def by_revors_clock(seconds):
        return datetime.now(UTC) + timedelta(seconds=ahead + seconds)

    date = {"Date": format_datetime(by_revors_clock(0), usegmt=True)}
    failed = job(status="failed", result=None, finished_at=by_revors_clock(ended).isoformat())
    requests_mock.post(f"{ROOT}/dispatches", json=resource(job(status="queued")), headers=date)
    requests_mock.get(f"{ROOT}/jobs/job_1", json=resource(failed), headers=date)
    with pytest.raises(e.RevorJobFailedError):
        dispatch(poke_interval=0.1).execute(context(2))
    posted = [one.headers["Idempotency-Key"] for one in requests_mock.request_history if one.method == "POST"]
    assert len(posted) == len(set(posted)) == sent


@pytest.mark.parametrize("date", [{}, {"Date": "soon"}], ids=["no-date", "odd-date"])
def test_where_revors_clock_is_not_known_nothing_is_sent_again(connect, requests_mock, date):
    connect()
    requests_mock.post(f"{ROOT}/dispatches", json=resource(job()), headers=date)
    requests_mock.get(f"{ROOT}/jobs/job_1", json=resource(job(status="failed")), headers=date)
    with pytest.raises(e.RevorJobFailedError):
        dispatch().execute(context(2))
    assert [one.method for one in requests_mock.request_history] == ["POST", "GET"]


# -- found by a review that set out to break it ----------------------------------------------------------

FOR_GOOD = {"code": "recipient_unknown", "message": "Nobody.", "retryable": False}
MAY_HELP = {"code": "busy", "message": "Later.", "retryable": True}
remembered = pytest.mark.parametrize("make_store", [lambda: None, Store], ids=["keys-alone", "store"])


def peer(requests_mock, behind=0.0, date_ahead=0.0, **ends):
    """A Revor whose jobs fail at once, with its clock behind ours; return the keys that were posted."""
    posted = []

    def now():
        return datetime.now(UTC) - timedelta(seconds=behind)

    def headers():
        return {"Date": format_datetime(now() + timedelta(seconds=date_ahead), usegmt=True)}

    def post(request, answer):
        key = request.headers["Idempotency-Key"]
        if key not in posted:
            posted.append(key)
            ended = job(
                id=f"job_{len(posted)}", status="failed", result=None, **{"finished_at": now().isoformat(), **ends}
            )
            requests_mock.get(f"{ROOT}/jobs/job_{len(posted)}", json=resource(ended), headers=headers())
        answer.headers.update(headers())
        return resource(job(id=f"job_{posted.index(key) + 1}", status="queued"))

    requests_mock.post(f"{ROOT}/dispatches", json=post)
    return posted


@remembered
@pytest.mark.parametrize(
    ("status", "error"), [("cancelled", None), ("failed", FOR_GOOD)], ids=["cancelled", "failed-for-good"]
)
def test_an_automatic_retry_after_a_timeout_does_not_send_again(ready, make_store, status, error):
    store = make_store()
    ready.script_jobs(after=None)
    with pytest.raises(e.RevorJobTimeoutError):
        dispatch(timeout=0.2, retries=3).execute(context(automatic=True, store=store))
    ready.finish_job(ready.jobs[0]["id"], status, error=error)
    with pytest.raises(e.RevorJobFailedError) as failed:
        dispatch(retries=3).execute(context(2, automatic=True, store=store))
    assert isinstance(failed.value, AirflowFailException)
    assert (len(ready.jobs), len(keys(ready))) == (1, 1)


@remembered
@pytest.mark.parametrize("behind", [-86_400, -2.3, 0, 1.6, 2.3, 86_400])
@pytest.mark.parametrize("own_key", [None, "spring-7"], ids=["our-key", "own-key"])
def test_jobs_that_fail_at_once_are_one_message_a_try(connect, requests_mock, make_store, behind, own_key):
    connect()
    posted, store = peer(requests_mock, behind, error=FOR_GOOD), make_store()
    for number in (1, 2):
        with pytest.raises(e.RevorJobFailedError):
            dispatch(idempotency_key=own_key).execute(context(number, automatic=number > 1, store=store))
        assert len(posted) == 1


@remembered
@pytest.mark.parametrize(
    "odd",
    [{"date_ahead": 8}, {"date_ahead": 86_400}, {"finished_at": "1970-01-01T00:00:00Z"}, {"finished_at": "0001-01-01"}],
    ids=["proxy-8-s-ahead", "proxy-a-day-ahead", "epoch", "year-1"],
)
def test_a_date_of_another_clock_and_an_odd_end_are_one_message_a_try(connect, requests_mock, make_store, odd):
    """A proxy's Date need not be of the clock that job times are of."""
    connect()
    posted, store = peer(requests_mock, error=FOR_GOOD, **odd), make_store()
    with pytest.raises(e.RevorJobFailedError):
        dispatch().execute(context(1, store=store))
    assert len(posted) == 1
    if store is not None:
        # With a record, a clear is one message more, whatever the clocks say.
        with pytest.raises(e.RevorJobFailedError):
            dispatch().execute(context(2, store=store))
        assert len(posted) == 2


@pytest.mark.parametrize("wait", [True, False], ids=["waits", "does-not-wait"])
def test_a_regenerated_list_finds_the_attempt_that_reached_its_lead(connect, requests_mock, wait):
    """The lead has another map index, so a fresh task instance, which has no record of its attempts."""
    connect()
    date = {"Date": format_datetime(datetime.now(UTC), usegmt=True)}
    jobs = {
        "job_1": job(id="job_1", status="failed", error=MAY_HELP, finished_at="2026-01-01T00:00:00Z"),
        "job_2": job(id="job_2"),
    }

    def post(request, _):
        number = 2 if request.headers["Idempotency-Key"].endswith("-attempt-2") else 1
        return resource(job(id=f"job_{number}", status="queued"))

    requests_mock.post(f"{ROOT}/dispatches", json=post, headers=date)
    for job_id, item in jobs.items():
        requests_mock.get(f"{ROOT}/jobs/{job_id}", json=resource(item), headers=date)
    operator = dispatch(wait_for_completion=wait)
    assert operator.execute(context(1, map_index=5, store=Store()))["id"] == "job_2"
    assert len({one.headers["Idempotency-Key"] for one in requests_mock.request_history if one.method == "POST"}) == 2


def test_a_replayed_status_is_not_believed(connect, requests_mock):
    """Told not to wait, a fresh task instance is told "queued" by a key whose job has failed."""
    connect()
    requests_mock.post(f"{ROOT}/dispatches", json=resource(job(status="queued")))
    requests_mock.get(f"{ROOT}/jobs/job_1", json=resource(job(status="failed", error=FOR_GOOD)))
    with pytest.raises(e.RevorJobFailedError):
        dispatch(wait_for_completion=False).execute(context(1, map_index=5))


@both
@pytest.mark.parametrize(
    "repair",
    [{"min_channel_task_interval_seconds": 90}, {"account_id": "acc_other"}, {"content": "other"}],
    ids=["interval", "account", "text"],
)
def test_after_a_failure_a_person_may_correct_the_message_and_clear(ready, make, repair):
    ready.set_accounts([{"account_id": name, "channel": "email"} for name in ("acc_email", "acc_other")])
    ready.update_account("acc_other", channel="email" if make is dispatch else "linkedin")
    if make is dispatch and "content" in repair:
        repair = {"content": {"subject": "Hello", "text": "Corrected"}}
    store = Store()
    ready.script_jobs("failed", error=FOR_GOOD)
    with pytest.raises(e.RevorJobFailedError):
        make(account_id="acc_email" if make is dispatch else None).execute(context(store=store))
    assert make(**repair).execute(context(2, store=store))["status"] == "succeeded"
    assert len(keys(ready)) == 2


# -- the record ------------------------------------------------------------------------------------------


def test_a_recorded_job_is_asked_for_before_anything_is_posted(ready):
    store = Store()
    done = dispatch().execute(context(store=store))
    ready.reset_requests()
    assert dispatch().execute(context(2, automatic=True, store=store)) == done
    assert [record.method for record in ready.requests] == ["GET"]


def test_a_happy_try_costs_two_requests_to_revor_and_three_to_the_store(ready):
    calls = []

    class Counting(Store):
        def get(self, key):
            calls.append("get")
            return super().get(key)

        def set(self, key, value, *, retention):
            calls.append("set")
            super().set(key, value, retention=retention)

    dispatch().execute(context(store=Counting()))
    # Before the message and after it: a try that is cut short in between has left word, too.
    assert calls == ["get", "set", "set"]
    assert [record.method for record in ready.requests] == ["POST", "GET"]


def test_the_record_holds_nothing_personal_and_no_key(ready):
    store = Store()
    dispatch(idempotency_key="own-key").execute(context(store=store))
    dispatch().execute(context(run_id="r2", store=store))
    text = f"{dict(store)}"
    for secret in ("dana", "Dana", "secret", "Hello", "acc_email", ready.api_key, *keys(ready)):
        assert secret.removeprefix("airflow-") not in text


def test_a_record_survives_an_api_key_that_was_rotated(ready, connect):
    """Revor remembers an idempotency key together with the API key."""
    store = Store()
    ready.script_jobs(after=None)
    done = dispatch(wait_for_completion=False).execute(context(store=store))
    ready.forget_keys()
    for number, automatic in ((2, True), (3, False)):
        again = dispatch(wait_for_completion=False).execute(context(number, automatic=automatic, store=store))
        assert again["id"] == done["id"]
    assert len(ready.jobs) == 1


def test_a_recorded_job_that_revor_does_not_know_is_an_error_and_nothing_is_sent(ready):
    store = Store()
    dispatch().execute(context(store=store))
    ready.reset_jobs()
    ready.reset_requests()
    for number, automatic in ((2, True), (3, False)):
        with pytest.raises(e.RevorNotFoundError, match="Nothing is sent. Check that the connection") as lost:
            dispatch().execute(context(number, automatic=automatic, store=store))
        assert lost.value.code == "external_api_job_not_found"
    assert [record.method for record in ready.requests] == ["GET", "GET"]
    # What the message advises.
    assert dispatch(idempotency_key="once-more").execute(context(4, store=store))["status"] == "succeeded"


def test_a_record_of_another_person_is_ignored(ready):
    store = Store()
    dispatch(recipient={"address": "a@example.com"}).execute(context(store=store))
    dispatch(recipient={"address": "b@example.com"}).execute(context(2, automatic=True, store=store))
    assert [sent.recipient["address"] for sent in ready.outbox] == ["a@example.com", "b@example.com"]
    # And the first one's is still there when its lead comes back.
    ready.reset_requests()
    dispatch(recipient={"address": "a@example.com"}).execute(context(3, store=store))
    assert [record.method for record in ready.requests] == ["GET"]


@pytest.mark.parametrize("odd", [7, "x", {}, {"number": 0, "job_id": "j", "key": "k", "message": "m", "max_tries": 0}])
def test_a_record_that_cannot_be_read_is_left_alone_and_the_keys_decide(ready, odd):
    store = Store()
    dispatch().execute(context(store=store))
    store.update(dict.fromkeys(store, odd))
    dispatch().execute(context(2, automatic=True, store=store))
    assert (len(ready.outbox), len(keys(ready))) == (1, 1)
    assert list(store.values()) == [odd]


@pytest.mark.parametrize("broken", ["get", "set"])
def test_a_store_that_cannot_be_reached_is_a_warning_and_the_keys_decide(ready, caplog, monkeypatch, broken):
    monkeypatch.setattr(OutreachDispatchOperator, "log", logging.getLogger("operator"))

    def fail(*args, **kwargs):
        raise RuntimeError("The API server is away.")

    store = Store()
    monkeypatch.setattr(store, broken, fail, raising=False)
    for number in (1, 2):
        dispatch().execute(context(number, automatic=number > 1, store=store))
    assert (len(ready.outbox), len(keys(ready))) == (1, 1)
    assert caplog.text.count("The task state store cannot be") == 2
    assert store == {}


def test_a_job_whose_standing_cannot_be_learned_is_told_of(ready, connect):
    connect(host=ready.url, password=ready.api_key, extra={"max_retries": 0})
    store = Store()
    for status, code, kind in (
        (404, "external_api_job_not_found", e.RevorResponseError),
        (500, "internal", e.RevorServerError),
        (403, "permission_denied", e.RevorPermissionError),
    ):
        store.clear()
        ready.fail(status, code=code, method="GET")
        with pytest.raises(kind, match=r"Revor accepted outreach job job_\w+, but how it stands") as unknown:
            dispatch(wait_for_completion=False).execute(context(store=store))
        assert unknown.value.reason.startswith("Revor accepted outreach job")
    assert dispatch().execute(context(2, store=store))["status"] == "succeeded"
    assert len(ready.jobs) == 1


def test_a_job_of_another_id_is_not_as_documented(connect, requests_mock):
    connect()
    requests_mock.post(f"{ROOT}/dispatches", json=resource(job(status="queued")))
    requests_mock.get(f"{ROOT}/jobs/job_1", json=resource(job(id="job_2")))
    with pytest.raises(e.RevorResponseError, match=r"item\.id"):
        dispatch().execute(context())


def test_taking_an_own_key_away_again_does_not_send_what_was_sent_under_it(ready):
    store = Store()
    ready.script_jobs("failed", error=FOR_GOOD)
    with pytest.raises(e.RevorJobFailedError):
        dispatch().execute(context(store=store))
    done = dispatch(idempotency_key="by-hand").execute(context(2, store=store))
    assert dispatch().execute(context(3, store=store)) == done
    assert len(ready.jobs) == 2


def test_fewer_retries_in_the_dag_file_and_an_automatic_retry_do_not(ready):
    store = Store()
    ready.script_jobs("failed", error=FOR_GOOD)
    with pytest.raises(e.RevorJobFailedError):
        dispatch(retries=3).execute(context(1, store=store, max_tries=3))
    # Cut short before the job was known.
    (name,) = store
    store[name]["job_id"] = None
    with pytest.raises(e.RevorJobFailedError):
        dispatch(retries=2).execute(context(2, store=store, max_tries=3))
    assert len(ready.jobs) == 1


def test_a_key_of_ones_own_whose_job_failed_in_an_earlier_run_is_sent_again(connect, requests_mock):
    connect()
    url = "https://revor.ai/api/v1/outreach"
    old, new = job(id="job_old", status="failed", finished_at="2026-01-01T00:00:00Z"), job(id="job_new")

    def post(request, _):
        return resource(old if request.headers["Idempotency-Key"] == "spring-7" else new)

    date = {"Date": format_datetime(datetime.now(UTC), usegmt=True)}
    requests_mock.post(f"{url}/dispatches", json=post, headers=date)
    for item in (old, new):
        requests_mock.get(f"{url}/jobs/{item['id']}", json=resource(item), headers=date)

    assert dispatch(idempotency_key="spring-7", poke_interval=0).execute(context())["id"] == "job_new"

    keys = [r.headers["Idempotency-Key"] for r in requests_mock.request_history if r.method == "POST"]
    assert keys == ["spring-7", "spring-7-attempt-2"]

"""Each person gets a message once and only once, whatever happens to the task, and the task ends as its job does."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from factories import job, resource

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.idempotency import person
from airflow_provider_revor.operators.outreach import LinkedInPostLikeOperator, OutreachDispatchOperator

ROOT = "https://revor.ai/api/v1/outreach"
PROFILE = "https://www.linkedin.com/in/dana"
EMAIL = {
    "account_id": "acc_email",
    "channel": "email",
    "recipient": {"address": "dana@example.com", "name": "Dana"},
    "content": {"subject": "Hello", "text": "A secret for Dana"},
}
LIKE = {"profile_url": PROFILE, "topic": "hiking"}


def dispatch(**kwargs):
    return OutreachDispatchOperator(task_id="send", **{**EMAIL, "deferrable": False, "poke_interval": 0.1, **kwargs})


def like(**kwargs):
    return LinkedInPostLikeOperator(task_id="like", **{**LIKE, "deferrable": False, "poke_interval": 0.1, **kwargs})


class Store(dict):
    """Airflow's task state store, of one task instance."""

    def set(self, key, value, *, retention):
        assert retention == timedelta.max
        self[key] = json.loads(json.dumps(value))


def context(try_number=1, pushed=None, *, automatic=False, store=None, **ids):
    """The context of a try: an automatic retry, or else the first try since a person cleared the task."""
    push = {} if pushed is None else pushed
    max_tries = try_number + 5 if automatic else try_number - 1
    ti = {"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": try_number, "max_tries": max_tries, **ids}
    memory = {} if store is None else {"task_state_store": store}
    return {"ti": SimpleNamespace(**ti, xcom_push=lambda key, value: push.update({key: value})), **memory}


@pytest.fixture
def ready(revor_sandbox, connect, monkeypatch):
    """A sandbox with a usable account of each channel, and a connection that does not wait for long."""
    # Full jitter: what has no hint would wait up to a second.
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key, extra={"timeout": 0.5})
    channels = ("email", "linkedin", "whatsapp")
    revor_sandbox.set_accounts([{"account_id": f"acc_{channel}", "channel": channel} for channel in channels])
    return revor_sandbox


both = pytest.mark.parametrize("make", [dispatch, like])

# -- sending ---------------------------------------------------------------------------------------------


@both
def test_it_sends_waits_and_hands_on_the_job(ready, make):
    pushed = {}
    done = make().execute(context(pushed=pushed))
    assert done == ready.jobs[0] == json.loads(json.dumps(done))
    assert pushed == {"job_id": done["id"]}
    assert "secret" not in json.dumps(done)


def test_all_that_is_given_arrives(ready):
    dispatch(metadata={"campaign": 7}, min_channel_task_interval_seconds=90).execute(context())
    sent = ready.outbox[0]
    assert {name: getattr(sent, name) for name in EMAIL} == EMAIL
    assert (sent.metadata, sent.min_channel_task_interval_seconds) == ({"campaign": 7}, 90)
    like(account_id="acc_linkedin", post_limit=5, locale="en", intent="x").execute(context())
    assert ready.outbox[1].body == {
        **LIKE,
        "account_id": "acc_linkedin",
        "post_limit": 5,
        "locale": "en",
        "intent": "x",
    }


def test_without_waiting_it_is_done_once_revor_has_accepted(ready):
    ready.script_jobs(after=None)
    pushed = {}
    accepted = dispatch(wait_for_completion=False, deferrable=True).execute(context(pushed=pushed))
    assert accepted == {**dict.fromkeys(job()), **accepted}
    assert (accepted["status"], pushed) == ("running", {"job_id": accepted["id"]})
    assert [record.method for record in ready.requests] == ["POST", "GET"]


def test_without_waiting_a_job_that_failed_at_once_is_no_success(ready):
    ready.script_jobs("failed")
    with pytest.raises(e.RevorJobFailedError):
        dispatch(wait_for_completion=False).execute(context())


def test_no_xcom_if_none_is_wanted(ready):
    pushed = {}
    dispatch(do_xcom_push=False).execute(context(pushed=pushed))
    assert pushed == {}


def test_a_skipped_post_like_is_a_success_and_is_told(ready, caplog, monkeypatch):
    monkeypatch.setattr(LinkedInPostLikeOperator, "log", logging.getLogger("operator"))
    ready.script_jobs("skipped")
    with caplog.at_level(logging.INFO, "operator"):
        assert like().execute(context())["result"]["status"] == "skipped"
    assert "was skipped" in caplog.text


# -- the interval ----------------------------------------------------------------------------------------


def test_an_interval_of_a_pair_is_the_same_in_each_try_and_differs_between_persons(ready):
    for n in range(5):
        operator = dispatch(recipient={"address": f"{n}@example.com"}, min_channel_task_interval_seconds=(180, 360))
        operator.execute(context())
        operator.execute(context(try_number=2))
    chosen = [sent.min_channel_task_interval_seconds for sent in ready.outbox]
    assert len(chosen) == 5
    assert len(set(chosen)) > 1
    assert all(180 <= seconds <= 360 for seconds in chosen)


@pytest.mark.parametrize("interval", [59, 86_401, (360, 180), (180,), "often", 90.5])
def test_a_bad_interval_fails_when_the_dag_is_parsed(interval):
    for make in (dispatch, like):
        with pytest.raises(ValueError, match="min_channel_task_interval_seconds"):
            make(min_channel_task_interval_seconds=interval)


# -- checks and templates --------------------------------------------------------------------------------


def test_what_is_missing_fails_when_the_dag_is_parsed_and_is_named():
    with pytest.raises(ValueError, match=r"account_id is missing; recipient\.phone is missing; content\.text and"):
        dispatch(account_id="", channel="whatsapp", content={})
    with pytest.raises(ValueError, match=r"recipient\.address is missing; content\.subject is missing"):
        dispatch(recipient={"name": "{{ params.name }}"}, content={"text": "{{ params.text }}"})
    with pytest.raises(ValueError, match="profile_url is missing; one of content, topic and intent is missing"):
        like(profile_url=" ", topic=None)


@pytest.mark.parametrize(
    ("kwargs", "params", "named"),
    [
        ({"recipient": {"address": "{{ params.to }}"}}, {"to": None}, r"recipient\.address"),
        ({"account_id": "{{ params.account }}"}, {"account": ""}, "account_id"),
        ({"channel": "{{ params.channel }}"}, {"channel": "sms"}, "'sms' is no Revor channel"),
        ({"content": {"subject": "{{ params.s }}", "text": "x"}}, {"s": " "}, r"content\.subject"),
        ({"content": "{{ params.content }}"}, {"content": "x"}, "content must be an object"),
        ({"min_channel_task_interval_seconds": "{{ params.s }}"}, {"s": 5}, "min_channel_task_interval_seconds"),
        ({"idempotency_key": "{{ params.key }}"}, {"key": "two words"}, "printable ASCII"),
    ],
)
def test_what_renders_to_nonsense_fails_without_retries_before_anything_is_sent(ready, kwargs, params, named):
    operator = dispatch(**kwargs)
    operator.render_template_fields({"params": params})
    with pytest.raises(AirflowFailException, match=named):
        operator.execute(context())
    assert ready.request_count == 0


def test_all_that_a_dag_computes_is_templated(ready):
    def of(name):
        return f"{{{{ params.{name} }}}}"

    params = {
        "account": "acc_email",
        "channel": "email",
        "to": "dana@example.com",
        "say": "Hello",
        "n": 240,
        "key": "k",
    }
    operator = dispatch(
        revor_conn_id="revor_{{ params.n and 'default' }}",
        account_id=of("account"),
        channel=of("channel"),
        recipient={"address": of("to")},
        content={"subject": of("say"), "text": of("say")},
        metadata={"n": [of("n")]},
        min_channel_task_interval_seconds=(180, of("n")),
        idempotency_key=of("key"),
    )
    operator.render_template_fields({"params": params})
    operator.execute(context())
    sent = ready.outbox[0]
    assert (sent.account_id, sent.recipient, sent.metadata) == (
        "acc_email",
        {"address": "dana@example.com"},
        {"n": ["240"]},
    )
    assert 180 <= sent.min_channel_task_interval_seconds <= 240
    assert sent.idempotency_key == "k"
    operator = like(profile_url=of("to"), topic=of("say"), post_limit=of("limit"), locale=of("nothing"))
    operator.render_template_fields({"params": {**params, "limit": 7, "nothing": None}})
    operator.execute(context())
    assert ready.outbox[1].body == {"profile_url": "dana@example.com", "topic": "Hello", "post_limit": 7}


def test_outputs_of_tasks_are_inputs():
    with DAG("d", schedule=None):
        first = dispatch()
        second = OutreachDispatchOperator(
            task_id="then",
            account_id=first.output["id"],
            channel=first.output["channel"],
            recipient={"address": first.output["x"]},
            content=first.output["content"],
            min_channel_task_interval_seconds=(180, first.output["y"]),
        )
    assert second.upstream_task_ids == {"send"}


# -- once and only once ----------------------------------------------------------------------------------


def keys(sandbox):
    """The keys that were posted with, in the order of their first use."""
    return list(dict.fromkeys(record.idempotency_key for record in sandbox.requests if record.method == "POST"))


@both
@pytest.mark.parametrize("make_store", [lambda: None, Store], ids=["keys-alone", "store"])
def test_clearing_a_success_sends_nothing_new(ready, make, make_store):
    store = make_store()
    first = make().execute(context(store=store))
    assert [make().execute(context(n, store=store))["id"] for n in (2, 3, 9)] == [first["id"]] * 3
    assert len(ready.outbox) == len(keys(ready)) == 1


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
    connect(host=ready.url, password=ready.api_key, extra={"timeout": 0.3, "max_retries": 0})
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
    assert caplog.text.count("Nothing is sent: ") == 2
    # The record is that of what was sent.
    assert dispatch().execute(context(4, store=store)) == done
    assert caplog.text.count("Nothing is sent: ") == 2


def test_another_key_means_another_message_only_if_a_person_has_cleared_the_task(ready):
    store = Store()
    first = dispatch(idempotency_key="one").execute(context(store=store))
    # Such as a template that renders to something else in each try.
    assert dispatch(idempotency_key="two").execute(context(2, automatic=True, store=store)) == first
    assert dispatch(idempotency_key="two").execute(context(2, store=store)) != first
    assert keys(ready) == ["one", "two"]


@pytest.mark.parametrize("nothing", [None, "", "None", " "])
def test_a_key_that_rendered_to_nothing_is_not_one_key_for_all(ready, nothing):
    for to in ("a@example.com", "b@example.com"):
        operator = dispatch(recipient={"address": to}, idempotency_key="{{ params.key }}")
        operator.idempotency_key = nothing
        operator.execute(context())
    assert len(ready.outbox) == 2
    assert all(key.startswith("airflow-") for key in keys(ready))


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


# -- how it ends -----------------------------------------------------------------------------------------


def by_working(operator, sandbox, *args, **kwargs):
    return operator.execute(context(*args, **kwargs))


def by_deferring(operator, sandbox, *args, **kwargs):
    operator.deferrable = True
    try:
        return operator.execute(context(*args, **kwargs))
    except TaskDeferred as deferred:
        trigger, method, timeout = deferred.trigger, deferred.method_name, deferred.timeout
    _, arguments = trigger.serialize()
    assert json.loads(json.dumps(arguments)) == arguments
    assert timeout.total_seconds() > trigger.deadline - time.time()
    posted = len(keys(sandbox))

    async def first_event():
        return await anext(aiter(type(trigger)(**arguments).run()))

    payload = asyncio.run(first_event()).payload
    assert json.loads(json.dumps(payload)) == payload
    # The trigger only reads.
    assert len(keys(sandbox)) == posted
    # Another process goes on.
    fresh = type(operator)(task_id="again", **(EMAIL if isinstance(operator, OutreachDispatchOperator) else LIKE))
    fresh.timeout, fresh.execution_timeout = operator.timeout, operator.execution_timeout
    return fresh.resume_execution(method, {"event": payload}, context(*args, **kwargs))


waits = pytest.mark.parametrize("wait", [by_working, by_deferring])


@both
@waits
@pytest.mark.parametrize(
    ("script", "kwargs", "end"),
    [
        (lambda s: s.script_jobs(after=0.2), {}, "succeeded"),
        (lambda s: s.script_jobs(scheduled_in=0.3), {}, "succeeded"),
        (lambda s: s.script_jobs("failed", error={"retryable": True}), {}, e.RevorJobError),
        (lambda s: s.script_jobs("failed", error={"retryable": False}), {}, e.RevorJobFailedError),
        (lambda s: s.script_jobs("cancelled"), {}, e.RevorJobFailedError),
        (lambda s: s.script_jobs("settling"), {"timeout": 0.5}, e.RevorJobTimeoutError),
        (lambda s: s.fail(503, method="GET", times=2), {}, "succeeded"),
        (lambda s: s.drop(method="GET"), {}, "succeeded"),
        (lambda s: s.fail(429, retry_after="0.2", method="GET"), {}, "succeeded"),
        (lambda s: s.fail(404, method="GET"), {}, e.RevorNotFoundError),
        (lambda s: s.fail(401, method="GET"), {}, e.RevorAuthenticationError),
        (lambda s: s.revoke_key(), {}, e.RevorAuthenticationError),
        (lambda s: s.set_accounts([]), {"account_id": "acc_gone"}, e.RevorNotFoundError),
        (lambda s: s.fail(409, code="account_unavailable"), {}, e.RevorConflictError),
    ],
)
def test_a_task_ends_the_same_however_it_waits(ready, make, wait, script, kwargs, end):
    script(ready)
    if end == "succeeded":
        done = wait(make(**kwargs), ready)
        assert done == ready.jobs[0]
    else:
        with pytest.raises(end) as ended:
            wait(make(**kwargs), ready)
        assert type(ended.value) is end
    assert len(ready.jobs) <= 1


@waits
def test_retryable_is_for_airflow_to_retry_and_the_next_try_sends_again(ready, wait):
    store = Store()
    ready.script_jobs("failed", error={"code": "busy", "message": "m", "retryable": True})
    with pytest.raises(e.RevorJobError, match="busy") as failed:
        wait(dispatch(), ready, store=store)
    assert not isinstance(failed.value, AirflowFailException)
    assert wait(dispatch(), ready, 2, automatic=True, store=store)["status"] == "succeeded"
    assert [len(ready.jobs), len(ready.outbox)] == [2, 1]


def test_the_trigger_gets_nothing_personal_and_does_not_look_too_early(ready):
    ready.script_jobs(scheduled_in=500)
    with pytest.raises(TaskDeferred) as deferred:
        dispatch(deferrable=True, poke_interval=60, timeout=9000).execute(context())
    trigger = deferred.value.trigger
    _, kwargs = trigger.serialize()
    assert set(kwargs) >= {"job_id", "revor_conn_id", "deadline"}
    for personal in ("dana", "secret", "Hello", "acc_email"):
        assert personal not in f"{json.dumps(kwargs)}{trigger!r}"
    assert 498 <= kwargs["first_poll_at"] - time.time() <= 516
    assert 8990 <= kwargs["deadline"] - time.time() <= 9000


def test_many_tasks_do_not_look_in_step(ready):
    ready.script_jobs(after=None, times=None)
    firsts = set()
    for n in range(20):
        with pytest.raises(TaskDeferred) as deferred:
            dispatch(recipient={"address": f"{n}@example.com"}, deferrable=True, poke_interval=60).execute(context())
        firsts.add(round(deferred.value.trigger.first_poll_at))
    assert len(firsts) > 5


def test_an_execution_timeout_that_is_over_first_ends_the_deferral(ready):
    ready.script_jobs(after=None)
    with pytest.raises(AirflowTaskTimeout, match="0:00:01"):
        by_deferring(dispatch(execution_timeout=timedelta(seconds=1), poke_interval=60), ready)


def test_a_trigger_that_broke_fails_the_task_for_airflow_to_retry():
    for words in ("Trigger failure", "Trigger timeout"):
        with pytest.raises(AirflowException) as failed:
            dispatch().resume_execution("__fail__", {"error": words}, context())
        assert not isinstance(failed.value, AirflowFailException)


# -- what is told ----------------------------------------------------------------------------------------


def test_killing_the_task_leaves_the_job_as_it_is_and_says_so(ready, caplog, monkeypatch):
    monkeypatch.setattr(OutreachDispatchOperator, "log", logging.getLogger("operator"))
    ready.script_jobs(after=None)

    def killed(seconds):
        raise KeyboardInterrupt

    operator = dispatch()
    operator.on_kill()
    assert caplog.text == ""
    monkeypatch.setattr(time, "sleep", killed)
    with pytest.raises(KeyboardInterrupt):
        operator.execute(context())
    operator.on_kill()
    assert f"{ready.jobs[0]['id']} goes on in Revor" in caplog.text
    assert ready.jobs[0]["status"] == "running"
    assert [record.method for record in ready.requests] == ["POST", "GET"]


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_no_log_line_tells_who_was_written_to_or_what(ready, caplog, monkeypatch, status):
    for cls in (OutreachDispatchOperator, RevorHook):
        monkeypatch.setattr(cls, "log", logging.getLogger(cls.__name__))
    ready.script_jobs("failed")
    ready.fail(503, retry_after="0.01", method="POST")
    ready.drop(method="GET")
    ready.script_jobs(status, after=0.1)
    told = []
    store = Store()
    with caplog.at_level(logging.INFO):
        for make, memory in (
            (dispatch, {"store": store}),
            (dispatch, {"try_number": 2, "store": store}),
            (lambda: dispatch(content={"subject": "x", "text": "y"}), {}),
        ):
            try:
                make().execute(context(**memory))
            except e.RevorError as error:
                told.append(str(error))
    assert "is failed: sending again under the next idempotency key" in caplog.text
    assert "Asking Revor again" in caplog.text
    assert any("idempotency_conflict" in text for text in told)
    for personal in ("dana", "Dana", "secret", "Hello"):
        assert personal not in f"{caplog.text}{told}"


# -- mapped ----------------------------------------------------------------------------------------------

MAPPED = """
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_revor.operators.outreach import OutreachDispatchOperator

with DAG("{dag_id}", schedule=None) as dag:

    @task
    def leads():
        return [
            {{"address": "a@example.com", "score": 5}},
            {{"address": "b@example.com", "score": 7}},
            {{"address": "a@example.com", "score": 9}},
        ]

    @task
    def emails():
        return [
            {{
                "account_id": "acc_email",
                "channel": "email",
                "recipient": {{"address": "c@example.com"}},
                "content": {{"subject": "Hello", "text": "Hello"}},
            }},
            {{
                "account_id": "acc_whatsapp",
                "channel": "whatsapp",
                "recipient": {{"phone": "+1 202 555 0123"}},
                "content": {{"text": "Hello"}},
            }},
        ]

    @task
    def tell(ids):
        print("sent:", len(list(ids)))

    common = {{"deferrable": {deferrable}, "poke_interval": 0.2, "min_channel_task_interval_seconds": (180, 360)}}
    send = OutreachDispatchOperator.partial(
        task_id="send", account_id="acc_email", channel="email", content={{"subject": "Hello", "text": "Hi"}}, **common
    ).expand(recipient=leads())
    more = OutreachDispatchOperator.partial(task_id="more", **common).expand_kwargs(emails())
    tell(send.output)
    send >> more
"""


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_mapped_list_with_a_duplicate_lead(dag_file, ready, capfd, deferrable):
    ready.script_jobs(after=0.3, times=None)
    name = f"outreach_{deferrable}".lower()
    dag = dag_file(name, MAPPED.format(dag_id=name, deferrable=deferrable)).dag
    assert str(dag.test().state) == "success"
    assert sorted(person(sent.recipient) for sent in ready.outbox) == [
        "address:a@example.com",
        "address:b@example.com",
        "address:c@example.com",
        "phone:12025550123",
    ]
    assert {"address": "a@example.com"} in [sent.recipient for sent in ready.outbox]
    assert len({sent.idempotency_key for sent in ready.outbox}) == 4
    assert "sent: 3" in "".join(capfd.readouterr())


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


def test_a_like_from_an_account_that_renders_to_nothing_is_an_error(ready):
    operator = like(account_id="{{ params.account }}")
    operator.render_template_fields({"params": {"account": None}})
    with pytest.raises(e.RevorValueError, match="account_id rendered to 'None': it must name an account"):
        operator.execute(context())
    assert ready.request_count == 0


def test_what_is_scheduled_beyond_the_timeout_is_told(ready, caplog, monkeypatch):
    monkeypatch.setattr(OutreachDispatchOperator, "log", logging.getLogger("operator"))
    ready.script_jobs(scheduled_in=3_600)
    with pytest.raises(e.RevorJobTimeoutError), caplog.at_level(logging.WARNING, "operator"):
        dispatch(timeout=0.2).execute(context())
    assert "this try will not wait so long" in caplog.text

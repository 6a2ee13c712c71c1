"""Each person gets a message once and only once, whatever happens to the task, and the task ends as its job does."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from factories import item, job, listing, resource
from outreach_tasks import EMAIL, LIKE, ROOT, Store, both, context, dispatch, keys, like

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.outreach import LinkedInPostLikeOperator, OutreachDispatchOperator
from airflow_provider_revor.rules.keys import person
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor

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
        (lambda s: s.fail(404, method="GET"), {}, e.RevorResponseError),
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
    assert "has failed: sending again under the next idempotency key" in caplog.text
    assert "Sending the request again" in caplog.text
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


def test_when_a_job_begins_is_told_in_words(ready, caplog, monkeypatch):
    monkeypatch.setattr(OutreachDispatchOperator, "log", logging.getLogger("operator"))
    ready.script_jobs(scheduled_in=3 * 3_600 + 30)
    with caplog.at_level(logging.INFO, "operator"):
        dispatch(wait_for_completion=False).execute(context())
    assert "It begins in 3 hours." in caplog.text


def rendered_natively(make):
    """Return a task as a Dag that renders templates to native objects makes it."""
    params = {"id": "4711", "phone": "4915112345678", "text": "42", "yes": "True"}
    with DAG("native", schedule=None, render_template_as_native_obj=True, params=params) as dag:
        operator = make()
    operator.render_template_fields({"params": params, "dag": dag})
    return operator


def test_numbers_that_native_rendering_makes_are_taken_as_what_they_were(connect, requests_mock):
    connect()
    number = "{{ params.id }}"
    requests_mock.get(f"{ROOT}/jobs/4711", json=resource(job(id="4711")))
    for path in ("dispatches", "linkedin/post-likes"):
        requests_mock.post(f"{ROOT}/{path}", json=resource(job(id="4711")))
    account = item(account_id="4711")
    requests_mock.get("https://revor.ai/api/v1/connect/accounts", json=listing(account, item(can_send=False)))

    def sent(make):
        assert rendered_natively(make).execute(context())["id"] == "4711"
        return next(one for one in reversed(requests_mock.request_history) if one.method == "POST")

    message = sent(
        lambda: dispatch(
            account_id=number,
            channel="whatsapp",
            recipient={"phone": "{{ params.phone }}", "name": number},
            content={"text": "{{ params.text }}"},
            idempotency_key=number,
        )
    )
    assert message.headers["Idempotency-Key"] == "4711"
    body = message.json()
    assert (body["account_id"], body["content"]) == ("4711", {"text": "42"})
    assert body["recipient"] == {"phone": "4915112345678", "name": "4711"}
    body = sent(lambda: like(account_id=number, topic="{{ params.text }}", post_limit="{{ params.text }}")).json()
    assert (body["account_id"], body["topic"], body["post_limit"]) == ("4711", "42", 42)

    sensor = rendered_natively(lambda: OutreachJobSensor(task_id="s", job_id=number, deferrable=False))
    assert sensor.poke(context()).xcom_value["id"] == "4711"
    gate = rendered_natively(
        lambda: SendableAccountSensor(
            task_id="g", account_id=number, pick="sticky", sticky_key=number, deferrable=False
        )
    )
    assert gate.poke(context()).xcom_value == account
    accounts = rendered_natively(lambda: ListConnectAccountsOperator(task_id="l", sendable="{{ params.yes }}"))
    assert accounts.execute({}) == [account]


@pytest.mark.parametrize(
    ("common", "named"),
    [
        ({"channel": "emial"}, "'emial' is no Revor channel"),
        ({"channel": "email", "content": {"subject": "Hello", "txt": "Hello"}}, r"content\.text and content\.html"),
        ({"account_id": {"account_id": "acc_1"}}, "not a whole account"),
        ({"recipient": "dana@example.com"}, "recipient must be an object"),
    ],
)
def test_what_all_instances_of_a_mapped_task_have_in_common_is_checked_when_the_dag_is_parsed(common, named):
    with pytest.raises(e.RevorValueError, match=named):
        OutreachDispatchOperator.partial(task_id="send", **common)
    late = {"channel": "{{ params.channel }}", "content": {"text": "{{ params.text }}"}}
    OutreachDispatchOperator.partial(task_id="send", **late).expand(recipient=[])


@pytest.mark.parametrize(("template", "sent"), [("{{ phone }}", "4915112345678"), (" {{ phone }}", "+4915112345678")])
def test_a_blank_before_a_native_template_keeps_the_plus_of_a_phone(template, sent):
    """As the documentation says: jinja2 makes a number of what looks like one."""
    with DAG("d", schedule=None, render_template_as_native_obj=True):
        task = dispatch(channel="whatsapp", recipient={"phone": template}, content={"text": "Hello"})
    task.render_template_fields({"phone": "+4915112345678"})
    assert task._recipient() == {"phone": sent}

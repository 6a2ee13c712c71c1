"""Messages that are sent once and only once, whatever is killed: a real Airflow, the sandbox, real sockets."""

from __future__ import annotations

import json
import random
import re
from collections import Counter

import pytest
from system.airflow_cluster import AirflowCluster
from system.length import by_length

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.selection import pick_account
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not START_FROM_TRIGGER, reason="a trigger is told of its task's end on Airflow 3.3+"),
]

ROUNDS = by_length(10, 30)
MAPPED = by_length(20, 50)
CRASHES = by_length(2, 3)

# In whatever is personal or secret: recipients, messages, account identifiers, sticky keys and the API key.
CANARY = "canary-7d40b2e9"

ACCOUNTS = [{"account_id": "acc_email_anna", "channel": "email", "account_identifier": f"anna@{CANARY}.example"}]
WHATSAPP = [
    {"account_id": f"acc_whatsapp_{number}", "channel": "whatsapp", "account_identifier": f"{CANARY}-{number}"}
    for number in range(4)
]

DAGS = f"""
import os
import signal
from datetime import timedelta

from airflow.sdk import DAG, get_current_context, task

from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.retry_policy import RevorRetryPolicy
from airflow_provider_revor.sensors.connect import SendableAccountSensor


def lead(dag_id, number=0):
    return {{"address": f"{{dag_id}}-{{number:02}}@{CANARY}.example", "name": "Dana {CANARY}"}}


def leads(dag_id, count):
    return [lead(dag_id, number) for number in range(count)]


class KilledBeforeTheRecord(OutreachDispatchOperator):
    '''Its process is killed in its first try, when it holds Revor's response and has recorded nothing yet.'''

    def _send(self, *args):
        job = super()._send(*args)
        if get_current_context()["ti"].try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return job


class KilledBeforeDeferral(OutreachDispatchOperator):
    '''Its process is killed on its first try, when it holds Revor's answer and has nothing left to do but defer.'''

    def defer(self, **kwargs):
        if get_current_context()["ti"].try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        super().defer(**kwargs)


MAIL = dict(
    task_id="mail",
    account_id="acc_email_anna",
    channel="email",
    content={{"subject": "Hello {CANARY}", "text": "Dear Dana, {CANARY}", "html": "<p>{CANARY}</p>"}},
    retries=3,
    retry_delay=timedelta(seconds=1),
)
ON_A_WORKER = dict(deferrable=False, poke_interval=0.5)
DEFERRED = dict(deferrable=True, poke_interval=5)

with DAG("unanswered", schedule=None):
    OutreachDispatchOperator.partial(**MAIL, **DEFERRED).expand(recipient=leads("unanswered", {ROUNDS}))

with DAG("answered", schedule=None):
    KilledBeforeDeferral.partial(**MAIL, **DEFERRED).expand(recipient=leads("answered", {ROUNDS}))

with DAG("unrecorded", schedule=None):
    KilledBeforeTheRecord.partial(**MAIL, **DEFERRED).expand(recipient=leads("unrecorded", {ROUNDS}))

with DAG("deferred", schedule=None):
    OutreachDispatchOperator.partial(**MAIL, **DEFERRED).expand(recipient=leads("deferred", {ROUNDS}))

with DAG("fifth", schedule=None):
    OutreachDispatchOperator.partial(**MAIL, **ON_A_WORKER).expand(recipient=leads("fifth", {MAPPED}))

with DAG("impatient", schedule=None):
    OutreachDispatchOperator(**MAIL, **ON_A_WORKER, recipient=lead("impatient"), revor_conn_id="impatient")

with DAG("lost", schedule=None):
    OutreachDispatchOperator(**MAIL, **ON_A_WORKER, recipient=lead("lost"))

with DAG("retryable", schedule=None):
    OutreachDispatchOperator(**MAIL | dict(task_id="worker"), **ON_A_WORKER, recipient=lead("retryable", 0))
    OutreachDispatchOperator(**MAIL | dict(task_id="trigger"), **DEFERRED, recipient=lead("retryable", 1))

with DAG("for_good", schedule=None):
    OutreachDispatchOperator(**MAIL, **ON_A_WORKER, recipient=lead("for_good"))

with DAG("sent", schedule=None):
    OutreachDispatchOperator(**MAIL, **ON_A_WORKER, recipient=lead("sent"))

with DAG("reworded", schedule=None):
    text = "{CANARY}, by try {{{{ ti.try_number }}}}"
    content = {{"subject": "Hello", "text": text}}
    OutreachDispatchOperator(**MAIL | dict(content=content), **ON_A_WORKER, recipient=lead("reworded"))

with DAG("forgotten", schedule=None):
    OutreachDispatchOperator(**MAIL, **ON_A_WORKER, recipient=lead("forgotten"))

with DAG("hasty", schedule=None):
    OutreachDispatchOperator(
        **MAIL | dict(retry_delay=timedelta(seconds=10)), **ON_A_WORKER, timeout=2, recipient=lead("hasty")
    )

with DAG("reordered", schedule=None):

    # By default Airflow logs what such a task returns.
    @task(show_return_value_in_logs=False)
    def people():
        first, second, third = leads("reordered", 3)
        listed = [first, second, third, first]
        return listed if get_current_context()["ti"].try_number == 1 else listed[::-1]

    OutreachDispatchOperator.partial(**MAIL, **ON_A_WORKER).expand(recipient=people())

with DAG("marked", schedule=None):
    OutreachDispatchOperator(**MAIL | dict(task_id="worker"), **ON_A_WORKER, recipient=lead("marked", 0))
    OutreachDispatchOperator(**MAIL | dict(task_id="trigger"), **DEFERRED, recipient=lead("marked", 1))

with DAG("limited", schedule=None):
    # By the hour, were it not for the policy.
    ListConnectAccountsOperator(
        task_id="accounts",
        revor_conn_id="no_retries",
        retries=3,
        retry_delay=timedelta(hours=1),
        retry_policy=RevorRetryPolicy(),
    )

with DAG("sticky", schedule=None, params={{"lead": "{CANARY}"}}):
    for number in range(6):
        SendableAccountSensor(
            task_id=f"gate_{{number}}",
            channel="whatsapp",
            pick="sticky",
            sticky_key=f"{{{{{{{{ params.lead }}}}}}}}-{{number}}",
            start_from_trigger=True,
            poke_interval=1,
        )
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    config = {"AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "50"}
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), {"outreach.py": DAGS}, config) as cluster:
        yield cluster


@pytest.fixture
def posts():
    """The idempotency key of each POST that Revor has acted upon or refused."""
    return []


@pytest.fixture
def doomed():
    """By address: the task to kill when Revor has accepted its message. Whoever was killed is no longer in it."""
    return {}


@pytest.fixture
def sandbox(cluster, posts, doomed):
    """A sandbox that the connection ``revor_default`` leads to, for as long as the test lasts."""

    # Runs when a request was acted upon and no byte of its answer has left: what is killed here never reads it.
    def on_request(record):
        if record.method != "POST":
            return
        posts.append(record.idempotency_key)
        if doomed:
            (message,) = [entry for entry in sandbox.outbox if entry.idempotency_key == record.idempotency_key]
            if victim := doomed.pop(message.recipient["address"], None):
                cluster.kill_task(*victim)

    with Sandbox(api_key=f"sk-revor-{CANARY}", accounts=ACCOUNTS, on_request=on_request) as sandbox:
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        yield sandbox
        cluster.api("DELETE", "/connections/revor_default")


def address(dag_id, number=0):
    return f"{dag_id}-{number:02}@{CANARY}.example"


def tries(cluster, dag_id):
    """How often each index of a mapped task was tried."""
    rows = cluster.sql("SELECT map_index, try_number FROM task_instance WHERE dag_id = ? ORDER BY 1", dag_id)
    return {row["map_index"]: row["try_number"] for row in rows}


def killed_tries(cluster, dag_id):
    """What has been logged on a worker in each first try that was killed."""
    logs = [log.read_text() for log in (cluster.home / "logs").glob(f"dag_id={dag_id}/**/attempt=1.log")]
    return [log for log in logs if "Process terminated by signal" in log and "SIGKILL" in log]


def job_ids(cluster, dag_id):
    """The XCom ``job_id`` of each index of a mapped task, in order."""
    rows = cluster.sql("SELECT value FROM xcom WHERE dag_id = ? AND key = 'job_id' ORDER BY map_index", dag_id)
    return [json.loads(row["value"]) for row in rows]


def clear(cluster, dag_id, run_id):
    """Clear every task of a run that has ended, as a person does."""
    # The scheduler ends a run some time after its last task, and would leave a task that is cleared in between alone.
    ended = "SELECT 1 FROM dag_run WHERE dag_id = ? AND run_id = ? AND state IN ('success', 'failed')"
    cluster.wait_until(lambda: cluster.sql(ended, dag_id, run_id), "the run to end")
    path = f"/dags/{dag_id}/clearTaskInstances"
    cluster.api("POST", path, dag_run_id=run_id, only_failed=False, dry_run=False)


def assert_one_message_each(sandbox, dag_id, count=1):
    """Assert that the outbox holds one message to each lead of a Dag, and that Revor was asked for no other."""
    sent = sorted(entry.recipient["address"] for entry in sandbox.outbox)
    assert sent == [address(dag_id, number) for number in range(count)]
    assert len(sandbox.jobs) == count


def assert_one_message_each_of(sandbox, dag_id, failed):
    """Assert that the outbox holds one message to the only lead of a Dag, after so many that failed."""
    assert [entry.recipient["address"] for entry in sandbox.outbox] == [address(dag_id)]
    assert len(sandbox.jobs) == 1 + failed


def wait_for_log(cluster, dag_id, task_id, text):
    """Wait until a task has logged something."""
    cluster.wait_until(lambda: text in cluster.task_log(dag_id, task_id), f"{text!r} in the log of {task_id}")


def wait_in_the_triggerer(cluster, dag_id, count):
    """Wait until so many tasks of a Dag are deferred and their triggers run; return the triggers."""
    cluster.wait_for_states(dag_id, {"deferred": count}, timeout=300)
    waiting = {trigger["id"] for trigger in cluster.triggers(dag_id)}
    cluster.wait_until(lambda: waiting <= cluster.started_triggers(dag_id), "the triggers to run")
    return cluster.triggers(dag_id)


def triggerer_ids(cluster, dag_id):
    """The ids of the triggerers, dead or alive, that have a Dag's triggers."""
    return {trigger["triggerer_id"] for trigger in cluster.triggers(dag_id)}


def wait_until_taken_over(cluster, dag_id, dead):
    """Wait until none of a Dag's triggers belongs to a dead triggerer any more."""
    cluster.wait_until(lambda: not dead & triggerer_ids(cluster, dag_id), "the triggers to be taken over")


def finish(sandbox):
    """Have all jobs succeed."""
    for job in sandbox.jobs:
        sandbox.finish_job(job["id"])


def test_killed_before_the_answer_arrives(cluster, sandbox, posts, doomed):
    doomed.update({address("unanswered", number): ("unanswered", "mail", number) for number in range(ROUNDS)})
    cluster.trigger("unanswered")
    cluster.wait_for_states("unanswered", {"success": ROUNDS}, timeout=300)

    assert doomed == {}
    assert min(tries(cluster, "unanswered").values()) >= 2
    logs = killed_tries(cluster, "unanswered")
    assert len(logs) == ROUNDS
    # The operator tells of its job as soon as it has the answer.
    assert [log for log in logs if "Outreach job" in log] == []
    assert_one_message_each(sandbox, "unanswered", ROUNDS)
    assert len(set(posts)) == ROUNDS
    assert min(Counter(posts).values()) >= 2


def test_killed_between_the_answer_and_the_deferral(cluster, sandbox, posts):
    sandbox.script_jobs(after=None, times=None)
    cluster.trigger("answered")
    wait_in_the_triggerer(cluster, "answered", ROUNDS)
    assert min(tries(cluster, "answered").values()) >= 2
    finish(sandbox)
    cluster.wait_for_states("answered", {"success": ROUNDS}, timeout=300)

    logs = killed_tries(cluster, "answered")
    assert len([log for log in logs if "Outreach job" in log]) == ROUNDS
    assert_one_message_each(sandbox, "answered", ROUNDS)
    assert sorted(job_ids(cluster, "answered")) == sorted(job["id"] for job in sandbox.jobs)
    # The retry asks for the job that the first try recorded.
    assert len(set(posts)) == len(posts) == ROUNDS


def test_killed_between_the_answer_and_the_record(cluster, sandbox, posts):
    cluster.trigger("unrecorded")
    cluster.wait_for_states("unrecorded", {"success": ROUNDS}, timeout=300)

    assert len(killed_tries(cluster, "unrecorded")) == ROUNDS
    assert_one_message_each(sandbox, "unrecorded", ROUNDS)
    assert len(set(posts)) == ROUNDS
    assert min(Counter(posts).values()) >= 2


def test_keys_that_revor_no_longer_knows(cluster, sandbox, posts):
    sandbox.script_jobs(after=None)
    run_id = cluster.trigger("forgotten")
    wait_for_log(cluster, "forgotten", "mail", "Outreach job")
    sandbox.forget_keys()
    cluster.kill_task("forgotten", "mail")
    cluster.wait_until(lambda: cluster.tasks("forgotten")["mail"]["try_number"] == 2, "the retry")
    finish(sandbox)
    cluster.wait_for_states("forgotten", {"success": 1})
    sandbox.forget_keys()
    clear(cluster, "forgotten", run_id)
    cluster.wait_for_states("forgotten", {"success": 1})
    assert cluster.tasks("forgotten")["mail"]["try_number"] == 3
    assert_one_message_each(sandbox, "forgotten")
    assert len(posts) == 1


def test_deferred_while_the_triggerer_is_killed(cluster, sandbox, posts):
    sandbox.script_jobs(after=None, times=None)
    cluster.trigger("deferred")
    triggers = wait_in_the_triggerer(cluster, "deferred", ROUNDS)
    assert len(triggers) == ROUNDS
    # Airflow 3.3 keeps what a worker hands to a trigger in the clear.
    assert [trigger["kwargs"] for trigger in triggers if CANARY in trigger["kwargs"]] == []

    for crash in range(1, CRASHES + 1):
        (triggerer,) = cluster.triggerers
        triggerer.kill()
        if crash == CRASHES:
            # While no one looks.
            finish(sandbox)
        sandbox.reset_requests()
        assert cluster.states("deferred") == {"deferred": ROUNDS}
        orphaned_by = triggerer_ids(cluster, "deferred")
        cluster.start_triggerer()
        wait_until_taken_over(cluster, "deferred", orphaned_by)
        sandbox.wait_for_requests(ROUNDS, timeout=60)
    cluster.wait_for_states("deferred", {"success": ROUNDS}, timeout=300)

    # Nothing failed, and so nothing was tried again.
    assert set(tries(cluster, "deferred").values()) == {1}
    assert_one_message_each(sandbox, "deferred", ROUNDS)
    assert len(posts) == len(set(posts)) == ROUNDS


def test_a_random_fifth_of_fifty_is_killed(cluster, sandbox, posts, doomed):
    killed = sorted(random.sample(range(MAPPED), MAPPED // 5))
    doomed.update({address("fifth", number): ("fifth", "mail", number) for number in killed})
    cluster.trigger("fifth")
    cluster.wait_for_states("fifth", {"success": MAPPED}, timeout=300)

    assert doomed == {}
    assert len(killed_tries(cluster, "fifth")) == len(killed)
    assert min(tries(cluster, "fifth")[number] for number in killed) >= 2
    assert_one_message_each(sandbox, "fifth", MAPPED)
    assert len(set(posts)) == MAPPED


def test_answers_that_come_too_late_or_never(cluster, sandbox, posts):
    extra = json.dumps({"timeout": 2, "max_retries": 1})
    cluster.api("POST", "/connections", connection_id="impatient", extra=extra, **sandbox.connection)
    # More than one try asks for: its retry finds the message, too.
    sandbox.slow(120, after_acting=True, method="POST", times=3)
    cluster.trigger("impatient")
    cluster.wait_for_states("impatient", {"success": 1})
    assert cluster.tasks("impatient")["mail"]["try_number"] == 2
    assert "timed out after 2 s" in cluster.task_log("impatient", "mail")
    assert_one_message_each(sandbox, "impatient")
    assert Counter(posts) == {posts[0]: 4}

    sandbox.reset_jobs()
    posts.clear()
    sandbox.lose_answer(method="POST", times=2)
    cluster.trigger("lost")
    cluster.wait_for_states("lost", {"success": 1})
    assert cluster.tasks("lost")["mail"]["try_number"] == 1
    assert_one_message_each(sandbox, "lost")
    assert Counter(posts) == {posts[0]: 3}


def test_a_failure_that_may_heal_is_retried_under_a_second_key(cluster, sandbox, posts):
    error = {"code": "provider_busy", "message": "Try again.", "retryable": True}
    for number in range(2):
        sandbox.script_jobs("failed", error=error, recipient=address("retryable", number))
    cluster.trigger("retryable")
    cluster.wait_for_states("retryable", {"success": 2})

    assert {task["try_number"] for task in cluster.tasks("retryable").values()} == {2}
    assert [job["status"] for job in sandbox.jobs].count("failed") == 2
    sent = [entry.recipient["address"] for entry in sandbox.outbox]
    assert sorted(sent) == [address("retryable", number) for number in range(2)]
    second = {entry.idempotency_key for entry in sandbox.outbox}
    assert len(second) == 2
    assert len(set(posts)) == len(posts) == 4


def test_a_failure_for_good_is_sent_anew_only_when_it_is_cleared(cluster, sandbox, posts):
    sandbox.script_jobs("failed", error={"code": "recipient_unknown", "message": "Nobody.", "retryable": False})
    run_id = cluster.trigger("for_good")
    cluster.wait_for_states("for_good", {"failed": 1})
    assert cluster.tasks("for_good")["mail"]["try_number"] == 1
    assert "recipient_unknown" in cluster.task_log("for_good", "mail")
    assert sandbox.outbox == []
    (first,) = posts

    clear(cluster, "for_good", run_id)
    cluster.wait_for_states("for_good", {"success": 1})
    (message,) = sandbox.outbox
    assert posts == [first, message.idempotency_key]
    assert message.idempotency_key != first
    assert job_ids(cluster, "for_good") == [message.job_id]


def test_a_cleared_success_sends_nothing(cluster, sandbox, posts):
    run_id = cluster.trigger("sent")
    cluster.wait_for_states("sent", {"success": 1})
    before = job_ids(cluster, "sent")

    clear(cluster, "sent", run_id)
    cluster.wait_for_states("sent", {"success": 1})
    assert cluster.tasks("sent")["mail"]["try_number"] == 2
    assert job_ids(cluster, "sent") == before == [job["id"] for job in sandbox.jobs]
    assert_one_message_each(sandbox, "sent")
    assert len(posts) == 1


def test_another_text_is_sent_after_a_failure_and_not_after_a_success(cluster, sandbox, posts):
    sandbox.script_jobs("failed", error={"code": "recipient_unknown", "message": "Nobody.", "retryable": False})
    run_id = cluster.trigger("reworded")
    cluster.wait_for_states("reworded", {"failed": 1})

    for number in (2, 3):
        clear(cluster, "reworded", run_id)
        cluster.wait_for_states("reworded", {"success": 1})
        assert cluster.tasks("reworded")["mail"]["try_number"] == number
        assert_one_message_each_of(sandbox, "reworded", failed=1)
        assert len(set(posts)) == len(posts) == 2
    assert "Nothing is sent: " in cluster.task_log("reworded", "mail")


def test_an_automatic_retry_does_not_send_what_a_person_has_cancelled(cluster, sandbox, posts):
    sandbox.script_jobs(after=None)
    cluster.trigger("hasty")
    cluster.wait_until(lambda: cluster.tasks("hasty")["mail"]["state"] == "up_for_retry", "the first try to give up")
    sandbox.finish_job(sandbox.jobs[0]["id"], "cancelled")
    cluster.wait_for_states("hasty", {"failed": 1})
    assert cluster.tasks("hasty")["mail"]["try_number"] == 2
    assert (len(posts), sandbox.outbox) == (1, [])


def test_a_list_with_someone_in_it_twice_that_is_cleared_and_comes_in_another_order(cluster, sandbox, posts):
    run_id = cluster.trigger("reordered")
    cluster.wait_for_states("reordered", {"success": 5})
    first, second, third, again = before = job_ids(cluster, "reordered")
    assert first == again
    assert_one_message_each(sandbox, "reordered", 3)

    clear(cluster, "reordered", run_id)
    cluster.wait_for_states("reordered", {"success": 5})
    assert job_ids(cluster, "reordered") == before[::-1] == [first, third, second, first]
    assert_one_message_each(sandbox, "reordered", 3)
    keys = {entry.job_id: entry.idempotency_key for entry in sandbox.outbox}
    # The order is turned round: the second and the third lead, and each first one, meet a fresh record.
    assert set(posts) == set(keys.values())


def test_a_job_goes_on_when_its_waiting_task_is_marked_failed(cluster, sandbox, posts):
    sandbox.script_jobs(after=None, times=None)
    run_id = cluster.trigger("marked")
    cluster.wait_for_states("marked", {"running": 1, "deferred": 1})
    cluster.wait_until(lambda: cluster.started_triggers("marked"), "the trigger to run")
    wait_for_log(cluster, "marked", "worker", "Outreach job")

    for task_id in ("worker", "trigger"):
        cluster.api("PATCH", f"/dags/marked/dagRuns/{run_id}/taskInstances/{task_id}", new_state="failed")
    for task_id in ("worker", "trigger"):
        wait_for_log(cluster, "marked", task_id, "goes on in Revor")

    assert cluster.states("marked") == {"failed": 2}
    assert [job["status"] for job in sandbox.jobs] == ["running", "running"]
    assert_one_message_each(sandbox, "marked", 2)
    assert len(posts) == 2


def test_a_retry_policy_waits_as_long_as_revor_asks(cluster):
    # One of its own: a task that another test has left behind may still ask the others'.
    with Sandbox() as sandbox:
        sandbox.fail(429, retry_after=5)
        connection = {**sandbox.connection, "extra": '{"max_retries": 0}'}
        cluster.api("POST", "/connections", connection_id="no_retries", **connection)
        cluster.trigger("limited")
        cluster.wait_for_states("limited", {"success": 1})

        assert cluster.tasks("limited")["accounts"]["try_number"] == 2
        refused, answered = sandbox.requests
        assert (refused.status, answered.status) == (429, 200)
        assert (answered.received_at - refused.received_at).total_seconds() >= 5


def test_sticky_gates_that_start_in_the_triggerer_pick_as_a_dag_would(cluster, sandbox):
    sandbox.set_accounts([{**account, "status": "error"} for account in WHATSAPP])
    cluster.trigger("sticky")
    triggers = wait_in_the_triggerer(cluster, "sticky", 6)
    assert [trigger["kwargs"] for trigger in triggers if CANARY in trigger["kwargs"]] == []
    sandbox.set_accounts(WHATSAPP)
    cluster.wait_for_states("sticky", {"success": 6})

    expected = {
        f"gate_{number}": pick_account(sandbox.accounts, "sticky", f"{CANARY}-{number}")["account_id"]
        for number in range(6)
    }
    assert len(set(expected.values())) > 1
    assert cluster.xcoms("sticky", "account_id") == expected
    assert cluster.finished_runs("sticky") == 0


def test_no_message_and_no_one_is_in_a_log_or_an_xcom(cluster):
    # Last in this file: it looks at what all tests before it have left.
    logs = {log: log.read_text() for log in cluster.home.rglob("*.log")}
    told = "".join(logs.values())
    # The search would find something: each task has told of its job, and each gate of its account.
    assert len(set(re.findall(r"Outreach job (job_\w+)", told))) >= 3 * ROUNDS + MAPPED
    assert "Account acc_whatsapp_0 can send" in told
    assert [log for log, text in logs.items() if CANARY in text] == []
    # The list of people is a task's own; what the operators push names no one. A gate hands on its whole account.
    rows = cluster.sql("SELECT value FROM xcom WHERE dag_id != 'sticky' AND task_id != 'people'")
    assert [row for row in rows if CANARY in str(row["value"])] == []

"""What a task does after an error of Revor's, on Airflow 3.3+."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.version_compat import RETRIES_RESCHEDULE, RETRY_POLICIES

SECOND = timedelta(seconds=1)

DAG_FILE = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.retry_policy import RevorRetryPolicy

with DAG("{dag_id}", schedule=None) as the_dag:
    OutreachDispatchOperator(
        task_id="send",
        account_id="acc_1",
        channel="email",
        recipient={{"address": "a@example.com"}},
        content={{"subject": "Hello", "text": "Hello"}},
        poke_interval=0.1,
        retries=0,
        retry_policy=RevorRetryPolicy(first_delay=timedelta(seconds=0.1)),
    )
"""


@pytest.mark.skipif(RETRY_POLICIES, reason="this Airflow has retry policies")
def test_below_airflow_3_3_the_import_says_what_to_do():
    with pytest.raises(ImportError, match=r"takes Airflow 3\.3\+.*`retries`, a `retry_delay`"):
        importlib.import_module("airflow_provider_revor.retry_policy")


if RETRY_POLICIES:
    from airflow.sdk.definitions.retry_policy import RetryAction

    from airflow_provider_revor.retry_policy import RevorRetryPolicy

    def decide(error, try_number=1, policy=None):
        return (policy or RevorRetryPolicy()).evaluate(error, try_number, 5)

    def wrapped(error):
        """What a task of one's own may make of an error."""
        try:
            try:
                raise error
            except e.RevorError as cause:
                raise ValueError("No accounts today.") from cause
        except ValueError as outer:
            return outer

    FATAL = [
        e.RevorRequestError,
        e.RevorAuthenticationError,
        e.RevorPermissionError,
        e.RevorPlanError,
        e.RevorConfigurationError,
        e.RevorValueError,
        e.RevorIdempotencyConflictError,
        e.RevorJobFailedError,
    ]

    @pytest.mark.parametrize("cls", FATAL)
    @pytest.mark.parametrize("wrap", [lambda error: error, wrapped])
    def test_what_cannot_heal_fails_at_once(cls, wrap):
        decision = decide(wrap(cls("It is so.", code="some_code")))
        assert decision.action is RetryAction.FAIL
        assert decision.reason == f"{cls.__name__} some_code: a retry cannot help."

    #: What passes without using up a retry, where Airflow can do that.
    NOT_READY = [
        e.RevorRateLimitError("x", status_code=429),
        e.RevorRateLimitError("x", code="external_api_job_concurrency_limit_exceeded"),
        e.RevorServerError("x", status_code=503),
        e.RevorConflictError("x", status_code=409, code="connect_account_temporarily_unusable"),
    ]
    AGAIN = RetryAction.RESCHEDULE if RETRIES_RESCHEDULE else RetryAction.RETRY

    class Instance:
        """A task instance that was first rescheduled some time ago."""

        def __init__(self, ago=None):
            self.first = ago and datetime.now(UTC) - ago

        def get_first_reschedule_date(self, context):
            return self.first

    @pytest.mark.parametrize("wrap", [lambda error: error, wrapped])
    @pytest.mark.parametrize("error", NOT_READY, ids=lambda error: f"{error.status_code}-{error.code}")
    def test_what_is_only_not_ready_uses_no_retry_where_airflow_can_do_that(wrap, error):
        decision = decide(wrap(error))
        assert decision.action is AGAIN
        assert 30 * SECOND <= decision.retry_delay <= 37.5 * SECOND
        if RETRIES_RESCHEDULE:
            assert decision.reschedule_timeout == timedelta(hours=12)
        # By the same policy, told never to.
        assert decide(wrap(error), policy=RevorRetryPolicy(reschedule_timeout=None)).action is RetryAction.RETRY

    @pytest.mark.parametrize(
        "error",
        [
            e.RevorServerError("x", status_code=500),
            e.RevorServerError("x", status_code=408),
            e.RevorConflictError("x", status_code=409, code="account_channel_mismatch"),
            e.RevorConflictError("x", status_code=409),
            e.RevorConnectionError("x"),
            e.RevorJobError("x", code="external_api_worker_unavailable"),
        ],
        ids=lambda error: f"{type(error).__name__}-{error.status_code}-{error.code}",
    )
    def test_the_rest_uses_retries_on_every_airflow(error):
        assert decide(error).action is RetryAction.RETRY

    @pytest.mark.skipif(not RETRIES_RESCHEDULE, reason="Airflow 3.4+ reschedules")
    @pytest.mark.parametrize("asked", [None, 3_600.0])
    def test_rescheduling_is_bounded_and_then_it_waits_as_long_as_before(asked):
        policy, error = RevorRetryPolicy(), e.RevorRateLimitError("x", retry_after=asked)
        for ago, action in ((None, AGAIN), (11 * 3_600 * SECOND, AGAIN), (12 * 3_600 * SECOND, RetryAction.RETRY)):
            context = {"ti": Instance(ago), "task_reschedule_count": 10 if ago else 0}
            decision = policy.evaluate(error, 1, 5, context)
            assert decision.action is action
            # A try that was rescheduled often backs off as far as one that was retried often.
            least = asked or (3_600 if ago and action is AGAIN else 30)
            assert least * SECOND <= decision.retry_delay <= 1.25 * least * SECOND

    @pytest.mark.parametrize("timeout", [timedelta(), -SECOND])
    def test_a_bound_that_is_none_is_refused(timeout):
        with pytest.raises(ValueError, match="reschedule_timeout"):
            RevorRetryPolicy(reschedule_timeout=timeout)

    @pytest.mark.skipif(not RETRIES_RESCHEDULE, reason="Airflow 3.4+ has it")
    def test_it_is_one_of_a_chain():
        from airflow.sdk.definitions.retry_policy import ChainRetryPolicy, ExceptionRetryPolicy, RetryRule

        others = ExceptionRetryPolicy(rules=[RetryRule(exception=OSError, action=RetryAction.FAIL)])
        for chain in (ChainRetryPolicy([RevorRetryPolicy(), others]), ChainRetryPolicy([others, RevorRetryPolicy()])):
            assert decide(OSError("x"), policy=chain).action is RetryAction.FAIL
            assert decide(e.RevorPermissionError("x"), policy=chain).action is RetryAction.FAIL
            assert decide(e.RevorServerError("x", status_code=500), policy=chain).action is RetryAction.RETRY
            decision = decide(e.RevorRateLimitError("x", retry_after=17.0), policy=chain)
            assert decision.action is RetryAction.RESCHEDULE
            assert "RevorRetryPolicy: RevorRateLimitError: Revor asks for a wait of 17 s." in decision.reason
            assert 17 * SECOND <= decision.retry_delay <= 21.25 * SECOND
            assert decide(KeyError("x"), policy=chain).action is RetryAction.DEFAULT

    @pytest.mark.skipif(not RETRIES_RESCHEDULE, reason="Airflow 3.4+ reschedules")
    @pytest.mark.parametrize("status", [429, 503])
    def test_a_task_without_retries_sends_once_when_revor_is_ready(revor_sandbox, dag_file, monkeypatch, status):
        revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
        connection = {"conn_type": "revor", "host": revor_sandbox.url, "password": revor_sandbox.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", json.dumps({**connection, "extra": {"max_retries": 0}}))
        revor_sandbox.fail(status, method="POST")
        # The job exists, and how it stands cannot be learned.
        revor_sandbox.fail(status, method="GET")
        dag_id = f"reschedules_{status}"
        run = dag_file(dag_id, DAG_FILE.format(dag_id=dag_id)).the_dag.test()
        (ti,) = run.get_task_instances()
        assert (str(run.state), ti.try_number) == ("success", 1)
        assert len(revor_sandbox.outbox) == 1
        assert [record.status for record in revor_sandbox.requests].count(status) == 2

    @pytest.mark.parametrize("wrap", [lambda error: error, wrapped])
    @pytest.mark.parametrize(("asked", "pause"), [(17.0, 17), (0.5, 0.5), (3_600.0, 3_600), (1e12, 86_400)])
    def test_it_waits_as_long_as_revor_asks_and_up_to_a_quarter_longer(wrap, asked, pause):
        for _ in range(100):
            decision = decide(wrap(e.RevorRateLimitError("Slow down.", retry_after=asked)))
            assert decision.action is AGAIN
            assert pause * SECOND <= decision.retry_delay <= 1.25 * pause * SECOND
        assert decision.reason == f"RevorRateLimitError: Revor asks for a wait of {pause:g} s."

    @pytest.mark.parametrize(
        "error",
        [
            e.RevorRateLimitError("x"),
            e.RevorServerError("x"),
            e.RevorConnectionError("x"),
            e.RevorResponseError("x"),
            e.RevorConflictError("x"),
            e.RevorNotFoundError("x"),
            e.RevorJobError("x"),
            e.RevorJobTimeoutError("x"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_it_backs_off_on_the_rest(error):
        policy = RevorRetryPolicy(first_delay=10 * SECOND, longest_delay=100 * SECOND)
        for try_number, base in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 100), (10**9, 100)]:
            decision = decide(error, try_number, policy)
            assert decision.action in (RetryAction.RETRY, AGAIN)
            assert base * SECOND <= decision.retry_delay <= 1.25 * base * SECOND

    @pytest.mark.parametrize("asked", [None, 3_600.0])
    def test_many_tasks_that_fail_together_do_not_come_back_together(asked):
        error = e.RevorServerError("x", retry_after=asked)
        assert len({decide(error).retry_delay for _ in range(100)}) > 50

    def test_what_is_not_revors_goes_by_the_task():
        assert decide(KeyError("x")).action is RetryAction.DEFAULT
        looped = ValueError("x")
        looped.__cause__ = KeyError("y")
        looped.__cause__.__cause__ = looped
        assert decide(looped).action is RetryAction.DEFAULT

    def test_an_error_of_a_fallback_is_none_of_revors():
        error = ConnectionError("The fallback is down.")
        error.__context__ = e.RevorPermissionError("x")
        assert decide(error).action is RetryAction.DEFAULT

    def test_it_is_the_same_after_a_round_trip():
        for timeout in (None, 9 * SECOND):
            policy = RevorRetryPolicy(1.5 * SECOND, 7 * SECOND, timeout)
            assert RevorRetryPolicy.deserialize(json.loads(json.dumps(policy.serialize()))) == policy

    def test_a_dag_with_it_is_serialized():
        from airflow.sdk import DAG
        from airflow.serialization.serialized_objects import DagSerialization

        from airflow_provider_revor.operators.connect import ListConnectAccountsOperator

        with DAG("d", schedule=None) as dag:
            ListConnectAccountsOperator(task_id="accounts", retry_policy=RevorRetryPolicy())
        again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
        assert again.get_task("accounts").has_retry_policy

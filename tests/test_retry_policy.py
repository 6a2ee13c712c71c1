"""What a task does after an error of Revor's, on Airflow 3.3+."""

from __future__ import annotations

import importlib
import json
from datetime import timedelta

import pytest

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.version_compat import RETRY_POLICIES

SECOND = timedelta(seconds=1)


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

    @pytest.mark.parametrize("wrap", [lambda error: error, wrapped])
    @pytest.mark.parametrize(("asked", "pause"), [(17.0, 17), (0.5, 0.5), (3_600.0, 3_600), (1e12, 86_400)])
    def test_it_waits_as_long_as_revor_asks_and_up_to_a_quarter_longer(wrap, asked, pause):
        for _ in range(100):
            decision = decide(wrap(e.RevorRateLimitError("Slow down.", retry_after=asked)))
            assert decision.action is RetryAction.RETRY
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
            assert decision.action is RetryAction.RETRY
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
        policy = RevorRetryPolicy(first_delay=1.5 * SECOND, longest_delay=7 * SECOND)
        assert RevorRetryPolicy.deserialize(json.loads(json.dumps(policy.serialize()))) == policy

    def test_a_dag_with_it_is_serialized():
        from airflow.sdk import DAG
        from airflow.serialization.serialized_objects import DagSerialization

        from airflow_provider_revor.operators.connect import ListConnectAccountsOperator

        with DAG("d", schedule=None) as dag:
            ListConnectAccountsOperator(task_id="accounts", retry_policy=RevorRetryPolicy())
        again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
        assert again.get_task("accounts").has_retry_policy

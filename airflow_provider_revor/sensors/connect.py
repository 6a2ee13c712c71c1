"""Waiting for a Connect account that can really send: the gate before an outreach task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseOperator,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_revor.api.accounts import parse_channel
from airflow_provider_revor.exceptions import RevorTransientError, error_from_dict
from airflow_provider_revor.gate import LONGEST_PAUSE, MIN_POKE_INTERVAL, Gate, WaitLog
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.templates import is_literal
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# The trigger keeps the time itself, also where Airflow does not (`airflow dags test`). Airflow's own clock, this many
# seconds later, is for a triggerer that is gone.
_TRIGGERER_GRACE = 60


class SendableAccountSensor(BaseSensorOperator):
    """
    Wait until a Connect account can send, and hand it on.

    Sendable means what Revor means by it: the account's ``status`` is ``ok`` and its ``can_send`` is true. The first
    such account in Revor's order is handed on: its dict as the XCom ``return_value``, its id as the XCom
    ``account_id``, so that ``gate.output["account_id"]`` and ``ti.xcom_pull("gate", key="account_id")`` both give
    the id.

    While it waits it logs, once per change, why each account cannot send. What heals by itself (rate limits, 5xx,
    network) is logged and waited out, the next poll not before Revor's ``Retry-After``; what does not (400, 401, 403,
    a connection that is missing or has no key) fails the task at once, without retries. Deferred gates of one
    connection and interval share one request per interval on Airflow 3.3+.

    In ``reschedule`` mode each poll is a process of its own, which tells what it waits for anew.
    ``exponential_backoff`` has no effect on a deferred gate.

    Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.

    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param channel: Any account of this channel: ``email``, ``linkedin`` or ``whatsapp``; None, and a template that
        renders to an empty string or ``None``, for any channel. Default: None. (templated)
    :param account_id: That very account; None for any. A template that renders to nothing is an error, not "any".
        Default: None. (templated)
    :param deferrable: Whether to wait in the triggerer, without a worker. Default: Airflow's
        ``[operators] default_deferrable``.
    :param start_from_trigger: Whether to begin in the triggerer, without a worker even for the first check. It takes
        Airflow 3.3+ and a task that is not mapped, none of whose arguments is a task's output; elsewhere the gate
        defers from a worker, and says so. Default: False.
    :param end_from_trigger: Whether to succeed straight from the triggerer and push no XCom: a pure gate. Where Airflow
        cannot do that (below 3.3), it ends on a worker, with the same outcome. Default: False.
    :param kwargs: What every sensor takes; ``poke_interval`` (seconds or a timedelta, default 60), ``timeout`` (seconds
        or a timedelta), ``soft_fail``, ``never_fail``, ``silent_fail`` and ``execution_timeout`` mean the same whether
        it pokes or is deferred; but a poking sensor, as any of Airflow's, looks at the clock only after a poke.
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if ``channel`` is literal and none of Revor's.
    """

    template_fields: Sequence[str] = ("revor_conn_id", "channel", "account_id")
    ui_color = "#d9f2e6"

    def __init__(
        self,
        *,
        revor_conn_id: str = "revor_default",
        channel: str | None = None,
        account_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if is_literal(channel):
            parse_channel(channel)
        self.revor_conn_id = revor_conn_id
        self.channel = channel
        self.account_id = account_id
        self.deferrable = deferrable or start_from_trigger
        self.end_from_trigger = end_from_trigger
        self._any_account = account_id is None
        self._wants_start_from_trigger = start_from_trigger
        self._not_before: float | None = None
        self._wait_log: WaitLog | None = None
        # A task's output cannot be put into a trigger before that task has run.
        known = all(value is None or isinstance(value, str) for value in (revor_conn_id, channel, account_id))
        if start_from_trigger and START_FROM_TRIGGER and known:
            self._start_from_trigger()

    def _start_from_trigger(self) -> None:
        from airflow.triggers.base import StartTriggerArgs

        self.start_from_trigger = True
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="airflow_provider_revor.triggers.connect.SendableAccountTrigger",
            trigger_kwargs={
                "revor_conn_id": self.revor_conn_id,
                "channel": self.channel,
                "account_id": self.account_id,
                "any_account": self._any_account,
                "poke_interval": self.poke_interval,
                "silent_fail": self.silent_fail,
                "end_from_trigger": self.end_from_trigger,
            },
            next_method="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """
        Ask Revor once.

        :return: The account's dict as the XCom value once it can send; False until then.
        :raises RevorError: for what waiting cannot heal.
        """
        gate = self._gate()
        if self._wait_log is None:
            self._wait_log = WaitLog(self.log)
        self._not_before = None
        try:
            # No retries: the next poke is the retry, and a limit that is shared is best left alone. A new hook each
            # time, so that a new key is used and a deleted connection noticed.
            with RevorHook(self.revor_conn_id, max_retries=0) as hook:
                accounts = hook.list_connect_accounts()
        except RevorTransientError as e:
            if e.retry_after:
                self._not_before = time.time() + min(e.retry_after, LONGEST_PAUSE)
            self._wait_log.trouble(e)
            return False
        if account := gate.find(accounts):
            self.log.info("Account %s can send on %s.", account.account_id, account.channel)
            return PokeReturnValue(is_done=True, xcom_value=self._hand_over(context, account.as_dict()))
        self._wait_log.waiting(gate.explain(accounts))
        return False

    def execute_complete(self, context: Context, event: dict[str, Any] | str) -> dict[str, Any] | None:
        """
        Go on with what the trigger found.

        :param event: The payload of :class:`.SendableAccountTrigger`.
        :return: The account's dict; None from a pure gate.
        :raises AirflowSensorTimeout: if no account could send in time.
        :raises AirflowTaskTimeout: if ``execution_timeout`` was over first.
        :raises RevorError: for what waiting cannot heal.
        """
        # `airflow dags test` resumes a task that its trigger has ended already.
        if not isinstance(event, dict):
            return None
        if event["status"] == "success":
            return self._hand_over(context, event["account"])
        if event["status"] == "error":
            raise error_from_dict(event["error"])
        raise self._time_is_up(event["status"])

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Go on after the trigger, with errors and timeouts meaning what they mean to a sensor that pokes.

        The base class means something else by them, and something else again in each Airflow.
        """
        try:
            if next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error")).lower():
                limit = self.execution_timeout
                over = limit is not None and limit.total_seconds() < self.timeout
                raise self._time_is_up("execution_timeout" if over else "timeout")
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
        except AirflowSkipException:
            raise
        except AirflowSensorTimeout as e:
            if self.soft_fail:
                raise AirflowSkipException(str(e)) from e
            raise
        except AirflowException as e:
            if self.never_fail or (self.soft_fail and isinstance(e, AirflowFailException)):
                raise AirflowSkipException(f"Skipping instead of failing: {e}") from e
            raise

    def _time_is_up(self, which: str) -> BaseException:
        if which == "execution_timeout":
            return AirflowTaskTimeout(f"No Connect account could send within {self.execution_timeout}.")
        return AirflowSensorTimeout(f"No Connect account could send within {self.timeout:g} s.")

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # In each mode this is where the base class, having checked and found the time not up, is about to wait.
        left = max(self.timeout - run_duration(), 0)
        if self.deferrable:
            self._defer(left, run_duration())
        interval = max(super()._get_next_poke_interval(started_at, run_duration, poke_count), MIN_POKE_INTERVAL)
        asked = (self._not_before or 0) - time.time()
        return max(interval, min(asked, left))

    def _defer(self, left: float, spent: float) -> NoReturn:
        from airflow_provider_revor.triggers.connect import SendableAccountTrigger

        if self._wants_start_from_trigger:
            self.log.warning(
                "This gate cannot start from the trigger, which takes a scheduler of Airflow 3.3+, a task that is not "
                "mapped, and no task's output among its arguments: it defers from the worker."
            )
        gate = self._gate()
        now = time.time()
        status: Literal["timeout", "execution_timeout"] = "timeout"
        if self.execution_timeout and (running := self.execution_timeout.total_seconds() - spent) < left:
            left, status = max(running, 0), "execution_timeout"
        self.defer(
            trigger=SendableAccountTrigger(
                revor_conn_id=self.revor_conn_id,
                channel=gate.channel.value if gate.channel else None,
                account_id=gate.account_id,
                poke_interval=self.poke_interval,
                first_poll_at=max(now + self.poke_interval, self._not_before or 0),
                deadline=now + left,
                deadline_status=status,
                silent_fail=self.silent_fail,
                end_from_trigger=self.end_from_trigger,
                told=self._wait_log.told if self._wait_log else None,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=left + _TRIGGERER_GRACE),
        )

    def _gate(self) -> Gate:
        return Gate.of(self.channel, self.account_id, self._any_account)

    def _hand_over(self, context: Context, account: dict[str, Any]) -> dict[str, Any] | None:
        if self.end_from_trigger:
            return None
        # A Dag author's own test may poke without a task instance.
        if self.do_xcom_push and (ti := context.get("ti")):
            ti.xcom_push(key="account_id", value=account["account_id"])
        return account

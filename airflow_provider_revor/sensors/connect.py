"""Waiting for a Connect account that can really send: the gate before an outreach task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_revor.api.accounts import parse_channel
from airflow_provider_revor.exceptions import RevorTransientError, RevorValueError, error_from_dict
from airflow_provider_revor.gate import MIN_POKE_INTERVAL, Gate, WaitLog
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.templates import is_literal

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_TRIGGERER_GRACE = 60


class SendableAccountSensor(BaseSensorOperator):
    """
    Wait until a Connect account can send, and hand it on.

    Sendable means what Revor means by it: the account's ``status`` is ``ok`` and its ``can_send`` is true. The
    first such account in Revor's order is handed on: its dict as the XCom ``return_value``, its id as the XCom
    ``account_id``, so that ``gate.output["account_id"]`` and ``ti.xcom_pull("gate", key="account_id")`` both give
    the id.

    While it waits it logs, once per change, why each account cannot send. What heals by itself (rate limits, 5xx,
    network) is logged and waited out, the next poll not before Revor's ``Retry-After``; what does not (400, 401,
    403, a connection that is missing or has no key) fails the task at once, without retries. Deferred gates of
    one connection share one request per interval on Airflow 3.3+.

    In ``reschedule`` mode each poll is a process of its own, which tells what it waits for anew.

    Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.

    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param channel: Any account of this channel: ``email``, ``linkedin`` or ``whatsapp``; None, and a template that
        renders to an empty string or ``None``, for any channel. Default: None. (templated)
    :param account_id: That very account; None for any. A template that renders to nothing is an error, not
        "any". Default: None. (templated)
    :param deferrable: Whether to wait in the triggerer, without a worker. Default: Airflow's
        ``[operators] default_deferrable``.
    :param kwargs: What every sensor takes; ``poke_interval`` (seconds or a timedelta, default 60) and ``timeout``
        (seconds or a timedelta) mean the same in each mode.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if is_literal(channel):
            parse_channel(channel)
        self.revor_conn_id = revor_conn_id
        self.channel = channel
        self.account_id = account_id
        self.deferrable = deferrable
        self._any_account = account_id is None
        self._not_before: float | None = None
        self._wait_log: WaitLog | None = None

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
            # No retries: the next poke is the retry, and a limit that is shared is best left alone. A new hook
            # each time, so that a new key is used and a deleted connection noticed.
            with RevorHook(self.revor_conn_id, max_retries=0) as hook:
                accounts = hook.list_connect_accounts()
        except RevorTransientError as e:
            if e.retry_after:
                self._not_before = time.time() + e.retry_after
            self._wait_log.trouble(e)
            return False
        if account := gate.find(accounts):
            return PokeReturnValue(is_done=True, xcom_value=self._hand_over(context, account.as_dict()))
        self._wait_log.waiting(gate.explain(accounts))
        return False

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """
        Go on with what the trigger found.

        :param event: The payload of :class:`.SendableAccountTrigger`.
        :return: The account's dict.
        :raises AirflowSensorTimeout: if no account could send in time.
        :raises RevorError: for what waiting cannot heal.
        """
        if event["status"] == "timeout":
            raise AirflowSensorTimeout(f"No Connect account could send within {self.timeout:g} s.")
        if event["status"] == "error":
            raise error_from_dict(event["error"])
        return self._hand_over(context, event["account"])

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # In each mode this is where the base class, having checked and found the time not up, is about to wait.
        left = max(self.timeout - run_duration(), 0)
        if self.deferrable:
            self._defer(left)
        interval = max(super()._get_next_poke_interval(started_at, run_duration, poke_count), MIN_POKE_INTERVAL)
        asked = (self._not_before or 0) - time.time()
        return max(interval, min(asked, left))

    def _defer(self, left: float) -> NoReturn:
        from airflow_provider_revor.triggers.connect import SendableAccountTrigger

        gate = self._gate()
        self.defer(
            trigger=SendableAccountTrigger(
                revor_conn_id=self.revor_conn_id,
                channel=gate.channel.value if gate.channel else None,
                account_id=gate.account_id,
                poke_interval=self.poke_interval,
                deadline=time.time() + left,
                not_before=self._not_before,
                told=self._wait_log.told if self._wait_log else None,
            ),
            method_name="execute_complete",
            # The trigger keeps the time itself, also where Airflow does not (`dags test`); this is for a
            # triggerer that is gone.
            timeout=timedelta(seconds=left + _TRIGGERER_GRACE),
        )

    def _gate(self) -> Gate:
        account_id = self.account_id
        if not self._any_account and (account_id is None or account_id.strip().lower() in ("", "none")):
            raise RevorValueError(
                f"account_id of the gate {self.task_id!r} rendered to {account_id!r}: it must name an account. "
                "Leave account_id out to wait for any."
            )
        return Gate.of(self.channel, account_id)

    def _hand_over(self, context: Context, account: dict[str, Any]) -> dict[str, Any]:
        self.log.info("Account %s can send on %s.", account["account_id"], account["channel"])
        # A Dag author's own test may poke without a task instance.
        if self.do_xcom_push and (ti := context.get("ti")):
            ti.xcom_push(key="account_id", value=account["account_id"])
        return account

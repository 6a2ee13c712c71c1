"""A sensor that behaves the same in every mode: poke, reschedule and deferred."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Unpack

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseOperator,
    BaseSensorOperator,
)

from airflow_provider_revor.endings import ends_in_triggerer
from airflow_provider_revor.exceptions import RevorError, RevorTransientError, error_from_dict
from airflow_provider_revor.progress import WaitLog
from airflow_provider_revor.rules.pauses import MIN_POKE_INTERVAL, Misses, deferral_timeout, seconds, time_left

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_revor.typing import BaseSensorArgs

# Seconds, at the most, between two looks while Airflow does not find the connection: Revor is not asked meanwhile.
_MISSING_PAUSE = 30.0


class WaitingSensor(BaseSensorOperator):
    """
    Base class of the sensors.

    :param deferrable: Whether to wait in the triggerer.
    :param end_on_worker: Whether a deferred task that succeeds always ends on a worker.
    """

    #: What has not come about when the time is up, as in "… within 60 s."
    _nothing: ClassVar[str]
    #: What each poll is to learn, as in "Could not learn …".
    _subject: ClassVar[str]
    #: Whether the connection was not found just now, which may be Airflow's own trouble.
    _in_doubt = False

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """Airflow declares an ``XComArg``, for which type checkers reject ``output["account_id"]``."""

    def __init__(self, *, deferrable: bool, end_on_worker: bool, **kwargs: Unpack[BaseSensorArgs]) -> None:
        # Checked here, because Airflow says something else of each, or nothing, by its version.
        given = {**(kwargs.get("default_args") or {}), **kwargs}
        if (poke_interval := given.get("poke_interval")) is not None:
            kwargs["poke_interval"] = seconds(poke_interval, "poke_interval")
        if (timeout := given.get("timeout")) is not None:
            kwargs["timeout"] = seconds(timeout, "timeout")
        super().__init__(**kwargs)
        self.poke_interval = seconds(self.poke_interval)
        self.timeout = seconds(self.timeout)
        self.deferrable = deferrable
        self.end_on_worker = end_on_worker
        self._not_before: float | None = None
        self._told: WaitLog | None = None
        self._misses = Misses()

    @abstractmethod
    def _trigger(self, **wait: Any) -> BaseTrigger:
        """
        Return the trigger to wait with.

        :param wait: The arguments that all such triggers take.
        """

    @abstractmethod
    def _succeed(self, context: Context, event: dict[str, Any]) -> Any:
        """
        Return the XCom of what was waited for.

        :param event: What the trigger found.
        """

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """
        Go on with what the trigger found.

        :param event: The payload of its event.
        :return: The XCom of what was waited for.
        :raises AirflowSensorTimeout: if the time was up.
        :raises AirflowTaskTimeout: if ``execution_timeout`` was over first.
        :raises RevorError: for what waiting cannot heal.
        """
        if event["status"] == "error":
            raise error_from_dict(event["error"])
        if event["status"] in ("timeout", "execution_timeout"):
            raise self._time_is_up(event["status"])
        return self._succeed(context, event)

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

    @property
    def reschedule(self) -> bool:
        """
        Whether to release the worker between two looks: in ``reschedule`` mode.

        A process that is started again does not know for how long the connection has been missing, and nothing that
        could tell it can be relied on while Airflow is in trouble. So misses are waited out in the process that met
        the first one.
        """
        return self.mode == "reschedule" and not self._in_doubt

    def _wait_out(self, error: RevorError | None) -> None:
        """
        Note how a look went; log what is waited out, raise what is not.

        :param error: What the look failed with; None if it went well.
        """
        self._in_doubt = self._misses.bears_with(error, time.time())
        if error is None:
            return
        if not self._in_doubt and not isinstance(error, RevorTransientError):
            raise error
        self._wait_log.trouble(error)

    @property
    def _wait_log(self) -> WaitLog:
        if self._told is None:
            self._told = WaitLog(self.log, self._subject)
        return self._told

    def _time_is_up(self, which: str) -> BaseException:
        if which == "execution_timeout":
            return AirflowTaskTimeout(f"{self._nothing} within {self.execution_timeout}.")
        return AirflowSensorTimeout(f"{self._nothing} within {self.timeout:g} s.")

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # In each mode this is where the base class, having checked and found the time not up, is about to wait.
        left = max(self.timeout - run_duration(), 0)
        if self.deferrable:
            self._defer(left, run_duration())
        interval = max(super()._get_next_poke_interval(started_at, run_duration, poke_count), MIN_POKE_INTERVAL)
        if self._in_doubt:
            return min(interval, _MISSING_PAUSE)
        asked = (self._not_before or 0) - time.time()
        return max(interval, min(asked, left))

    def _defer(self, left: float, spent: float) -> NoReturn:
        now = time.time()
        left, status = time_left(left, self.execution_timeout, spent)
        self.defer(
            trigger=self._trigger(
                poke_interval=self.poke_interval,
                first_poll_at=max(now + max(self.poke_interval, MIN_POKE_INTERVAL), self._not_before or 0),
                deadline=now + left,
                deadline_status=status,
                silent_fail=self.silent_fail,
                end_here=not self.end_on_worker and ends_in_triggerer(self, WaitingSensor),
                push_xcoms=self.do_xcom_push,
                told=self._wait_log.told,
            ),
            method_name="execute_complete",
            timeout=deferral_timeout(left),
        )

"""A sensor that behaves the same in every mode: poke, reschedule and deferred."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from inspect import unwrap
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Unpack

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseOperator,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_revor.endings import ends_in_triggerer
from airflow_provider_revor.exceptions import RevorError, RevorTransientError, error_from_dict
from airflow_provider_revor.failures import ExplainsFailures
from airflow_provider_revor.links import LinksToAccounts
from airflow_provider_revor.progress import WaitLog
from airflow_provider_revor.rules.pauses import MIN_POKE_INTERVAL, Misses, deferral_timeout, seconds, time_left
from airflow_provider_revor.version_compat import is_trigger_timeout

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_revor.typing import BaseSensorArgs

# Seconds, at the most, between two looks while Airflow does not find the connection: Revor is not asked meanwhile.
_MISSING_PAUSE = 30.0


class WaitingSensor(ExplainsFailures, LinksToAccounts, BaseSensorOperator):
    """
    Base class of the sensors.

    :param deferrable: Whether to wait in the triggerer.
    :param end_on_worker: Whether a deferred task that succeeds always ends on a worker.
    """

    #: The message of a time-out, up to "within 60 s."
    _timed_out: ClassVar[str]
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

    @property
    @abstractmethod
    def _question(self) -> str:
        """What each poll asks, as in "Could not learn which accounts can send"."""

    def execute(self, context: Context) -> Any:
        """
        Look once, and wait if need be: here, or in the triggerer.

        :return: The XCom of what was waited for.
        :raises AirflowSensorTimeout: if the time was up.
        :raises RevorError: for what waiting cannot heal.
        """
        if not self.deferrable:
            # Unwrapped: Airflow 2.11 takes a call of a base class's `execute` for one from outside a task.
            return unwrap(super().execute)(self, context)
        began = time.monotonic()
        with self._failures_as_when_poking():
            found = self._look(context)
            spent = time.monotonic() - began
            if not found and spent > self.timeout:
                raise self._time_is_up("timeout")
            if not found:
                self._defer(spent)
        return getattr(found, "xcom_value", None)

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
        """Go on after the trigger, with errors and timeouts meaning what they mean to a sensor that pokes."""
        with self._failures_as_when_poking():
            if is_trigger_timeout(next_method, next_kwargs):
                limit = self.execution_timeout
                over = limit is not None and limit.total_seconds() < self.timeout
                raise self._time_is_up("execution_timeout" if over else "timeout")
            # Not the base class's, which means something else by some errors, by its version.
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def _look(self, context: Context) -> bool | PokeReturnValue:
        try:
            return self.poke(context)
        except (AirflowFailException, AirflowSensorTimeout, AirflowSkipException):
            raise
        except Exception as e:
            if not self.silent_fail:
                raise
            self.log.warning("The first look failed, waiting on: %s: %s", type(e).__name__, e)
            return False

    @contextmanager
    def _failures_as_when_poking(self) -> Iterator[None]:
        """Skip the task for what a poking sensor is skipped for, by ``soft_fail`` and ``never_fail``."""
        try:
            yield
        except AirflowSkipException:
            raise
        except AirflowSensorTimeout as e:
            if self.soft_fail:
                raise AirflowSkipException(str(e)) from e
            raise
        except Exception as e:
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

    @cached_property
    def _wait_log(self) -> WaitLog:
        return WaitLog(self.log, self._question)

    def _time_is_up(self, which: str) -> BaseException:
        if which == "execution_timeout":
            return AirflowTaskTimeout(f"{self._timed_out} within {self.execution_timeout}.")
        return AirflowSensorTimeout(f"{self._timed_out} within {self.timeout:g} s.")

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # No public method says how long a poking sensor pauses, and a Retry-After must be obeyed.
        interval = max(super()._get_next_poke_interval(started_at, run_duration, poke_count), MIN_POKE_INTERVAL)
        if self._in_doubt:
            return min(interval, _MISSING_PAUSE)
        asked = (self._not_before or 0) - time.time()
        return max(interval, min(asked, max(self.timeout - run_duration(), 0)))

    def _defer(self, spent: float) -> NoReturn:
        now = time.time()
        left, status = time_left(self.timeout - spent, self.execution_timeout, spent)
        self.defer(
            trigger=self._trigger(
                poke_interval=self.poke_interval,
                first_poll_at=max(now + max(self.poke_interval, MIN_POKE_INTERVAL), self._not_before or 0),
                deadline=now + left,
                deadline_status=status,
                silent_fail=self.silent_fail,
                end_here=not self.end_on_worker and ends_in_triggerer(self, WaitingSensor),
                push_xcoms=self.do_xcom_push,
                last_logged=self._wait_log.last_logged,
            ),
            method_name="execute_complete",
            timeout=deferral_timeout(left),
        )

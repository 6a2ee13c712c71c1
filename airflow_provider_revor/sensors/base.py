"""A sensor that behaves the same in every mode: poke, reschedule and deferred."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from inspect import unwrap
from typing import TYPE_CHECKING, Any, NoReturn, Unpack

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseOperator,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_revor.exceptions import RevorError, RevorTransientError, error_from_dict
from airflow_provider_revor.links import LinksToAccounts
from airflow_provider_revor.rules.pauses import MIN_POKE_INTERVAL, Misses, deferral_timeout, seconds, time_left
from airflow_provider_revor.sensors.telling import TellsPeople
from airflow_provider_revor.tasks.endings import ends_in_triggerer
from airflow_provider_revor.tasks.failures import ExplainsFailures
from airflow_provider_revor.tasks.progress import SIGN_OF_LIFE_INTERVAL
from airflow_provider_revor.tasks.templates import check_switch
from airflow_provider_revor.version_compat import AirflowRescheduleException, is_trigger_timeout

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_revor.typing import BaseSensorArgs, Callbacks

# Seconds, at the most, between two looks while Airflow does not find the connection: Revor is not asked meanwhile.
_MISSING_PAUSE = 30.0


class WaitingSensor(TellsPeople, ExplainsFailures, LinksToAccounts, BaseSensorOperator):
    """
    Base class of the sensors.

    :param deferrable: Whether to wait in the triggerer.
    :param end_on_worker: Whether a deferred task that succeeds always ends on a worker.
    :param notify_after: After how many seconds of waiting to tell people, or a timedelta; None for never.
        Default: None.
    :param on_waiting_callback: What tells them: a callable or a notifier, or several. Default: None.
    :param log_every: Seconds, or a timedelta, after which it logs again that it waits, although nothing has changed.
        Default: 3600.
    """

    #: Whether the connection was not found just now, which may be Airflow's own trouble.
    _in_doubt = False

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """Airflow declares an ``XComArg``, for which type checkers reject ``output["account_id"]``."""

    def __init__(
        self,
        *,
        deferrable: bool,
        end_on_worker: bool,
        notify_after: timedelta | float | None = None,
        on_waiting_callback: Callbacks | None = None,
        log_every: timedelta | float = SIGN_OF_LIFE_INTERVAL,
        **kwargs: Unpack[BaseSensorArgs],
    ) -> None:
        # Checked here, because Airflow says something else of each, or nothing, by its version.
        given = {**(kwargs.get("default_args") or {}), **kwargs}
        if (poke_interval := given.get("poke_interval")) is not None:
            kwargs["poke_interval"] = seconds(poke_interval, "poke_interval")
        if (timeout := given.get("timeout")) is not None:
            kwargs["timeout"] = seconds(timeout, "timeout")
        super().__init__(**kwargs)
        self.poke_interval = seconds(self.poke_interval)
        self.timeout = seconds(self.timeout)
        self.deferrable = check_switch("deferrable", deferrable)
        self.end_on_worker = check_switch("end_on_worker", end_on_worker)
        self._notify_after(notify_after, on_waiting_callback, kwargs.get("default_args"))
        self.log_every = seconds(log_every, "log_every")
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

    def execute(self, context: Context) -> Any:
        """
        Look once, and wait if need be: here, or in the triggerer.

        :return: The XCom of what was waited for.
        :raises AirflowSensorTimeout: if the time was up.
        :raises RevorError: for what waiting cannot heal.
        """
        self._context = context
        with self._failures():
            if not self.deferrable:
                return self._poke_until_found(context)
            began = time.monotonic()
            found = self._look(context)
            waited = time.monotonic() - began
            if not found and waited > self.timeout:
                raise self._time_is_up("timeout", self._wait_log.reasons)
            if not found:
                self._defer(waited)
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
            raise self._time_is_up(event["status"], event.get("reasons", ()))
        if event["status"] == "waiting":
            self._wait_on(context, event)
        return self._succeed(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the trigger, with errors and timeouts meaning what they mean to a sensor that pokes."""
        with self._failures():
            if is_trigger_timeout(next_method, next_kwargs):
                limit = self.execution_timeout
                over = limit is not None and limit.total_seconds() < self.timeout
                raise self._time_is_up("execution_timeout" if over else "timeout")
            # Not the base class's, which means something else by some errors, by its version.
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def _poke_until_found(self, context: Context) -> Any:
        # Airflow's own loop, which must not judge failures: it would skip a task without saying what it waited for.
        soft_fail, never_fail = self.soft_fail, self.never_fail
        self.soft_fail = self.never_fail = False
        try:
            # Unwrapped: Airflow 2.11 takes a call of a base class's `execute` for one from outside a task.
            return unwrap(BaseSensorOperator.execute)(self, context)
        except AirflowSensorTimeout as e:
            raise self._time_is_up("timeout", self._wait_log.reasons) from e
        finally:
            self.soft_fail, self.never_fail = soft_fail, never_fail

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
    def _failures(self) -> Iterator[None]:
        """Fail or skip the task, by ``soft_fail`` and ``never_fail``: in each mode as Airflow's poking sensors."""
        try:
            yield
        except (AirflowSkipException, AirflowRescheduleException):
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

    def _time_is_up(self, which: str, reasons: Sequence[str] = ()) -> BaseException:
        why = " ".join(reasons) or "The log says why."
        where = f"on connection {str(self.revor_conn_id)!r}"
        if which == "execution_timeout":
            return AirflowTaskTimeout(f"{self._unmet} within {self.execution_timeout} {where}. {why}")
        return AirflowSensorTimeout(f"{self._unmet} within {self.timeout:g} s {where}. {why}")

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # Private to Airflow, but nothing public says how long a pause is (exponential_backoff) and what time is left
        # (mode="reschedule"), or can shorten a pause: the alternative is a copy of Airflow's loop for each version.
        interval = max(super()._get_next_poke_interval(started_at, run_duration, poke_count), MIN_POKE_INTERVAL)
        left = max(self.timeout - run_duration(), 0)
        if self._in_doubt:
            pause = min(interval, _MISSING_PAUSE)
        else:
            pause = max(interval, min((self._not_before or 0) - time.time(), left))
        self._wait_log.pausing(pause, time.time() + left)
        return pause if self.notify_after is None else self._notify_in_time(run_duration(), pause)

    def _defer(self, waited: float) -> NoReturn:
        now = time.time()
        left, status = time_left(self.timeout - waited, self.execution_timeout, waited)
        pause = max(self.poke_interval, MIN_POKE_INTERVAL, (self._not_before or 0) - now)
        self._wait_log.pausing(pause, now + left)
        notify_at = self._notify_at(self._context, waited, self._wait_log.reasons, now + left)
        self._defer_until(
            deadline=now + left,
            deadline_status=status,
            first_poll_at=now + pause,
            notify_at=notify_at,
            last_logged=self._wait_log.last_logged,
        )

    def _warn_of_own_poke(self, known: type[WaitingSensor]) -> None:
        """
        Log that a trigger stands in for another poke than that of a derived class.

        :param known: The class whose poke the trigger stands in for.
        """
        if type(self).poke is not known.poke:
            own = type(self).__name__
            self.log.warning("The triggerer does not call the poke of %s: it looks as %s does.", own, known.__name__)

    def _wait_on(self, context: Context, event: dict[str, Any]) -> NoReturn:
        """
        Tell people that this task waits, and wait on as before.

        :param context: The task's context.
        :param event: The payload of the event that said that it is time to.
        """
        self._notify(context, event.get("reasons", ()), event["deadline"])
        earliest = time.time() + max(self.poke_interval, MIN_POKE_INTERVAL)
        self._defer_until(
            deadline=event["deadline"],
            deadline_status=event["deadline_status"],
            first_poll_at=event["next_poll_at"] or earliest,
            last_logged=event["last_logged"],
        )

    def _defer_until(self, *, deadline: float | None, **wait: Any) -> NoReturn:
        left = self.timeout if deadline is None else max(deadline - time.time(), 0)
        self.defer(
            trigger=self._trigger(
                poke_interval=self.poke_interval,
                deadline=deadline,
                silent_fail=self.silent_fail,
                log_every=self.log_every,
                end_here=not self.end_on_worker and ends_in_triggerer(self, WaitingSensor),
                push_xcoms=self.do_xcom_push,
                **wait,
            ),
            method_name="execute_complete",
            timeout=deferral_timeout(left),
        )

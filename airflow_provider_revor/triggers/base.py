"""A task's wait in the triggerer: how long it may last, what it waits out, and how it ends."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.triggers.base import TriggerEvent

from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.exceptions import RevorError, RevorTransientError
from airflow_provider_revor.links import XCOM_KEY, has_accounts_link
from airflow_provider_revor.rules.kills import Place
from airflow_provider_revor.tasks.endings import declares_work, settings_add_work
from airflow_provider_revor.tasks.progress import SIGN_OF_LIFE_INTERVAL
from airflow_provider_revor.triggers.loops import PerLoop
from airflow_provider_revor.triggers.part import TriggerPart
from airflow_provider_revor.triggers.xcoms import TaskXComs
from airflow_provider_revor.version_compat import KILLS_TRIGGERS

if TYPE_CHECKING:
    from airflow_provider_revor.rules.pauses import DeadlineStatus
    from airflow_provider_revor.tasks.progress import WaitLog

# A worker may report a task's end some seconds late ([workers] min_heartbeat_interval). A task that its trigger resumes
# before the scheduler has read that report is taken for killed, and failed: no trigger fires so soon after a deferral.
_SETTLING = 10.0

# One at a time in each event loop: the triggerer's supervisor handles one request of all its triggers per round, so
# that the links of thousands of gates which begin together would hold up their polls, and everybody else, for minutes.
_linking = PerLoop(asyncio.Lock)

# Tasks that store their XComs at a time; all that wait for the same may end at once. So many responses fit into the
# supervisor's socket, so that it never waits for an event loop that is busy, and goes on reading what triggers log.
_MOST_STORING = 200
_storing = PerLoop(lambda: asyncio.Semaphore(_MOST_STORING))


class DiscreetEvent(TriggerEvent):
    """An event that the triggerer's log line does not show: it may hold personal data."""

    def __repr__(self) -> str:
        return f"TriggerEvent<{self.payload.get('status')}>"

    __str__ = __repr__


@dataclass(kw_only=True, eq=False, repr=False)
class TaskWait(TriggerPart):
    """
    The part of a trigger that a task waits for.

    :param poke_interval: The least seconds between two polls. Default: 60.
    :param first_poll_at: When the first poll may be, in seconds since the epoch; None for at once. Default: None.
    :param deadline: When to give up, in seconds since the epoch; None for never. Default: None.
    :param deadline_status: What the payload says when it gives up: ``timeout``, the default, or ``execution_timeout``.
    :param timeout: After how many seconds to give up, where the wait begins in the triggerer; None for never.
        Default: None.
    :param notify_at: When to resume the task so that it tells people of the wait, in seconds since the epoch; None for
        never. Default: None.
    :param notify_after: The same in seconds, where the wait begins in the triggerer. Default: None.
    :param log_every: Seconds after which it logs again that it waits, although nothing has changed. Default: an hour.
    :param silent_fail: Whether what trying again might heal is waited out too, whatever it is. Default: False.
    :param end_here: Whether the task may succeed in the triggerer; if not, it resumes on a worker. Default: False.
    :param push_xcoms: Whether to push the task's XComs when it succeeds in the triggerer. Default: True.
    :param last_logged: The digest of what the worker logged last, see :class:`.WaitLog`. Default: None.
    """

    poke_interval: float = 60.0
    first_poll_at: float | None = None
    deadline: float | None = None
    deadline_status: DeadlineStatus = "timeout"
    timeout: float | None = None
    notify_at: float | None = None
    notify_after: float | None = None
    log_every: float = SIGN_OF_LIFE_INTERVAL
    silent_fail: bool = False
    end_here: bool = False
    push_xcoms: bool = True
    last_logged: str | None = None

    def __post_init__(self) -> None:
        # Airflow's base class; a dataclass does not call it by itself.
        super().__init__()

    async def in_time(self, wait: Awaitable[dict[str, Any]], wait_log: WaitLog | None = None) -> dict[str, Any]:
        """
        Return the payload of the event that ends the wait, which may be that the time is up, or that people are told.

        :param wait: What returns the payload, sooner or later.
        :param wait_log: What knows why it has not come yet.
        """
        link = asyncio.create_task(self._link())
        try:
            return await self._in_time(wait, wait_log)
        finally:
            link.cancel()

    async def _in_time(self, wait: Awaitable[dict[str, Any]], wait_log: WaitLog | None) -> dict[str, Any]:
        begun = time.monotonic()
        self.begin(time.time())
        ends = [(self.deadline, self.deadline_status), (self.notify_at, "waiting")]
        moment, status = min(((at, status) for at, status in ends if at is not None), default=(None, ""))
        left = None if moment is None else max(moment - time.time(), 0)
        try:
            async with asyncio.timeout(left) as limit:
                payload = await wait
        except TimeoutError:
            # A poll may time out, too.
            if not limit.expired():
                raise
            payload = {"status": status}
            if wait_log and wait_log.reasons:
                payload["reasons"] = list(wait_log.reasons)
            if status == "waiting":
                payload |= {"deadline": self.deadline, "deadline_status": self.deadline_status}
                if wait_log:
                    payload |= {"next_poll_at": wait_log.next_poll_at, "last_logged": wait_log.last_logged}
        if self._deferred_by_a_worker:
            await asyncio.sleep(max(_SETTLING - (time.monotonic() - begun), 0))
        await self.logged()
        return payload

    def begin(self, now: float) -> None:
        """
        Note when the wait ends, if it begins here.

        :param now: The time, in seconds since the epoch.
        """
        if self.deadline is None and self.timeout is not None:
            self.deadline = now + self.timeout
        if self.notify_at is None and self.notify_after is not None:
            self.notify_at = now + self.notify_after

    async def event(self, payload: dict[str, Any], xcoms: dict[str, Any]) -> TriggerEvent:
        """
        Return the event that ends the wait: the task's success, or what it resumes with on a worker.

        :param payload: What the task resumes with.
        :param xcoms: What the task pushes if it succeeds, in this order.
        """
        try:
            if payload["status"] == "success" and self._ends_here:
                from airflow.triggers.base import TaskSuccessEvent

                async with _storing.here:
                    await self._store(xcoms if self.push_xcoms else {})
                # Never with its `xcoms`: Airflow 3.3 encodes those twice.
                return TaskSuccessEvent()
        except Exception as e:
            self.log.warning("Could not end the task here (%s): it resumes on a worker.", type(e).__name__)
            await self.logged()
        return DiscreetEvent(payload=payload)

    async def _link(self) -> None:
        """Store the task's link where the task begins in the triggerer; if it deferred, its worker has stored it."""
        if not self._in_a_triggerer or self._deferred_by_a_worker:
            return
        try:
            if has_accounts_link(self.task):
                turn = _linking.here
                await turn.acquire()
                storing = asyncio.ensure_future(self._store({XCOM_KEY: CONNECT_ACCOUNTS_URL}))
                storing.add_done_callback(lambda _: turn.release())
                # Not cancelled half-way: Airflow would warn of a response to nobody.
                await asyncio.shield(storing)
        except Exception as e:
            self.log.warning("Could not store the link to the accounts (%s).", type(e).__name__)

    async def _store(self, xcoms: dict[str, Any]) -> None:
        from airflow.sdk.bases.xcom import BaseXCom

        ti = self.task_instance
        for key, value in xcoms.items():
            await BaseXCom.aset(
                key, value, dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index
            )

    @property
    def _ends_here(self) -> bool:
        # Settings may have changed since the task was deferred.
        if not self.end_here or not self._in_a_triggerer or settings_add_work():
            return False
        # A worker that deferred has asked the task: the triggerer gets it still mapped, or not at all.
        return self._deferred_by_a_worker or not declares_work(self.task)

    def heals(self, error: Exception) -> bool:
        """Return whether what a poll met is waited out, however long it lasts."""
        if isinstance(error, RevorTransientError):
            return True
        return self.silent_fail and not isinstance(error, AirflowFailException)

    @staticmethod
    def failed(error: Exception) -> dict[str, Any]:
        """
        Return the payload of the event for an error that ends the wait.

        :param error: What a poll met. It is never raised again: many triggers may share it, and each raise would add
            to its traceback.
        :raises RuntimeError: if nobody foresaw it: the trigger fails, and Airflow's ``retries`` apply.
        """
        if isinstance(error, RevorError):
            return {"status": "error", "error": error.as_dict()}
        raise RuntimeError(f"A poll failed unexpectedly: {type(error).__name__}: {error}") from error

    @property
    def _deferred_by_a_worker(self) -> bool:
        # What starts from the trigger has no first look to come after.
        return self.first_poll_at is not None and self._in_a_triggerer


@dataclass(kw_only=True, eq=False, repr=False)
class KillableWait(TaskWait):
    """
    A wait for outreach jobs, which are cancelled if a person ends the task.

    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``.
    :param cancel_on_kill: Whether to cancel the jobs that have not begun when a person marks the task as failed or
        clears it. Default: False.
    """

    revor_conn_id: str = "revor_default"
    cancel_on_kill: bool = False

    # Whether the jobs were seen to as the wait ended.
    _seen_to = False

    async def until_killed(self, wait: Awaitable[dict[str, Any]], wait_log: WaitLog | None = None) -> dict[str, Any]:
        """
        Do as :meth:`in_time` does, and see to the jobs if Airflow cancels the wait.

        :param wait: What returns the payload, sooner or later.
        :param wait_log: What knows why it has not come yet.
        """
        try:
            return await self.in_time(wait, wait_log)
        except asyncio.CancelledError as e:
            # On Airflow 3.3+, a triggerer that stops cancels without a message.
            if self.cancel_on_kill and (e.args or not KILLS_TRIGGERS):
                await self._cancel_in_peace(e)
            raise

    async def on_kill(self) -> None:
        """Cancel the jobs, with ``cancel_on_kill``. Airflow 3.3+ calls it when a person ends the task."""
        if not self.cancel_on_kill:
            self.log.warning("%s in Revor: ending a task leaves that as it is.", self._what_goes_on)
        elif not self._seen_to:
            await self._cancel()
        await self.logged()

    async def _cancel_in_peace(self, kill: asyncio.CancelledError) -> None:
        """Cancel the jobs here, and not in ``on_kill``: Airflow cancels a trigger again each second until it ends."""
        self._seen_to = True
        cancelling = asyncio.create_task(self._cancel_and_log())
        while not cancelling.done():
            try:
                await asyncio.wait([cancelling])
            except asyncio.CancelledError as e:
                # Another message, or none any more: the triggerer stops.
                if e.args != kill.args:
                    cancelling.cancel()
                    raise

    async def _cancel_and_log(self) -> None:
        try:
            await self._cancel()
        except Exception as e:
            self.log.warning("%s in Revor: %s: %s", self._what_goes_on, type(e).__name__, e)
        await self.logged()

    async def _cancel(self) -> None:
        # After the deadline, the task has ended by itself.
        if self.deadline is not None and time.time() >= self.deadline:
            return
        from airflow_provider_revor.triggers.cancelling import TRIGGERER_GRACE, Cancelling

        async with asyncio.timeout(TRIGGERER_GRACE):
            job_ids = await self._jobs_to_cancel()
        task = TaskXComs.of_instance(self.task_instance)
        await Cancelling(self.revor_conn_id, job_ids, task, Place.TRIGGERER, self.log).run(TRIGGERER_GRACE)

    @property
    @abstractmethod
    def _what_goes_on(self) -> str:
        """The beginning of a sentence: what goes on."""

    @abstractmethod
    async def _jobs_to_cancel(self) -> Iterable[str]:
        """Return the jobs that go on, the most urgent first."""

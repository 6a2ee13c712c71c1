"""Waiting for a Connect account in the triggerer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Hashable
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_revor.api.accounts import ConnectAccount
from airflow_provider_revor.exceptions import RevorError, RevorTransientError
from airflow_provider_revor.gate import MIN_POKE_INTERVAL, Gate, WaitLog
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.version_compat import SharedPollTrigger

# What a poll of the shared stream yields: the whole list, or why it could not be had.
Poll = list[ConnectAccount] | Exception

# Upwards only: nobody polls faster than asked, and several triggerers don't stay in step.
_JITTER = 0.1


class SendableAccountTrigger(SharedPollTrigger):
    """
    Wait until a Connect account can send.

    It fires once, with a payload that :meth:`.SendableAccountSensor.execute_complete` understands:
    ``{"status": "success", "account": {…}}``, ``{"status": "error", "error": {…}}`` or
    ``{"status": "timeout"}``. What heals by itself is waited out; anything else ends the wait as an error.

    On Airflow 3.3+ all triggers of a connection and an interval share one poll in each triggerer, whatever
    channel or account each of them waits for; on older ones each polls by itself. The connection is looked up
    anew at each poll, so that a new key is used and a deleted connection noticed.

    Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.

    :param revor_conn_id: The Airflow connection, of the type ``revor``.
    :param channel: Any account of this channel: ``email``, ``linkedin`` or ``whatsapp``; None for any channel.
    :param account_id: That very account; None for any.
    :param poke_interval: Seconds between two polls.
    :param deadline: When to give up, in seconds since the epoch; None for never.
    :param not_before: When the first poll may be, in seconds since the epoch, where that is later than an
        interval from now; None for no such wish.
    :param told: The mark of what the log has been told already; see :class:`.WaitLog`.
    """

    # A deferred task's queue counts here as for any trigger; Airflow's base class is made for asset watchers.
    supports_triggerer_queue = True

    def __init__(
        self,
        *,
        revor_conn_id: str = RevorHook.default_conn_name,
        channel: str | None = None,
        account_id: str | None = None,
        poke_interval: float = 60.0,
        deadline: float | None = None,
        not_before: float | None = None,
        told: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.revor_conn_id = revor_conn_id
        self.channel = channel
        self.account_id = account_id
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.not_before = not_before
        self.told = told

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments to make this trigger again: plain, without any secret."""
        cls = type(self)
        return f"{cls.__module__}.{cls.__qualname__}", {
            "revor_conn_id": self.revor_conn_id,
            "channel": self.channel,
            "account_id": self.account_id,
            "poke_interval": self.poke_interval,
            "deadline": self.deadline,
            "not_before": self.not_before,
            "told": self.told,
        }

    def shared_stream_key(self) -> Hashable:
        """Return what polls have in common: the connection and the interval."""
        return ("airflow_provider_revor.connect_accounts", self.revor_conn_id, self.poke_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Poll]:
        """
        Poll for the list of accounts for ever.

        What fails is yielded as a value: an exception raised here would fail every trigger of the stream. The
        first poll comes an interval after the start, since a worker has asked just before.

        :param kwargs: The arguments of one of the triggers that share the stream.
        """
        interval = max(kwargs["poke_interval"], MIN_POKE_INTERVAL)
        wait = max(interval, (kwargs.get("not_before") or 0) - time.time())
        while True:
            await asyncio.sleep(wait * (1 + _JITTER * random.random()))  # noqa: S311
            poll = await _poll(kwargs["revor_conn_id"])
            wait = max(interval, getattr(poll, "retry_after", None) or 0)
            yield poll

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Poll]) -> AsyncIterator[TriggerEvent]:
        """
        Fire once the gate opens, or can never open.

        :param shared_stream: What :meth:`open_shared_stream` yields.
        """
        left = None if self.deadline is None else max(self.deadline - time.time(), 0)
        try:
            async with asyncio.timeout(left):
                payload = await self._wait(shared_stream)
        except TimeoutError:
            payload = {"status": "timeout"}
        yield _DiscreetEvent(payload=payload)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll alone: below Airflow 3.3, and under ``airflow dags test``."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event

    async def _wait(self, polls: AsyncIterator[Poll]) -> dict[str, Any]:
        wait_log = WaitLog(self.log, self.told)
        try:
            gate = Gate.of(self.channel, self.account_id)
            async for poll in polls:
                if isinstance(poll, RevorTransientError):
                    wait_log.trouble(poll)
                    continue
                if isinstance(poll, Exception):
                    raise poll
                if account := gate.find(poll):
                    return {"status": "success", "account": account.as_dict()}
                wait_log.waiting(gate.explain(poll))
        except RevorError as e:
            return {"status": "error", "error": e.as_dict()}
        raise RuntimeError("The stream of polls has ended, which it never does by itself.")


class _DiscreetEvent(TriggerEvent):
    """An event that the triggerer's log line does not show: it holds personal data of an account."""

    def __repr__(self) -> str:
        return f"TriggerEvent<status={self.payload['status']!r}>"

    __str__ = __repr__


async def _poll(revor_conn_id: str) -> Poll:
    try:
        # No retries: the next poll is the retry, and a limit that is shared is best left alone.
        async with RevorHook(revor_conn_id, max_retries=0) as hook:
            return await hook.alist_connect_accounts()
    except Exception as e:
        return e

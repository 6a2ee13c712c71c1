"""Polling in the triggerer: again and again, and once for all that wait for accounts of a connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_revor.api.accounts import ConnectAccount
from airflow_provider_revor.exceptions import RevorConfigurationError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.waiting import LONGEST_PAUSE, MIN_POKE_INTERVAL, spread

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

T = TypeVar("T")

# What a poll of the shared stream yields: the whole list, or why it could not be had.
Poll = list[ConnectAccount] | Exception

# Several triggerers poll for one connection.
_JITTER = 0.1


async def polls(
    look: Callable[[], Awaitable[T]], pause: Callable[[T | Exception], float], first: float
) -> AsyncIterator[T | Exception]:
    """
    Look again and again, for ever.

    :param look: Takes one look.
    :param pause: Returns the seconds until the next look, by what the last one showed.
    :param first: Seconds until the first look.
    :return: What each look showed; what fails is yielded, never raised.
    """
    wait, unusable = first, False
    while True:
        await asyncio.sleep(wait)
        poll: T | Exception
        try:
            poll = await look()
        except Exception as e:
            poll = e
        # Airflow's own trouble in reading a connection looks as if there were none: once proves nothing.
        doubtful = isinstance(poll, RevorConfigurationError) and not unusable
        unusable = isinstance(poll, RevorConfigurationError)
        if not doubtful:
            yield poll
        wait = pause(poll)


class AccountPolls:
    """
    The part of a trigger that polls.

    On Airflow 3.3+ all triggers of a connection and an interval share one poll in each triggerer, whatever each of
    them waits for; on older ones each polls by itself. The connection is looked up anew at each poll, so that a new
    key is used and a deleted connection noticed.
    """

    revor_conn_id: str
    poke_interval: float

    @property
    def path(self) -> str:
        """Where Airflow finds the class."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments to make this trigger again: plain, without any secret."""
        raise NotImplementedError

    def shared_stream_key(self) -> Hashable:
        """Return what polls have in common: the connection and the interval."""
        return ("airflow_provider_revor.connect_accounts", self.revor_conn_id, self.poke_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Poll]:
        """
        Poll for the list of accounts for ever.

        What fails is yielded as a value: an exception raised here would fail every trigger of the stream.

        :param kwargs: The arguments of one of the triggers that share the stream.
        """
        interval: float = max(kwargs["poke_interval"], MIN_POKE_INTERVAL)

        async def look() -> list[ConnectAccount]:
            return await _list_accounts(kwargs["revor_conn_id"])

        def pause(poll: Poll) -> float:
            return max(interval, min(getattr(poll, "retry_after", None) or 0, LONGEST_PAUSE)) * spread(_JITTER)

        first = max((kwargs.get("first_poll_at") or 0) - time.time(), 0)
        async for poll in polls(look, pause, first * spread(_JITTER)):
            yield poll

    def filter_shared_stream(self, shared_stream: AsyncIterator[Poll]) -> AsyncIterator[TriggerEvent]:
        """Fire for the polls that matter to this trigger."""
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll alone: below Airflow 3.3, and under ``airflow dags test``."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event


async def _list_accounts(revor_conn_id: str) -> list[ConnectAccount]:
    # No retries: the next poll is the retry, and a limit that is shared is best left alone.
    async with RevorHook(revor_conn_id, max_retries=0) as hook:
        return await hook.alist_connect_accounts()

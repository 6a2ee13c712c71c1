"""Polling for the accounts of a connection, once for every trigger that waits for any of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Hashable
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.api.accounts import ConnectAccount
from airflow_provider_revor.exceptions import RevorConfigurationError
from airflow_provider_revor.gate import LONGEST_PAUSE, MIN_POKE_INTERVAL
from airflow_provider_revor.hooks.revor import RevorHook

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

# What a poll of the shared stream yields: the whole list, or why it could not be had.
Poll = list[ConnectAccount] | Exception

# Upwards only: nobody polls faster than asked, and several triggerers don't stay in step.
_JITTER = 0.1


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
        interval = max(kwargs["poke_interval"], MIN_POKE_INTERVAL)
        wait = max((kwargs.get("first_poll_at") or 0) - time.time(), 0)
        unusable = False
        while True:
            await asyncio.sleep(wait * (1 + _JITTER * random.random()))  # noqa: S311
            poll = await _poll(kwargs["revor_conn_id"])
            wait = max(interval, min(getattr(poll, "retry_after", None) or 0, LONGEST_PAUSE))
            # Airflow's own trouble in reading a connection looks as if there were none: once proves nothing.
            doubtful = isinstance(poll, RevorConfigurationError) and not unusable
            unusable = isinstance(poll, RevorConfigurationError)
            if not doubtful:
                yield poll

    def filter_shared_stream(self, shared_stream: AsyncIterator[Poll]) -> AsyncIterator[TriggerEvent]:
        """Fire for the polls that matter to this trigger."""
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll alone: below Airflow 3.3, and under ``airflow dags test``."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event


async def _poll(revor_conn_id: str) -> Poll:
    try:
        # No retries: the next poll is the retry, and a limit that is shared is best left alone.
        async with RevorHook(revor_conn_id, max_retries=0) as hook:
            return await hook.alist_connect_accounts()
    except Exception as e:
        return e

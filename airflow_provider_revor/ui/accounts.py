"""Asking Revor for the accounts of a connection: at most once a minute, however many people look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_revor.api.accounts import ConnectAccount
from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.rules.pauses import retry_after

#: Seconds between two requests for a connection, by one process of the API server.
INTERVAL = 60.0
#: Seconds that Revor has to respond.
TIMEOUT = 10.0


async def ask_revor(conn_id: str) -> list[ConnectAccount]:
    """
    Ask once.

    :param conn_id: The Airflow connection.
    :raises RevorError: if that fails.
    """
    async with RevorHook.for_polling(conn_id) as hook:
        return await hook.alist_connect_accounts()


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a request showed.

    :param accounts: The accounts, as the page shows them.
    :param error: Why there are none; None if there is nothing wrong.
    :param asked_at: When it was sent, in seconds since the epoch.
    :param lasts_until: Until when it counts, by the monotonic clock.
    """

    accounts: list[dict[str, Any]]
    error: str | None
    asked_at: float
    lasts_until: float


class Accounts:
    """
    The latest responses of Revor, by connection.

    :param ask: Asks Revor once.
    :param clock: Seconds that only ever grow.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[list[ConnectAccount]]] = ask_revor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._latest: dict[str, Answer] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def read(self, conn_id: str) -> Answer:
        """
        Return the latest response, if it counts still, or ask; whoever comes meanwhile waits for the same one.

        :param conn_id: The Airflow connection.
        """
        async with self._locks.setdefault(conn_id, asyncio.Lock()):
            latest = self._latest.get(conn_id)
            if latest is None or latest.lasts_until <= self._clock():
                latest = self._latest[conn_id] = await self._answer(conn_id)
            return latest

    async def _answer(self, conn_id: str) -> Answer:
        begun, asked_at = self._clock(), time.time()
        accounts: list[dict[str, Any]] = []
        error, pause = None, INTERVAL
        try:
            async with asyncio.timeout(TIMEOUT):
                accounts = [view(account) for account in await self._ask(conn_id)]
        except TimeoutError:
            error = f"Revor did not respond within {TIMEOUT:g} seconds."
        except RevorError as e:
            error = e.reason
            pause = max(pause, retry_after(e))
        except Exception as e:
            # Its text might quote the connection.
            error = f"Revor could not be asked ({type(e).__name__}): see the log of the API server."
        return Answer(accounts, error, asked_at, begun + pause)


def view(account: ConnectAccount) -> dict[str, Any]:
    """
    Return an account as the page shows it.

    :param account: The account.
    """
    return {
        "account_id": account.account_id,
        "channel": account.channel,
        "name": account.name,
        "account_identifier": account.account_identifier,
        "status": account.status,
        "sendable": account.sendable,
        "reason": account.blocked_reason,
        "console_url": None if account.sendable else CONNECT_ACCOUNTS_URL,
    }

"""Waiting for a Connect account in the triggerer: a gate, and an asset's watcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_revor.api.text import clean_id
from airflow_provider_revor.exceptions import RevorConfigurationError, RevorValueError
from airflow_provider_revor.rules.gate import ACCOUNTS_QUESTION, Gate
from airflow_provider_revor.rules.pauses import MIN_POKE_INTERVAL, Misses, retry_after, seconds
from airflow_provider_revor.selection import Strategy
from airflow_provider_revor.tasks.progress import WaitLog
from airflow_provider_revor.triggers.base import DiscreetEvent, TaskWait
from airflow_provider_revor.triggers.changes import Becomes, Changes
from airflow_provider_revor.triggers.looks import Poll
from airflow_provider_revor.triggers.memory import WatcherMemory
from airflow_provider_revor.triggers.polling import AccountPolls
from airflow_provider_revor.version_compat import ASSET_WATCHERS, EventTrigger, SharedPollTrigger

# Seconds after which Airflow has stored an event that a trigger has fired: the triggerer hands them on once a second.
_UNTIL_STORED = 3.0


@dataclass(kw_only=True, eq=False, repr=False)
class SendableAccountTrigger(TaskWait, AccountPolls, SharedPollTrigger):
    """
    Wait until a Connect account can send.

    It fires once. With ``end_here`` it pushes the XComs of a task that succeeds, and ends it; else it fires with a
    payload that :class:`.SendableAccountSensor` understands: a ``status`` of ``success``, with the ``account``;
    ``error``, with the ``error``; ``timeout`` or ``execution_timeout``, with the last ``reasons``; or ``waiting``, when
    it is time to tell people, with the ``reasons`` and what the next trigger needs. What heals by itself is waited out,
    and a connection that Airflow does not find for five minutes; anything else ends the wait as an error.

    It begins with a look, unless a worker has just looked, or with the latest look of another trigger of the same
    connection and interval, if that is younger than the interval.

    Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.

    :param revor_conn_id: The Airflow connection, of the type ``revor``. (templated when started from the trigger)
    :param channel: Any account of this channel: ``email``, ``linkedin`` or ``whatsapp``; None for any channel.
        (templated when started from the trigger)
    :param account_id: That very account. (templated when started from the trigger)
    :param any_account: Whether no account in particular is waited for; where False, ``account_id`` must name one.
    :param pick: Which one of several sendable accounts: ``first``, ``random`` or ``sticky``.
    :param sticky_key: The key of ``sticky``. (templated when started from the trigger)
    :param sticky_digest: What stands for that key where a worker deferred, which does not hand on the key itself.

    The other arguments are those of :class:`.TaskWait`.
    """

    # A deferred task's queue counts here as for any trigger; Airflow's base class is made for asset watchers.
    # The second name is Airflow 3.4's.
    supports_triggerer_queue = True
    trigger_queue_inherited_from_task = True

    revor_conn_id: str = "revor_default"
    channel: str | None = None
    account_id: str | None = None
    any_account: bool = True
    pick: Strategy = "first"
    sticky_key: str | int | None = None
    sticky_digest: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.any_account = self.any_account and self.account_id is None

    def __repr__(self) -> str:
        # Airflow's own shows all arguments; a key may be personal data.
        path, kwargs = self.serialize()
        return f"<{path} {', '.join(f'{name}={value}' for name, value in kwargs.items() if name != 'sticky_key')}>"

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Poll]) -> AsyncIterator[TriggerEvent]:
        """
        Fire once the gate opens, or can never open.

        :param shared_stream: What :meth:`open_shared_stream` yields.
        """
        wait_log = WaitLog(self.log, ACCOUNTS_QUESTION, self.last_logged, self.log_every)
        payload = await self.in_time(self._wait(shared_stream, wait_log), wait_log)
        account = payload.get("account", {})
        yield await self.event(payload, {"account_id": account.get("account_id"), "return_value": account})

    async def _wait(self, shared_stream: AsyncIterator[Poll], wait_log: WaitLog) -> dict[str, Any]:
        misses = Misses()
        try:
            gate = Gate.of(
                channel=self.channel,
                account_id=self.account_id,
                any_account=self.any_account,
                pick=self.pick,
                sticky_key=self.sticky_key,
                digest=self.sticky_digest,
            )
            unchanged = None
            async for poll in self._polls(shared_stream):
                missed = misses.bears_with(poll, time.time())
                if isinstance(poll, Exception):
                    if not missed and not self.heals(poll):
                        return self.failed(poll)
                    wait_log.trouble(poll)
                    unchanged = None
                elif poll is unchanged:
                    wait_log.unchanged()
                elif account := gate.find(poll):
                    self.log.info("Account %s can send on %s.", account.label, clean_id(account.channel))
                    return {"status": "success", "account": account.as_dict()}
                else:
                    wait_log.waiting(*gate.reasons(poll))
                    unchanged = poll
                wait_log.pausing(max(self.poke_interval, MIN_POKE_INTERVAL, retry_after(poll)), self.deadline)
        except RevorValueError as e:
            return self.failed(e)
        raise RuntimeError("The stream of polls has ended, which it never does by itself.")

    async def _polls(self, shared_stream: AsyncIterator[Poll]) -> AsyncIterator[Poll]:
        now = time.time()
        if (self.first_poll_at or 0) > now + max(self.poke_interval, MIN_POKE_INTERVAL):
            # The worker has met a Retry-After, which holds for all who ask.
            self.looks.stay_away(self.first_poll_at or 0)
        elif (self.first_poll_at or 0) <= now and (poll := await self.looks.current()) is not None:
            # The stream shows only later polls to a trigger that joins it.
            yield poll
        async for poll in shared_stream:
            yield poll


class SendableAccountEventTrigger(AccountPolls, EventTrigger):
    """
    Tell an asset's watcher when Connect accounts become sendable, or fall out; for Airflow 3.0+.

    ``becomes="sendable"``: one event when the channel (or the account), having had no sendable account, has one; its
    payload is the account's dict. ``becomes="blocked"``: one event for each account that could send and no longer
    can; its payload is the account's dict with ``blocked_reason``, or ``account_id`` and ``blocked_reason`` alone where
    the account is gone.

    How things stand at the first look is no change, and no event. An account that is missing from the list is gone
    once it is missing from the next list, too. On Airflow 3.3+ the last state is kept in the asset's state store, so
    that a change while the triggerer was down is not lost; on older ones a triggerer that restarts looks at everything
    for the first time. The store also keeps until when Revor asks to stay away, so that it outlasts a restart.

    Each event comes at least once: the state is stored after each event, and a crash between the two repeats that one.

    It never ends by itself: what fails is logged, once per change, and asked again after the interval.

    Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.

    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``.
    :param channel: Accounts of this channel: ``email``, ``linkedin`` or ``whatsapp``; None, the default, for all.
    :param account_id: That very account; None, the default, for any.
    :param becomes: ``sendable``, the default, or ``blocked``.
    :param poke_interval: Seconds between two polls, or a timedelta. Default: 60.
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if an argument cannot be used.
    :raises RevorConfigurationError: when the Dag is parsed by an Airflow that has no asset watchers.
    """

    def __init__(
        self,
        *,
        revor_conn_id: str = "revor_default",
        channel: str | None = None,
        account_id: str | None = None,
        becomes: Becomes = "sendable",
        poke_interval: timedelta | float = 60.0,
    ) -> None:
        if not ASSET_WATCHERS:
            raise RevorConfigurationError("SendableAccountEventTrigger is for asset watchers: they take Airflow 3.0+.")
        if becomes not in ("sendable", "blocked"):
            raise RevorValueError(f"becomes={becomes!r}: use 'sendable' or 'blocked'.")
        super().__init__()  # type: ignore[no-untyped-call]
        wanted = Gate.of(channel=channel, account_id=account_id).channel
        self.revor_conn_id = revor_conn_id
        self.channel = wanted.value if wanted else None
        self.account_id = account_id
        self.becomes = becomes
        self.poke_interval = seconds(poke_interval, "poke_interval")

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Poll]) -> AsyncIterator[TriggerEvent]:
        """
        Fire for each change.

        :param shared_stream: What :meth:`open_shared_stream` yields.
        """
        wait_log = WaitLog(self.log, ACCOUNTS_QUESTION)
        gate = Gate.of(channel=self.channel, account_id=self.account_id)
        store = getattr(self, "asset_state_store", None)
        # What differs only in the interval has the same state.
        watched = [self.revor_conn_id, self.channel, self.account_id, self.becomes]
        memory = WatcherMemory(store, watched, self.log)
        # The lock is taken before the stream begins, so that nobody looks before it is known whether anyone may.
        async with self.looks.lock:
            remembered, not_before = await memory.recall()
            self.looks.stay_away(not_before)
        changes = Changes(self.becomes, remembered)
        async for poll in shared_stream:
            # Nothing is raised here: a watcher that ends is started again at once, in a loop without a pause.
            if isinstance(poll, Exception):
                wait_log.trouble(poll)
                if (asked := retry_after(poll)) > self.poke_interval:
                    await memory.not_before(time.time() + asked)
                continue
            try:
                accounts = gate.candidates(poll)
            except RevorValueError as e:
                wait_log.trouble(e)
                continue
            for payload in changes.since(accounts):
                yield DiscreetEvent(payload=payload)
                # An event that is remembered before it is stored would be lost in a crash between the two.
                if getattr(self, "trigger_id", None) is not None:
                    await asyncio.sleep(_UNTIL_STORED)
                await memory.sendable(remembered := changes.sendable)
            if changes.sendable != remembered:
                await memory.sendable(remembered := changes.sendable)

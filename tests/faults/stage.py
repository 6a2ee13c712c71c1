"""Where a fault is played: a healthy Revor, a faulty one, a clock that nobody waits for, and who asks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from factories import item, job, listing, resource
from faults.peer import Answer, Peer, http, send
from modes import MODES, Clock

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.transport import AsyncTransport, SyncTransport
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor
from airflow_provider_revor.tasks.progress import WaitLog

# Far beyond all that these tests wait for.
TIMEOUT = 10.0**9
INTERVAL = 60


class Stage:
    """Two servers, and which of them the next request goes to."""

    healthy: Peer
    peer: Peer
    set_up: Callable[..., Stage]

    def __init__(self, monkeypatch: Any, connect: Callable[..., None]) -> None:
        self.clock = Clock(monkeypatch)
        # Backing off as long as it may, polling as soon as it may.
        monkeypatch.setattr("random.uniform", lambda low, high: high)
        monkeypatch.setattr("random.random", lambda: 0.0)
        self.connect = connect
        self.sent: list[tuple[float, str, str | None]] = []
        self.troubles: list[Exception] = []
        self.faulty: dict[str, Any] = {}
        self.over = False
        # How many requests the fault hits, after those that go well; None for all, from the first on.
        self.lasts: int | None = None
        self.after = 1
        self._watch(monkeypatch)

    def begin(self, faulty: dict[str, Any], lasts: int | None, after: int) -> None:
        """Have the fault hit every request, or so many after the first ones; this is what the connection says then."""
        self.sent, self.troubles, self.over = [], [], False
        self.faulty, self.lasts, self.after = faulty, lasts, after
        self._turn()

    def end(self) -> None:
        """Have all go well from now on."""
        self.lasts, self.over = 0, True
        self._turn()

    def healthy_answer(self, method: str, path: str) -> Answer:
        """Answer as Revor does in whose accounts and jobs nothing moves while there is a fault."""
        if method == "POST":
            return send(http(202, resource(job(status="queued", scheduled_at=None, finished_at=None, result=None))))
        if path.startswith("/api/v1/connect/accounts"):
            return send(http(200, listing(item(can_send=self.over))))
        moves = job() if self.over else job(status="running", finished_at=None, result=None)
        return send(http(200, resource(moves)))

    def _turn(self) -> None:
        if self.lasts is not None:
            self.over = len(self.sent) >= self.after + self.lasts
        is_faulty = self.lasts is None or (len(self.sent) >= self.after and not self.over)
        self.connect(**(self.faulty if is_faulty else {"host": self.healthy.url}))

    def _watch(self, monkeypatch: Any) -> None:
        sync, awaited, trouble = SyncTransport.send, AsyncTransport.send, WaitLog.trouble

        def note(request: Any) -> None:
            self.sent.append((time.time(), request.method, request.idempotency_key))

        def send_sync(transport: Any, request: Any) -> Any:
            note(request)
            try:
                return sync(transport, request)
            finally:
                self._turn()

        async def send_async(transport: Any, request: Any, turn: Any) -> Any:
            note(request)
            try:
                return await awaited(transport, request, turn)
            finally:
                self._turn()

        def tell(log: Any, error: Exception) -> None:
            self.troubles.append(error)
            trouble(log, error)

        monkeypatch.setattr(SyncTransport, "send", send_sync)
        monkeypatch.setattr(AsyncTransport, "send", send_async)
        monkeypatch.setattr(WaitLog, "trouble", tell)

    @property
    def requests(self) -> int:
        return len(self.sent)

    @property
    def span(self) -> float:
        """Seconds from the first request to the last."""
        return self.sent[-1][0] - self.sent[0][0]

    @property
    def context(self) -> dict[str, Any]:
        ids = {"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": 1}
        return {"ti": self.clock.ti(**ids, xcom_push=lambda key, value: json.dumps(value))}


# -- who asks --------------------------------------------------------------------------------------------


def hook_sync(stage: Stage) -> Any:
    with RevorHook() as hook:
        return hook.list_connect_accounts()


def hook_async(stage: Stage) -> Any:
    async def ask() -> Any:
        async with RevorHook() as hook:
            return await hook.alist_connect_accounts()

    return asyncio.run(ask())


def list_operator(stage: Stage) -> Any:
    return ListConnectAccountsOperator(task_id="accounts").execute(stage.context)


def gate(mode: str, stage: Stage, **kwargs: Any) -> Any:
    sensor = SendableAccountSensor(
        task_id="gate", **{"deferrable": False, "poke_interval": INTERVAL, "timeout": TIMEOUT, **kwargs}
    )
    return MODES[mode](sensor, stage.context, stage.clock)


def job_sensor(mode: str, stage: Stage, **kwargs: Any) -> Any:
    sensor = OutreachJobSensor(
        task_id="wait", job_id="job_1", deferrable=False, poke_interval=INTERVAL, timeout=TIMEOUT, **kwargs
    )
    return MODES[mode](sensor, stage.context, stage.clock)


def dispatch(mode: str, stage: Stage) -> Any:
    operator = OutreachDispatchOperator(
        task_id="send",
        account_id="acc_1",
        channel="email",
        recipient={"address": "dana@example.com"},
        content={"subject": "Hello", "text": "A secret for Dana"},
        deferrable=False,
        poke_interval=INTERVAL,
        timeout=TIMEOUT,
    )
    return MODES[mode](operator, stage.context, stage.clock)


def caught(ask: Callable[[], Any]) -> tuple[Any, e.RevorError | None]:
    """Return what was found, or the error that came instead; what is no RevorError is nobody's to expect."""
    try:
        return ask(), None
    except e.RevorError as error:
        return None, error

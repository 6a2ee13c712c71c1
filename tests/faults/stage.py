"""Where a fault is played: a healthy Revor, a faulty one, a clock that nobody waits for, and who asks."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import MagicMock

from airflow.providers.common.compat.sdk import BaseSensorOperator, TaskDeferred
from factories import item, job, listing, resource
from faults.peer import Answer, Peer, http, send

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.transport import AsyncTransport, SyncTransport
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.progress import WaitLog
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor

# Far beyond all that these tests wait for.
TIMEOUT = 10.0**9
INTERVAL = 60


class Clock:
    """Real time, and what was slept besides: no nap is taken."""

    def __init__(self, monkeypatch: Any) -> None:
        self.slept = 0.0
        wall, steady, yield_to_others = time.time, time.monotonic, asyncio.sleep

        def nap(seconds: float) -> None:
            self.slept += max(seconds, 0)

        async def anap(seconds: float, result: Any = None) -> Any:
            self.slept += max(seconds, 0)
            # Twice, so that a deadline which is over ends the wait first.
            await yield_to_others(0)
            return await yield_to_others(0, result)

        monkeypatch.setattr(time, "time", lambda: wall() + self.slept)
        monkeypatch.setattr(time, "monotonic", lambda: steady() + self.slept)
        monkeypatch.setattr(time, "sleep", nap)
        monkeypatch.setattr(asyncio, "sleep", anap)
        # Backing off as long as it may, polling as soon as it may.
        monkeypatch.setattr("random.uniform", lambda low, high: high)
        monkeypatch.setattr("random.random", lambda: 0.0)
        airflow = sys.modules[BaseSensorOperator.__module__]
        start = self.start = datetime.now(UTC)
        monkeypatch.setattr(airflow.timezone, "utcnow", lambda: datetime.fromtimestamp(time.time(), UTC))
        monkeypatch.setattr(airflow, "_orig_start_date", lambda **_: start, raising=False)


class Stage:
    """Two servers, and which of them the next request goes to."""

    healthy: Peer
    peer: Peer
    set_up: Callable[..., Stage]

    def __init__(self, monkeypatch: Any, connect: Callable[..., None]) -> None:
        self.clock = Clock(monkeypatch)
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

        async def send_async(transport: Any, request: Any) -> Any:
            note(request)
            try:
                return await awaited(transport, request)
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
        ids = {"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": 1, "max_tries": 0}
        start = self.clock.start
        ti = MagicMock(**ids, xcom_push=lambda key, value: json.dumps(value))
        ti.get_first_reschedule_date = lambda context: start
        return {"ti": ti}


# -- who asks --------------------------------------------------------------------------------------------


def poking(sensor: Any, context: dict[str, Any]) -> Any:
    return sensor.execute(context)


def rescheduled(sensor: Any, context: dict[str, Any]) -> Any:
    sensor.mode = "reschedule"
    while True:
        try:
            return sensor.execute(context)
        except Exception as again:
            if not hasattr(again, "reschedule_date"):
                raise
            time.sleep(again.reschedule_date.timestamp() - time.time())


def deferred(task: Any, context: dict[str, Any]) -> Any:
    task.deferrable = True
    try:
        return task.execute(context)
    except TaskDeferred as waits:
        trigger, method = waits.trigger, waits.method_name
    _, kwargs = trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs

    async def first_event() -> Any:
        return await anext(aiter(type(trigger)(**kwargs).run()))

    payload = asyncio.run(first_event()).payload
    payload = json.loads(json.dumps(payload))
    if isinstance(task, BaseSensorOperator):
        return task.resume_execution(method, {"event": payload}, context)
    return getattr(task, method)(context, payload)


MODES = {"poke": poking, "reschedule": rescheduled, "deferred": deferred}


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
    return MODES[mode](sensor, stage.context)


def job_sensor(mode: str, stage: Stage, **kwargs: Any) -> Any:
    sensor = OutreachJobSensor(
        task_id="wait", job_id="job_1", deferrable=False, poke_interval=INTERVAL, timeout=TIMEOUT, **kwargs
    )
    return MODES[mode](sensor, stage.context)


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
    return MODES[mode](operator, stage.context)


def caught(ask: Callable[[], Any]) -> tuple[Any, e.RevorError | None]:
    """Return what was found, or the error that came instead; what is no RevorError is nobody's to expect."""
    try:
        return ask(), None
    except e.RevorError as error:
        return None, error

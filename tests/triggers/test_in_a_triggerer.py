"""A triggerer's supervisor, reached by Airflow's own means: it hands out connections, and reads log lines."""

from __future__ import annotations

import asyncio
import logging
import selectors
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from factories import account

from airflow_provider_revor.triggers.connect import SendableAccountTrigger
from airflow_provider_revor.triggers.looks import Looks
from airflow_provider_revor.version_compat import ASSET_WATCHERS, START_FROM_TRIGGER

pytestmark = pytest.mark.skipif(not ASSET_WATCHERS, reason="triggers of Airflow 2 read the database themselves")


def serve(connection: socket.socket, answer: dict) -> None:
    """Be the supervisor: give the connection to whoever asks for one."""
    import msgspec  # which Airflow 2 does not bring
    from airflow.sdk.execution_time.comms import _ResponseFrame

    with connection, connection.makefile("rb") as requests:
        while size := requests.read(4):
            frame = msgspec.msgpack.decode(requests.read(int.from_bytes(size, "big")))
            wanted = frame[1]["type"] == "GetConnection"
            connection.sendall(_ResponseFrame(id=frame[0], body=answer if wanted else None).as_bytes())


def test_a_connection_is_read_through_the_supervisor(revor_sandbox, monkeypatch):
    from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder
    from airflow.sdk.execution_time import task_runner

    ours, theirs = socket.socketpair()
    unset = dict.fromkeys(("schema", "login", "port", "extra"))
    answer = {"type": "ConnectionResult", "conn_id": "in_the_database", **unset, **revor_sandbox.connection}
    supervisor = threading.Thread(target=serve, args=(theirs, answer))
    supervisor.start()

    async def run():
        reader, writer = await asyncio.open_connection(sock=ours)
        comms = TriggerCommsDecoder(async_writer=writer, async_reader=reader, socket=ours)
        if hasattr(comms, "start_reader"):
            await comms.start_reader()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
        lists = await asyncio.wait_for(
            asyncio.gather(*(Looks.of("in_the_database", n).current() for n in (1, 2, 3))), 60
        )
        writer.close()
        return lists

    lists = asyncio.run(run())
    supervisor.join(10)
    for accounts in lists:
        assert [account.as_dict() for account in accounts] == revor_sandbox.accounts


ENDING, WAITING = 50, 100


def read_and_respond(logs: socket.socket, requests: socket.socket, responds: threading.Event) -> None:
    """Be the supervisor as it is on Airflow 3.3: each round it reads some log lines and handles one request."""
    import msgspec
    from airflow.sdk.execution_time.comms import _ResponseFrame

    with selectors.DefaultSelector() as selector:
        selector.register(logs, selectors.EVENT_READ)
        while selector.get_map():
            if responds.is_set():
                selector.register(requests, selectors.EVENT_READ)
                responds.clear()
            for key, _ in selector.select(0.01):
                if key.fileobj is logs:
                    more = logs.recv(4096)
                elif more := requests.recv(4, socket.MSG_WAITALL):
                    body = requests.recv(int.from_bytes(more, "big"), socket.MSG_WAITALL)
                    requests.sendall(_ResponseFrame(id=msgspec.msgpack.decode(body)[0]).as_bytes())
                if not more:
                    selector.unregister(key.fileobj)


class SocketHandler(logging.Handler):
    """Writes lines as a triggerer does, but not for ever."""

    def __init__(self, to: socket.socket) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.to = to
        to.settimeout(5)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.to.sendall(b"%s\n" % record.getMessage().encode())
        except TimeoutError:
            self.to.close()
            raise
        self.lines.append(record.getMessage())


@pytest.mark.skipif(not START_FROM_TRIGGER, reason="tasks end in the triggerer on Airflow 3.3+")
def test_gates_that_log_while_others_end_do_not_stop_the_triggerer(monkeypatch):
    """The supervisor waits for room for a response, and the triggers for room for a line: neither for ever."""
    from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder
    from airflow.sdk.execution_time import task_runner
    from airflow.triggers.base import BaseTrigger, TaskSuccessEvent

    ours, theirs = socket.socketpair()
    lines, read_lines = socket.socketpair()
    # Room for some ten responses and as many lines, where Airflow has room for some 280.
    for sender in (theirs, lines):
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    log, handler = logging.Logger("trigger"), SocketHandler(lines)
    log.addHandler(handler)
    monkeypatch.setattr(BaseTrigger, "log", log)
    monkeypatch.setattr("airflow_provider_revor.triggers.base._SETTLING", 0.0)
    responds = threading.Event()
    supervisor = threading.Thread(target=read_and_respond, args=(read_lines, theirs, responds), daemon=True)
    supervisor.start()

    async def showing(accounts, when):
        await when.wait()
        yield accounts
        await asyncio.Event().wait()

    def gate(number, accounts, when):
        gate = SendableAccountTrigger(end_here=True, first_poll_at=time.time() + 30, poke_interval=60)
        gate.trigger_id = number + 1
        gate._task_instance = SimpleNamespace(dag_id="d", task_id=f"t{number}", run_id="r", map_index=-1)
        return asyncio.create_task(anext(gate.filter_shared_stream(showing(accounts, when))))

    async def run():
        reader, writer = await asyncio.open_connection(sock=ours)
        comms = TriggerCommsDecoder(async_writer=writer, async_reader=reader, socket=ours)
        await comms.start_reader()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
        open_now, change = asyncio.Event(), asyncio.Event()
        ending = [gate(number, [account()], open_now) for number in range(ENDING)]
        waiting = [gate(ENDING + number, [account(can_send=False)], change) for number in range(WAITING)]
        open_now.set()
        while len(comms._pending) < ENDING:
            await asyncio.sleep(0.01)
        # All requests are under way, and now the others log why they wait.
        responds.set()
        change.set()
        events = await asyncio.wait_for(asyncio.gather(*ending), 60)
        while len(handler.lines) < ENDING + 3 * WAITING and not any(task.done() for task in waiting):
            await asyncio.sleep(0.01)
        for task in (*waiting, comms._reader_task):
            task.cancel()
        writer.close()
        return events

    events = asyncio.run(asyncio.wait_for(run(), 90))
    lines.close()
    supervisor.join(10)
    assert [type(event) for event in events] == [TaskSuccessEvent] * ENDING
    told = handler.lines[ENDING:]
    assert told == [*told[:3]] * WAITING
    assert told[0] == "Waiting. No account can send yet."

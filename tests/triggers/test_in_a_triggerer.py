"""A poll within a triggerer, whose connections come from its supervisor: by Airflow's own way of asking it."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from airflow_provider_revor.triggers.looks import Looks
from airflow_provider_revor.version_compat import ASSET_WATCHERS

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

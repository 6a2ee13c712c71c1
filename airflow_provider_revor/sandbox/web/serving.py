"""uvicorn in a thread: up when the constructor returns, gone when :meth:`ServerThread.stop` does."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_revor.sandbox.web.connection import Connection

HOST = "127.0.0.1"


class _Protocol(H11Protocol):
    """uvicorn's HTTP protocol, with a way for faults to lay hands on the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._connection = Connection(transport)
        self.app_state = {**self.app_state, "connection": self._connection}

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connection.lost.set()

    def shutdown(self) -> None:
        self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it serves, or that it never will; and which stops at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()
        self.failure: BaseException | None = None
        self._halted = asyncio.Event()

    async def main_loop(self) -> None:
        # uvicorn's own looks only every 0.1 s whether to stop, which tests would feel.
        self._loop = asyncio.get_running_loop()
        self.settled.set()
        ticking = asyncio.create_task(super().main_loop())
        await self._halted.wait()
        ticking.cancel()

    def halt(self) -> None:
        self._loop.call_soon_threadsafe(self._halted.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn's own way waits for clients: a slow answer, or a request that never ends, would hold the stop.
        # First no one new, then an end with all who are there or just coming in, and only then is the door shut:
        # asyncio logs an error for whoever stands in it.
        for listener in sockets or ():
            asyncio.get_running_loop().remove_reader(listener)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            self._hang_up()
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        self._hang_up()
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # for the connections to hear of it

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.shutdown()

    def run_in_thread(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self.serve([listener]))
        except BaseException as error:
            if self.started:
                raise
            self.failure = error  # whoever waits for the start raises it
        finally:
            self.settled.set()


class ServerThread:
    """
    Serve an application on 127.0.0.1.

    :param app: the application.
    :param port: the port to listen on; 0 takes a free one.
    :raises OSError: if the port is taken.
    :raises RuntimeError: if the server does not start.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        listener = _listen(port)
        self.port: int = listener.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                date_header=False,  # the sandbox has a clock of its own
                timeout_keep_alive=75,  # more than a gate sleeps, which else might write as the server closes
            )
        )
        self._thread = threading.Thread(
            target=self._server.run_in_thread, args=(listener,), name="revor-sandbox", daemon=True
        )
        self._thread.start()
        self._server.settled.wait()
        if not self._server.started:
            self._thread.join()
            listener.close()
            raise RuntimeError("the sandbox did not start") from self._server.failure

    def stop(self) -> None:
        """Hang up on everyone and end the thread."""
        self._server.halt()
        self._thread.join()


def _listen(port: int) -> socket.socket:
    # Here in the caller's thread: no race for a free port, and a taken one raises where it is seen. With the protocol
    # left at 0, asyncio would not set TCP_NODELAY, and every answer on a kept connection would take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a port rests after each use
        listener.bind((HOST, port))
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener

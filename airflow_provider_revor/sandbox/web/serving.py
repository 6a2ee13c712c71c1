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
    """uvicorn's HTTP protocol, which lets faults close the connection."""

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
    """uvicorn's server, which tells when it serves or has failed to start, and stops at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()
        self.failure: BaseException | None = None
        self._halted = asyncio.Event()

    async def main_loop(self) -> None:
        # uvicorn checks only every 0.1 s whether to stop, which slows tests down.
        self._loop = asyncio.get_running_loop()
        self.settled.set()
        ticking = asyncio.create_task(super().main_loop())
        await self._halted.wait()
        ticking.cancel()

    def halt(self) -> None:
        self._loop.call_soon_threadsafe(self._halted.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn waits for clients: a slow response, or a request that never ends, would delay the stop. So stop
        # accepting, then close all connections, those being accepted too, and the listener last: asyncio logs an
        # error for a connection that it accepts after that.
        for listener in sockets or ():
            asyncio.get_running_loop().remove_reader(listener)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            self._hang_up()
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        self._hang_up()
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # lets the connections see that they are closed

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.shutdown()

    def run_in_thread(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self.serve([listener]))
        except BaseException as error:
            if self.started:
                raise
            self.failure = error  # raised by the constructor of ServerThread
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
                timeout_keep_alive=75,  # longer than a gate's pause: else it might write as the server closes
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
    # In the caller's thread, so that there is no race for a free port, and a taken one raises here. With the protocol
    # left at 0, asyncio would not set TCP_NODELAY, and every response on a kept connection would take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a port cannot be used again for a while
        listener.bind((HOST, port))
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener

"""Thousands of calls with one hook: connections are used again, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from factories import item, listing

from airflow_provider_revor.hooks.revor import RevorHook

CALLS = 2_000
AT_ONCE = 16


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    body = json.dumps(listing(*(item(account_id=f"acc_{number}") for number in range(5)))).encode()

    def setup(self):
        super().setup()
        self.server.connections.append(self.client_address)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(connect):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.connections = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        connect(host=f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def call(calls):
    """Make calls from many threads with one hook; return how many gave the whole list."""
    with RevorHook() as hook, ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(len(accounts) == 5 for accounts in pool.map(lambda _: hook.list_connect_accounts(), range(calls)))


def call_awaited(calls):
    """The same, awaited."""

    async def run():
        free = asyncio.Semaphore(AT_ONCE)

        async def one(hook):
            async with free:
                return len(await hook.alist_connect_accounts()) == 5

        async with RevorHook() as hook:
            return sum(await asyncio.gather(*(one(hook) for _ in range(calls))))

    return asyncio.run(run())


@pytest.mark.parametrize("make_calls", [call, call_awaited])
def test_thousands_of_calls_use_connections_again_and_leave_nothing_behind(server, caplog, make_calls):
    # It tells of each request, and pytest keeps all that is told.
    caplog.set_level(logging.WARNING, "httpx")
    # What is loaded, opened and cached once is no leak.
    make_calls(AT_ONCE * 2)
    process = psutil.Process()
    server.connections.clear()
    gc.collect()
    # The server's side of a connection lives in this process, too, and ends a moment after the client's.
    wait_for_quiet(server)
    fds, threads = process.num_fds(), threading.active_count()
    objects = len(gc.get_objects())

    assert make_calls(CALLS) == CALLS

    wait_for_quiet(server)
    gc.collect()
    # httpx may open another one while one is on its way back.
    assert len(server.connections) <= AT_ONCE * 3
    assert process.num_fds() <= fds
    assert threading.active_count() <= threads
    # Not one of 2,000 lists, answers or errors was kept.
    assert len(gc.get_objects()) - objects < CALLS / 4


def wait_for_quiet(server):
    """Wait until the server's threads, one for each connection, are gone."""
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(10)

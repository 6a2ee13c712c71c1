"""What the architecture page says of files: they exist, and a request passes those that it names."""

from __future__ import annotations

import asyncio
import re
import socket
import traceback
from pathlib import Path

import pytest
from docs.pages import DOCS
from project import ROOT

from airflow_provider_revor.hooks.revor import RevorHook

PAGE = (DOCS / "architecture.md").read_text()
PACKAGE = ROOT / "airflow_provider_revor"
NAMED = sorted({name for name in re.findall(r"`([\w./]+)`", PAGE) if "/" in name or name.endswith(".py")})

DISPATCH = {
    "account_id": "acc_email_anna",
    "channel": "email",
    "recipient": {"address": "dana@example.com"},
    "content": {"subject": "Hello", "text": "Hello Dana"},
    "idempotency_key": "key",
}


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_is_there(name):
    assert (PACKAGE / name).exists() or (ROOT / name).exists()


def awaiting(task):
    """Return the files of a task's coroutine and of what it awaits."""
    files, coroutine = [], task.get_coro()
    while getattr(coroutine, "cr_frame", None):
        files.append(coroutine.cr_frame.f_code.co_filename)
        coroutine = coroutine.cr_await
    return files


def drawn(column):
    """Return the modules of the hook in a column of the page's table."""
    (table,) = re.findall(r"^The files that a request passes.*?\n\n(.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    cells = [line.split("|")[2 + column] for line in table.splitlines()]
    return re.findall(r"hooks/\w+\.py", " ".join(cells))


@pytest.fixture
def way(revor_sandbox, monkeypatch):
    """Return the modules of the hook on the way of the latest request."""
    revor_sandbox.reconnect("acc_email_anna")
    port = int(revor_sandbox.url.rpartition(":")[2])
    passed = []

    def note():
        files = [frame.filename for frame in traceback.extract_stack()]
        try:
            now = asyncio.current_task()
        except RuntimeError:
            now = None
        if now:
            # A request has a task of its own, which its caller waits for.
            files = [file for task in asyncio.all_tasks() - {now} for file in awaiting(task)] + files
        inside = [str(Path(file).relative_to(PACKAGE)) for file in files if Path(file).is_relative_to(PACKAGE)]
        passed[:] = dict.fromkeys(name for name in inside if name.startswith("hooks/"))

    for name in ("send", "sendall"):
        real = getattr(socket.socket, name)

        def send(self, *args, real=real):
            if self.family == socket.AF_INET and self.getpeername()[1] == port:
                note()
            return real(self, *args)

        monkeypatch.setattr(socket.socket, name, send)
    return passed


def test_a_list_passes_the_files_that_are_drawn(way):
    with RevorHook() as hook:
        hook.list_connect_accounts()
    assert way == drawn(0) != []


def test_a_message_passes_the_files_that_are_drawn(way):
    with RevorHook() as hook:
        hook.create_outreach_dispatch(**DISPATCH)
    assert way == drawn(1) != []


def test_an_awaited_request_passes_the_files_that_are_drawn(way):
    async def look():
        async with RevorHook() as hook:
            return await hook.alist_connect_accounts()

    asyncio.run(look())
    assert way == drawn(2) != []

"""What the triggers of a connection share in an event loop: network connections, and readings of the connection."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import warnings

import pytest
from factories import job, resource, response
from faults.peer import make_certificates
from keepalive import KeepAlive

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks import transport, turns
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.triggers.outreach import OutreachJobTrigger

OLD, NEW = "sk-revor-old-key", "sk-revor-new-key"
HANDFUL = 5


@pytest.fixture
def server():
    with KeepAlive() as server:
        yield server


@pytest.fixture
def readings(monkeypatch):
    """Each reading of an Airflow connection."""
    seen = []
    get = RevorHook.get_connection.__func__

    def note(cls, conn_id):
        seen.append(conn_id)
        return get(cls, conn_id)

    monkeypatch.setattr(RevorHook, "get_connection", classmethod(note))
    return seen


async def look(number=1):
    """Look at a job as a trigger does."""
    async with RevorHook.for_polling() as hook:
        return (await hook.aget_outreach_job(f"job_{number}")).id


async def looks(count):
    return await asyncio.gather(*map(look, range(1, count + 1)))


def until(done):
    """Wait for what another thread does."""
    for _ in range(500):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("It did not happen within five seconds.")


# -- how many ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_a_thousand_triggers_look_over_a_handful_of_connections(connect, tmp_path, readings, tls):
    ca, certificate = make_certificates(tmp_path)

    async def wait_for(number):
        return [event.payload["status"] async for event in OutreachJobTrigger(job_id=f"job_{number}").run()]

    async def wait_for_all():
        return await asyncio.gather(*map(wait_for, range(1_000)))

    with KeepAlive(certificate if tls else None) as server:
        connect(host=server.url, extra={"verify": str(ca)})
        assert asyncio.run(wait_for_all()) == [["success"]] * 1_000
    assert {path.rpartition("/")[2] for _, _, path in server.requests} == {f"job_{n}" for n in range(1_000)}
    assert len(server.requests) == 1_000
    assert len(server.connections) <= HANDFUL
    assert len(readings) <= 2


def test_those_who_wait_for_their_turn_do_not_time_out(connect, server):
    server.answer = lambda handler: time.sleep(0.2) or handler.send()
    connect(host=server.url, extra={"timeout": 3})
    assert len(asyncio.run(looks(100))) == 100
    assert len(server.connections) <= HANDFUL


def test_a_server_that_hangs_does_not_hold_up_all(connect, server, monkeypatch):
    monkeypatch.setattr(turns, "_LONG", 0.05)
    over, in_time = threading.Event(), []

    def answer(handler):
        if handler.path.endswith("job_0"):
            in_time.append(over.wait(20))
        handler.send()

    async def run():
        stuck = [asyncio.create_task(look(0)) for _ in range(HANDFUL)]
        await asyncio.sleep(0)
        served = await looks(20)
        over.set()
        return served, await asyncio.gather(*stuck)

    server.answer = answer
    connect(host=server.url)
    served, stuck = asyncio.run(run())
    assert served == [f"job_{number}" for number in range(1, 21)]
    assert stuck == ["job_0"] * HANDFUL
    assert in_time == [True] * HANDFUL


def test_a_request_whose_caller_is_cancelled_keeps_its_turn_until_it_has_ended(connect, monkeypatch):
    monkeypatch.setattr(turns, "_LONG", 60)
    under_way, most = 0, 0

    async def run():
        responds = asyncio.Event()

        async def exchange(self, request):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await responds.wait()
            under_way -= 1
            return response(200, resource(job()))

        monkeypatch.setattr(transport.AsyncTransport, "_exchange", exchange)
        async with RevorHook() as hook:
            leave = [asyncio.create_task(hook.aget_outreach_job("job_1")) for _ in range(HANDFUL)]
            while under_way < HANDFUL:
                await asyncio.sleep(0.01)
            for one in leave:
                one.cancel()
            await asyncio.wait(leave)
            come = [asyncio.create_task(hook.aget_outreach_job("job_1")) for _ in range(3 * HANDFUL)]
            # Each gets as far as it can.
            for _ in range(100):
                await asyncio.sleep(0)
            responds.set()
            return [(await one).id for one in come], [one.cancelled() for one in leave]

    connect()
    assert asyncio.run(run()) == (["job_1"] * 3 * HANDFUL, [True] * HANDFUL)
    assert (most, under_way) == (HANDFUL, 0)


def test_no_more_than_a_bound_is_under_way_even_if_all_hang(monkeypatch):
    monkeypatch.setattr(turns, "_LONG", 0)
    monkeypatch.setattr(turns, "_MOST", 20)
    under_way, most = 0, 0

    async def take(turn):
        nonlocal under_way, most
        async with turn.next():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.05)
            under_way -= 1

    async def run():
        turn = turns.Turns()
        await asyncio.gather(*(take(turn) for _ in range(60)))

    asyncio.run(run())
    assert most == 20


# -- readings ----------------------------------------------------------------------------------------------


def test_who_asks_while_the_connection_is_read_gets_the_next_reading(connect, server, monkeypatch):
    """Else a key that was changed in between would not be seen."""
    began, goes_on = threading.Event(), threading.Event()
    get = RevorHook.get_connection.__func__

    def slow(cls, conn_id):
        found = get(cls, conn_id)
        began.set()
        goes_on.wait(20)
        return found

    async def run():
        first = asyncio.create_task(look())
        while not began.is_set():
            await asyncio.sleep(0.01)
        connect(host=server.url, password=NEW)
        second = asyncio.create_task(look())
        await asyncio.sleep(0)
        goes_on.set()
        await asyncio.gather(first, second)

    monkeypatch.setattr(RevorHook, "get_connection", classmethod(slow))
    connect(host=server.url, password=OLD)
    asyncio.run(run())
    assert sorted(server.keys()) == [NEW, OLD]


def test_a_connection_that_cannot_be_used_is_read_once_for_all(connect, readings):
    async def run():
        return await asyncio.gather(*map(look, range(200)), return_exceptions=True)

    connect(password="")
    errors = asyncio.run(run())
    assert {(type(error), str(error)) for error in errors} == {(e.RevorConfigurationError, str(errors[0]))}
    assert len({id(error) for error in errors}) == 200
    assert len(readings) <= 2


def test_a_reading_that_is_cancelled_leaves_the_next_to_others(connect, server):
    async def run():
        tasks = [asyncio.create_task(look(number)) for number in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    connect(host=server.url)
    cancelled, *others = asyncio.run(run())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert others == ["job_1", "job_2"]


# -- changes -----------------------------------------------------------------------------------------------


def test_a_new_key_counts_from_the_next_look_and_the_old_keys_connection_is_closed(connect, server):
    async def run():
        connect(host=server.url, password=OLD)
        await look()
        connect(host=server.url, password=NEW)
        await look()
        await asyncio.to_thread(until, lambda: len(server.open) == 1)

    asyncio.run(run())
    assert server.keys() == [OLD, NEW]
    assert len(server.connections) == 2


def test_a_key_is_rotated_while_a_hundred_requests_are_under_way(connect, server):
    server.answer = lambda handler: time.sleep(0.02) or handler.send()

    async def run():
        connect(host=server.url, password=OLD)
        before = asyncio.create_task(looks(100))
        while len(server.requests) < 10:
            await asyncio.sleep(0.01)
        connect(host=server.url, password=NEW)
        after = await looks(100)
        await before
        await asyncio.to_thread(until, lambda: len(server.open) <= HANDFUL)
        return len(await before), len(after)

    assert asyncio.run(run()) == (100, 100)
    assert (server.keys().count(OLD), server.keys().count(NEW)) == (100, 100)
    assert len(server.connections) <= 2 * HANDFUL


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"extra": {"timeout": 7}}, id="timeout"),
        pytest.param({"extra": {"verify": False}}, id="verify"),
        pytest.param({"extra": {"max_response_mb": 1}}, id="max_response_mb"),
        pytest.param({"schema": "http"}, id="nothing-that-matters"),
    ],
)
def test_a_changed_setting_counts_from_the_next_look(connect, server, change):
    async def run():
        connect(host=server.url)
        await look()
        connect(host=server.url, **change)
        await look()

    asyncio.run(run())
    assert len(server.connections) == (1 if "schema" in change else 2)


def test_a_changed_host_or_proxy_counts_from_the_next_look(connect, server):
    async def run(proxy):
        connect(host=server.url)
        await look()
        connect(host="http://revor.test", extra={"allow_http": True, "proxies": proxy.url})
        await look()

    with KeepAlive() as proxy:
        asyncio.run(run(proxy))
    assert [len(server.requests), len(proxy.requests)] == [1, 1]
    assert proxy.requests[0][2].startswith("http://revor.test/")


def test_a_hook_keeps_to_the_connection_that_it_has_read(connect, server):
    async def run():
        connect(host=server.url, password=OLD)
        async with RevorHook() as hook:
            for key in (NEW, OLD, NEW):
                await hook.aget_outreach_job("job_1")
                connect(host=server.url, password=key)
                await look()
            await hook.aget_outreach_job("job_1")

    asyncio.run(run())
    assert server.keys() == [OLD, NEW, OLD, OLD, OLD, NEW, OLD]


def test_no_cookie_goes_along_with_the_next_request(connect, server):
    server.answer = lambda handler: handler.send(Set_Cookie="session=1; Path=/")

    async def run():
        async with RevorHook() as hook:
            for _ in range(3):
                await hook.aget_outreach_job("job_1")

    connect(host=server.url)
    asyncio.run(run())
    assert len(server.connections) == 1
    assert not any("Cookie" in headers for _, headers, _ in server.requests)


# -- servers -----------------------------------------------------------------------------------------------


def test_a_server_that_closes_a_connection_just_when_it_is_used_again_fails_no_look(connect, server):
    served = set()

    def answer(handler):
        if handler.client_address in served:
            return handler.drop()
        served.add(handler.client_address)
        return handler.send()

    async def run():
        return [await look(number) for number in range(6)]

    server.answer = answer
    connect(host=server.url)
    assert asyncio.run(run()) == [f"job_{number}" for number in range(6)]


def test_a_new_connection_that_is_lost_fails_the_look_after_one_request(connect, server):
    server.answer = lambda handler: handler.drop()
    connect(host=server.url)
    with pytest.raises(e.RevorConnectionError):
        asyncio.run(look())
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{", id="cut-off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{", id="not-http"),
    ],
)
def test_a_response_that_cannot_be_read_is_not_asked_for_again(connect, server, response):
    def answer(handler):
        if not handler.path.endswith("job_2"):
            return handler.send()
        handler.wfile.write(response)
        return handler.drop()

    async def run():
        await look(1)
        with pytest.raises(e.RevorConnectionError):
            await look(2)
        await look(3)

    server.answer = answer
    connect(host=server.url)
    asyncio.run(run())
    assert [path.rpartition("/")[2] for *_, path in server.requests] == ["job_1", "job_2", "job_3"]


@pytest.mark.parametrize("old", ["HTTP/1.0", "Connection: close"])
def test_a_server_that_keeps_no_connection_open_is_asked_over_new_ones(connect, server, old):
    def answer(handler):
        handler.protocol_version = old if old.startswith("HTTP") else "HTTP/1.1"
        handler.send(**({} if old.startswith("HTTP") else {"Connection": "close"}))

    server.answer = answer
    connect(host=server.url)
    assert len(asyncio.run(looks(30))) == 30
    assert len(server.requests) == len(server.connections) == 30


def test_a_limit_that_one_trigger_meets_is_no_one_elses(connect, server):
    def answer(handler):
        handler.send(429, {"ok": False}, Retry_After="60") if handler.path.endswith("job_3") else handler.send()

    async def run():
        return await asyncio.gather(*map(look, range(10)), return_exceptions=True)

    server.answer = answer
    connect(host=server.url)
    found = asyncio.run(run())
    assert isinstance(found.pop(3), e.RevorRateLimitError)
    assert found == [f"job_{number}" for number in range(10) if number != 3]


def test_an_ipv6_address_is_a_host(connect):
    try:
        server = KeepAlive(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        connect(host=server.url)
        assert len(asyncio.run(looks(20))) == 20
    assert len(server.connections) <= HANDFUL


# -- ends --------------------------------------------------------------------------------------------------


def test_triggers_that_are_cancelled_at_any_moment_leave_the_others_alone(connect, server, monkeypatch):
    monkeypatch.setattr(turns, "_LONG", 60)
    server.answer = lambda handler: time.sleep(0.002) or handler.send()

    async def run():
        await look()
        for step in range(150):
            tasks = [asyncio.create_task(look(number)) for number in range(HANDFUL + 2)]
            for _ in range(step):
                await asyncio.sleep(0)
            tasks[step % len(tasks)].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert not [one for one in found if isinstance(one, Exception)]
        assert len(await looks(50)) == 50

    connect(host=server.url)
    asyncio.run(run())
    assert len(server.connections) <= 2 * HANDFUL


def test_connections_that_are_not_used_for_a_while_are_closed_and_opened_again(connect, server, monkeypatch):
    monkeypatch.setattr(transport, "_IDLE", 0.05)

    async def run():
        async with RevorHook() as hook:
            for _ in range(2):
                await hook.aget_outreach_job("job_1")
                await asyncio.to_thread(until, lambda: not server.open)

    connect(host=server.url)
    asyncio.run(run())
    assert len(server.connections) == 2


@pytest.fixture
def no_warnings():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)] == []


def test_an_event_loop_that_ends_leaves_nothing_open(connect, tmp_path, no_warnings):
    ca, certificate = make_certificates(tmp_path)
    with KeepAlive(certificate) as server:
        connect(host=server.url, extra={"verify": str(ca)})
        for _ in range(3):
            assert len(asyncio.run(looks(10))) == 10
            until(lambda: not server.open)
    assert len(server.connections) <= 3 * HANDFUL


def test_a_hook_that_is_never_closed_leaves_nothing_open(connect, server, no_warnings):
    connect(host=server.url)
    asyncio.run(RevorHook().aget_outreach_job("job_1"))
    until(lambda: not server.open)


def test_a_loop_that_is_closed_without_clean_up_is_no_trouble_to_the_next(connect, server):
    connect(host=server.url)
    loop = asyncio.new_event_loop()
    with warnings.catch_warnings(action="ignore"):
        assert loop.run_until_complete(look()) == "job_1"
        loop.close()
        for _ in range(2):
            assert asyncio.run(look()) == "job_1"
        gc.collect()


def test_loops_that_take_turns_in_a_thread_share_nothing(connect, server, no_warnings):
    connect(host=server.url)
    with asyncio.Runner() as one, asyncio.Runner() as other:
        for _ in range(3):
            assert [one.run(look()), other.run(look())] == ["job_1", "job_1"]
    assert len(server.connections) == 2
    until(lambda: not server.open)


def test_loops_in_two_threads_share_nothing(connect, server):
    connect(host=server.url)
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(len(asyncio.run(looks(100))))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [100, 100]
    assert len(server.connections) <= 2 * HANDFUL
    until(lambda: not server.open)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_leaves_the_connections_to_its_parent(connect, server):
    connect(host=server.url)
    with asyncio.Runner() as runner:
        runner.run(look())
        if not (child := os.fork()):
            # As a worker's process ends; nobody else's clean-up is its business.
            gc.collect()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        runner.run(look())
    assert len(server.connections) == 1


def test_nothing_shared_shows_the_key(connect, server):
    async def run():
        await look()
        return [repr(thing) for thing in gc.get_objects() if "_revor.hooks" in repr(type(thing))]

    connect(host=server.url, password=OLD)
    shown = asyncio.run(run())
    assert any("AsyncTransport" in one for one in shown)
    assert not any(OLD in one for one in shown)

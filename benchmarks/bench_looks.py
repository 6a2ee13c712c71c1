"""
What job triggers cost a triggerer: N of them in one event loop, against a server in another process.

``make bench-looks``. Each row is a process of its own. A job runs for the first look and has succeeded at the second
one, an interval later. The lag is how much later than asked a sleep of 20 ms ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from factories import job, resource
from faults.peer import make_certificates
from keepalive import Handler, KeepAlive

TICK = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triggers", type=int, nargs="+", default=[1_000, 5_000], help="how many wait")
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.2], help="seconds before each response")
    parser.add_argument("--interval", type=float, default=60, help="the poke_interval, in seconds")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; interval {arguments.interval:g} s\n")
    print(
        "| triggers | response after, ms | TLS handshakes | connection read | requests | first round, s "
        "| CPU ms per look | lag: median, ms | 99th percentile | largest | KiB per trigger |"
    )
    print("|" + " --- |" * 11, flush=True)
    for count in arguments.triggers:
        for latency in arguments.latency:
            print(row(count, latency, arguments.interval), flush=True)


def row(count: int, latency: float, interval: float) -> str:
    context = multiprocessing.get_context("spawn")
    server_end, for_server = context.Pipe()
    server = context.Process(target=serve, args=(for_server, latency))
    server.start()
    result_end, for_result = context.Pipe()
    triggerer = context.Process(target=measure, args=(for_result, server_end.recv(), count, interval))
    triggerer.start()
    result = result_end.recv()
    server_end.send("stop")
    handshakes, requests = server_end.recv()
    for process in (triggerer, server):
        process.join()
    cells = [
        count,
        f"{latency * 1e3:g}",
        handshakes,
        result["readings"],
        requests,
        f"{result['first_round']:.1f}",
        f"{result['cpu'] * 1e3 / requests:.1f}",
        *(f"{seconds * 1e3:.0f}" for seconds in result["lags"]),
        f"{result['kib'] / count:.0f}",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def serve(pipe: Connection, latency: float) -> None:
    seen = set()

    def answer(handler: Handler) -> None:
        time.sleep(latency)
        job_id = handler.path.rpartition("/")[2]
        status = "succeeded" if job_id in seen else "running"
        seen.add(job_id)
        handler.send(200, resource(job(id=job_id, status=status, finished_at=None, result=None)))

    with tempfile.TemporaryDirectory() as folder:
        ca, certificate = make_certificates(Path(folder))
        with KeepAlive(certificate) as server:
            server.answer = answer
            fields = {"conn_type": "revor", "password": "sk-revor-benchmark", "host": server.url}
            pipe.send({**fields, "extra": {"verify": str(ca)}})
            pipe.recv()
            pipe.send((len(server.connections), len(server.requests)))


def measure(pipe: Connection, connection: dict[str, object], count: int, interval: float) -> None:
    # Each trigger logs to the output, where nobody reads it; a triggerer has a file for each.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ["AIRFLOW_CONN_REVOR_DEFAULT"] = json.dumps(connection)
    from airflow_provider_revor.hooks.revor import RevorHook
    from airflow_provider_revor.triggers.outreach import OutreachJobTrigger

    process = psutil.Process()
    readings, looked = 0, []
    read, look = RevorHook.get_connection.__func__, RevorHook.aget_outreach_job

    def count_reading(cls: type[RevorHook], conn_id: str) -> object:
        nonlocal readings
        readings += 1
        return read(cls, conn_id)

    async def time_look(hook: RevorHook, job_id: str) -> object:
        found = await look(hook, job_id)
        looked.append(time.monotonic())
        return found

    RevorHook.get_connection, RevorHook.aget_outreach_job = classmethod(count_reading), time_look

    async def wait(number: int) -> None:
        async for event in OutreachJobTrigger(job_id=f"job_{number}", poke_interval=interval).run():
            if event.payload["status"] != "success":
                raise RuntimeError(str(event.payload))

    async def run() -> dict[str, object]:
        # What is imported and opened once is no trigger's.
        await RevorHook.for_polling().aget_outreach_job("job_warm")
        lags, memory = [], process.memory_full_info().uss

        async def tick() -> None:
            while True:
                due = time.monotonic() + TICK
                await asyncio.sleep(TICK)
                lags.append(time.monotonic() - due)

        ticking = asyncio.create_task(tick())
        began, cpu = time.monotonic(), sum(process.cpu_times()[:2])
        looked.clear()
        triggers = [asyncio.create_task(wait(number)) for number in range(count)]
        while len(looked) < count:
            await asyncio.sleep(1)
        used = process.memory_full_info().uss - memory
        await asyncio.gather(*triggers)
        ticking.cancel()
        return {
            "readings": readings,
            "first_round": looked[count - 1] - began,
            "cpu": sum(process.cpu_times()[:2]) - cpu,
            "lags": [statistics.median(lags), statistics.quantiles(lags, n=100)[-1], max(lags)],
            "kib": used / 1024,
        }

    pipe.send(asyncio.run(run()))


if __name__ == "__main__":
    main()

"""
What waiting costs: gates of ours beside ``HttpSensor(mode="reschedule")``, in a real Airflow on this machine.

``make bench``. Each row is an Airflow of its own (api-server, scheduler with LocalExecutor, dag-processor, triggerer,
SQLite) against the sandbox: idle for a while as the baseline, then N gates, ten to a Dag run, none of which can open,
watched for some intervals once all of them wait, then one account becomes sendable and all of them end, with their
XComs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from measuring import COMPONENTS, DEFAULTS, AirflowCluster, machine, settled, triggerer_memory, watch

from airflow_provider_revor.sandbox import Sandbox

INTERVAL = 30
GATES_PER_RUN = 10
BASELINE = 30

HEADER = """
from airflow.sdk import DAG
with DAG("bench", schedule=None, max_active_runs=1000):
    for n in range({gates}):
"""
OURS = """
        from airflow_provider_revor.sensors.connect import SendableAccountSensor
        SendableAccountSensor(task_id=f"gate_{{n}}", channel="email", poke_interval={interval}, {options})
"""
PEER = """
        from airflow.providers.http.sensors.http import HttpSensor
        HttpSensor(
            task_id=f"gate_{{n}}",
            http_conn_id="revor_http",
            endpoint="/api/v1/connect/accounts",
            request_params={{"channel": "email"}},
            response_check=lambda r: any(a["status"] == "ok" and a["can_send"] for a in r.json()["items"]),
            poke_interval={interval},
            mode="reschedule",
        )
"""
# What waits, and the state of the tasks that do.
KINDS = {
    "ours, deferred": (OURS, "deferrable=True", "deferred"),
    "ours, deferred, ending on a worker": (OURS, "deferrable=True, end_on_worker=True", "deferred"),
    "ours, start and end in the triggerer": (OURS, "start_from_trigger=True", "deferred"),
    "ours, start in the triggerer, end on a worker": (OURS, "start_from_trigger=True, end_on_worker=True", "deferred"),
    "HttpSensor, reschedule": (PEER, "", "up_for_reschedule"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gates", type=int, nargs="+", default=[10, 100, 1000], help="how many wait; tens")
    parser.add_argument("--most-http", type=int, default=100, help="the most that HttpSensor is asked to bear")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), help="what waits")
    parser.add_argument("--intervals", type=int, default=3, help="for how many intervals they are watched")
    arguments = parser.parse_args()

    print(f"{machine()}; interval {INTERVAL} s\n")
    print(
        "| gates | N | requests per interval | CPU s/min above idle: "
        + " | ".join(COMPONENTS)
        + " | CPU s/min per gate | triggerer KiB per gate | workers per gate, while it waits | in all "
        "| flip to last success, s | first to last, s |"
    )
    print("|" + " --- |" * (9 + len(COMPONENTS)), flush=True)
    for count in arguments.gates:
        for kind in arguments.kinds:
            if not kind.startswith("HttpSensor") or count <= arguments.most_http:
                print(measure(kind, count, arguments.intervals), flush=True)


def measure(kind: str, count: int, intervals: int) -> str:
    source, options, waiting = KINDS[kind]
    dag = (HEADER + source).format(gates=GATES_PER_RUN, interval=INTERVAL, options=options)
    with (
        Sandbox() as sandbox,
        tempfile.TemporaryDirectory(prefix="revor-bench-") as home,
        AirflowCluster(Path(home), {"bench.py": dag}, DEFAULTS) as cluster,
    ):
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        cluster.api(
            "POST",
            "/connections",
            connection_id="revor_http",
            conn_type="http",
            host=sandbox.url,
            extra=f'{{"x-api-key": "{sandbox.api_key}"}}',
        )
        cluster.wait_until(lambda: cluster.sql("SELECT 1 FROM serialized_dag"), "the Dag to be parsed")
        time.sleep(15)  # What starting costs is not the baseline's.
        idle, _ = watch(cluster, BASELINE)
        memory = triggerer_memory(cluster)

        # All at once: on SQLite, the API server does not get through to the database while workers begin.
        cluster.api("PATCH", "/dags/bench", is_paused=True)
        for _ in range(count // GATES_PER_RUN):
            cluster.trigger("bench")
        cluster.api("PATCH", "/dags/bench", is_paused=False)
        cluster.wait_until(lambda: runs_begun(cluster, count), "every gate to wait", timeout=1800)
        if waiting == "deferred":
            cluster.wait_until(lambda: cluster.states("bench") == {waiting: count}, "all to be deferred", timeout=1800)
            cluster.wait_until(lambda: len(cluster.started_triggers("bench")) == count, "the triggers", timeout=600)
        time.sleep(15)
        memory = triggerer_memory(cluster) - memory
        sandbox.reset_requests()
        finished = cluster.finished_runs("bench")
        busy, minutes = watch(cluster, INTERVAL * intervals)
        requests = sandbox.request_count / (minutes * 60 / INTERVAL)
        launched = cluster.finished_runs("bench") - finished

        sandbox.reconnect("acc_email_anna")
        flipped = time.monotonic()
        cluster.wait_until(
            lambda: cluster.states("bench")["success"] + cluster.states("bench")["failed"] == count,
            "the end",
            timeout=1800,
        )
        drained = time.monotonic() - flipped
        # What came before the first is mostly the wait for the next poll.
        (ends,) = cluster.sql(
            "SELECT (julianday(max(end_date)) - julianday(min(end_date))) * 86400 AS s FROM task_instance"
        )
        xcoms = len(cluster.sql("SELECT 1 FROM xcom WHERE dag_id = 'bench' AND key IN ('account_id', 'return_value')"))
        if kind.startswith("ours") and xcoms != 2 * count:
            kind += f" ({xcoms} XComs)"
        if failed := cluster.states("bench")["failed"]:
            kind += f" ({failed} failed)"
        above = [max(busy[name] - idle[name], 0) for name in COMPONENTS]
        cells = [
            kind,
            str(count),
            f"{requests:.1f}",
            *(f"{value:.2f}" for value in above),
            f"{sum(above) / count:.4f}",
            f"{memory / count:.0f}",
            f"{launched / count:.2f}",
            # The scheduler learns of the last ones a moment after their end.
            f"{settled(lambda: cluster.finished_runs('bench')) / count:.2f}",
            f"{drained:.0f}",
            f"{ends['s']:.0f}",
        ]
        return "| " + " | ".join(cells) + " |"


def runs_begun(cluster: AirflowCluster, count: int) -> bool:
    """Whether every gate has begun to wait, be it on a worker or in the triggerer."""
    states = cluster.states("bench")
    return states["deferred"] == count or cluster.finished_runs("bench") >= count


if __name__ == "__main__":
    main()

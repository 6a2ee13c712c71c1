"""
How many gates one triggerer bears, on PostgreSQL: gates that start from the trigger, more and more of them.

``make bench-cluster``. One Airflow (api-server, a scheduler, dag-processor, one triggerer, PostgreSQL; no worker is
needed) against the sandbox. At each level gates are added, ten to a Dag run, none of which can open. Once all of them
wait they are watched for some intervals. At the end one account becomes sendable, and all of them end. The event loop's
lag is that of a task in the same triggerer that sleeps for 50 ms again and again. ``make bench-plots`` draws the table
once it is in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench_gates import GATES_PER_RUN, HEADER, INTERVAL, OURS
from cluster.celery_cluster import CeleryCluster
from cluster.services import temporary_folder
from measuring import COMPONENTS, DEFAULTS, cpu, machine, triggerer_memory

from airflow_provider_revor.sandbox import Sandbox

INTERVALS = 2
# Airflow's defaults, but for the first three: a triggerer has a capacity of 1,000 and takes 50 at a time, a scheduler
# looks at 20 Dag runs at a time.
CONFIG = {
    "AIRFLOW__TRIGGERER__CAPACITY": "20000",
    "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "500",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "100",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
}
PROBE = """
from airflow.sdk import DAG
from lag_probe import LagProbeOperator
with DAG("probe", schedule=None):
    LagProbeOperator(task_id="probe", path={path!r})
"""


@dataclass(frozen=True)
class Level:
    """What so many gates cost. CPU is in seconds per minute, with what an idle Airflow takes."""

    gates: int
    requests_per_interval: float
    api_server: float
    scheduler: float
    dag_processor: float
    triggerer: float
    postgres: float
    cpu_per_gate: float
    triggerer_mib: float
    median_lag_ms: float
    p99_lag_ms: float
    most_lag_ms: float
    seconds_until_all_waited: float


class OneTriggerer(CeleryCluster):
    """One scheduler and one triggerer; no worker."""

    def _start_the_others(self) -> None:
        """Nothing more is needed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gates", type=int, nargs="+", default=[100, 1000, 2500, 5000, 10000], help="rising; tens")
    parser.add_argument("--budget", type=float, default=1800, help="add no more gates after so many seconds")
    arguments = parser.parse_args()

    print(f"{machine()}; interval {INTERVAL} s, watched for {INTERVALS} intervals\n")
    names = [name.replace("_", " ") for name in Level.__dataclass_fields__]
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}", flush=True)
    with temporary_folder() as folder:
        home, lags = folder / "airflow", folder / "lags"
        home.mkdir()
        gates = (HEADER + OURS).format(gates=GATES_PER_RUN, interval=INTERVAL, options="start_from_trigger=True")
        files = {"bench.py": gates.replace("=1000)", "=100000)"), "probe.py": PROBE.format(path=str(lags))}
        config = {**DEFAULTS, **CONFIG, "PYTHONPATH": str(Path(__file__).parent)}
        with Sandbox() as sandbox, OneTriggerer(home, files, config) as cluster:
            cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
            cluster.trigger("probe")
            levels: list[Level] = []
            end = time.monotonic() + arguments.budget
            for count in arguments.gates:
                if time.monotonic() > end:
                    print(f"\nThe time is over before {count:,} gates.")
                    break
                levels.append(measure(cluster, sandbox, lags, count))
                print(f"| {' | '.join(shown(value) for value in asdict(levels[-1]).values())} |", flush=True)
            print(f"\nThe last {levels[-1].gates:,} gates open: {drain(cluster, sandbox, levels[-1].gates)}")


def measure(cluster: CeleryCluster, sandbox: Sandbox, lags: Path, count: int) -> Level:
    """Add gates until so many wait, and watch them."""
    began = time.monotonic()
    for _ in range((count - cluster.states("bench").total()) // GATES_PER_RUN):
        cluster.trigger("bench")
    logs = cluster.home / "logs"
    cluster.wait_until(lambda: cluster.states("bench") == {"deferred": count}, "all to be deferred", timeout=1800)
    cluster.wait_until(
        lambda: sum(1 for _ in logs.glob("dag_id=bench/*/*/*.trigger.*.log")) >= count, "the triggers", timeout=1800
    )
    waited = time.monotonic() - began
    time.sleep(15)
    sandbox.reset_requests()
    before, postgres, since, began = cpu(cluster), postgres_cpu(cluster), time.time(), time.monotonic()
    time.sleep(INTERVAL * INTERVALS)
    minutes = (time.monotonic() - began) / 60
    requests = sandbox.request_count
    spent = {name: (after - before[name]) / minutes for name, after in cpu(cluster).items()}
    spent["postgres"] = (postgres_cpu(cluster) - postgres) / minutes
    late = [float(lag) * 1000 for when, lag in map(str.split, lags.read_text().splitlines()) if float(when) > since]
    return Level(
        count,
        requests / (minutes * 60 / INTERVAL),
        *(spent[name] for name in (*COMPONENTS, "postgres")),
        cpu_per_gate=sum(spent.values()) / count,
        triggerer_mib=triggerer_memory(cluster) / 1024,
        median_lag_ms=statistics.median(late),
        p99_lag_ms=statistics.quantiles(late, n=100)[-1],
        most_lag_ms=max(late),
        seconds_until_all_waited=waited,
    )


def postgres_cpu(cluster: CeleryCluster) -> float:
    total = 0.0
    for process in cluster.postgres.processes():
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def drain(cluster: CeleryCluster, sandbox: Sandbox, count: int) -> str:
    """Open all gates; return how long that took."""
    flipped = time.monotonic()
    sandbox.reconnect("acc_email_anna")
    cluster.wait_until(lambda: cluster.states("bench") == {"success": count}, "the end", timeout=1800)
    seconds = time.monotonic() - flipped
    (ends,) = cluster.sql(
        "SELECT extract(epoch FROM max(end_date) - min(end_date)) AS s FROM task_instance WHERE dag_id = 'bench'"
    )
    return f"{seconds:.0f} s from the flip to the last success, {ends['s']:.0f} s from the first to the last."


def shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if value < 0.1 else f"{value:.1f}"


if __name__ == "__main__":
    main()

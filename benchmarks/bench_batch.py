"""
What sending costs: one batch beside as many mapped dispatches, in a real Airflow on this machine.

``make bench-batch``. An Airflow (api-server, scheduler with LocalExecutor, dag-processor, triggerer, SQLite) against a
sandbox whose jobs run for half a minute: idle for a while as the baseline, then one run of each Dag, whose first task
makes the list of people, until it has ended. CPU is that of all components, above idle.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from measuring import DEFAULTS, AirflowCluster, cpu, machine, settled, watch

from airflow_provider_revor.sandbox import Sandbox

BASELINE = 30
# Seconds that Revor takes to send a message; below the first look at a job.
JOB_RUNS = 30
AIMS = {"workers": 1 / 300, "CPU": 1 / 30}
MOST_REQUESTS = 2.2

DAGS = """
from airflow.sdk import DAG, task

from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator

COMMON = dict(account_id="acc_1", channel="email", content={{"subject": "Hello", "text": "Hello"}})
PEOPLE = [{{"address": f"lead{{number}}@example.com"}} for number in range({count})]

with DAG("batch", schedule=None):

    @task(show_return_value_in_logs=False)
    def messages():
        return [{{**COMMON, "recipient": person}} for person in PEOPLE]

    OutreachBatchOperator(task_id="send", messages=messages(), max_requests_per_minute={pace})

with DAG("mapped", schedule=None):

    @task(show_return_value_in_logs=False)
    def people():
        return PEOPLE

    OutreachDispatchOperator.partial(task_id="send", **COMMON, deferrable=True).expand(recipient=people())
"""
KINDS = {"batch": "one batch", "mapped": "mapped dispatches"}


@dataclass(frozen=True)
class Cost:
    """
    What it took to send all messages.

    :param sent: How many messages; all of them, if it went well.
    :param cpu: Seconds, above idle.
    """

    sent: int
    failed: int
    workers: int
    cpu: Counter[str]
    rows: Counter[str]
    most_triggers: int
    requests: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1000, help="how many; at most 1024, Airflow's max_map_length")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), help="what sends")
    parser.add_argument("--pace", type=float, default=1200, help="the batch's max_requests_per_minute")
    arguments = parser.parse_args()
    count = arguments.messages

    print(f"{machine()}; {count:,} messages, jobs of {JOB_RUNS} s, max_requests_per_minute={arguments.pace:g}\n")
    titles = ["", "workers", "CPU s per message", "CPU s", "database rows", "most triggers at a time"]
    titles += ["requests per message", "wall time, s"]
    print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}", flush=True)
    dags = {"bench.py": DAGS.format(count=count, pace=arguments.pace)}
    costs = {}
    with (
        Sandbox(accounts=[{"account_id": "acc_1", "channel": "email"}]) as sandbox,
        tempfile.TemporaryDirectory(prefix="revor-bench-") as home,
        AirflowCluster(Path(home), dags, DEFAULTS) as cluster,
    ):
        sandbox.script_jobs(after=JOB_RUNS, times=None)
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        cluster.wait_until(lambda: len(cluster.sql("SELECT 1 FROM serialized_dag")) == len(KINDS), "the Dags")
        time.sleep(15)  # What starting costs is not the baseline's.
        idle, _ = watch(cluster, BASELINE)
        for dag_id in arguments.kinds:
            costs[dag_id] = measure(cluster, sandbox, dag_id, idle)
            print(row(dag_id, costs[dag_id], count), flush=True)
    print()
    for dag_id, cost in costs.items():
        print(f"{KINDS[dag_id]}: CPU s {shown(cost.cpu)}; rows {shown(cost.rows)}\n")
    if len(costs) < len(KINDS):
        return
    batch, mapped = costs["batch"], costs["mapped"]
    shares = {"workers": batch.workers / mapped.workers, "CPU": batch.cpu.total() / mapped.cpu.total()}
    for name, share in shares.items():
        print(f"{name}: 1/{1 / share:.0f}, the aim is 1/{1 / AIMS[name]:.0f}: {verdict(share <= AIMS[name])}")
    requests = batch.requests / count
    print(f"requests: {requests:.2f}, the aim is {MOST_REQUESTS}: {verdict(requests <= MOST_REQUESTS)}")


def measure(cluster: AirflowCluster, sandbox: Sandbox, dag_id: str, idle: dict[str, float]) -> Cost:
    sent, requests = len(sandbox.outbox), sandbox.request_count
    rows, spent, began, most_triggers = table_sizes(cluster), cpu(cluster), time.monotonic(), 0
    cluster.trigger(dag_id)

    def ended() -> bool:
        nonlocal most_triggers
        (triggers,) = cluster.sql("SELECT count(*) AS number FROM trigger")
        most_triggers = max(most_triggers, triggers["number"])
        run = "SELECT 1 FROM dag_run WHERE dag_id = ? AND state IN ('success', 'failed')"
        return bool(cluster.sql(run, dag_id))

    cluster.wait_until(ended, "the run to end", timeout=7200)
    seconds = time.monotonic() - began
    # The scheduler learns of the last workers a moment after their end.
    workers = settled(lambda: cluster.finished_runs(dag_id))
    busy, minutes = cpu(cluster), (time.monotonic() - began) / 60
    return Cost(
        sent=len(sandbox.outbox) - sent,
        failed=cluster.states(dag_id)["failed"],
        workers=workers,
        cpu=Counter({name: max(busy[name] - spent[name] - idle[name] * minutes, 0) for name in busy}),
        rows=table_sizes(cluster) - rows,
        most_triggers=most_triggers,
        requests=sandbox.request_count - requests,
        seconds=seconds,
    )


def row(dag_id: str, cost: Cost, count: int) -> str:
    trouble = f" ({cost.sent} sent, {cost.failed} tasks failed)" if cost.failed or cost.sent != count else ""
    cells = [
        KINDS[dag_id] + trouble,
        f"{cost.workers:,}",
        f"{cost.cpu.total() / count:.4f}",
        f"{cost.cpu.total():.0f}",
        f"{cost.rows.total():,}",
        f"{cost.most_triggers:,}",
        f"{cost.requests / count:.2f}",
        f"{cost.seconds:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def table_sizes(cluster: AirflowCluster) -> Counter[str]:
    """Return how many rows each table of the metadata database has."""
    tables = [row["name"] for row in cluster.sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
    counts = Counter[str]()
    for table in tables:
        (rows,) = cluster.sql(f'SELECT count(*) AS number FROM "{table}"')  # noqa: S608
        counts[table] = rows["number"]
    return counts


def shown(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,.0f}" for name, number in counts.most_common() if number >= 0.5)


def verdict(met: bool) -> str:
    return "met" if met else "missed"


if __name__ == "__main__":
    main()

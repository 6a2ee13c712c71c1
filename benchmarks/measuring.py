"""What the benchmarks of a real Airflow share: its options, and what it spends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.extend(str(Path(__file__).parent.parent / folder) for folder in ("tests", "scripts"))

from system.airflow_cluster import AirflowCluster

# Airflow's own defaults, where the cluster of the system tests is quicker or slower on purpose; but no more workers
# than two cores bear while a thousand gates are deferred.
DEFAULTS = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
    "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "50",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
}
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}"


def settled(count: Callable[[], int]) -> int:
    """Return a count once it has not changed for a while: a worker may report some seconds late that it is done."""
    before = -1
    while (now := count()) != before:
        before = now
        time.sleep(15)
    return now


def watch(cluster: AirflowCluster, seconds: float) -> tuple[dict[str, float], float]:
    """Return the CPU seconds per minute of each component, and for how many minutes it was watched."""
    before, began = cpu(cluster), time.monotonic()
    time.sleep(seconds)
    minutes = (time.monotonic() - began) / 60
    return {name: (after - before[name]) / minutes for name, after in cpu(cluster).items()}, minutes


def cpu(cluster: AirflowCluster) -> dict[str, float]:
    """Return the CPU seconds that each component has spent so far."""
    totals = dict.fromkeys(COMPONENTS, 0.0)
    for component in cluster.components:
        for process in component.processes():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            # With what its children that have ended spent: each task of a LocalExecutor is one.
            totals[component.name] += times.user + times.system + times.children_user + times.children_system
    return totals


def triggerer_memory(cluster: AirflowCluster) -> float:
    """Return the KiB that belong to the triggerer alone."""
    (triggerer,) = cluster.triggerers
    return sum(process.memory_full_info().uss for process in triggerer.processes()) / 1024

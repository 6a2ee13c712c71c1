"""
What importing the provider adds to a Dag file's parse, beside the HTTP provider's sensor.

``make bench-import``. Each import runs in a fresh process after ``import airflow.sdk``; the figures are medians.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 15
PEER = "airflow.providers.http.sensors.http"
OURS = ("airflow_provider_revor.sensors.connect", "airflow_provider_revor.operators.connect")

CODE = """
import sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
before, began = set(sys.modules), time.perf_counter()
import {module}
print(time.perf_counter() - began, len(set(sys.modules) - before))
"""


def main() -> None:
    """Print a row for each module."""
    measured: dict[str, list[tuple[float, int]]] = {module: [] for module in (PEER, *OURS)}
    for _ in range(ROUNDS):
        # In turns, so that whatever else the machine does falls on all of them alike.
        for module, rounds in measured.items():
            run = subprocess.run(
                [sys.executable, "-c", CODE.format(module=module)], capture_output=True, text=True, check=True
            )
            seconds, modules = run.stdout.split()[-2:]
            rounds.append((float(seconds), int(modules)))
    peer = statistics.median(seconds for seconds, _ in measured[PEER])
    print("| module | ms | modules | of the peer's time |\n| --- | --- | --- | --- |")
    for module, rounds in measured.items():
        seconds = statistics.median(seconds for seconds, _ in rounds)
        print(f"| `{module}` | {seconds * 1000:.1f} | {rounds[0][1]} | 1/{peer / seconds:.0f} |")


if __name__ == "__main__":
    main()

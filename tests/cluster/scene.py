"""What runs while something breaks: gates that wait, mapped dispatches, and a batch that is being sent."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Self

from cluster.celery_cluster import CeleryCluster

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.sandbox.world.requests import RequestRecord

GATES = 20
LEADS = 8
PEOPLE = 300
INTERVAL = 5
#: The batch waits for the response to this message while something breaks.
HELD = 100

_DAGS = f"""
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor

MESSAGE = dict(account_id="acc_mail", channel="email", content={{"subject": "Hello", "text": "Hello"}})


def people(dag_id, count):
    return [{{"address": f"{{dag_id}}-{{number:03}}@example.com"}} for number in range(count)]


for name, (deferrable, retries, delay) in SCENES.items():
    again = dict(retries=retries, retry_delay=timedelta(seconds=delay))
    with DAG(f"{{name}}_gates", schedule=None):
        for number in range({GATES}):
            SendableAccountSensor(
                task_id=f"gate_{{number:02}}", channel="linkedin", deferrable=True, poke_interval={INTERVAL}
            )
    with DAG(f"{{name}}_mails", schedule=None) as dag:
        OutreachDispatchOperator.partial(
            task_id="mail", **MESSAGE, deferrable=deferrable, poke_interval=2, **again
        ).expand(recipient=people(dag.dag_id, {LEADS}))
    with DAG(f"{{name}}_batch", schedule=None) as dag:
        OutreachBatchOperator(
            task_id="send",
            messages=[{{**MESSAGE, "recipient": recipient}} for recipient in people(dag.dag_id, {PEOPLE})],
            poke_interval=2,
            max_requests_per_minute=1200,
            **again,
        )
"""


def dags(scenes: dict[str, tuple[bool, int, float]]) -> str:
    """
    Return the source of a Dag file with three Dags for each scene.

    :param scenes: for each name whether its dispatches are deferrable, their retries, and the seconds between these.
    """
    return f"SCENES = {scenes!r}\n{_DAGS}"


class Scene:
    """
    A sandbox, and the Dags of one scene against it, for a ``with`` block.

    Only the gates' account cannot send. The jobs of the dispatches run until :meth:`succeeds` ends them, those of the
    batch for a second.

    :param cluster: the Airflow.
    :param name: of the scene.
    """

    def __init__(self, cluster: CeleryCluster, name: str) -> None:
        self.cluster = cluster
        self.gates, self.mails, self.batch = f"{name}_gates", f"{name}_mails", f"{name}_batch"
        self.sandbox = Sandbox(
            accounts=[
                {"account_id": "acc_mail", "channel": "email"},
                {"account_id": "acc_gate", "channel": "linkedin", "status": "credentials", "can_send": False},
            ],
            on_request=self._on_request,
        )
        self.sandbox.script_jobs(after=1, times=None)
        for address in addresses(self.mails, LEADS):
            self.sandbox.script_jobs(after=None, recipient=address)
        self._hold = 0.0

    def __enter__(self) -> Self:
        self.sandbox.start()
        extra = json.dumps({"timeout": 120})
        self.cluster.api("POST", "/connections", connection_id="revor_default", **self.sandbox.connection, extra=extra)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cluster.api("DELETE", "/connections/revor_default")
        self.sandbox.stop()

    def _on_request(self, record: RequestRecord) -> None:
        if self._hold and record.method == "POST" and len(self.sandbox.jobs) == HELD:
            self.sandbox.slow(self._hold, after_acting=True, method="POST")
            self._hold = 0.0

    # What begins

    def wait_with_gates(self) -> None:
        """Let the gates wait; returns when all do so in triggerers."""
        self.cluster.trigger(self.gates)
        self.cluster.wait_for_states(self.gates, {"deferred": GATES})
        self._wait_in_triggerers(self.gates)

    def send_the_batch(self, hold: float) -> None:
        """
        Send the batch; returns in the middle, when Revor has accepted a message whose response is still to come.

        :param hold: the seconds until that response comes.
        """
        self._hold = hold
        self.cluster.trigger(self.batch)
        self.cluster.wait_until(lambda: len(self.sandbox.jobs) > HELD, "the batch to be sent in part")

    def wait_with_mails(self) -> None:
        """Send the mapped dispatches; returns when all wait in triggerers for their jobs."""
        self.cluster.trigger(self.mails)
        self.cluster.wait_for_states(self.mails, {"deferred": LEADS})
        self._wait_in_triggerers(self.mails)

    def _wait_in_triggerers(self, dag_id: str) -> None:
        waiting = {trigger["id"] for trigger in self.cluster.triggers(dag_id)}
        self.cluster.wait_until(lambda: waiting <= self.cluster.started_triggers(dag_id), "the triggers to run")

    # How it ends

    def succeeds(self, dag_id: str) -> None:
        """End each job of the dispatches, and wait until every task of a Dag has succeeded."""
        end = {"success": {self.gates: GATES, self.mails: LEADS, self.batch: 1}[dag_id]}
        try:
            self.cluster.wait_until(lambda: self._finish_jobs() or self.cluster.states(dag_id) == end, f"{dag_id}")
        except TimeoutError as e:
            raise TimeoutError(f"{e}: {dict(self.cluster.states(dag_id))}") from None

    def _finish_jobs(self) -> None:
        mails = {entry.job_id for entry in self.sandbox.outbox if entry.recipient["address"].startswith(self.mails)}
        for job in self.sandbox.jobs:
            if job["id"] in mails and job["status"] == "running":
                self.sandbox.finish_job(job["id"])

    def tries(self, dag_id: str) -> list[int]:
        """Return how many tries each task has taken, by map index."""
        rows = self.cluster.sql(
            "SELECT try_number FROM task_instance WHERE dag_id = ? ORDER BY map_index, task_id", dag_id
        )
        return [row["try_number"] for row in rows]

    def assert_one_message_each(self) -> None:
        """Revor got one message for each person, and Airflow has the job of each."""
        people = addresses(self.batch, PEOPLE) + addresses(self.mails, LEADS)
        jobs = {entry.recipient["address"]: entry.job_id for entry in self.sandbox.outbox}
        assert sorted(jobs) == sorted(people)
        assert len(self.sandbox.jobs) == len(self.sandbox.outbox) == len(people)

        (summary,) = self._xcoms(self.batch, "return_value")
        assert (summary["total"], summary["sent"]) == (PEOPLE, PEOPLE)
        (rows,) = self._xcoms(self.batch, "jobs")
        assert [row["job_id"] for row in rows] == [jobs[address] for address in addresses(self.batch, PEOPLE)]
        assert self._xcoms(self.mails, "job_id") == [jobs[address] for address in addresses(self.mails, LEADS)]

    def _xcoms(self, dag_id: str, key: str) -> list:
        rows = self.cluster.sql("SELECT value FROM xcom WHERE dag_id = ? AND key = ? ORDER BY map_index", dag_id, key)
        return [row["value"] for row in rows]


def addresses(dag_id: str, count: int) -> list[str]:
    """Return whom a Dag sends to."""
    return [f"{dag_id}-{number:03}@example.com" for number in range(count)]

"""
``make demo``: a real Airflow waits until an account can send, then writes to some leads, once each.

Without REVOR_API_KEY it uses the sandbox, a local Revor, and nobody is messaged. With it, another Dag runs, which only
reads from the real service.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from local_airflow import AIRFLOW, ROOT, AirflowNotRunningError, airflow_environment, migrate

from airflow_provider_revor.sandbox import Sandbox

PIPELINE = "example_outreach_pipeline"
ONLY_READS = "example_account_gate"

# A person takes a moment to reconnect an account; the gate looks again every 30 seconds.
SECONDS_TO_RECONNECT = 5
# Seconds after which the demo gives up waiting for an account of the real service.
LONGEST_RUN = 300

# The Dag's log lines, in the order in which they are expected.
LISTED = re.compile(r"(\w+): (\d+) Connect accounts, (\d+) can send")
WAITING = re.compile(r"Waiting\. (.+?) \[airflow\.task")
BLOCKED = re.compile(r"(\S+: .+ \(status \w+, lifecycle \w+\)\.) \[airflow\.task")
OPENED = re.compile(r"Account (\S+) can send on (\w+)\.")
USED = re.compile(r"Account (\S+) can send: this is where the outreach begins\.")
SENT = re.compile(r"Outreach job (\S+) has succeeded\.")
SUMMARY = re.compile(r"Sent: (\d+)\. Failed: 0\.")


def main() -> int:
    key = os.environ.get("REVOR_API_KEY")
    with nullcontext() if key else Sandbox() as sandbox, tempfile.TemporaryDirectory(prefix="revor-demo-") as home:
        if sandbox:
            connection = sandbox.connection
            say("No REVOR_API_KEY is set: a local Revor, the sandbox, stands in. Nobody is messaged either way.")
        else:
            host = os.environ.get("REVOR_BASE_URL", "https://revor.ai")
            connection = {"conn_type": "revor", "host": host, "password": key or ""}
            say(f"REVOR_API_KEY is set: reading the real service at {host}. This Dag only ever reads.")
        environment = {
            **airflow_environment(Path(home), ROOT / "example_dags"),
            "AIRFLOW_CONN_REVOR_DEFAULT": json.dumps(connection),
        }
        say("Setting up a throw-away Airflow …")
        try:
            migrate(environment)
        except AirflowNotRunningError as error:
            return fail(str(error), [])
        dag_id = PIPELINE if sandbox else ONLY_READS
        say(f"Running example_dags/{dag_id}.py in it: airflow dags test {dag_id}")
        with running([*AIRFLOW, "dags", "test", dag_id], environment) as dag_run:
            story = Story(sandbox)
            log = list(follow(dag_run, story))
        return story.end(dag_run.returncode, log)


class Story:
    """What happened so far, printed as it happens."""

    def __init__(self, sandbox: Sandbox | None) -> None:
        self.sandbox = sandbox
        self.waited = self.opened = self.used = self.summary = ""
        self.sent: list[str] = []

    def hear(self, line: str) -> None:
        if listed := LISTED.search(line):
            say(f"  accounts  {listed[1]}: {listed[2]} connected, {listed[3]} can send")
        elif (waiting := WAITING.search(line)) and not self.waited:
            self.waited = waiting[1]
            say(f"  gate      waits. {waiting[1]}")
            if self.sandbox:
                threading.Timer(SECONDS_TO_RECONNECT, self.reconnect).start()
        elif (blocked := BLOCKED.search(line)) and not self.opened:
            say(f"            {blocked[1]}")
        elif opened := OPENED.search(line):
            self.opened = opened[1]
            say(f"  gate      goes on: {opened[1]} can send on {opened[2]}")
        elif used := USED.search(line):
            self.used = used[1]
            say(f"  use       was handed the account_id {used[1]}")
        elif sent := SENT.search(line):
            self.sent.append(sent[1])
            say(f"  send      {sent[1]} has succeeded")
        elif summary := SUMMARY.search(line):
            self.summary = summary[1]
            say(f"  verdict   {summary[1]} sent, 0 failed")

    def reconnect(self) -> None:
        if self.sandbox:
            self.sandbox.reconnect("acc_email_anna")
            say("  (a person) reconnects acc_email_anna; the gate looks again within 33 seconds")

    def show_outbox(self, sandbox: Sandbox) -> bool:
        say("What the sandbox would have sent:")
        for entry in sandbox.outbox:
            say(f"  {entry.account_id} to {entry.recipient['address']}: {entry.content['text']}")
        jobs = [entry.job_id for entry in sandbox.outbox]
        return bool(self.waited and jobs and self.summary == str(len(jobs)) and sorted(self.sent) == sorted(jobs))

    def end(self, returncode: int, log: list[str]) -> int:
        complete = self.show_outbox(self.sandbox) if self.sandbox else self.used and self.used == self.opened
        if returncode == 0 and complete:
            say("The Dag succeeded: it waited, and went on by itself." if self.waited else "The Dag succeeded.")
            return 0
        if self.waited and not self.opened:
            return fail(f"no account could send within {LONGEST_RUN} s; the Dag itself would have waited longer", [])
        return fail(f"the run did not go as expected (airflow ended with {returncode})", log)


def follow(process: subprocess.Popen[str], story: Story) -> Iterator[str]:
    for line in process.stdout or ():
        story.hear(line)
        yield line.rstrip()
    process.wait()


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    watch = threading.Timer(LONGEST_RUN, process.kill)
    watch.start()
    try:
        yield process
    finally:
        watch.cancel()
        process.kill()
        process.wait()


def fail(why: str, log: list[str]) -> int:
    print(*log[-40:], sep="\n", file=sys.stderr)
    print(f"make demo: {why}", file=sys.stderr)
    return 1


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""
``make ui``: a real Airflow and the sandbox, to click through, until ctrl-C.

Nothing leaves this machine: the sandbox, a local Revor, stands in for the service, whatever REVOR_API_KEY says.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from local_airflow import ROOT, AirflowNotRunningError, LocalAirflow

from airflow_provider_revor.sandbox import Sandbox

# Ctrl-C, `kill`, and a terminal that is closed.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

READY = """
Airflow:  {airflow}  (no login)
Sandbox:  {sandbox}  (a local Revor: nobody is messaged)

Three things to try:
1. Trigger a Dag and watch its gate wait: {airflow}/dags/example_outreach_pipeline
2. Open the sandbox and press "Reconnect" beside acc_email_anna: within 30 seconds the gate opens in the other
   tab, and the messages arrive in the outbox.
3. Press "Block" beside the same account: within a minute, a watcher starts example_on_account_blocked.
   {page}

Ctrl-C stops everything and deletes it."""


def main() -> int:
    for each in ENDS:
        signal.signal(each, _interrupt)
    try:
        with ExitStack() as stack:
            home = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="revor-ui-", ignore_cleanup_errors=True))
            )
            sandbox = stack.enter_context(Sandbox())
            _say("Starting a throw-away Airflow; it takes about half a minute …")
            airflow = stack.enter_context(
                LocalAirflow(
                    home,
                    ROOT / "example_dags",
                    {"revor_default": sandbox.connection},
                    {"AIRFLOW__REVOR__ACCOUNTS_PAGE": "True"},
                )
            )
            _say(
                READY.format(
                    airflow=airflow.url,
                    sandbox=sandbox.url,
                    page="Browse > Revor shows which accounts can send, and which gates wait for them.",
                )
            )
            while True:
                airflow.check()
                time.sleep(1)
    except KeyboardInterrupt:
        _say("Stopped.")
        return 0
    except AirflowNotRunningError as error:
        print(f"make ui: {error}", file=sys.stderr)
        return 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Once: a second one, while everything is being stopped, would leave processes behind.
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m airflow_provider_revor.sandbox``: a local Revor in a shell."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.sandbox import INSTALL_HINT

if TYPE_CHECKING:
    from airflow_provider_revor.sandbox.server import Sandbox
    from airflow_provider_revor.sandbox.world.requests import RequestRecord

_A_DAY = 86_400.0


def main(argv: Sequence[str] | None = None) -> int:
    """
    Serve until Ctrl-C or SIGTERM.

    :param argv: the arguments; None: those of the command line.
    :return: the exit code: 0 after a clean end, 1 if it can't run here, 2 if it was called wrongly.
    """
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return _run(_parse(argv))
    except KeyboardInterrupt:
        return 0


def _run(options: argparse.Namespace) -> int:
    try:
        from airflow_provider_revor.sandbox.server import Sandbox
    except ModuleNotFoundError as error:
        return _give_up(f"{INSTALL_HINT} ({error})", 1)

    try:
        accounts = options.accounts and _read_accounts(options.accounts)
        sandbox = Sandbox(
            options.port, accounts=accounts, on_request=_show_request, keep_intervals=options.keep_intervals
        )
    except (OSError, ValueError) as error:
        return _give_up(f"no accounts in {options.accounts}: {_in_one_line(error)}", 2)

    with ExitStack() as stack:
        try:
            stack.enter_context(sandbox)
        except OSError as error:
            return _give_up(
                f"can't listen on port {options.port} ({error.strerror}); take another with --port, 0 for a free one",
                1,
            )
        _say(f"Revor sandbox on {sandbox.url} (Ctrl-C ends it)")
        _say(f"API key: {sandbox.api_key}")
        _say(f"API pages: {sandbox.url}/docs")
        _say(f"export AIRFLOW_CONN_REVOR_DEFAULT={shlex.quote(sandbox.connection_json)}")
        if options.ready_after is not None:
            timer = threading.Timer(options.ready_after, _make_ready, [sandbox])
            timer.daemon = True
            stack.callback(timer.cancel)
            timer.start()
        threading.Event().wait()
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_revor.sandbox",
        description="Run a local Revor on 127.0.0.1, to develop and test Dags against.",
    )
    parser.add_argument("--port", type=_port, default=8765, help="where to listen (default: 8765); 0 takes a free port")
    parser.add_argument(
        "--accounts",
        type=Path,
        metavar="FILE.json",
        help="the accounts to serve: a JSON list, or an answer of Revor's; left out: six that can't send yet",
    )
    parser.add_argument(
        "--ready-after",
        type=_seconds,
        metavar="SECONDS",
        help="reconnect every account of status 'credentials' after this time, as a person would",
    )
    parser.add_argument(
        "--keep-intervals",
        action="store_true",
        help="start the jobs of a channel at least min_channel_task_interval_seconds apart, as Revor does",
    )
    return parser.parse_args(argv)


def _port(text: str) -> int:
    if not 0 <= (port := int(text)) <= 65_535:
        raise argparse.ArgumentTypeError("a port is 0 to 65535")
    return port


def _seconds(text: str) -> float:
    if not 0 <= (seconds := float(text)) <= _A_DAY:
        raise argparse.ArgumentTypeError(f"seconds are 0 to {_A_DAY:.0f}")
    return seconds


def _read_accounts(path: Path) -> Any:
    from airflow_provider_revor.sandbox.contract.accounts import AccountSet

    return AccountSet.model_validate(json.loads(path.read_text(encoding="utf-8"))).model_dump()["items"]


def _in_one_line(error: OSError | ValueError) -> str:
    from pydantic import ValidationError

    from airflow_provider_revor.sandbox.contract.errors import problems

    if isinstance(error, ValidationError):
        return problems(error)[0]
    return str(error.strerror if isinstance(error, OSError) else error)


def _make_ready(sandbox: Sandbox) -> None:
    _say(f"Reconnected {sandbox.reconnect_all()} account(s): ready to send")


def _show_request(record: RequestRecord) -> None:
    outcome = [str(record.status)] if record.status else []
    outcome += [f"(fault: {record.fault})"] if record.fault else []
    _say(" ".join([record.method, record.path, *outcome]))


def _say(line: str) -> None:
    with suppress(BrokenPipeError):  # a reader that has gone, such as `head`, must not fail requests
        print(line, flush=True)


def _give_up(reason: str, code: int) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

"""The commands. Each exits with 2, and one line on standard error, on an error that can be foreseen."""

from __future__ import annotations

import functools
import logging
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.api.answers import plain_text
from airflow_provider_revor.cli.connecting import CommandLineHook
from airflow_provider_revor.cli.output import print_error, print_rows
from airflow_provider_revor.exceptions import RevorError, RevorTransientError, RevorValueError
from airflow_provider_revor.hooks.outreach import CANCEL_REJECTED
from airflow_provider_revor.rules.gate import Gate
from airflow_provider_revor.rules.pauses import asked_pause, seconds

if TYPE_CHECKING:
    from airflow_provider_revor.api.accounts import ConnectAccount
    from airflow_provider_revor.api.jobs import OutreachJob

_ERROR = 2


def _command(run: Callable[[Namespace], int]) -> Callable[[Namespace], None]:
    """Turn what a command returns or raises into the exit code."""

    @functools.wraps(run)
    def command(args: Namespace) -> None:
        # Airflow 2 logs to standard output, which scripts read.
        logging.disable(logging.WARNING)
        try:
            code = run(args)
        except RevorError as e:
            print_error(f"{e}")
            code = _ERROR
        except KeyboardInterrupt:
            code = 130
        except BrokenPipeError:
            # The reader, such as `head`, has seen enough. Nothing is left to flush into its pipe.
            sys.stdout = None
            code = 0
        finally:
            logging.disable(logging.NOTSET)
        if code:
            sys.exit(code)

    return command


@_command
def accounts(args: Namespace) -> int:
    """List the Connect accounts."""
    with CommandLineHook(args.conn_id) as hook:
        found = hook.list_connect_accounts(channel=args.channel)
    shown = [account for account in found if account.sendable or not args.sendable]
    if not shown and args.output in ("table", "plain"):
        print_error(Gate.of(channel=args.channel).explain(found))
        return 0
    print_rows([_account_row(account, args.show_identifiers) for account in shown], args.output)
    return 0


@_command
def check(args: Namespace) -> int:
    """Tell by the exit code whether an account can send."""
    gate = Gate.of(channel=args.channel, account_id=args.account_id)
    with CommandLineHook(args.conn_id) as hook:
        found = hook.list_connect_accounts()
    if account := gate.find(found):
        print(f"Account {plain_text(account.account_id)} can send on {plain_text(account.channel)}.")
        return 0
    print(gate.explain(found))
    return 1


@_command
def job(args: Namespace) -> int:
    """Show an outreach job, and with ``--watch`` wait for its end."""
    interval = max(seconds(args.interval, "--interval"), 1.0)
    with CommandLineHook(args.conn_id) as hook:
        found = hook.get_outreach_job(args.job_id)
        told, asked = "", 0.0
        while args.watch and not found.ended:
            if found.standing != told:
                told = found.standing
                print_error(told)
            time.sleep(max(interval, asked))
            asked = 0.0
            try:
                found = hook.get_outreach_job(args.job_id)
            except RevorTransientError as e:
                print_error(f"{e}")
                asked = asked_pause(e)
    print_rows([_job_row(found, args.output)], args.output)
    return 1 if found.failed else 0


@_command
def cancel(args: Namespace) -> int:
    """Cancel outreach jobs that have not begun."""
    rows, code = [], 0
    with CommandLineHook(args.conn_id) as hook:
        hook.check_can_cancel()
        for job_id in dict.fromkeys(args.job_ids):
            try:
                before, after = hook.get_outreach_job(job_id), hook.cancel_outreach_job(job_id)
            except (*CANCEL_REJECTED, RevorTransientError, RevorValueError) as e:
                # The other jobs may well be cancelled.
                print_error(f"{plain_text(job_id)}: {e}")
                code = _ERROR
                continue
            rows.append({"status_before": plain_text(before.status), **_job_row(after, args.output)})
            if after.status != "cancelled":
                code = code or 1
    if rows:
        print_rows(rows, args.output)
    return code


@_command
def key(args: Namespace) -> int:
    """Print the idempotency key of a message."""
    from airflow_provider_revor.rules.campaign import LIKES, MESSAGES, campaign_key, campaign_name
    from airflow_provider_revor.rules.keys import attempt_key, task_key

    recipient = {"address": args.address, "profile_url": args.profile_url, "phone": args.phone}
    given = [value for value in recipient.values() if value is not None]
    if len(given) != 1 or not given[0].strip():
        raise RevorValueError("Give one of --address, --profile-url and --phone.")
    if args.attempt < 1:
        raise RevorValueError("--attempt counts from 1 on.")
    task = (args.dag_id, args.run_id, args.task_id)
    if args.campaign is not None and not any(task):
        first = campaign_key(campaign_name(args.campaign), LIKES if args.likes else MESSAGES, recipient)
    elif args.campaign is None and all(task) and not args.likes:
        first = task_key(*task, recipient)
    else:
        raise RevorValueError("Give --dag-id, --run-id and --task-id; or for a task of a campaign, --campaign alone.")
    print(attempt_key(first, args.attempt))
    return 0


@_command
def campaign(args: Namespace) -> int:
    """Show the ledger of a campaign, or strike somebody from it."""
    from airflow_provider_revor.cli.ledgers import read_or_strike

    rows = read_or_strike(args)
    if not rows and args.output in ("table", "plain"):
        print_error("Nobody is in this ledger.")
        return 0
    print_rows(rows, args.output)
    return 0


def _account_row(account: ConnectAccount, show_identifiers: bool) -> dict[str, Any]:
    return {
        "sendable": account.sendable,
        "account_id": plain_text(account.account_id),
        "channel": plain_text(account.channel),
        "name": plain_text(account.name),
        **({"account_identifier": plain_text(account.account_identifier)} if show_identifiers else {}),
        "status": plain_text(account.status),
        "reason": account.blocked_reason,
    }


def _job_row(found: OutreachJob, output: str) -> dict[str, Any]:
    row = found.as_dict()
    if output in ("json", "yaml"):
        return row
    shown = {name: row[name] for name in ("id", "status", "action", "channel", "scheduled_at", "finished_at")}
    error = found.error or {}
    shown["error"] = ": ".join(filter(None, (plain_text(error.get("code")), plain_text(error.get("message")))))
    return {name: plain_text(value) for name, value in shown.items()}

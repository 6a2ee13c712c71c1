"""The commands and their arguments, as Airflow's command line wants them."""

from __future__ import annotations

from airflow.cli.cli_config import ARG_OUTPUT, ActionCommand, Arg, GroupCommand, lazy_load_command

CHANNELS = ("email", "linkedin", "whatsapp")

ARG_CONN_ID = Arg(
    ("--conn-id",),
    help="The Airflow connection (default: revor_default; where Airflow has none, REVOR_API_KEY and REVOR_BASE_URL)",
    default=None,
)
ARG_CHANNEL = Arg(("--channel",), help="Only accounts of this channel", choices=CHANNELS)
ARG_SENDABLE = Arg(("--sendable",), help="Only accounts that can send", action="store_true")
ARG_SHOW_IDENTIFIERS = Arg(
    ("--show-identifiers",),
    help="Show each account's address or profile URL, which is personal data",
    action="store_true",
)
ARG_ACCOUNT_ID = Arg(("--account-id",), help="Only this account")
ARG_JOB_ID = Arg(("job_id",), help="The outreach job", metavar="ID")
ARG_JOB_IDS = Arg(("job_ids",), help="The outreach jobs", metavar="ID", nargs="+")
ARG_WATCH = Arg(("--watch",), help="Ask again until the job has ended", action="store_true")
ARG_INTERVAL = Arg(("--interval",), help="The least seconds between two requests (default: 10)", type=float, default=10)
ARG_DAG_ID = Arg(("--dag-id",), help="The Dag")
ARG_RUN_ID = Arg(("--run-id",), help="The Dag run")
ARG_TASK_ID = Arg(("--task-id",), help="The task, with its task groups")
ARG_OF_CAMPAIGN = Arg(("--campaign",), help="The campaign of the task, in place of Dag, run and task", metavar="NAME")
ARG_ADDRESS = Arg(("--address",), help="The person's email address")
ARG_PROFILE_URL = Arg(("--profile-url",), help="The person's LinkedIn profile")
ARG_PHONE = Arg(("--phone",), help="The person's WhatsApp number or contact identifier")
ARG_ATTEMPT = Arg(("--attempt",), help="Which attempt (default: 1)", type=int, default=1)
ARG_CAMPAIGN = Arg(("campaign",), help="The campaign's name", metavar="NAME")
ARG_ASSET = Arg(("--asset",), help="The campaign is given as an asset of this name", action="store_true")
ARG_LIKES = Arg(("--likes",), help="The campaign's liked posts, instead of messages", action="store_true")
ARG_DIGEST = Arg(("--digest",), help="The person's digest, as this command prints it")
ARG_STRIKE = Arg(
    ("--strike",), help="Strike this person, so that the campaign may write to them once more", action="store_true"
)


def _command(name: str, text: str, *args: Arg, description: str, examples: str) -> ActionCommand:
    return ActionCommand(
        name=name,
        help=text,
        func=lazy_load_command(f"airflow_provider_revor.cli.commands.{name}"),
        args=args,
        description=description,
        epilog=f"examples:\n{examples}",
    )


COMMANDS = (
    _command(
        "accounts",
        "List the Connect accounts",
        ARG_CONN_ID,
        ARG_CHANNEL,
        ARG_SENDABLE,
        ARG_SHOW_IDENTIFIERS,
        ARG_OUTPUT,
        description="List the Connect accounts: which can send, and for those that cannot, why and where to fix it.",
        examples="  airflow revor accounts --channel email\n  airflow revor accounts --sendable -o json",
    ),
    _command(
        "check",
        "Tell by the exit code whether an account can send",
        ARG_CONN_ID,
        ARG_CHANNEL,
        ARG_ACCOUNT_ID,
        description="Exit with 0 if an account can send, 1 if none can, 2 if that could not be learned.",
        examples="  airflow revor check --channel email && echo ready\n  airflow revor check --account-id acc_123",
    ),
    _command(
        "job",
        "Show an outreach job",
        ARG_JOB_ID,
        ARG_CONN_ID,
        ARG_WATCH,
        ARG_INTERVAL,
        ARG_OUTPUT,
        description="Show an outreach job. Exit with 0, or with 1 if it failed or was cancelled, 2 on an error.",
        examples="  airflow revor job job_123\n  airflow revor job job_123 --watch",
    ),
    _command(
        "cancel",
        "Cancel outreach jobs that have not begun",
        ARG_JOB_IDS,
        ARG_CONN_ID,
        ARG_OUTPUT,
        description=(
            "Cancel outreach jobs, and show how each stood before and stands now. It takes a connection whose "
            "api_version is v2, and asks for no confirmation. Exit with 0 if all are cancelled, 1 if one runs or has "
            "ended otherwise, 2 on an error."
        ),
        examples="  airflow revor cancel job_123\n  airflow revor cancel job_123 job_456 -o json",
    ),
    _command(
        "key",
        "Print the idempotency key of a message",
        ARG_DAG_ID,
        ARG_RUN_ID,
        ARG_TASK_ID,
        ARG_OF_CAMPAIGN,
        ARG_LIKES,
        ARG_ADDRESS,
        ARG_PROFILE_URL,
        ARG_PHONE,
        ARG_ATTEMPT,
        description="Print the idempotency key that a task uses for a person; all tasks of a campaign use the same. "
        "Nothing is sent to Revor.",
        examples="  airflow revor key --dag-id leads --run-id manual__1 --task-id send --address ada@example.com\n"
        "  airflow revor key --campaign spring --address ada@example.com",
    ),
    _command(
        "campaign",
        "Show who was written to in a campaign",
        ARG_CAMPAIGN,
        ARG_ASSET,
        ARG_LIKES,
        ARG_ADDRESS,
        ARG_PROFILE_URL,
        ARG_PHONE,
        ARG_DIGEST,
        ARG_STRIKE,
        ARG_OUTPUT,
        description="Show the ledger of a campaign, or what it says of one person; strike somebody from it. Airflow "
        "3.3+, where its metadata database can be reached. People are digests.",
        examples="  airflow revor campaign spring\n  airflow revor campaign spring --address ada@example.com --strike",
    ),
)


def get_revor_cli_commands() -> list[GroupCommand]:
    """Return the commands that Airflow adds to its command line."""
    return [GroupCommand(name="revor", help="Connect accounts and outreach of Revor", subcommands=COMMANDS)]

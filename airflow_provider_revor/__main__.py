"""``python -m airflow_provider_revor``: the commands of ``airflow revor``, on any Airflow, and the sandbox."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_provider_revor.cli.definition import COMMANDS


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    :param argv: The arguments; None for those of the command line.
    :return: The exit code of a command that returns.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["sandbox"]:
        from airflow_provider_revor.sandbox.__main__ import main as serve

        return serve(argv[1:])
    args = _parser().parse_args(argv)
    args.func(args)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_revor", description="Connect accounts and outreach of Revor."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        added = commands.add_parser(
            command.name,
            help=command.help,
            description=command.description,
            epilog=(command.epilog or "").replace("airflow revor", parser.prog),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for argument in command.args:
            argument.add_to_parser(added)
        added.set_defaults(func=command.func)
    commands.add_parser("sandbox", help="Serve a local Revor to develop and test Dags against", add_help=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())

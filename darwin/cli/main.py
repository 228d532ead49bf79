"""`darwin`: the door of the command line; every command is imported only when it is called."""

from __future__ import annotations

from typing import NoReturn

import click

from darwin import __version__
from darwin.cli.lazy import LazyGroup
from darwin.rl.cli.door import leave_through

COMMANDS = {
    "allocation": "darwin.cli.allocation:allocation",
    "backup": "darwin.cli.backup:backup",
    "benchmark": "darwin.cli.report:benchmark",
    "config": "darwin.cli.config:config",
    "data": "darwin.cli.data:data",
    "db": "darwin.cli.db:db",
    "drill": "darwin.cli.drill:drill",
    "jobs": "darwin.cli.jobs:jobs",
    "kill": "darwin.cli.kill:kill",
    "ledger": "darwin.cli.ledger:ledger",
    "lifecycle": "darwin.cli.lifecycle:lifecycle",
    "market": "darwin.cli.market:market",
    "notify": "darwin.cli.notify:notify",
    "release": "darwin.cli.release:release",
    "replay": "darwin.cli.verify:replay",
    "report": "darwin.cli.report:report",
    "rl": "darwin.cli.rl:rl",
    "rollback": "darwin.cli.rollback:rollback",
    "run": "darwin.cli.run:run",
    "runs": "darwin.cli.runs:runs",
    "serve": "darwin.cli.serve:serve",
    "token": "darwin.cli.token:token",
    "verify": "darwin.cli.verify:verify",
    "why": "darwin.cli.runs:why",
}


@click.group(
    cls=LazyGroup, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="darwin")
def darwin() -> None:
    """Learned agents take over trading decisions: watched first, always behind one door.

    \b
    Example:
      darwin run configs/demo.json
    """


def main() -> NoReturn:
    """Run a command and turn every way it can end into an exit code of the contract."""
    leave_through(darwin)


if __name__ == "__main__":
    main()

"""`darwin`: the door of the command line; every command is imported only when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

import click

from darwin import __version__
from darwin.errors import DarwinError

COMMANDS = {
    "benchmark": "darwin.cli.report:benchmark",
    "config": "darwin.cli.config:config",
    "data": "darwin.cli.data:data",
    "kill": "darwin.cli.kill:kill",
    "ledger": "darwin.cli.ledger:ledger",
    "release": "darwin.cli.release:release",
    "replay": "darwin.cli.verify:replay",
    "report": "darwin.cli.report:report",
    "rl": "darwin.cli.rl:rl",
    "run": "darwin.cli.run:run",
    "runs": "darwin.cli.runs:runs",
    "verify": "darwin.cli.verify:verify",
    "why": "darwin.cli.runs:why",
}
SIGNAL_EXIT = 128
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command called `cmd_name`."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="darwin")
def darwin() -> None:
    """Learned agents take over trading decisions: watched first, always behind one door.

    \b
    Example:
      darwin run configs/demo.json
    """


def main() -> NoReturn:
    """Run a command and turn every way it can end into an exit code of the contract."""
    sys.exit(_run())


def _run() -> int:
    try:
        with _stoppable():
            answer = darwin.main(standalone_mode=False)
        code = answer if isinstance(answer, int) else 0
    except DarwinError as error:
        code = _refused(error, error.exit_code, *error.lines())
    except click.ClickException as error:
        code = _refused(error, 2, *f"error: {error.format_message()}".splitlines()[:3])
    except _Stopped as stop:
        code = SIGNAL_EXIT + stop.signal
        _say("stopped")
    except click.exceptions.Abort:
        code = SIGNAL_EXIT + signal.SIGINT
        _say("stopped")
    except (BrokenPipeError, SystemExit):  # the latter is click's answer to a closed pipe alone
        code = _pipe_closed()
    except OSError as fault:
        where = f" ({fault.filename})" if fault.filename else ""
        code = _refused(
            fault,
            4,
            f"error: the system refused: {fault.strerror or fault}{where}",
            "  mend: check that the disk has room and that output and folders may be written",
        )
    except Exception as bug:  # noqa: BLE001  the one door: a bug must not look like a result
        code = _refused(
            bug,
            1,
            f"error: internal error, a bug in Darwin: {type(bug).__name__}: {bug}",
            "  mend: run again with DARWIN_DEBUG=1 and report what it prints",
        )
    return code


def _pipe_closed() -> int:
    """Whoever read the output has gone: let nothing be written to them at the very end either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SIGNAL_EXIT + signal.SIGPIPE


def _refused(error: Exception, code: int, *lines: str) -> int:
    """Say why on stderr; with DARWIN_DEBUG=1 show the traceback instead."""
    if os.environ.get("DARWIN_DEBUG") == "1":
        raise error
    _say(*lines)
    return code


class _Stopped(BaseException):
    """A signal asked us to stop: leave through every `finally`.

    Not KeyboardInterrupt: raised inside an `exec` it makes the interpreter die by the bare signal,
    even where it was caught.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn stop signals into `_Stopped` within; those that are ignored (nohup) stay ignored."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise _Stopped(number)


def _say(*lines: str) -> None:
    """Tell it on stderr; where that is full or gone the exit code must tell."""
    with suppress(OSError):
        for line in lines:
            click.echo(line, err=True)


if __name__ == "__main__":
    main()

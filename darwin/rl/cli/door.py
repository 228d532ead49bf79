"""The door of the command line: each way a command can end is an exit code of the contract."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, TypeAlias

import click

from darwin.errors import DarwinError

SIGNAL_EXIT = 128
Said: TypeAlias = Callable[[str], None]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_through(command: click.Command) -> NoReturn:
    """Run `command` on the words of the command line, and end the process with what it came to."""
    sys.exit(come_through(command))


def come_through(
    command: click.Command, words: Sequence[str] | None = None, said: Said = lambda line: None
) -> int:
    """Run `command` on `words`, else those of the command line; gives the exit code.

    `said` is told the first line of what is refused, as stderr has it.
    """
    try:
        with _stoppable():
            answer = command.main(None if words is None else list(words), standalone_mode=False)
        code = answer if isinstance(answer, int) else 0
    except DarwinError as error:
        code = _refused(error, error.exit_code, said, *error.lines())
    except click.ClickException as error:
        code = _refused(error, 2, said, *f"error: {error.format_message()}".splitlines()[:3])
    except _Stopped as stop:
        code = SIGNAL_EXIT + stop.signal
        _say("stopped")
    except click.exceptions.Abort:
        code = SIGNAL_EXIT + signal.SIGINT
        _say("stopped")
    except (BrokenPipeError, SystemExit):  # the latter is click's answer to a closed pipe alone
        code = _pipe_closed()
    except OSError as fault:
        where = [f"  at: {fault.filename}"] if fault.filename else []
        code = _refused(
            fault,
            4,
            said,
            f"error: the system refused: {fault.strerror or fault}",
            *where,
            "  mend: check that the disk has room and that output and folders may be written",
        )
    except Exception as bug:  # noqa: BLE001  the one door: a bug must not look like a result
        code = _refused(
            bug,
            1,
            said,
            f"error: internal error, a bug in Darwin: {type(bug).__name__}: {bug}",
            "  mend: run again with DARWIN_DEBUG=1 and report what it prints",
        )
    return code


def _pipe_closed() -> int:
    """Whoever read the output has gone: let nothing be written to them at the very end either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SIGNAL_EXIT + signal.SIGPIPE


def _refused(error: Exception, code: int, said: Said, *lines: str) -> int:
    """Say why on stderr; with DARWIN_DEBUG=1 show the traceback instead."""
    said(lines[0])
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

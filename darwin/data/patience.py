"""Asking again: what fails for a moment is tried until one deadline, in growing steps."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

from darwin.errors import ConfigError, UnreachableError

_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
LONGEST_OBEYED_S = 30.0
"""Who wants to be left alone for longer is asked again after so long, if there is time."""


class BusyError(Exception):
    """An answer that says: not now. `wait_s` None: it did not say for how long."""

    def __init__(self, says: str, wait_s: float | None) -> None:
        """Keep what was said."""
        super().__init__(says)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on, and by which clock."""

    deadline_s: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    turn: Callable[[], None] = lambda: None
    """Returns when the next try may be made; the time it takes does not count."""

    def answer(
        self,
        ask: Callable[[float], Answer],
        passing: tuple[type[Exception], ...],
        who: str,
        where: str = "",
    ) -> Answer:
        """Return what `ask`, told the deadline, answers; `passing` faults and BusyError may pass.

        Raises UnreachableError when the next try would come too late; other faults at once.
        """
        stamina = library("stamina")
        may_pass: tuple[type[Exception], ...] = (*passing, BusyError)
        until = self.clock() + self.deadline_s
        tries = 0

        def again(fault: Exception) -> bool | float:
            nonlocal tries
            if not isinstance(fault, may_pass):
                return False
            tries += 1
            wait_s = _wait_s(fault, tries)
            if self.clock() + wait_s >= until:
                return False
            _LOG.info("%s: %s, asked again in %.2f s", who, printable(str(fault)), wait_s)
            self.sleep(wait_s)
            return 0.0  # the wait is over already

        try:
            for attempt in stamina.retry_context(on=again, attempts=None, timeout=None):
                with attempt:
                    queued = self.clock()
                    self.turn()
                    until += self.clock() - queued
                    return ask(until)
        except may_pass as fault:
            last = printable(str(fault)) or type(fault).__name__
            away = UnreachableError(
                f"{who} gave no answer within {self.deadline_s:g} s ({tries} tries, last: {last})",
                where=where,
                mend="check the network and whom you ask, or try again later",
            )
            away.wait_s = fault.wait_s if isinstance(fault, BusyError) else None
            raise away from fault
        raise AssertionError("the tries end with an answer or a fault")


def library(name: str) -> ModuleType:
    """Import a library of the extra `live`, of which a run without a venue knows nothing.

    Raises ConfigError where it is missing.
    """
    try:
        found = importlib.import_module(name)
    except ImportError as fault:
        raise ConfigError(
            f"asking a venue needs the extra 'live', but {fault.name or name} is missing",
            mend='install it: pip install -e ".[live]"',
        ) from fault
    if name == "stamina":
        logging.getLogger(name).addHandler(logging.NullHandler())  # we say ourselves what waits
    return found


def printable(text: str) -> str:
    """A short piece of what others wrote, without anything that moves a cursor."""
    return "".join(mark for mark in text[:120] if mark.isprintable())


def _wait_s(fault: Exception, tries: int) -> float:
    told_s = fault.wait_s if isinstance(fault, BusyError) else None
    if told_s is not None:
        return min(told_s, LONGEST_OBEYED_S)
    return min(FIRST_WAIT_S * 2.0 ** min(tries - 1, 10), LONGEST_WAIT_S)

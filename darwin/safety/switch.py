"""The kill switch: what its sources say, and that any one of them is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

VARIABLE = "DARWIN_RL_DISABLED"

_YES = frozenset(("1", "true", "yes", "on"))
_NO = frozenset(("", "0", "false", "no", "off"))
_SHOWN = 40


class Reading(NamedTuple):
    """What one source of the switch says."""

    killed: bool
    why: str = ""  # in words; empty where it is not killed
    warning: str = ""  # what somebody should mend; empty: nothing


OFF = Reading(False)
"""A source that kills nothing."""


def disabled_by(value: str | None) -> Reading:
    """Read the environment variable; None: it is not set. What is not understood kills."""
    said = (value or "").strip().lower()
    if said in _NO:
        return OFF
    if said in _YES:
        return Reading(True, f"{VARIABLE} is {said}")
    shown = repr(said if len(said) <= _SHOWN else said[:_SHOWN] + "…")
    return Reading(
        True,
        f"{VARIABLE} is {shown}",
        f"{VARIABLE} is {shown}, which is neither yes nor no, so no agent acts; set it to 1 or 0",
    )


def unreadable(source: str, fault: str) -> Reading:
    """Read a source that cannot be read, and say what `fault` kept it from being so: it kills."""
    return Reading(
        True,
        f"{source} cannot be read",
        f"{source} cannot be read ({fault}), so no agent acts; make it readable or remove it",
    )


def changed(source: str, fault: str) -> Reading:
    """Read a source that is not as it was written, and say by what `fault` that shows: it kills."""
    return Reading(
        True,
        f"{source} is not as it was written: {fault}",
        f"{source} is not as it was written ({fault}), so no agent acts; put a backup of the"
        " database in its place",
    )


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """What all sources say at one moment, joined by OR."""

    environment: Reading = OFF  # at the start of the process
    file: Reading = OFF  # <artifacts>/KILL
    record: Reading = OFF  # the last row of the log of kills
    api: Reading = OFF  # a route of the service

    @property
    def killed(self) -> bool:
        """Whether no agent may act, nor be asked."""
        return bool(self.sources)

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of those that kill, in the order of the fields."""
        return tuple(name for name in self.__slots__ if getattr(self, name).killed)

    @property
    def why(self) -> str:
        """Say in words what kills; empty: nothing does."""
        return "; ".join(getattr(self, name).why or name for name in self.sources)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should mend, source by source."""
        readings = (getattr(self, name) for name in self.__slots__)
        return tuple(one.warning for one in readings if one.warning)

"""What a canary found, and the alarm that ends a training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from darwin.errors import ModelError


@dataclass(frozen=True, slots=True)
class Finding:
    """One canary's answer. `figure` is what it measured, in the unit that the sentence names."""

    name: str
    passed: bool | None  # None: it could not be checked, and `said` tells why
    figure: float
    said: str

    def tree(self) -> dict[str, Any]:
        """As report.json has it; a figure that is not finite is null."""
        figure = self.figure if abs(self.figure) < float("inf") else None
        return {"name": self.name, "passed": self.passed, "figure": figure, "told": self.said}


def counted(name: str, faults: Iterable[tuple[int, str]], clean: str) -> Finding:
    """Pass with the sentence `clean` unless something was counted: (how many, of what)."""
    there = [(count, what) for count, what in faults if count]
    if not there:
        return Finding(name, True, 0.0, clean)
    said = "; ".join(f"{what} ({count:,})" for count, what in there[:2])
    return Finding(name, False, float(max(count for count, _ in there)), said)


def unchecked(name: str, why: str) -> Finding:
    """Say that it could not be checked, never pass silently."""
    return Finding(name, None, 0.0, f"not checked: {why}")


class CanaryError(ModelError):
    """A canary found that training, its rows or its world are not sound."""

    def __init__(self, findings: tuple[Finding, ...], report: str = "") -> None:
        """Name the first that failed of `findings`, and the others in short.

        `report` is the file in which all of them stand.
        """
        first, *others = [one for one in findings if one.passed is False]
        also = f"; so do: {', '.join(one.name for one in others)}" if others else ""
        super().__init__(
            f"the canary '{first.name}' sings: {first.said}{also}",
            where=report,
            mend="nothing was handed over; find what is wrong with rows, world or learner",
        )
        self.findings = findings

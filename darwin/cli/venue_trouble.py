"""A venue that does not serve a run on paper: told once, asked more and more seldom, or the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darwin.errors import DataError

REFUSALS = 5
"""So many refusals in a row end a run that has no bar yet."""
_LONGEST_S = 60.0  # between two looks at a venue that refuses, unless poll_seconds is longer
_LONGEST_TOLD_S = 3_600.0  # and so long it is left alone where it asks for that
_AT_ONCE_S = 60.0  # who wants to be left alone for longer refuses a new run at once


class Trouble:
    """From the first look that fails until one that does not.

    `say` gets one line of each trouble and one of its end, `log` every fault, `keep` the kind of
    an alert and what it says.
    """

    def __init__(
        self, poll_s: float, say: Callable[[str], object], log: Callable[[str], object],
        keep: Callable[[str, str], object],
    ) -> None:  # fmt: skip
        self._poll_s, self._say, self._log, self._keep = poll_s, say, log, keep
        self.state = ""
        """`unreachable`, `refused`; empty: all is well."""
        self.wait_s = poll_s
        """How long to wait before the next look."""
        self._refusals = 0  # in a row

    def meet(self, fault: DataError, *, has_bars: bool) -> None:
        """Take a look that failed. Raises the fault of a venue that refuses a run without bars."""
        from darwin.core.account import VENUE_AWAY, VENUE_REFUSES
        from darwin.errors import UnreachableError

        away = isinstance(fault, UnreachableError)
        self._refusals = 0 if away else self._refusals + 1
        self._log(f"asked again after: {fault}")
        self.wait_s = self._pause_s(fault.wait_s)
        if not away and not has_bars:
            if self._refusals >= REFUSALS or (fault.wait_s or 0.0) > _AT_ONCE_S:
                raise fault
            return
        state = "unreachable" if away else "refused"
        if state != self.state:
            self.state = state
            until = "it answers" if away else "it serves the run"
            self._say(f"warning: {fault}; nothing is decided until {until}")
            if has_bars:
                self._keep(VENUE_AWAY if away else VENUE_REFUSES, fault.what)

    def end(self) -> None:
        """Take a look that did not fail."""
        if self.state:
            self._say("the venue answers again")
            self._log("the venue answers again")
        self.state, self.wait_s, self._refusals = "", self._poll_s, 0

    def _pause_s(self, told_s: float | None) -> float:
        grown = self._poll_s * 2.0 ** min(max(self._refusals - 1, 0), 20)
        grown = min(grown, max(_LONGEST_S, self._poll_s))
        return max(grown, min(told_s or 0.0, _LONGEST_TOLD_S))

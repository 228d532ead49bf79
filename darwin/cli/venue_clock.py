"""What time it certainly is at a venue: what its clock says, as far as something bears it out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from darwin.config.model import RunConfig
    from darwin.core.market import Bar
    from darwin.core.ports import Venue

TOLERANCE_MS = 1_000
"""So far a clock may be from what the time that has passed here makes of its last answer."""
LOOKS_BELIEVED = 5
"""So many looks in a row must tell the same story before it is believed without a witness."""
BELIEVED_S = 30.0
"""From the first to the last of them so much time must pass."""
MOST_AHEAD_MS = 86_400_000
"""What is further ahead of all that is known than that, and than three bars, is never believed."""
_LOOK_BACK = 999  # bars in which the newest candle is sought: one request
_USUAL_MS = 300_000  # after its close a bar is too old to act on, where the config says nothing


class _Story(NamedTuple):
    """An answer that nothing bears out."""

    told_ms: int
    at_s: float
    shown: tuple[Bar, ...]  # the newest candle of each symbol then
    looks: int  # in a row that told it
    since_s: float  # when it was told first


class VenueClock:
    """The clock of the venue between two looks goes on by the clock of this machine.

    An answer that is ahead of that is a claim. It counts where a candle that opens no earlier than
    the bar of that time is shown; else time has come as far as the newest candle opens. The same
    claim, told `LOOKS_BELIEVED` times in a row and for `believed_s` seconds while no candle of any
    symbol moves, is believed, unless it is days ahead. An answer from before what is certain closes
    nothing until it has caught up or is told as often.
    """

    def __init__(
        self, venue: Venue, config: RunConfig, caught_up: Callable[[], bool],
        warn: Callable[[str], object], believed_s: float = BELIEVED_S,
    ) -> None:  # fmt: skip
        """Look once; where the venue is away, nobody knows what time it is.

        `caught_up` says whether what is on record was fed again; `warn` hears of strange answers.
        """
        from contextlib import suppress

        from darwin.core.market import Timeframe
        from darwin.errors import DataError

        self._venue, self._symbols = venue, config.market.symbols
        self.caught_up, self._warn, self._believed_s = caught_up, warn, believed_s
        self._timeframe = Timeframe.parse(config.market.timeframe)
        given = config.live.max_staleness_seconds
        usual = min(_USUAL_MS, self._timeframe.ms)
        self.limit_ms = usual if given is None else round(given * 1000)
        self._sure: tuple[int, float] | None = None  # the time, and when it was asked for here
        self._latest: tuple[int, float] | None = None  # no earlier is it than that
        self._story: _Story | None = None
        with suppress(DataError):
            self.look()

    def look(self) -> int:
        """Ask what time it is; what has closed by the answer has closed for certain.

        Raises UnreachableError where nothing bears out what the venue says.
        """
        asked = time.monotonic()
        told = self._venue.now_ms()
        answered = time.monotonic()
        passed = None
        if self._sure is not None:
            passed = self._sure[0] + int((answered - self._sure[1]) * 1000)
        self._latest = (told if passed is None else max(told, passed), answered)
        if passed is None or told > passed + TOLERANCE_MS:
            return self._claimed(told, passed, asked)
        if self._sure is not None and told < self._sure[0] - TOLERANCE_MS:
            if self._believes(told, asked, ()):
                self._latest = (told, answered)
                return self._believe(told, asked)
            self._tell(told, "which is before what it said; nothing closes until it has caught up")
            return told
        self._story = None
        if told >= passed - TOLERANCE_MS:
            self._sure = (told, asked)
        return told

    def is_late(self, opened_ms: int) -> bool:
        """Whether the bar that opened then closed too long ago to act on; so it is if unknown."""
        if self._latest is None:
            return True
        now = self._latest[0] + (time.monotonic() - self._latest[1]) * 1000
        return now - (opened_ms + self._timeframe.ms) > self.limit_ms

    def is_too_late(self, opened_ms: int) -> bool:
        """Whether an order at the close of that bar, which was just decided, leaves too late."""
        return self.caught_up() and self.is_late(opened_ms)

    def _claimed(self, told: int, passed: int | None, asked: float) -> int:
        """How much of an answer counts that is ahead of the time that has `passed`."""
        shown = self._shown(told)
        newest = max((bar.time for bar in shown), default=None)
        if newest is not None and newest >= self._bar_of(told):
            return self._believe(told, asked)
        known = [at for at in (passed, newest) if at is not None]
        most_ahead = max(MOST_AHEAD_MS, 3 * self._timeframe.ms)
        if self._believes(told, asked, shown) and told - max(known, default=told) <= most_ahead:
            return self._believe(told, asked)
        if not known:
            from darwin.errors import UnreachableError

            raise UnreachableError(
                "the venue tells a time, but shows no candle that bears it out",
                mend="wait: the same time, told in five looks over half a minute, is believed",
            )
        sure = min(told, max(known))
        if passed is None or sure > passed:
            self._sure = (sure, asked)
        self._tell(told, "which neither the time that has passed nor a candle bears out")
        return sure

    def _shown(self, told: int) -> tuple[Bar, ...]:
        """The newest candle that each symbol shows up to then, whether it has closed or not.

        One candle that bears `told` out is enough, and comes alone.
        """
        from darwin.errors import DataError, UnreachableError

        opens = self._bar_of(told)
        end, found = opens + self._timeframe.ms, []
        for since in (opens, opens - _LOOK_BACK * self._timeframe.ms):
            for symbol in self._symbols:
                try:
                    shown = self._venue.closed(symbol, self._timeframe, since, end)
                except UnreachableError:
                    raise
                except DataError:  # it is no witness; whoever asks for its bars will say so
                    continue
                if len(shown):
                    found.append(shown.row(len(shown) - 1))
                    if since == opens:
                        return (found[0],)
        return tuple(found)

    def _bar_of(self, time_ms: int) -> int:
        """Open time of the bar in which that time lies."""
        from darwin.data.resample import anchor_ms

        anchor, step = anchor_ms(self._timeframe), self._timeframe.ms
        return anchor + (time_ms - anchor) // step * step

    def _believes(self, told: int, at_s: float, shown: tuple[Bar, ...]) -> bool:
        """Whether this answer has been told often and long enough, going on as time does."""
        before = self._story
        looks, since_s = 1, at_s
        if before is not None and before.shown == shown:
            ahead = told - before.told_ms - (at_s - before.at_s) * 1000
            if abs(ahead) <= TOLERANCE_MS:
                looks, since_s = before.looks + 1, before.since_s
        self._story = _Story(told, at_s, shown, looks, since_s)
        return looks >= LOOKS_BELIEVED and at_s - since_s >= self._believed_s

    def _believe(self, told: int, asked: float) -> int:
        self._sure, self._story = (told, asked), None
        return told

    def _tell(self, told: int, what: str) -> None:
        from darwin.engine.report_words import iso

        if self._story is None or self._story.looks == 1:
            self._warn(f"the clock of the venue says {iso(told)}, {what}")

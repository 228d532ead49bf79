"""Two recorded runs side by side: every candidate has one cause, every dollar a place."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.config.compare import Change, changes
from darwin.store.causes import Cause, Grounds, Judged, Reach, judge, split
from darwin.store.experts import differing
from darwin.store.sides import Side
from darwin.store.told import Key, Told


class Difference(NamedTuple):
    """A candidate that did not go alike in both runs."""

    key: Key
    a: Told | None  # None: not proposed
    b: Told | None
    judged: Judged
    usd: float  # what B earned more with it than A
    parts: dict[Cause, float]  # that, by cause

    @property
    def candidate_id(self) -> str:
        """Its id in A, or in B where A has it not."""
        told = self.a or self.b
        return "" if told is None else told.candidate_id


class Tally(NamedTuple):
    """All candidates of one cause, and all dollars of it."""

    cause: Cause
    candidates: int
    knock_on: int  # how many of them only met another account
    trades_a: int
    trades_b: int
    usd: float  # the parts of all candidates that this cause has made, not of these alone
    knock_on_usd: float


class Way(NamedTuple):
    """Candidates that parted alike."""

    cause: Cause
    what: str
    a: str
    b: str
    candidates: int
    usd: float  # all that these candidates earned more in B


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two runs differ by. All differences are B less A."""

    a: Side
    b: Side
    config: tuple[Change, ...]
    bars_differ: bool
    digests_tell: bool  # whether that was read from the digests of the bars
    candidates: int  # of either run
    differences: tuple[Difference, ...]  # those that matter most first
    tallies: tuple[Tally, ...]
    ways: tuple[Way, ...]

    @property
    def parted_at(self) -> int | None:
        """The first bar at which the data of a candidate are seen to differ."""
        seen = (one.judged.at for one in self.differences if one.judged.at is not None)
        return min(seen, default=None)

    @property
    def experts_differ_by(self) -> tuple[str, ...]:
        """What the experts differ by; whatever they say otherwise for it is `signal`."""
        return differing(self.a.expert, self.b.expert)

    @property
    def by_trades_usd(self) -> float:
        """The difference of all closed trades."""
        return _net(self.b) - _net(self.a)

    @property
    def usd(self) -> float:
        """The difference of the runs, by their accounts."""
        return self.b.earned_usd - self.a.earned_usd

    @property
    def remainder_usd(self) -> float:
        """What the accounts tell and no cause does: of positions that are still open."""
        return self.usd - math.fsum(tally.usd for tally in self.tallies)


def compare(a: Side, b: Side) -> Comparison:
    """Hold two runs against each other, candidate by candidate."""
    differing = tuple(changes(a.config, b.config))
    keys = {
        key: (a.candidates.get(key), b.candidates.get(key))
        for key in sorted(a.candidates.keys() | b.candidates.keys())
    }
    grounds, digests_tell = _grounds(a, b, differing, keys)
    found = []
    for key, (left, right) in keys.items():
        judged = judge(key, left, right, grounds)
        if judged is not None:
            usd = _earned(right) - _earned(left)
            found.append(Difference(key, left, right, judged, usd, split(judged, left, right)))
    found.sort(key=lambda one: -abs(one.usd))  # stable: of equal ones the first in time
    return Comparison(
        a, b, differing, grounds.bars_differ, digests_tell, len(keys), tuple(found),
        tuple(_tally(cause, found) for cause in Cause), _ways(found),
    )  # fmt: skip


def _grounds(
    a: Side,
    b: Side,
    differing: Sequence[Change],
    keys: dict[Key, tuple[Told | None, Told | None]],
) -> tuple[Grounds, bool]:
    """What holds for the runs as wholes, and whether digests tell of the bars.

    Digests of a feed and of a replay are of different makes. Then the bars differ where their
    number, their end, the keys of the config or any close of a candidate do.
    """
    parted: dict[str, int] = {}
    for key, (left, right) in keys.items():
        if left is not None and right is not None and left.close != right.close:
            parted.setdefault(key.symbol, key.bar_time)
    places = [(s.run.place.reached, s.run.place.bars, s.run.identity.symbols) for s in (a, b)]
    digests = (a.data_digest, b.data_digest)
    told = a.run.identity.mode == b.run.identity.mode and None not in digests
    market = any(change.key in _OF_THE_BARS for change in differing)
    differ = digests[0] != digests[1] if told else bool(parted) or market
    names = frozenset(change.key for change in differing)
    same = _same_features(a.run.identity.feature_names, b.run.identity.feature_names)
    differ = differ or places[0] != places[1]
    return Grounds(differ, names, _reach(a), _reach(b), same, parted), told


def _reach(side: Side) -> Reach:
    return Reach(frozenset(side.run.identity.symbols), side.since, side.run.place.reached)


_OF_THE_BARS = tuple(
    f"market.{name}"
    for name in (
        "provider", "path", "symbols", "timeframe", "start", "end", "bars", "seed", "edge",
        "annual_volatility", "jumps_per_year",
    )
)  # fmt: skip


def _same_features(a: Sequence[str], b: Sequence[str]) -> Callable[[bytes, bytes], bool]:
    """What tells whether features are the same, by those that both runs have recorded."""
    if a == b:
        return bytes.__eq__
    both = [name for name in a if name in set(b)]
    left, right = (np.array([names.index(name) for name in both], dtype=int) for names in (a, b))

    def same(first: bytes, second: bytes) -> bool:
        one, other = np.frombuffer(first, dtype="<i8"), np.frombuffer(second, dtype="<i8")
        return bool((one[left] == other[right]).all())

    return same


def _earned(told: Told | None) -> float:
    return 0.0 if told is None else told.net_usd


def _net(side: Side) -> float:
    return math.fsum(trade.net_usd for trade in side.trades)


def _tally(cause: Cause, found: Iterable[Difference]) -> Tally:
    mine = [one for one in found if one.judged.cause is cause]
    follows = [one for one in mine if one.judged.knock_on]
    return Tally(
        cause,
        len(mine),
        len(follows),
        sum(one.a is not None and one.a.trade is not None for one in mine),
        sum(one.b is not None and one.b.trade is not None for one in mine),
        math.fsum(one.parts.get(cause, 0.0) for one in found),
        math.fsum(one.parts.get(cause, 0.0) for one in follows),
    )


def _ways(found: Iterable[Difference]) -> tuple[Way, ...]:
    """How candidates parted, the most frequent way of each cause first."""
    count: Counter[tuple[Cause, str, str, str]] = Counter()
    usd: dict[tuple[Cause, str, str, str], list[float]] = {}
    for one in found:
        way = one.judged[:4]
        count[way] += 1
        usd.setdefault(way, []).append(one.usd)
    ways = [Way(*way, number, math.fsum(usd[way])) for way, number in count.items()]
    order = list(Cause)
    return tuple(sorted(ways, key=lambda way: (order.index(way.cause), -way.candidates, way[1:4])))

"""The same session both ways: replayed whole, and fed in chunks; and what journals were handed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from darwin.brokers.paper import PaperBroker
from darwin.core.account import EquityMark
from darwin.core.candidate import Candidate, Scan
from darwin.core.facts import TABLES, Facts, Input
from darwin.core.features import FeatureFrame
from darwin.core.market import Bars, Timeframe
from darwin.engine.arrivals import arrivals
from darwin.engine.live import Live
from darwin.engine.session import Session
from tests.engine.worlds import FlatFrame


class Collected:
    """A journal that keeps everything in memory, and asks to be told at every turn."""

    def __init__(self) -> None:
        self.batches: list[Facts] = []

    def due(self) -> bool:
        return True

    def append(self, facts: Facts) -> None:
        self.batches.append(facts)

    def told(self) -> list[tuple[Any, ...]]:
        """Every fact with every field, in the order in which it was kept."""
        return [fact for batch in self.batches for fact in facts_of(batch)]

    def of(self, kind: str) -> list[Any]:
        """Facts of one kind as they were handed over."""
        return [one for batch in self.batches for one in getattr(batch, kind)]

    @property
    def marks(self) -> list[EquityMark]:
        return self.of("marks")


def facts_of(facts: Facts) -> Iterator[tuple[Any, ...]]:
    """The facts of one batch in total order, each field as it prints, to the last bit."""
    orders = [*facts.orders, *facts.cancels]
    rows = {
        "inputs": facts.inputs,
        "verdicts": facts.verdicts,
        "orders": orders,
        "fills": list(facts.fills),
        "safety_events": list(facts.safety_events),
        "agent_decisions": facts.decisions,
    }
    for kind, number in zip(*facts.order(), strict=True):
        name = TABLES[kind]
        if name == "candidates":
            row = (facts.first_row + number, facts.decided[number], *_row(facts.candidates, number))
        elif name == "outcomes":
            row = _row(facts.outcomes, number)
        else:
            row = tuple(rows[name][number])
        yield name, repr(_plain(row))


def _plain(value: Any) -> Any:
    """The same without the names of tuples and numbers."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return int(value) if isinstance(value, IntEnum) else value


def _row(table: Any, number: int) -> tuple[Any, ...]:
    values = [getattr(table, name) for name in table.__dataclass_fields__]
    return tuple(
        value[number].tolist() if isinstance(value, np.ndarray) else value for value in values
    )


@dataclass(frozen=True)
class Whim:
    """A playbook that proposes by the digits of the bar's prices, row by row."""

    seed: int
    rate: float = 0.3

    def scan(self, frame: FeatureFrame) -> Scan:
        mixed = frame["close"] * 3.7 + frame["high"] * 11.3 + frame["low"] * 7.9 + frame["volume"]
        long = np.sin(mixed * 12.9898 + self.seed) * 43758.5453
        short = np.sin(mixed * 78.233 + self.seed) * 12345.6789
        return Scan(long - np.floor(long) < self.rate, short - np.floor(short) < self.rate)


@dataclass(frozen=True)
class Release:
    """A person who lifts every stop at some candidates."""

    rows: frozenset[int]

    def before(self, candidate: Candidate) -> Iterable[Input]:
        if candidate.row in self.rows:
            yield Input(
                candidate.row, candidate.id, candidate.bar_time, "release", "anna", "looked at it"
            )


class FlatStream:
    """The stream of `FlatFrame`."""

    def __init__(self, timeframe: Timeframe, keys: Sequence[str], atr: float = 2.0) -> None:
        self._atr = atr

    def push(self, bars: Bars) -> FeatureFrame:
        return FlatFrame(bars, self._atr)


def whimsical(session: Session, seed: int, rate: float) -> Session:
    """The same session, its playbooks replaced by whims, which no cutting of bars can change."""
    setups = [
        replace(setup, playbook=Whim(seed * 10 + i, rate)) for i, setup in enumerate(session.setups)
    ]
    return replace(session, setups=tuple(setups))


def live_over(
    session: Session, journal: Collected, stream_of: Any = FlatStream, **more: Any
) -> Live:
    """A live run of `session`, which is shown nothing of the bars beforehand."""
    rules = session.rules
    broker = PaperBroker(rules.costs, rules.limits.price_collar_fraction)
    blind = replace(session, markets=tuple(bars.slice(0, 0) for bars in session.markets))
    return Live(blind, stream_of, broker, journal, **more)


def fed(session: Session, sizes: Sequence[int] = (1,), **terms: Any) -> tuple[Live, Collected]:
    """Feed all markets of `session` in chunks of `sizes` instants, over and over, and finish."""
    journal = Collected()
    live = live_over(session, journal, **terms)
    for chunk in chunks(session.markets, sizes):
        live.feed(chunk)
    live.finish()
    return live, journal


def chunks(markets: Sequence[Bars], sizes: Sequence[int]) -> Iterator[list[Bars]]:
    """The markets in chunks of these sizes, over and over; a size of zero is a chunk of no bars."""
    single = list(arrivals(markets))
    at, turn = 0, 0
    while at < len(single):
        size = sizes[turn % len(sizes)]
        part = single[at : at + size]
        if part:
            yield [joined([chunk[number] for chunk in part]) for number in range(len(markets))]
        else:
            yield [bars.slice(0, 0) for bars in markets]
        at, turn = at + size, turn + 1


def joined(parts: Sequence[Bars]) -> Bars:
    """Bars one after the other, as copies."""
    columns = ["time", "open", "high", "low", "close", "volume"]
    columns += [] if parts[0].stale is None else ["stale"]
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return replace(parts[0], **whole)

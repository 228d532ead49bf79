"""A small piece of the user's run: its last bars, its playbooks, costs and limits as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from darwin.bootstrap import refuse_bad_options, wire
from darwin.config.document import Table
from darwin.config.load import Loaded, load_resolved
from darwin.core.market import Bars
from darwin.engine.session import Session
from darwin.errors import DataError
from darwin.testing.drill import market

MOST_SYMBOLS = 3
FIRST_BARS, MOST_BARS = 250, 16_000
"""Per symbol, besides those of warming up: how long a piece is at first, and at most."""


class Amount(NamedTuple):
    """How much happens in a run without agents."""

    asked: int  # verdicts
    orders: int

    def covers(self, other: Amount) -> bool:
        """Whether it is at least so much."""
        return self.asked >= other.asked and self.orders >= other.orders


ENOUGH, LEAST = Amount(240, 80), Amount(60, 12)
"""How much happens in a piece; with less than the least, breakers have too little to open on."""
ENOUGH_OF_A_FEED = Amount(60, 20)
"""A run that is fed its bars takes longer for each, so its piece is shorter."""


@dataclass(frozen=True)
class Part:
    """Some bars, as a config without agents and as a session."""

    tree: Mapping[str, Any]
    session: Session


@dataclass(frozen=True)
class Piece:
    """What all rehearsals run."""

    whole: Part
    feed: Part  # of one symbol, and shorter, for runs that are fed their bars


def cut(loaded: Loaded, folder: Path) -> Piece:
    """Cut a piece of the config's market and write it into the new `folder`.

    Raises ConfigError and DataError as a run does, and DataError where the whole market gives too
    little to rehearse on.
    """
    refuse_bad_options(loaded)
    tree = _with_a_free_expert(loaded)
    wired = wire(load_resolved(tree, loaded.source), record_features=False)
    symbols = loaded.config.market.symbols[:MOST_SYMBOLS]
    warmup = loaded.config.market.warmup_bars
    session, amount = _shortest(_of(wired.session, MOST_SYMBOLS), warmup, ENOUGH)
    if not amount.covers(LEAST):
        raise DataError(
            f"there is too little to rehearse on: {amount.asked} verdicts and {amount.orders}"
            f" orders, where {LEAST.asked} and {LEAST.orders} are needed",
            where="market",
            mend="take a longer range, or playbooks that propose more",
        )
    folder.mkdir(parents=True)
    for symbol, bars in zip(symbols, session.markets, strict=True):
        market.write(folder, symbol, bars)
    tree |= {"run_id": "drill", "artifacts_dir": "artifacts"}
    whole = Part(_over(tree, symbols, folder, None), session)
    one, enough = _shortest(_of(session, 1), warmup, ENOUGH_OF_A_FEED)
    if not enough.covers(ENOUGH_OF_A_FEED):
        return Piece(whole, whole)
    start_ms = int(one.markets[0].time[0])
    return Piece(whole, Part(_over(tree, symbols[:1], folder, start_ms), one))


def _with_a_free_expert(loaded: Loaded) -> Table:
    """The config with an expert that costs nothing and waits for nobody."""
    tree = Table(loaded.resolved())
    if tree["decider"]["provider"] != "rules":
        tree["decider"] = {"provider": "rules"}
    return tree


def _shortest(session: Session, warmup_bars: int, enough: Amount) -> tuple[Session, Amount]:
    """The shortest end of the markets, by doubling, in which enough happens; else all of it."""
    longest = min(max(len(bars) for bars in session.markets), warmup_bars + MOST_BARS)
    count = FIRST_BARS
    while True:
        length = min(warmup_bars + count, longest)
        ends = tuple(_end(bars, length) for bars in session.markets)
        part = replace(session, markets=ends)
        result = part.run()
        amount = Amount(int(result.verdicts.asked.sum()), len(result.orders))
        if amount.covers(enough) or length == longest:
            return part, amount
        count *= 2


def _end(bars: Bars, length: int) -> Bars:
    return bars.slice(max(0, len(bars) - length), len(bars))


def _of(session: Session, symbols: int) -> Session:
    """The same session of the first so many symbols, without agents."""
    rules = replace(session.rules, lot_size=session.rules.lot_size[:symbols])
    return replace(
        session, markets=session.markets[:symbols], tick_size=session.tick_size[:symbols],
        rules=rules, agents=None,
    )  # fmt: skip


def _over(
    tree: Mapping[str, Any], symbols: tuple[str, ...], folder: Path, start_ms: int | None
) -> dict[str, Any]:
    """The config over bars that were cut, from `start_ms` on."""
    start = None
    if start_ms is not None:
        start = datetime.fromtimestamp(start_ms / 1000, UTC).isoformat()
    changes = {
        "provider": market.PROVIDER, "path": str(folder.absolute()), "symbols": symbols,
        "start": start, "end": None,
    }  # fmt: skip
    steps = {
        name: {symbol: step for symbol, step in given.items() if symbol in symbols} or None
        for name in ("tick_size", "lot_size")
        if isinstance(given := tree["market"][name], Mapping)
    }
    return {**tree, "market": {**tree["market"], **changes, **steps}}

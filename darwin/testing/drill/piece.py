"""A small piece of the user's run: its last bars, its playbooks, costs and limits as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from darwin.bootstrap import Wired, refuse_bad_options, wire
from darwin.config.load import Loaded, load_resolved
from darwin.config.model import MarketConfig
from darwin.core.market import Bars
from darwin.data.convert import bar_frame, write_whole
from darwin.engine.result import RunResult
from darwin.engine.session import Session
from darwin.errors import DataError

MOST_SYMBOLS = 4
FIRST_BARS, MOST_BARS = 1_000, 16_000  # per symbol, besides those of warming up
ENOUGH_ASKED, ENOUGH_ORDERS = 300, 80
"""A piece with so many verdicts and orders is long enough."""
LEAST_ASKED, LEAST_ORDERS = 60, 12
"""With fewer there is nothing to rehearse on: breakers and limits would have too little to say."""


@dataclass(frozen=True)
class Piece:
    """What all rehearsals run."""

    tree: dict[str, Any]  # the config, resolved, without agents
    session: Session  # the same, wired, without agents
    asked: int  # verdicts in a run without agents
    orders: int


def cut(loaded: Loaded, folder: Path) -> Piece:
    """Cut a piece of the config's market and write it to files in `folder`.

    Raises ConfigError and DataError as a run does, and DataError where the whole market gives too
    few candidates to rehearse on.
    """
    refuse_bad_options(loaded)
    tree = _with_a_free_expert(loaded)
    wired = wire(load_resolved(tree, loaded.source), record_features=False)
    session, result = _long_enough(wired, loaded.config.market.warmup_bars)
    folder.mkdir(parents=True)
    for bars in session.markets:
        _write(bars, folder)
    tree["market"] = _market(loaded.config.market, session.markets, folder)
    tree["artifacts_dir"], tree["run_id"] = "artifacts", "drill"
    return Piece(tree, session, int(result.verdicts.asked.sum()), len(result.orders))


def _with_a_free_expert(loaded: Loaded) -> dict[str, Any]:
    """The config without agents, and with an expert that costs nothing and waits for nobody."""
    tree = loaded.resolved()
    if tree["decider"]["provider"] != "rules":
        tree["decider"] = {"provider": "rules"}
    return tree


def _long_enough(wired: Wired, warmup_bars: int) -> tuple[Session, RunResult]:
    """The shortest piece, by doubling, that holds enough to rehearse on."""
    whole = wired.session.markets[:MOST_SYMBOLS]
    longest = min(max(len(bars) for bars in whole), warmup_bars + MOST_BARS)
    count = FIRST_BARS
    while True:
        length = min(warmup_bars + count, longest)
        markets = tuple(bars.slice(max(0, len(bars) - length), len(bars)) for bars in whole)
        session = _over(wired.session, markets)
        result = session.run()
        asked, orders = int(result.verdicts.asked.sum()), len(result.orders)
        if asked >= ENOUGH_ASKED and orders >= ENOUGH_ORDERS:
            return session, result
        if length == longest:
            break
        count *= 2
    if asked < LEAST_ASKED or orders < LEAST_ORDERS:
        raise DataError(
            f"there is too little to rehearse on: {asked} verdicts and {orders} orders in"
            f" {length:,} bars per symbol, {LEAST_ASKED} and {LEAST_ORDERS} are needed",
            where="market",
            mend="take a longer range, or playbooks that propose more",
        )
    return session, result


def _over(session: Session, markets: tuple[Bars, ...]) -> Session:
    """The same session over these markets, without agents."""
    rules = replace(session.rules, lot_size=session.rules.lot_size[: len(markets)])
    ticks = session.tick_size[: len(markets)]
    return replace(session, markets=markets, rules=rules, tick_size=ticks, agents=None)


def _market(market: MarketConfig, markets: Sequence[Bars], folder: Path) -> dict[str, Any]:
    symbols = [bars.symbol for bars in markets]
    named = dict(zip(market.symbols, symbols, strict=False))

    def step(value: Any) -> Any:
        """A rounding step by the names that the files have."""
        if not isinstance(value, dict):
            return value
        return {named[symbol]: each for symbol, each in value.items() if symbol in named} or None

    return {
        "provider": "files",
        "path": str(folder.absolute()),
        "symbols": symbols,
        "timeframe": market.timeframe,
        "warmup_bars": market.warmup_bars,
        "max_gap_bars": market.max_gap_bars,
        "calendar": market.calendar,
        "funding": market.funding and all(bars.funding is not None for bars in markets),
        "tick_size": step(market.tick_size),
        "lot_size": step(market.lot_size),
    }


def _write(bars: Bars, folder: Path) -> None:
    name = bars.symbol.replace("/", "").replace(":", "_")
    write_whole(bar_frame(bars), folder / f"{name}-{bars.timeframe.name}.parquet")
    if bars.funding is not None:
        stamps = pl.Series(bars.funding.time).cast(pl.Datetime("ms", "UTC"))
        frame = pl.DataFrame({"timestamp": stamps, "funding_rate": bars.funding.rate})
        write_whole(frame, folder / f"{name}-8h-funding.parquet")

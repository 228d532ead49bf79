"""Options of the commands that train and evaluate agents of books: which bars, by which terms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from darwin.cli.instants import instant
from darwin.core.rebalance import ALLOCATOR
from darwin.errors import ConfigError
from darwin.rl.cli.options import Finite

if TYPE_CHECKING:
    from darwin.core.market import Timeframe
    from darwin.core.panel import Panel
    from darwin.rl.training.book_ground import Terms, TrainedPage

Command = TypeVar("Command", bound=Callable[..., Any])
BARS, EDGE, ASSETS, TIMEFRAME = 30_000, 1.0, 10, "1h"


def bar_options(command: Command) -> Command:
    """Add what names the bars: files, or a synthetic world."""
    for option in (
        click.option("--test-from", metavar="DAY", help="Hold out all bars from this day on."),
        click.option(
            "--world-seed", type=click.IntRange(0, 2**31), default=1, show_default=True,
            help="Of the synthetic world.",
        ),
        click.option(
            "--edge", type=Finite(0, 5), default=EDGE, show_default=True,
            help="Of the synthetic world; 0: nothing can be learned.",
        ),
        click.option(
            "--bars", type=click.IntRange(500, 1_000_000), default=BARS, show_default=True,
            help="Of the synthetic world.",
        ),
        click.option("--funding", is_flag=True, help="Charge funding of perpetuals from files."),
        click.option("--end", metavar="DAY", help="Of the bars from files, exclusive."),
        click.option("--start", metavar="DAY", help="Of the bars from files."),
        click.option("--timeframe", metavar="BAR", help="Length of a bar (1h, or the model's)."),
        click.option("--symbols", metavar="A,B,C", help="What to take from --data."),
        click.option(
            "--data", metavar="DIR", type=click.Path(path_type=Path),
            help="A folder of bars; without it the world is synthetic.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def term_options(command: Command) -> Command:
    """Add how a book is run and paid."""
    weights = (
        ("volatility", "Weight of the volatility of the last steps."),
        ("drawdown", "Weight of the drawdown beyond --reward-drawdown-from."),
        ("drawdown-from", "Share of the peak that may be lost for nothing."),
        ("cost", "Weight of costs over value."),
    )
    for name, says in reversed(weights):
        command = click.option(f"--reward-{name}", type=Finite(0, 1000), help=says)(command)
    for option in (
        click.option(
            "--every", type=click.IntRange(1, 100_000), help="Bars from one decision to the next."
        ),
        click.option(
            "--cost-bps", type=Finite(0, 1000), default=5.0, show_default=True,
            help="Of what is traded.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def terms_of(
    agent: str,
    *,
    cost_bps: float,
    every: int | None,
    reward_volatility: float | None = None,
    reward_drawdown: float | None = None,
    reward_drawdown_from: float | None = None,
    reward_cost: float | None = None,
) -> Terms:
    """The terms that the options ask for; what they leave open is the page's."""
    from dataclasses import replace

    from darwin.allocation.reward import RETURN_ALONE, Reward
    from darwin.rl.training.book_ground import Terms

    asked: dict[str, float | None] = {
        "volatility": reward_volatility, "drawdown": reward_drawdown,
        "drawdown_from": reward_drawdown_from, "cost": reward_cost,
    }  # fmt: skip
    usual = Reward() if agent == ALLOCATOR else RETURN_ALONE
    given: dict[str, Any] = {name: one for name, one in asked.items() if one is not None}
    return Terms(every or 1, cost_bps / 1e4, replace(usual, **given))


def panel_of(
    *,
    assets: int | None,
    data: Path | None,
    symbols: str | None,
    timeframe: str | None,
    start: str | None,
    end: str | None,
    funding: bool,
    bars: int,
    edge: float,
    world_seed: int,
) -> Panel:
    """The bars that the options name. Raises ConfigError, DataError."""
    from darwin.core.market import Timeframe

    frame = Timeframe.parse(timeframe or TIMEFRAME)
    if data is None:
        return _synthetic(frame, assets, symbols, start, end, funding, bars, edge, world_seed)
    named = symbols_named(symbols)
    if not named:
        raise ConfigError(
            "bars from files want symbols", where="--symbols", mend="write BTC/USDT,ETH/USDT"
        )
    if assets is not None and assets != len(named):
        raise ConfigError(
            f"{len(named)} symbols for {assets} assets", where="--assets", mend="leave it out"
        )
    return panel_from_files(data, named, frame, (start, end), funding=funding)


def symbols_named(given: str | None) -> tuple[str, ...]:
    """The symbols of an option `A,B`."""
    return tuple(part.strip() for part in (given or "").split(",") if part.strip())


def panel_from_files(
    data: Path,
    symbols: tuple[str, ...],
    timeframe: Timeframe,
    span: tuple[str | None, str | None],
    *,
    funding: bool,
) -> Panel:
    """The bars of `symbols` in a folder, from --start to --end. Raises ConfigError, DataError."""
    from darwin.core.panel import Panel
    from darwin.data.files import FilesProvider

    _require_different(symbols)
    start, end = (
        None if text is None else instant(text, option)
        for text, option in zip(span, ("--start", "--end"), strict=True)
    )
    provider = FilesProvider(data, timeframe, start, end, funding)
    return Panel.of([provider.bars(name) for name in symbols])


def _require_different(symbols: tuple[str, ...]) -> None:
    """Raise ConfigError where two symbols are one instrument, before hours are spent on them."""
    from darwin.config.values import instrument

    seen: dict[str, str] = {}
    for symbol in symbols:
        other = seen.get(instrument(symbol))
        if other is not None:
            raise ConfigError(
                f"{symbol[:40]} and {other[:40]} are the same instrument",
                where="--symbols",
                mend="name each once",
            )
        seen[instrument(symbol)] = symbol


def _synthetic(
    frame: Any, assets: int | None, symbols: str | None, start: str | None, end: str | None,
    funding: bool, bars: int, edge: float, seed: int,
) -> Panel:  # fmt: skip
    from darwin.data.planted_book import PlantedBook

    given = {"--symbols": symbols, "--start": start, "--end": end, "--funding": funding or None}
    for option, value in given.items():
        if value is not None:
            raise ConfigError(
                "is of bars from files", where=option, mend="name their folder with --data"
            )
    return PlantedBook(ASSETS if assets is None else assets, bars, seed, edge, frame).panel()


def page_for(agent: str, panel: Panel) -> TrainedPage:
    """The page of an agent over these bars. Raises ConfigError where there are too many symbols."""
    from darwin.allocation.allocator import allocator_page
    from darwin.allocation.market import MARKET_PAGE

    return allocator_page(panel.assets) if agent == ALLOCATOR else MARKET_PAGE

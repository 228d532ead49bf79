"""`darwin data synth`: write a synthetic market to files, or show how real it looks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from darwin.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from darwin.data.synthetic import SyntheticProvider

NOT_PASSED = 10
BARS_TO_WRITE = 10_000
BARS_FOR_FACTS = 500_000  # facts of 70,000 bars scatter too widely to judge a law by one seed
LEAST_BARS_FOR_FACTS = 7_000
CORRELATION = ("hourly_correlation", (0.60, 0.68))
SETUPS_FOR_AUC = 1_500


class Market(NamedTuple):
    """What the options say of the market to make; `bars` None leaves it to the task."""

    bars: int | None
    edge: float
    start_ms: int
    timeframe: str
    symbols: tuple[str, ...]
    annual_volatility: float | None
    jumps_per_year: float

    def provider(self, seed: int, usual_bars: int, symbols: tuple[str, ...]) -> SyntheticProvider:
        """The generator with one seed. Raises ConfigError for values that cannot be meant."""
        from darwin.core.market import Timeframe
        from darwin.data.synthetic import ANNUAL_VOLATILITY, SyntheticProvider

        volatility = self.annual_volatility
        return SyntheticProvider(
            bars=usual_bars if self.bars is None else self.bars,
            seed=seed,
            edge=self.edge,
            start_ms=self.start_ms,
            timeframe=Timeframe.parse(self.timeframe),
            symbols=symbols,
            annual_volatility=ANNUAL_VOLATILITY if volatility is None else volatility,
            jumps_per_year=self.jumps_per_year,
        )


@click.command()
@click.option("--bars", type=int, help="Bars of each symbol (10,000; with --facts 500,000).")
@click.option("--seed", type=int, default=1, show_default=True, help="Fixes every draw.")
@click.option("--edge", type=float, default=0.0, show_default=True, help="0: the null world.")
@click.option("--timeframe", default="1h", show_default=True, help="Length of a bar.")
@click.option("--symbols", default="BTC/USDT", show_default=True, help="Separated by commas.")
@click.option("--start", default="2020-01-01", show_default=True, help="First open, ISO, UTC.")
@click.option("--annual-volatility", type=float, help="Of log-returns, as a fraction (0.7).")
@click.option("--jumps-per-year", type=float, default=0.0, show_default=True, help="At opens.")
@click.option(
    "--output", "-o", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path()
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--facts", is_flag=True, help="Write nothing; print stylised facts of each seed.")
@click.option("--seeds", default="1,2,3,4,5", show_default=True, help="For --facts.")
@click.option("--json", "as_json", is_flag=True, help="Machine output.")
def synth(
    bars: int | None,
    seed: int,
    edge: float,
    timeframe: str,
    symbols: str,
    start: str,
    annual_volatility: float | None,
    jumps_per_year: float,
    folder: Path,
    force: bool,
    facts: bool,
    seeds: str,
    as_json: bool,
) -> int:
    """Generate a market labelled synthetic and write it to Parquet files.

    With --edge 0 prices are a martingale: no feature predicts an outcome. Above 0 a hidden regime,
    partly visible in volume, decides whether moves go on or turn. With --facts it exits with 10
    when a stylised fact of hourly crypto is out of its range.

    \b
    Example:
      darwin data synth --bars 20000 --seed 7 --symbols BTC/USDT,ETH/USDT -o data/
      darwin data synth --facts --seeds 1,2,3,4,5
    """
    named = tuple(part.strip() for part in symbols.split(",") if part.strip())
    if not named:
        raise ConfigError("--symbols names no symbol", mend="write for example BTC/USDT,ETH/USDT")
    market = Market(
        bars, edge, _start_ms(start), timeframe, named, annual_volatility, jumps_per_year
    )
    if facts:
        return _show_facts(market, _numbers(seeds), as_json)
    return _write(market.provider(seed, BARS_TO_WRITE, named), folder, force, as_json)


def _start_ms(text: str) -> int:
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"'{text}' is no date", where="--start", mend="write for example 2020-01-01"
        ) from None
    return int(start.replace(tzinfo=start.tzinfo or UTC).timestamp() * 1000)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"'{text}' is no list of seeds", where="--seeds", mend="write for example 1,2,3"
        ) from None


def _write(provider: SyntheticProvider, folder: Path, force: bool, as_json: bool) -> int:
    from darwin.cli.tables import print_json

    targets = {symbol: folder / _file_name(provider, symbol) for symbol in provider.symbols}
    if len(set(targets.values())) < len(targets):
        raise ConfigError("two symbols name the same file", where="--symbols")
    for target in targets.values():
        if target.exists() and not force:
            raise ConfigError(
                "the file exists", where=str(target), mend="add --force to replace it"
            )
    from darwin.data.convert import bar_frame, write_whole

    make_folder(folder)
    written = []
    for symbol, target in targets.items():
        write_whole(bar_frame(provider.bars(symbol)), target)
        click.echo(f"{target}: {provider.source(symbol)}", err=True)
        written.append(
            {
                "file": str(target),
                "symbol": symbol,
                "bars": provider.recipe.bars,
                "source": provider.source(symbol),
                "digest": provider.digest(symbol),
            }
        )
    if as_json:
        print_json({"synthetic": True, "files": written})
    return 0


def make_folder(folder: Path) -> None:
    """Make what is missing of `folder`. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StorageError(
            f"the folder cannot be made: {fault.strerror}",
            where=str(folder),
            mend="check that its parent is a writable folder",
        ) from fault


def _file_name(provider: SyntheticProvider, symbol: str) -> str:
    from darwin.data.names import plain_name

    return f"{plain_name(symbol)}-{provider.recipe.timeframe.name}.parquet"


def _show_facts(market: Market, seeds: list[int], as_json: bool) -> int:
    from darwin.cli.tables import print_json
    from darwin.stats.stylised import HOURLY_CRYPTO

    if market.timeframe != "1h":
        raise ConfigError(
            "stylised facts are known of hourly bars", where="--timeframe", mend="leave it out"
        )
    if market.bars is not None and not (market.bars >= LEAST_BARS_FOR_FACTS):
        raise ConfigError(
            f"stylised facts need at least {LEAST_BARS_FOR_FACTS:,} bars", where="--bars"
        )
    ranges = {**HOURLY_CRYPTO, CORRELATION[0]: CORRELATION[1]}
    by_seed = {seed: _facts(market, seed) for seed in seeds}
    kept = {
        name: sum(low <= facts[name] <= high for facts in by_seed.values())
        for name, (low, high) in ranges.items()
    }
    passed = all(count == len(seeds) for count in kept.values())
    if as_json:
        print_json(
            {"synthetic": True, "passed": passed, "ranges": ranges, "facts": by_seed, "kept": kept}
        )
        return 0 if passed else NOT_PASSED
    _print_facts(market, by_seed, ranges, kept)
    click.echo(f"synthetic market, edge {market.edge:g}: {'passed' if passed else 'NOT passed'}")
    return 0 if passed else NOT_PASSED


def _print_facts(
    market: Market,
    by_seed: dict[int, dict[str, float]],
    ranges: dict[str, tuple[float, float]],
    kept: dict[str, int],
) -> None:
    from darwin.cli.tables import print_table, terminal

    rows = []
    for name, (low, high) in ranges.items():
        cells = (_cell(facts[name], low, high) for facts in by_seed.values())
        rows.append([name, f"{low:g} to {high:g}", *cells, f"{kept[name]} of {len(by_seed)}"])
    if market.edge > 0.0:
        told = (f"{facts['attainable_auc']:.3f}  " for facts in by_seed.values())
        rows.append(["attainable_auc", "", *told, ""])
    heads = ["fact", "range", *(f"seed {seed}" for seed in by_seed), "in range"]
    print_table(terminal(), heads, rows, range(2, len(heads)))


def _cell(value: float, low: float, high: float) -> str:
    return f"{value:.3f} {' ' if low <= value <= high else '!'}"


def _facts(market: Market, seed: int) -> dict[str, float]:
    """Stylised facts of the first symbol, its correlation with the next, the AUC on offer."""
    import numpy as np

    from darwin.stats.stylised import hourly_facts

    first = market.symbols[0]
    second = next(name for name in (*market.symbols, "ETH/USDT", "BTC/USDT") if name != first)
    provider = market.provider(seed, BARS_FOR_FACTS, (first, second))
    facts = hourly_facts(provider.bars(first))
    moves = np.stack([np.diff(np.log(provider.bars(name).close)) for name in (first, second)])
    facts[CORRELATION[0]] = float(np.corrcoef(moves)[0, 1])
    if market.edge > 0.0:
        facts["attainable_auc"] = _attainable_auc(provider, first)
    return facts


def _attainable_auc(provider: SyntheticProvider, symbol: str) -> float:
    """What the ideal observer attains over plain breakouts."""
    import numpy as np

    from darwin.data.planted import PlantedWorld, breakouts

    setups = breakouts(provider.bars(symbol))
    spread = np.linspace(0, len(setups.bar) - 1, min(SETUPS_FOR_AUC, len(setups.bar)))
    return PlantedWorld(provider, symbol).attainable_auc(setups.select(spread.astype(np.int64)))

"""The synthetic market: bars of a martingale with real-looking volatility, or a planted edge.

The same seed, symbol and parameters give the same bars, whatever other symbols are asked for; a
longer series begins with the shorter one. `synthetic_law` holds the constants.
"""

from __future__ import annotations

import hashlib

import numpy as np

from darwin.core.market import SYMBOL, SYNTHETIC_VENUE, Bars, Timeframe
from darwin.data.synthetic_law import BLOCK, LAW_VERSION
from darwin.data.synthetic_path import ANNUAL_VOLATILITY, Recipe, blocks, open_times
from darwin.errors import ConfigError

_LEAST_PRICE = 1e-250  # further down floats lose digits

__all__ = ["ANNUAL_VOLATILITY", "SyntheticProvider", "label", "make_bars"]


class SyntheticProvider:
    """Bars by generator, one series per symbol, labelled `…:SYNTH`. No file, no network."""

    def __init__(
        self,
        *,
        bars: int,
        seed: int,
        edge: float,
        start_ms: int,
        timeframe: Timeframe,
        symbols: tuple[str, ...],
        annual_volatility: float = ANNUAL_VOLATILITY,
        jumps_per_year: float = 0.0,
    ) -> None:
        self.recipe = Recipe(
            bars, seed, edge, start_ms, timeframe, annual_volatility, jumps_per_year
        )
        self.recipe.check()
        self.symbols = tuple(label(symbol) for symbol in symbols)
        if len(set(self.symbols)) < len(self.symbols):
            raise ConfigError("a symbol is named twice", where=", ".join(self.symbols))
        self._made: dict[str, Bars] = {}

    def bars(self, symbol: str) -> Bars:
        """All bars of `symbol`, with or without its `:SYNTH`; made once. Raises ConfigError."""
        name = label(symbol)
        if name not in self.symbols:
            raise ConfigError(
                f"the synthetic market has no '{symbol}'", mend=f"known: {', '.join(self.symbols)}"
            )
        if name not in self._made:
            self._made[name] = make_bars(self.recipe, name)
        return self._made[name]

    def digest(self, symbol: str) -> str:
        """SHA-256 over the little-endian bytes of time, open, high, low, close, volume."""
        bars = self.bars(symbol)
        digest = hashlib.sha256(bars.time.astype("<i8").tobytes())
        for column in (bars.open, bars.high, bars.low, bars.close, bars.volume):
            digest.update(column.astype("<f8").tobytes())
        return digest.hexdigest()

    def source(self, symbol: str) -> str:
        """Say for the manifest where the bars of `symbol` come from."""
        recipe = self.recipe
        return (
            f"synthetic market, law {LAW_VERSION}: {label(symbol)} {recipe.timeframe.name}, "
            f"bars {recipe.bars}, seed {recipe.seed}, edge {recipe.edge:g}, "
            f"annual volatility {recipe.annual_volatility:g}, "
            f"jumps per year {recipe.jumps_per_year:g}"
        )


def label(symbol: str) -> str:
    """`BTC/USDT` -> `BTC/USDT:SYNTH`. Another venue or a malformed symbol raises ConfigError."""
    name = symbol if ":" in symbol else f"{symbol}:{SYNTHETIC_VENUE}"
    if not SYMBOL.fullmatch(name) or not name.endswith(":" + SYNTHETIC_VENUE):
        raise ConfigError(
            f"'{symbol}' cannot name a synthetic market",
            mend=f"write for example BTC/USDT or BTC/USDT:{SYNTHETIC_VENUE}",
        )
    return name


def make_bars(recipe: Recipe, symbol: str) -> Bars:
    """Generate all bars of `symbol`, a full label; the arrays are read-only.

    Raises ConfigError when the price would leave what floats can hold.
    """
    opened, high, low, close, volume = columns = [np.empty(recipe.bars) for _ in range(5)]
    for at, block in zip(range(0, recipe.bars, BLOCK), blocks(recipe, symbol), strict=True):
        for column, values in zip(columns, block[:5], strict=True):
            column[at : at + BLOCK] = values[: recipe.bars - at]
    if not (low.min() > _LEAST_PRICE):
        raise ConfigError(
            f"the price of {symbol} falls below {_LEAST_PRICE:g}: a martingale with volatility "
            f"{recipe.annual_volatility:g} sinks over {recipe.bars:,} bars",
            mend="ask for fewer bars or a lower annual volatility",
        )
    time = open_times(recipe, 0, recipe.bars)
    for array in (time, *columns):
        array.setflags(write=False)
    return Bars(symbol, recipe.timeframe, time, opened, high, low, close, volume)

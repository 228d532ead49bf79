"""The bars of a drill: written once, read by each of its runs without a look at the user's data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from darwin.config.model import MarketConfig
from darwin.core.market import Bars, Funding, Timeframe
from darwin.data.files import digest
from darwin.errors import DataError

PROVIDER = "darwin.testing.drill.market:CutMarket"
"""What a config calls it."""
_COLUMNS = ("time", "open", "high", "low", "close", "volume")


def write(folder: Path, symbol: str, bars: Bars) -> None:
    """Write what the config calls `symbol`."""
    columns = {name: getattr(bars, name) for name in _COLUMNS}
    if bars.funding is not None:
        columns |= {"paid_at": bars.funding.time, "rate": bars.funding.rate}
    np.savez(_file(folder, symbol), name=np.array([bars.symbol, bars.timeframe.name]), **columns)


class CutMarket:
    """Bars from `market.path`, from `market.start` on. Implements `core.ports.Provider`."""

    def __init__(self, market: MarketConfig) -> None:
        """Nothing is read yet."""
        self._folder, self._start_ms = Path(market.path or ""), market.start_ms or 0
        self._read: dict[str, Bars] = {}

    def bars(self, symbol: str) -> Bars:
        """All bars of `symbol`. Raises DataError where there are none."""
        if symbol not in self._read:
            self._read[symbol] = self._load(symbol)
        return self._read[symbol]

    def digest(self, symbol: str) -> str:
        """SHA-256 over all that `bars` returns."""
        return digest(self.bars(symbol))

    def source(self, symbol: str) -> str:
        """Where they come from."""
        return "the piece of a market that a drill has cut"

    def _load(self, symbol: str) -> Bars:
        file = _file(self._folder, symbol)
        try:
            with np.load(file) as columns:
                kept = {name: columns[name] for name in columns.files}
        except OSError as fault:
            raise DataError(
                f"the piece of {symbol} cannot be read", where=str(file), mend="run the drill again"
            ) from fault
        name, timeframe = kept.pop("name").tolist()
        funding = Funding(kept.pop("paid_at"), kept.pop("rate")) if "rate" in kept else None
        bars = Bars(name, Timeframe.parse(timeframe), funding=funding, **kept)
        return bars.slice(int(bars.time.searchsorted(self._start_ms)), len(bars))


def _file(folder: Path, symbol: str) -> Path:
    return folder / f"{symbol.replace('/', '_').replace(':', '_')}.npz"

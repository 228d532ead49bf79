"""The suite that every provider of bars inherits."""

from __future__ import annotations

from typing import Any

import numpy as np

from darwin.core.market import SYMBOL, Bars
from darwin.core.ports import Provider
from darwin.errors import DarwinError

_PRICES = ("open", "high", "low", "close")


class ProviderContract:
    """What a provider of bars keeps.

    Fixtures: `provider`; `symbol`, one it has; `twin`, a provider made anew from the same source;
    `other`, one whose bars of `symbol` differ.
    """

    def test_bars_are_checked_bars(self, provider: Provider, symbol: str) -> None:
        """Everything downstream trusts them."""
        bars = provider.bars(symbol)
        mend = "; hand out bars that passed darwin.data.checks.check_bars"
        n = len(bars)
        assert n > 0, f"there is not a single bar of {symbol}; raise DataError instead"
        assert SYMBOL.fullmatch(bars.symbol), f"'{bars.symbol}' is no symbol{mend}"
        assert bars.time.dtype == np.int64, f"time is {bars.time.dtype}, not int64 ms UTC{mend}"
        step = np.diff(bars.time)
        assert (step >= bars.timeframe.ms).all(), (
            f"bar {int((step < bars.timeframe.ms).argmax()) + 1} opens less than "
            f"{bars.timeframe.name} after the one before it{mend}"
        )
        for key in (*_PRICES, "volume"):
            column = getattr(bars, key)
            assert column.dtype == np.float64 and column.shape == (n,), (
                f"{key} is {column.dtype} of shape {column.shape}, not float64 of ({n},){mend}"
            )
        for key in _PRICES:
            sane = np.isfinite(getattr(bars, key)) & (getattr(bars, key) > 0)
            assert sane.all(), f"{key} of bar {int((~sane).argmax())} is no price{mend}"
        inside = (bars.low <= np.minimum(bars.open, bars.close)) & (
            bars.high >= np.maximum(bars.open, bars.close)
        )
        assert inside.all(), f"bar {int((~inside).argmax())} leaves its own high and low{mend}"
        assert np.isnan(bars.volume).all() or (bars.volume >= 0).all(), (
            f"volume is negative or NaN in places{mend}"
        )

    def test_asked_twice_it_gives_the_same_bytes(
        self, provider: Provider, twin: Provider, symbol: str
    ) -> None:
        """By the same provider or by another one over the same source."""
        first = _bytes_of(provider.bars(symbol))
        for again in (provider, twin):
            assert _bytes_of(again.bars(symbol)) == first, (
                f"the bars of {symbol} differ from one call to the next; fix the range and the "
                "seed when the provider is made, and hand out the same arrays"
            )

    def test_the_digest_is_that_of_the_data(
        self, provider: Provider, twin: Provider, other: Provider, symbol: str
    ) -> None:
        """Runs are told apart by it."""
        digest = provider.digest(symbol)
        assert isinstance(digest, str) and len(digest) == 64, (
            f"the digest is {digest!r}; give the 64 hex digits of a SHA-256"
        )
        assert digest == provider.digest(symbol) == twin.digest(symbol), (
            "the same bars have two digests; digest the numbers alone, no path, no time of day"
        )
        assert _bytes_of(other.bars(symbol)) != _bytes_of(provider.bars(symbol)), (
            "`other` has the same bars, so nothing is proven; change a bar in that fixture"
        )
        assert other.digest(symbol) != digest, (
            "other bars have the same digest; digest every number that bars() returns"
        )

    def test_what_it_does_not_have_is_refused(self, provider: Provider) -> None:
        """Never an empty answer, never some other symbol's bars."""
        try:
            found = provider.bars("NOSUCH/THING")
        except DarwinError as refusal:
            assert "NOSUCH" in str(refusal), (
                f"the refusal does not name the symbol: {refusal}; say what was asked for"
            )
            return
        except (LookupError, OSError, ValueError) as fault:
            raise AssertionError(
                f"an unknown symbol ends in {type(fault).__name__}; raise DataError or ConfigError "
                "with what, where and mend"
            ) from fault
        raise AssertionError(
            f"an unknown symbol gives {len(found)} bars of {found.symbol}; raise DataError"
        )

    def test_it_says_where_the_bars_come_from(self, provider: Provider, symbol: str) -> None:
        """In words that may stand in a manifest on another machine."""
        words = provider.source(symbol).split()
        assert words, "source() is empty; say where the bars come from"
        assert not [word for word in words if word.startswith(("/", "~"))], (
            f"source() holds a path of this machine: {' '.join(words)}; name the file alone"
        )


def _bytes_of(bars: Bars) -> tuple[bytes, ...]:
    columns: list[np.ndarray[Any, Any]] = [bars.time, bars.volume]
    columns += [getattr(bars, key) for key in _PRICES]
    if bars.funding is not None:
        columns += [bars.funding.time, bars.funding.rate]
    return tuple(column.tobytes() for column in columns)

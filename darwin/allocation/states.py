"""What risk rules are asked about: the market and the book, checked before anything is reckoned.

Plain mappings are read too, as `{"volatility": 0.3, "trend": 0.05}` and
`{"btc": 0.5, "eth": 0.3, "current_drawdown": 0.02}`; every fault is one DataError that names the
key and the mend.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from types import MappingProxyType
from typing import Any

from darwin.errors import DataError

MOST_VOLATILITY = 1000.0  # of a year: 100,000 %
MOST_TREND = 1000.0
LEAST_MONEY, MOST_MONEY = 1e-12, 1e15
MOST_WEIGHT = 100.0
DRAWDOWN, EQUITY, CASH = "current_drawdown", "equity", "cash"
RESERVED = (DRAWDOWN, EQUITY, CASH)
"""Keys of a plain portfolio that are no symbols."""
ROUNDING = 1e-6
"""How far weights and cash together may be from 1."""


@dataclass(frozen=True, slots=True)
class MarketState:
    """The market at one instant. What is known per symbol sharpens position sizes.

    Mappings are copied: what was checked is what is used.
    """

    volatility: float  # of the book's assets, a year: 0.3 is 30 %
    trend: float = 0.0  # return expected of them in a year
    prices: Mapping[str, float] = field(default_factory=dict)
    atr: Mapping[str, float] = field(default_factory=dict)  # in the unit of the price

    def __post_init__(self) -> None:
        _number("market_state.volatility", self.volatility, 0.0, MOST_VOLATILITY)
        _number("market_state.trend", self.trend, -MOST_TREND, MOST_TREND)
        for name, values in (("prices", self.prices), ("atr", self.atr)):
            kept = _kept(f"market_state.{name}", values, LEAST_MONEY, MOST_MONEY)
            object.__setattr__(self, name, kept)

    @classmethod
    def of(cls, told: object) -> MarketState:
        """Read a plain mapping; a MarketState is given back as it is."""
        if isinstance(told, MarketState):
            return told
        given = _mapping("market_state", told)
        known = tuple(cls.__dataclass_fields__)
        for key in given:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                mend = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(known)}"
                raise DataError(f"market_state has no {key!r}", where="market_state", mend=mend)
        if "volatility" not in given:
            raise DataError(
                "market_state lacks 'volatility'", where="market_state", mend="give that of a year"
            )
        return cls(**given)


@dataclass(frozen=True, slots=True)
class PortfolioState:
    """The book at one instant; what the weights leave of 1 is cash. They are copied."""

    weights: Mapping[str, float]  # by symbol: value over that of the book
    current_drawdown: float = 0.0  # a loss of 5 % from the peak is 0.05
    equity: float | None = None  # None: sizes have no units

    def __post_init__(self) -> None:
        kept = _kept("portfolio", self.weights, -MOST_WEIGHT, MOST_WEIGHT)
        object.__setattr__(self, "weights", kept)
        for name in RESERVED:
            if name in kept:
                raise DataError(
                    f"a symbol is called {name!r}", where="portfolio", mend="rename the symbol"
                )
        if not kept:
            raise DataError("a portfolio of no assets", where="portfolio", mend="name at least one")
        _number(f"portfolio[{DRAWDOWN!r}]", self.current_drawdown, 0.0, 1.0)
        if self.equity is not None:
            _number(f"portfolio[{EQUITY!r}]", self.equity, LEAST_MONEY, MOST_MONEY)

    @classmethod
    def of(cls, told: object) -> PortfolioState:
        """Read a plain mapping of symbols to weights; a PortfolioState is given back as it is.

        `current_drawdown`, `equity` and `cash` are no symbols; cash must be what weights leave.
        """
        if isinstance(told, PortfolioState):
            return told
        given = _mapping("portfolio", told)
        rest = {name: given[name] for name in (DRAWDOWN, EQUITY) if name in given}
        state = cls({key: given[key] for key in given if key not in RESERVED}, **rest)
        if CASH in given:
            _number(f"portfolio[{CASH!r}]", given[CASH], -MOST_WEIGHT, MOST_WEIGHT)
            left = 1.0 - sum(state.weights.values())
            if not abs(given[CASH] - left) <= ROUNDING:
                raise DataError(
                    f"weights leave {left:.6g}, but cash is {given[CASH]:.6g}",
                    where="portfolio",
                    mend="leave cash out: it is what weights leave of 1",
                )
        return state


def refuse_mistaken_symbols(market: MarketState, book: PortfolioState) -> None:
    """Raise DataError where a price or ATR is of no asset held, while one that is held has none."""
    for name, values in (("prices", market.prices), ("atr", market.atr)):
        lacking = [symbol for symbol in book.weights if symbol not in values]
        strange = [symbol for symbol in values if symbol not in book.weights]
        if lacking and strange:
            raise DataError(
                f"market_state.{name} has {strange[0]!r}, which the portfolio does not hold, and"
                f" no {lacking[0]!r}",
                where=f"market_state.{name}",
                mend="name symbols alike in both, or leave out what is not known",
            )


def _mapping(name: str, told: object) -> Mapping[str, Any]:
    if not isinstance(told, Mapping):
        raise DataError(
            f"{name} is a {type(told).__name__}", where=name, mend="give a mapping or the dataclass"
        )
    return told


def _kept(name: str, told: object, least: float, most: float) -> Mapping[str, float]:
    """A copy by symbol that nobody can change, each number within bounds."""
    kept: dict[str, float] = {}
    for symbol, value in _mapping(name, told).items():
        if not isinstance(symbol, str) or not symbol.strip():
            raise DataError(f"{symbol!r} is no symbol", where=name, mend="write its name as text")
        if type(value) is not float or not least <= value <= most:  # most are, and need no more
            _number(f"{name}[{symbol!r}]", value, least, most)
        kept[symbol] = float(value)
    return MappingProxyType(kept)


def _number(name: str, value: Any, least: float, most: float) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        told = f"{name} is {reprlib.repr(value)}, no number"
        raise DataError(told, where=name, mend="write a number")
    number: Any = value
    if not (number >= least and number <= most):  # an integer may be too large for a float
        told = f"{name} is {number!r}" if isinstance(number, float) else f"{name} is out of bounds"
        raise DataError(told, where=name, mend=f"it must be from {least:g} to {most:g}")

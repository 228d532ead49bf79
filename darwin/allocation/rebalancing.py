"""Rebalancing: from what a policy asks for to weights that may be held.

Nothing that a policy gives becomes weights before it is judged. What is not valid leaves the
present weights as they are, is counted, and says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.allocation.by_name import ByName
from darwin.allocation.kelly import Kelly, moments
from darwin.allocation.leverage import VolatilityTarget
from darwin.allocation.states import MOST_WEIGHT, ROUNDING, MarketState, PortfolioState
from darwin.allocation.terms import require
from darwin.core.market import FloatArray
from darwin.core.rebalance import BookPage, BookPolicy, BookState
from darwin.errors import ConfigError, DarwinError, DataError

EQUAL_WEIGHT, POLICY, PRESENT = "equal weight", "policy", "present weights"
"""Who decided: the baseline, because there is no policy; the policy; nobody, as it failed."""

FAILURES = (ArithmeticError, DarwinError, LookupError, RuntimeError, TypeError, ValueError)
"""What a policy may raise without harm to the caller; the present weights stand then."""


class TargetPolicy(Protocol):
    """Whatever gives target weights: by symbol, or in the order of the portfolio's symbols."""

    def __call__(self, market: MarketState, portfolio: PortfolioState, /) -> Any:
        """The weights that should be held. May raise anything."""
        ...


class Trainer(Protocol):
    """Whatever makes a policy."""

    def __call__(self, **settings: Any) -> TargetPolicy:
        """Learn, and give the policy that came of it."""
        ...


@dataclass(frozen=True, slots=True)
class WeightLimits:
    """What weights must keep to."""

    least: float = 0.0  # of each asset; below 0: shorts
    most: float = 1.0  # of each asset
    gross: float = 1.0  # of all together, without their signs
    max_turnover: float | None = None  # sum of the changes at one rebalance; None: no bound

    def __post_init__(self) -> None:
        require("most", self.most, 0.0, MOST_WEIGHT, above=True)
        require("least", self.least, -MOST_WEIGHT, 0.0)
        require("gross", self.gross, 0.0, MOST_WEIGHT, above=True)
        if self.max_turnover is not None:
            require("max_turnover", self.max_turnover, 0.0, 2.0 * MOST_WEIGHT)

    def objection(self, weights: Mapping[str, float]) -> str:
        """Why these may not be held; empty: they may."""
        for symbol, weight in weights.items():
            if not math.isfinite(weight):
                return f"the weight of {symbol} is {weight}"
            if not self.least - ROUNDING <= weight <= self.most + ROUNDING:
                return f"{symbol} at {weight:.6g} is not within {self.least:g} to {self.most:g}"
        gross = sum(map(abs, weights.values()))
        if not gross <= self.gross + ROUNDING:
            return f"weights of {gross:.6g} together exceed {self.gross:g}"
        return ""

    def refuse_held(self, weights: Mapping[str, float]) -> None:
        """Raise DataError where present weights are none that these limits can have led to.

        A single weight may have drifted above `most`; its sign and the gross may not be others.
        """
        for symbol, weight in weights.items():
            if self.least >= 0.0 and weight < -ROUNDING:
                raise DataError(
                    f"{symbol} is held short, at {weight:.6g}",
                    where=f"portfolio[{symbol!r}]",
                    mend="allow shorts by WeightLimits(least=…)",
                )
        gross, most = sum(map(abs, weights.values())), max(self.gross, 1.0)
        if not gross <= most + ROUNDING:
            raise DataError(
                f"weights of {gross:.6g} together exceed {most:g}",
                where="portfolio",
                mend="give values over that of the book, or allow more by WeightLimits(gross=…)",
            )

    def toward(self, present: Mapping[str, float], target: Mapping[str, float]) -> dict[str, float]:
        """As far from `present` towards `target` as the turnover allows, on the straight line."""
        turnover = sum(abs(target[symbol] - weight) for symbol, weight in present.items())
        most = math.inf if self.max_turnover is None else self.max_turnover
        if turnover <= most:
            return dict(target)
        share = most / turnover
        return {
            symbol: weight + share * (target[symbol] - weight) for symbol, weight in present.items()
        }


@dataclass(frozen=True, slots=True)
class Rebalance(ByName):
    """Weights to hold, and how they came about."""

    weights: Mapping[str, float]  # by symbol, in the order of the portfolio
    cash: float
    turnover: float  # sum of the changes
    decided_by: str  # one of `EQUAL_WEIGHT`, `POLICY`, `PRESENT`
    reason: str  # why the present weights stand, or what cut the change; empty: nothing


class PortfolioManager:
    """Asks a policy for weights, and lets only valid ones through.

    Without a policy each asset gets the same weight, and the answer says so. `fallbacks` counts
    how often a policy gave nothing valid.
    """

    def __init__(
        self,
        policy: TargetPolicy | None = None,
        *,
        limits: WeightLimits | None = None,
        leverage: VolatilityTarget | None = None,
        kelly: Kelly | None = None,
        trainer: Trainer | None = None,
    ) -> None:
        """`trainer` is what `train` calls: learning is handed in, and nothing of it imported."""
        self.policy, self.limits = policy, limits or WeightLimits()
        self.leverage, self.kelly = leverage or VolatilityTarget(), kelly or Kelly()
        self._trainer = trainer
        self.fallbacks = 0

    def train(self, **settings: Any) -> TargetPolicy:
        """Let the trainer learn by `settings`, and ask its policy from now on.

        Raises ConfigError without a trainer, and what the trainer raises; the policy stays then.
        """
        if self._trainer is None:
            raise ConfigError(
                "this portfolio manager has no trainer",
                mend="hand one in: PortfolioManager(trainer=…)",
            )
        policy = self._trainer(**settings)
        if not callable(policy):
            raise ConfigError(
                f"the trainer gave a {type(policy).__name__}, no policy",
                mend="return a callable of market state and portfolio state",
            )
        self.policy = policy
        return policy

    def rebalance(self, market_state: object, portfolio: object) -> Rebalance:
        """Weights to hold now. Raises DataError for a state that cannot be."""
        market, book = MarketState.of(market_state), PortfolioState.of(portfolio)
        self.limits.refuse_held(book.weights)
        if self.policy is None:
            return self._change(book, self._equal(book), EQUAL_WEIGHT)
        try:
            target = _by_symbol(self.policy(market, book), tuple(book.weights))
        except FAILURES as error:
            return self._stay(book, f"the policy failed: {type(error).__name__}: {error}")
        objection = self.limits.objection(target)
        return self._stay(book, objection) if objection else self._change(book, target, POLICY)

    def compute_leverage(self, volatility: float) -> float:
        """Leverage by the volatility target."""
        return self.leverage.leverage(volatility)

    def apply_kelly(self, returns: FloatArray) -> FloatArray:
        """The shares of the Kelly criterion, by mean and variance of `returns` (t, n)."""
        return self.kelly.shares(*moments(np.asarray(returns, dtype=np.float64)))

    def _equal(self, book: PortfolioState) -> dict[str, float]:
        share = min(min(self.limits.gross, 1.0) / len(book.weights), self.limits.most)
        return dict.fromkeys(book.weights, share)

    def _change(
        self, book: PortfolioState, target: Mapping[str, float], decided_by: str
    ) -> Rebalance:
        weights = self.limits.toward(book.weights, target)
        cut = any(weights[symbol] != target[symbol] for symbol in weights)
        return _told(book, weights, decided_by, "cut to the largest turnover" if cut else "")

    def _stay(self, book: PortfolioState, reason: str) -> Rebalance:
        self.fallbacks += 1
        return _told(book, book.weights, PRESENT, reason)


def asks(
    page: BookPage, policy: BookPolicy, seen: Callable[[], NDArray[np.float32]]
) -> TargetPolicy:
    """A model of a book as a policy of target weights.

    `seen` gives the row of the page's columns at the present close, shape (k,). The portfolio's
    symbols must come in the order of the page's assets.
    """

    def target(market: MarketState, portfolio: PortfolioState, /) -> list[float]:
        held = tuple(portfolio.weights.values())
        if len(held) != page.assets:
            raise DataError(f"{len(held)} assets, and a page of {page.assets}")
        moment = page.moment(BookState(held, 1.0 - float(portfolio.current_drawdown), 1.0))
        observation = np.concatenate([seen(), np.array(moment, dtype=np.float32)])
        action = policy.advise(observation).action
        if not page.is_legal(action):
            raise DataError(f"an illegal action: {action}")
        return [float(weight) for weight in page.target(action)]

    return target


def _by_symbol(given: Any, symbols: tuple[str, ...]) -> dict[str, float]:
    """Target weights of exactly these symbols. Raises DataError, TypeError or ValueError."""
    if isinstance(given, Mapping):
        if set(given) != set(symbols):
            raise DataError(f"weights of {', '.join(map(str, given))}, not of {', '.join(symbols)}")
        given = [given[symbol] for symbol in symbols]
    values = np.asarray(given)
    if values.dtype.kind not in "fiu":
        raise DataError("weights that are no numbers")
    if values.shape != (len(symbols),):
        raise DataError(f"weights of shape {values.shape} for {len(symbols)} assets")
    return dict(zip(symbols, map(float, values.tolist()), strict=True))


def _told(
    book: PortfolioState, weights: Mapping[str, float], decided_by: str, reason: str
) -> Rebalance:
    whole = dict(weights)
    turnover = sum(abs(whole[symbol] - was) for symbol, was in book.weights.items())
    return Rebalance(whole, 1.0 - sum(whole.values()), turnover, decided_by, reason)

"""What may be said of books side by side: whether anyone wins, and whether one may be believed.

A name stands under `winner` only where the test of superior predictive ability says so of it
against all others, and where its own Sharpe ratio is above zero by its interval. A rank in a table
is no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.allocation.benchmark_figures import (
    FEWEST_DAYS,
    Centre,
    Figures,
    figures,
    mean,
    mean_difference,
)
from darwin.allocation.benchmark_settings import BenchmarkSettings
from darwin.allocation.benchmark_walks import Books
from darwin.allocation.criteria import Criterion, Verdict, criteria_of, verdict_of
from darwin.core.market import FloatArray, IntArray
from darwin.stats.intervals import Interval
from darwin.stats.stationary import drawn_days, mean_stretch
from darwin.stats.superior import HOW_TO_HAVE_IT, best_of_all_p_values, is_installed


class Standing(NamedTuple):
    """How one strategy stands among the others."""

    name: str
    note: str
    books: int
    figures: Figures
    p_value: float  # that it is not the best of all; NaN where it could not be tested
    value: FloatArray  # of the book at the closes of the benchmark


@dataclass(frozen=True, slots=True)
class Judgement:
    """Who took part, how each did, and what may be said of it."""

    standings: tuple[Standing, ...]  # the judged one first, if there is one
    judged: str | None
    winner: str | None
    why: str  # the winner, or why there is none
    over_hold: Interval | None  # mean daily return of the judged one beyond buy & hold
    criteria: tuple[Criterion, ...]  # of the judged one
    verdict: Verdict | None  # on the judged one

    def standing(self, name: str) -> Standing:
        """That of the strategy called `name`."""
        return next(one for one in self.standings if one.name == name)


def judgement_on(
    books: Sequence[Books],
    per_year: float,
    settings: BenchmarkSettings,
    judged: str | None = None,
    centre: Centre = mean,
    gains: FloatArray | None = None,
) -> Judgement:
    """Hold `books`, of the same days, beside each other; the first is the judged one, if any is.

    One of them is called `buy_and_hold`. `centre` is told of a strategy with several books. What is
    tested are `gains`, the return of each strategy on each day, (d, k): else the mean over its
    books.
    """
    if gains is None:
        gains = np.column_stack([one.days.returns.mean(axis=0) for one in books])
    days = _days(gains, settings)
    standings = _standings(books, gains, days, per_year, settings, centre)
    winner, why = _winner(standings, settings, len(gains))
    if judged is None:
        return Judgement(standings, None, winner, why, None, (), None)
    hold = [one.name for one in books].index("buy_and_hold")
    over = mean_difference(gains[:, 0], gains[:, hold], days, settings.level)
    criteria = criteria_of(standings[0].figures, over)
    ruined = bool((books[0].days.growth <= 0.0).any())
    verdict = verdict_of(criteria, judged, winner, ruined=ruined)
    return Judgement(standings, judged, winner, why, over, criteria, verdict)


def _days(gains: FloatArray, settings: BenchmarkSettings) -> IntArray | None:
    """Days drawn again, the same for all; None where there are too few."""
    if len(gains) < FEWEST_DAYS:
        return None
    stretch = max(mean_stretch(column) for column in gains.T)
    return drawn_days(
        len(gains), stretch, np.random.default_rng([settings.seed, 3]), settings.draws
    )


def _standings(
    books: Sequence[Books],
    gains: FloatArray,
    days: IntArray | None,
    per_year: float,
    settings: BenchmarkSettings,
    centre: Centre,
) -> tuple[Standing, ...]:
    rng = np.random.default_rng([settings.seed, 4])
    chances = best_of_all_p_values(gains, rng, settings.draws)
    return tuple(
        Standing(
            one.name, one.note, len(one.days.growth),
            figures(
                one.days, per_year, days, np.random.default_rng([settings.seed, 5, at]),
                settings.level, centre,
            ),
            float(chance), one.value,
        )
        for at, (one, chance) in enumerate(zip(books, chances, strict=True))
    )  # fmt: skip


def _winner(
    standings: tuple[Standing, ...], settings: BenchmarkSettings, days: int
) -> tuple[str | None, str]:
    """Who has won, if anyone, and the words for it."""
    if not is_installed():
        return None, f"No winner is named: {HOW_TO_HAVE_IT}."
    if days < FEWEST_DAYS:
        return None, f"No winner is named: {days} days are too few to tell."
    first = min(standings, key=lambda one: one.p_value)
    told = f"p = {first.p_value:.3f}, {settings.significance:g} is needed"
    if not (first.p_value < settings.significance):
        return None, f"No winner: of none is it shown that it is the best of all ({told})."
    low = first.figures.sharpe_ratio.low
    if not (low > 0.0):
        return None, (
            f"No winner: {first.name} is the best of all, but its own Sharpe ratio is not above "
            "zero by its interval."
        )
    return first.name, f"{first.name} is better than each of the others ({told})."

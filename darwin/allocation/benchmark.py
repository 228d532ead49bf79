"""The benchmark of books: an agent beside those who know nothing, and whether anyone wins.

A name stands under `winner` only where the test of superior predictive ability says so of it
against all others, and where its own Sharpe ratio is above zero by its interval. A rank in a table
is no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.allocation.benchmark_figures import FEWEST_DAYS, Figures, figures, mean_difference
from darwin.allocation.benchmark_settings import BenchmarkSettings, Judged
from darwin.allocation.benchmark_walks import Books, Course, benchmark_books, judged_plans
from darwin.allocation.criteria import Criterion, Verdict, criteria_of, verdict_of
from darwin.core.market import FloatArray, IntArray
from darwin.core.panel import Panel
from darwin.errors import ConfigError
from darwin.stats.intervals import Interval
from darwin.stats.stationary import drawn_days, mean_stretch
from darwin.stats.superior import HOW_TO_HAVE_IT, best_of_all_p_values, is_installed

OWN_NAMES = (
    "buy_and_hold", "ma_crossover", "random_matched", "random", "equal_weight",
    "minimum_variance", "flat",
)  # fmt: skip
"""Names that no agent may have here."""


class Standing(NamedTuple):
    """How one strategy stands among the others."""

    name: str
    note: str
    books: int
    figures: Figures
    p_value: float  # that it is not the best of all; NaN where it could not be tested
    value: FloatArray  # of the book at the closes of the benchmark, mean over books


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All of a benchmark: who took part, how each did, and what may be said of it."""

    course: Course
    standings: tuple[Standing, ...]  # the agent first, if there is one
    judged: str | None
    winner: str | None
    why: str  # the winner, or why there is none
    over_hold: Interval | None  # mean daily return of the agent beyond buy & hold
    criteria: tuple[Criterion, ...]  # of the agent
    verdict: Verdict | None  # on the agent

    def standing(self, name: str) -> Standing:
        """That of the strategy called `name`."""
        return next(one for one in self.standings if one.name == name)


def benchmark_of(
    panel: Panel, judged: Judged | None, settings: BenchmarkSettings | None = None
) -> Benchmark:
    """Run all strategies over the same test and judge the agent, or them alone.

    Raises ConfigError where the windows do not fit, ModelError where a model has seen the test.
    """
    settings = settings or BenchmarkSettings()
    if judged is not None and judged.name in OWN_NAMES:
        raise ConfigError(f"'{judged.name}' is a benchmark itself", mend="give the agent a name")
    course = Course.of(panel, settings)
    plans = [] if judged is None else judged_plans(course, judged)
    books = benchmark_books(course, plans)
    if judged is not None:
        note = "the agent" + (f", mean of {len(plans)} seeds" if len(plans) > 1 else "")
        books = [course.books(judged.name, note, plans), *books]
    gains = np.column_stack([one.days.returns.mean(axis=0) for one in books])
    days = _days(gains, settings)
    standings = _standings(course, books, gains, days)
    winner, why = _winner(standings, settings, len(gains))
    if judged is None:
        return Benchmark(course, standings, None, winner, why, None, (), None)
    hold = [one.name for one in books].index("buy_and_hold")
    over = mean_difference(gains[:, 0], gains[:, hold], days, settings.level)
    criteria = criteria_of(standings[0].figures, over)
    ruined = bool((books[0].days.growth <= 0.0).any())
    verdict = verdict_of(criteria, judged.name, winner, ruined=ruined)
    return Benchmark(course, standings, judged.name, winner, why, over, criteria, verdict)


def _days(gains: FloatArray, settings: BenchmarkSettings) -> IntArray | None:
    """Days drawn again, the same for all; None where there are too few."""
    if len(gains) < FEWEST_DAYS:
        return None
    stretch = max(mean_stretch(column) for column in gains.T)
    return drawn_days(
        len(gains), stretch, np.random.default_rng([settings.seed, 3]), settings.draws
    )


def _standings(
    course: Course, books: list[Books], gains: FloatArray, days: IntArray | None
) -> tuple[Standing, ...]:
    settings = course.settings
    rng = np.random.default_rng([settings.seed, 4])
    chances = best_of_all_p_values(gains, rng, settings.draws)
    return tuple(
        Standing(
            one.name, one.note, len(one.days.growth),
            figures(
                one.days, course.days.per_year, days,
                np.random.default_rng([settings.seed, 5, at]), settings.level,
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

"""The benchmark of books: an agent beside those who know nothing, and whether anyone wins."""

from __future__ import annotations

from dataclasses import dataclass

from darwin.allocation.benchmark_judgement import Judgement, judgement_on
from darwin.allocation.benchmark_settings import BenchmarkSettings, Judged
from darwin.allocation.benchmark_walks import Course, benchmark_books, judged_plans
from darwin.core.panel import Panel
from darwin.errors import ConfigError

OWN_NAMES = (
    "buy_and_hold", "ma_crossover", "random_matched", "random", "equal_weight",
    "minimum_variance", "flat",
)  # fmt: skip
"""Names that no agent may have here."""


@dataclass(frozen=True, slots=True)
class Benchmark(Judgement):
    """All of a benchmark: where it was run, and what may be said of it."""

    course: Course


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
    name = None if judged is None else judged.name
    told = judgement_on(books, course.days.per_year, settings, name)
    return Benchmark(
        told.standings, told.judged, told.winner, told.why, told.over_hold, told.criteria,
        told.verdict, course,
    )  # fmt: skip

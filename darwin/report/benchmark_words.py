"""A benchmark of books in words: rows of its table, its bounds, what it was reckoned under."""

from __future__ import annotations

from typing import Any, TypeAlias

from darwin.allocation.benchmark_figures import Figures
from darwin.engine import report_words as words

Tree: TypeAlias = dict[str, Any]

NAMES = {
    "this_run": "This run",
    "buy_and_hold": "Buy & hold",
    "ma_crossover": "MA crossover",
    "random_matched": "Random-matched",
    "random": "Random",
    "equal_weight": "Equal weight",
    "minimum_variance": "Minimum variance",
    "flat": "Flat",
}
FIGURES = Figures._fields
HEADS = (
    "total return",
    "Sharpe",
    "max drawdown",
    "win rate",
    "daily return",
    "turnover a year",
    "p",
)
CRITERIA = {
    "sharpe_ratio": "Sharpe ratio",
    "max_drawdown": "Max drawdown",
    "win_rate": "Win rate",
    "beats_buy_and_hold": "Beyond buy & hold, a day",
}
_PERCENTS = {"total_return": 1, "max_drawdown": 1, "win_rate": 1, "avg_return": 3}
_SIGNED = ("total_return", "avg_return", "beats_buy_and_hold")
_HELD = {True: "held", False: "missed", None: "not yet known"}


def name(strategy: str) -> str:
    """What a strategy is called in a table."""
    return NAMES.get(strategy, strategy)


def cells(one: Tree) -> list[tuple[str, str]]:
    """Each figure of a strategy and its interval, in the order of HEADS but for the last."""
    return [(_said(f, one[f]["value"]), between(f, one[f])) for f in FIGURES]


def p_value(one: Tree) -> str:
    """How likely this is if it is not the best of all."""
    return "n/a" if one["p_value"] is None else f"{one['p_value']:.3f}"


def criterion(one: Tree) -> tuple[str, str, str, str, str]:
    """A bound: what it is of, the bound, the figure, its interval, whether it is held."""
    figure = one["name"]
    return (
        CRITERIA[figure], one["bound"], _said(figure, one["value"]), between(figure, one),
        _HELD[one["held"]],
    )  # fmt: skip


def between(figure: str, one: Tree) -> str:
    """The interval of a figure."""
    if one["low"] is None:
        return "no interval"
    return f"{_said(figure, one['low'])} to {_said(figure, one['high'])}"


def basis(tree: Tree) -> list[str]:
    """Under what all of it was reckoned."""
    how, test, windows = tree["sampling"], tree["test"], tree["windows"]
    begun, ended = _minute(test["from"]), _minute(test["to"])
    return [
        f"{', '.join(tree['symbols'])}, bars of {tree['timeframe']}; tested from"
        f" {begun} to {ended} UTC, {words.count(test['days'], 'day')}, in"
        f" {words.count(len(windows), 'window')}.",
        f"{how['decisions']:,} possible decisions, one every"
        f" {words.count(how['bars_between_decisions'], 'bar')}, carried out at the next open at"
        f" {how['cost_bps']:g} bps of what is traded; an embargo of"
        f" {words.count(how['embargo_bars'], 'bar')} before each window.",
        *_sampled(how),
    ]


def basis_of_run(tree: Tree) -> list[str]:
    """Under what a run of candidates and its rivals were reckoned."""
    test = tree["test"]
    told = [
        f"{', '.join(tree['symbols'])}, bars of {tree['timeframe']}; all days of the run are"
        f" scored, {words.count(test['days'], 'day')}, the warm-up as cash: nothing is fitted to"
        " them here."
        " All start with the run's equity and pay its costs.",
        "Win rate: of days on which something was held at a close. Of what goes by chance the"
        " figures are medians of its draws.",
        *_sampled(tree["sampling"]),
    ]
    left = tree["left_out"]
    return told + [f"{name(one)} is left out: {why}." for one, why in left.items()]


def window_rows(tree: Tree) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of total returns by window."""
    names = list(tree["strategies"])
    rows = [
        [f"{_minute(one['from'])[:10]} to {_minute(one['to'])[:10]}"]
        + [_said("total_return", one["strategies"][who]["total_return"]) for who in names]
        for one in tree["windows"]
        if one["days"]
    ]
    return ["total return", *(name(one) for one in names)], rows


def _sampled(how: Tree) -> list[str]:
    return [
        f"Returns are those of UTC days, annualised by {how['days_per_year']:g}. Intervals of"
        f" {how['interval']:.0%} from {how['draws_of_days']:,} draws of stretches of days.",
        "p is how likely a strategy would be ahead like this if it were not the best of all; 1 for"
        " all that are not ahead.",
    ]


def verdict(tree: Tree) -> str:
    """The first sentence: on the agent, or on the winner alone."""
    agent: str | None = tree["judged"]
    if agent is None:
        return str(tree["why"])
    told = {
        "passed": "passes: it is the best of all, and holds every bound.",
        "refused": "is refused: it misses a bound, or another strategy wins.",
        "undecided": "is not to be believed yet: nothing refutes it, too little holds.",
    }
    return f"{name(agent)} {told[tree['verdict']]}"


def _said(figure: str, value: float | None) -> str:
    if figure == "beats_buy_and_hold":
        return words.percent(value, 3, sign=True)
    if figure in _PERCENTS:
        return words.percent(value, _PERCENTS[figure], sign=figure in _SIGNED)
    return words.number(value, 2)


def _minute(iso: str) -> str:
    return iso[:10] + " " + iso[11:16]

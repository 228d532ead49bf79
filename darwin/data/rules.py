"""The rules that rows of market data must keep, and the refusal of the first row that does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from darwin.core.market import YEAR_2200_MS, BoolArray, FloatArray, IntArray, Timeframe
from darwin.data.utc import utc_text
from darwin.errors import DataError

PRICES = ("open", "high", "low", "close")
FROM_THE_SOURCE = "fetch the data again or mend that row at its source; Darwin repairs nothing"


class Rule(NamedTuple):
    """One rule over all rows; `says` is filled with the values of the first row that breaks it."""

    column: str
    broken: BoolArray
    says: str


def time_rules(time: IntArray, timeframe: Timeframe | None) -> list[Rule]:
    """Rules of strictly increasing time, at least one `timeframe` apart if there is one."""
    step = np.zeros_like(time)
    step[1:] = np.diff(time)
    absurd = (time < 0) | (time >= YEAR_2200_MS)
    rules = [
        Rule("timestamp", absurd, "{time} is not between 1970 and 2200; is its unit another one?"),
        Rule("timestamp", step < 0, "{time} comes after {before}: the rows are not in order"),
    ]
    if timeframe is not None:
        dense = (step > 0) & (step < timeframe.ms)
        says = f"{{time}} comes after {{before}}, closer than the {timeframe.name} the file claims"
        rules.append(Rule("timestamp", dense, says))
    return rules


def conflict_rules(time: IntArray, values: Mapping[str, FloatArray]) -> list[Rule]:
    """Rules against rows that have the time of the row before and say something else."""
    rules = []
    for name, column in values.items():
        differs = np.zeros(len(time), dtype=np.bool_)
        differs[1:] = (time[1:] == time[:-1]) & (column[1:] != column[:-1])
        says = f"{name} {{{name}}} contradicts the row before, which has the same time {{time}}"
        rules.append(Rule(name, differs, says))
    return rules


def price_rules(values: Mapping[str, FloatArray]) -> list[Rule]:
    """Rules of open, high, low and close: finite, above zero, within low and high."""
    rules = [
        Rule(name, ~np.isfinite(values[name]), f"{name} is {{{name}}} or empty, not a number")
        for name in PRICES
    ]
    rules += [
        Rule(name, ~(values[name] > 0.0), f"{name} {{{name}}} is not above zero") for name in PRICES
    ]
    lower = np.minimum(values["open"], values["close"])
    upper = np.maximum(values["open"], values["close"])
    low_says = "low {low} is above min(open {open}, close {close})"
    high_says = "high {high} is below max(open {open}, close {close})"
    rules.append(Rule("low", ~(values["low"] <= lower), low_says))
    rules.append(Rule("high", ~(values["high"] >= upper), high_says))
    return rules


def volume_rules(volume: FloatArray) -> list[Rule]:
    """Rules of a volume column that is there: finite, and neither negative nor minus zero."""
    return [
        Rule("volume", ~np.isfinite(volume), "volume is {volume} or empty, not a number"),
        Rule("volume", ~(volume >= 0.0) | np.signbit(volume), "volume {volume} is negative"),
    ]


def refuse_first(
    rules: list[Rule],
    time: IntArray,
    values: Mapping[str, FloatArray],
    row: IntArray,
    source: str,
) -> None:
    """Raise DataError for the first row that breaks a rule; say how many more rows do.

    `time` and `values` have shape (n,), and so has `row`: where they stood in `source`, from 0.
    """
    broken = [rule for rule in rules if rule.broken.any()]
    if not broken:
        return
    rule = min(broken, key=lambda each: int(np.argmax(each.broken)))
    i = int(np.argmax(rule.broken))
    others = int(np.count_nonzero(np.logical_or.reduce([each.broken for each in broken]))) - 1
    found = {name: repr(float(column[i])) for name, column in values.items()}
    found |= {"time": utc_text(int(time[i])), "before": utc_text(int(time[i - 1]))}
    more = f" ({others} more row{'s'[: others > 1]} at fault)" if others else ""
    raise DataError(
        rule.says.format_map(found) + more,
        where=f"{source}, row {row[i] + 1}, column '{rule.column}', {found['time']}",
        mend=FROM_THE_SOURCE,
    )

"""Rows against the journal: the right ones, each with its own facts, outcomes that add up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darwin.core.market import BoolArray, FloatArray
from darwin.rl.agents.moment import ACCURACY_BY_PLAYBOOK, ACCURACY_BY_SYMBOL
from darwin.rl.training.canaries.accuracy import accuracies
from darwin.rl.training.canaries.finding import Finding, counted
from darwin.rl.training.canaries.told import Told
from darwin.rl.training.rows import Rows

_CLOSE = 1e-9
_NO_TARGET = 10.0
_WITH_SIDE = "with_side_"


def rows_are_recorded(rows: Rows, runs: Sequence[Told]) -> Finding:
    """Rows are those that the runs hold, in the order of time, with the facts of their own id."""
    claimed = [one for told in runs for one in told.facts["candidate_id"]]
    ids = [one.decode() for one in rows.ids.tolist()]
    faults = [
        (len(set(claimed) ^ set(ids)), "candidates that are rows and should not be, or lack"),
        (len(ids) - len(set(ids)), "rows whose candidate has another row"),
        (int(np.count_nonzero(np.diff(rows.decided) < 0)), "rows decided before the one ahead"),
    ]
    for told in runs:
        faults += _of_run(rows, told)
    first = runs[0].config.portfolio
    terms = (first.risk_per_trade or 0.01, first.max_exposure_fraction or np.inf)
    faults.append((int((rows.risk, rows.most_exposure) != terms), "terms of the account"))
    return counted("rows", faults, f"{len(rows):,} rows hold what the journal has of them")


def _of_run(rows: Rows, told: Told) -> list[tuple[int, str]]:
    known = told.place >= 0
    at = told.place[known]
    portfolio = told.config.portfolio
    per_r = (portfolio.risk_per_trade or 0.01) * portfolio.starting_equity_usd
    resolved = told.is_("status", "resolved")
    last = np.where(np.isfinite(told["exit_time"]), told["exit_time"], told["entry_time"])
    last = np.where(np.isfinite(last), last, told["bar_time"])
    expected: dict[str, tuple[FloatArray, FloatArray]] = {
        "R": (rows.r[at], np.where(resolved, told["r"], 0.0)),
        "verdict": (rows.take[at].astype(float), told["take"]),
        "time of decision": (rows.decided[at].astype(float), told["bar_time"] + told.bar_ms),
        "time it was settled": (rows.settled[at].astype(float), last + told.bar_ms),
        "cost of the call": (rows.call_cost_r[at], told["cost_usd"] / per_r),
        "stop": (rows.stop[at], told["stop_distance"] / told["close"]),
    }
    faults = [
        (int(np.count_nonzero(_differ(given, own[known]))), f"rows with another {what}")
        for what, (given, own) in expected.items()
    ]
    stored = told.observations(rows.observations.shape[1])[known]
    other = (stored != rows.observations[at]).any(axis=1)
    unknown = known & ~resolved & ~told.is_("status", "gapped")
    return [
        *faults,
        (int(np.count_nonzero(other)), "rows with another observation than the door's"),
        (int(np.count_nonzero(unknown)), "rows whose end is not known"),
    ]


def observations_are_made_of_the_record(rows: Rows, runs: Sequence[Told]) -> Finding:
    """Each column is what its name says, reckoned from features, bracket and verdict on record.

    Of the account only what is possible can be checked. Market features that nearly all stand
    still are a fault too: a market does not.
    """
    faults: list[tuple[int, str]] = []
    for told in runs:
        known = told.place >= 0
        seen = rows.observations[told.place[known]].astype(np.float64)
        own = _columns(told)
        if ACCURACY_BY_PLAYBOOK.name in rows.page.names:
            by_playbook, by_symbol = accuracies(told)
            own[ACCURACY_BY_PLAYBOOK.name], own[ACCURACY_BY_SYMBOL.name] = by_playbook, by_symbol
        for at, name in enumerate(rows.page.names):
            given = seen[:, at]
            wrong = (
                _differ(given, own[name][known].astype(np.float32).astype(np.float64))
                if name in own
                else ~_possible(name, given)
            )
            faults.append((int(np.count_nonzero(wrong)), f"rows with another '{name}'"))
    market = rows.observations[:, : len(rows.page.features)]
    still = int(np.count_nonzero(np.ptp(market, axis=0) == 0.0)) if len(rows) > 1 else 0
    stands = still if 2 * still > market.shape[1] else 0
    faults.insert(0, (stands, "features that never change"))
    return counted(
        "observations", faults,
        f"{len(rows.page.names)} columns are what features, brackets and verdicts make them",
    )  # fmt: skip


def _columns(told: Told) -> dict[str, FloatArray]:
    """Columns by name, as far as they can be reckoned, shape (m,) each."""
    own: dict[str, FloatArray] = {}
    features, side = told.features, told.side
    for at, name in enumerate(told.feature_names):
        own[name], own[_WITH_SIDE + name] = features[:, at], features[:, at] * side
    for name in ("breakout", "pullback", "mean_reversion"):
        of_it = [word.partition("#")[0] == name for word in told.facts["playbook"]]
        own[f"playbook_{name}"] = np.array(of_it, dtype=np.float64)
    own["side"] = side
    own["stop_percent"] = 100.0 * told["stop_distance"] / told["close"]
    ratio = told["target_distance"] / told["stop_distance"]
    own["reward_risk"] = np.where(np.isfinite(ratio), ratio, _NO_TARGET)
    own["verdict_take"], own["risk_flags"] = told["take"], told["flags"]
    own["confidence"], own["quality"] = told["confidence"], told["quality"]
    return own


def _possible(name: str, given: FloatArray) -> BoolArray:
    bounds = {
        "exposure": (0.0, 100.0), "drawdown": (-1.0, 0.0), "equity_growth": (-1.0, 1.0),
    }  # fmt: skip
    if name == "open_positions":
        whole: BoolArray = (given >= 0.0) & (given == np.round(given))
        return whole
    low, high = bounds.get(name, (-np.inf, np.inf))
    within: BoolArray = (given >= low) & (given <= high)
    return within


def outcomes_add_up(runs: Sequence[Told]) -> Finding:
    """R follows from prices, fees and spread; it was entered after the decision and left later."""
    faults: list[tuple[int, str]] = []
    checked = 0
    for told in runs:
        resolved = told.is_("status", "resolved")
        checked += int(np.count_nonzero(resolved))
        entered, left = told["entry_time"], told["exit_time"]
        early = resolved & ~(entered >= told["bar_time"] + told.bar_ms)
        back = resolved & ~(left >= entered)
        side, entry, stop = told.side, told["entry_price"], told["stop_price"]
        gross = side * (told["exit_price"] - entry) / np.abs(entry - stop)
        net = _net_r(told)
        wrong = resolved & _differ(told["r"], net)
        no_risk = resolved & ~(side * (entry - stop) > 0.0)
        costs = told.config.costs
        free = resolved & (costs.maker_bps >= 0.0) & (told["r"] > gross + _CLOSE)
        free &= told["funding"] >= 0.0
        faults += [
            (int(np.count_nonzero(early)), "entries before the bar after the decision"),
            (int(np.count_nonzero(back)), "exits before their entry"),
            (int(np.count_nonzero(no_risk)), "stops on the wrong side of the entry"),
            (int(np.count_nonzero(free)), "outcomes that costs made better"),
            (int(np.count_nonzero(wrong)), "outcomes whose R is not that of its prices and costs"),
            (_unlike_fills(told), "trades whose fills came to another R"),
        ]
    return counted("outcomes", faults, f"R of {checked:,} outcomes follows from prices and costs")


def _net_r(told: Told) -> FloatArray:
    """R net of all costs, from mid prices and the rates of the config, shape (m,)."""
    costs = told.config.costs
    worse = (costs.half_spread_bps + costs.slippage_bps) / 10_000.0
    rests = told.is_("exit_reason", "target")
    bought = told["entry_price"] + told.side * worse * told["entry_price"]
    sold = told["exit_price"] - told.side * np.where(rests, 0.0, worse) * told["exit_price"]
    entry_fee = bought * costs.taker_bps / 10_000.0
    exit_fee = sold * np.where(rests, costs.maker_bps, costs.taker_bps) / 10_000.0
    made = told.side * (sold - bought) - entry_fee - exit_fee - told["funding"]
    return np.asarray(made / np.abs(told["entry_price"] - told["stop_price"]))


def _unlike_fills(told: Told) -> int:
    """How many trades with a natural end came to another R, by what was paid and got."""
    units = told["units"]
    made = told.side * (told["got"] - told["paid"]) * units
    made = made - told["entry_fee"] - told["exit_fee"] - told["funding_usd"]
    r = made / (np.abs(told["paid_mid"] - told["first_stop"]) * units)
    natural = np.isfinite(r) & ~told.is_("left_by", "end_of_run")
    other = natural & (_differ(told["r"], r))
    return int(np.count_nonzero(other))


def _differ(given: FloatArray, own: FloatArray) -> BoolArray:
    """Where two columns differ by more than rounding; NaN differs from everything."""
    away: BoolArray = ~(np.abs(given - own) <= _CLOSE * np.maximum(1.0, np.abs(own)))
    return away

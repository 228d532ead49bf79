"""What the agents of a run were worth to its account, set against its twins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from darwin.core.market import FloatArray
from darwin.engine.report_facts import Sampling
from darwin.engine.report_figures import money, performance
from darwin.engine.report_paired import Pair, Paired, differences
from darwin.engine.report_words import percent, usd
from darwin.engine.result import RunResult
from darwin.engine.twins import Twin, Twins

RUN, WITHOUT = "run", "without_agents"
"""Names of accounts; those of the agents alone are the agents' names."""
_FIGURES = ("net_pnl_usd", "total_return", "sharpe_ratio", "max_drawdown", "final_equity_usd")


def accounts(result: RunResult, twins: Twins) -> dict[str, RunResult]:
    """The run, its twin without agents, and its twin with each agent alone, by name."""
    alone = {name: twin.result for name, twin in twins.alone.items()}
    return {RUN: result, WITHOUT: twins.without_agents.result, **alone}


def paired_accounts(result: RunResult, twins: Twins, sampling: Sampling) -> Paired:
    """All accounts at the end of each UTC day."""
    last = sampling.days.last
    equity = {name: one.equity.equity[last] for name, one in accounts(result, twins).items()}
    return Paired(equity, result.starting_equity_usd, sampling.days.per_year)


def twins_figures(
    result: RunResult, twins: Twins, sampling: Sampling, seed: int = 0
) -> dict[str, Any]:
    """Accounts, differences with intervals, and what each agent brought.

    A contribution is the twin with that agent alone less the twin without agents. The interaction
    is what they leave of the run less the twin without agents: what the agents did to each other.
    """
    agents = tuple(twins.alone)
    parts = {name: f"{name} alone" for name in agents}
    pairs: dict[str, Pair] = {"all": (RUN, WITHOUT)}
    pairs |= {f"run less {name}": (RUN, name) for name in agents}
    pairs |= {parts[name]: (name, WITHOUT) for name in agents}
    paired = paired_accounts(result, twins, sampling)
    told, made = differences(paired, pairs, "interaction", tuple(parts.values()), seed)
    results = accounts(result, twins)
    different = {id(one): one for one in results.values()}
    reckoned = {key: _account(one, sampling) for key, one in different.items()}
    figures = {name: dict(reckoned[id(one)]) for name, one in results.items()}
    figures[RUN] |= _about(Twin(result, is_run=True))
    figures[WITHOUT] |= _about(twins.without_agents) | {"run_minus": told["all"]}
    for name, twin in twins.alone.items():
        figures[name] |= _about(twin) | {"run_minus": told[f"run less {name}"]}
    return {
        "equal": twins.are_the_run,
        "sizes_changed": dict(twins.sizes_changed),
        "expert": "asked anew" if twins.expert_asked_anew else "verdicts of the run",
        "accounts": figures,
        "contributions": {name: told[parts[name]] for name in agents},
        "interaction": told["interaction"],
        "intervals": made,
    }


def _account(result: RunResult, sampling: Sampling) -> dict[str, Any]:
    figures = money(result) | performance(result, sampling)
    return {name: figures[name] for name in _FIGURES} | {"trades": len(result.trades)}


def _about(twin: Twin) -> dict[str, Any]:
    return {
        "is_run": twin.is_run,
        "not_known": twin.not_known,
        "missing_models": list(twin.missing_models),
    }


def twins_lines(result: RunResult, twins: Twins, sampling: Sampling) -> Iterator[str]:
    """The lines of twins.csv: a UTC day, and the equity of each account at its end in USD.

    Floats stand as Python writes them; nothing needs quotes.
    """
    yield ",".join(["day", *accounts(result, twins)]) + "\n"
    last, written = sampling.days.last, dict[int, list[str]]()
    for one in accounts(result, twins).values():
        if id(one) not in written:
            written[id(one)] = list(map(repr, one.equity.equity[last].tolist()))
    days = np.datetime_as_string(sampling.days.day.astype("datetime64[D]")).tolist()
    columns = (written[id(one)] for one in accounts(result, twins).values())
    yield from (",".join(row) + "\n" for row in zip(days, *columns, strict=True))


def brought(result: RunResult, twins: Twins, sampling: Sampling) -> dict[str, FloatArray]:
    """What the agents added to the account by the end of each day in USD, (d,), all under `run`.

    With it each agent alone, as far as it added anything else than nothing or all.
    """
    equity = dict(paired_accounts(result, twins, sampling).equity)
    without = equity.pop(WITHOUT)
    added = {name: one - without for name, one in equity.items()}
    own = {
        name: one
        for name, one in added.items()
        if one.any() and not np.array_equal(one, added[RUN])
    }
    return {RUN: added[RUN], **own}


def twins_sentence(metrics: dict[str, Any]) -> str | None:
    """How the run fared against itself without agents; None where that is the same by nature."""
    twins = metrics["twins"]
    if twins is None or twins["equal"]:
        return None
    without = twins["accounts"][WITHOUT]
    apart = without["run_minus"]
    if not apart["days_apart"]:
        return (
            "What the agents changed left no trace in the account: its twin without them is equal."
        )
    gained = apart["usd"]["value"]
    against = (
        f"With its agents the run earned {usd(abs(gained))} {'more' if gained > 0 else 'less'} than"
        f" its twin without them ({percent(metrics['total_return'], sign=True)} against"
        f" {percent(without['total_return'], sign=True)}"
    )
    low, high = (apart["usd"][end] for end in ("low", "high"))
    if low is None:
        return f"{against}); too few days to tell that from luck."
    interval = f"; 95 % interval of the difference {usd(low, sign=True)} to {usd(high, sign=True)})"
    if low <= 0 <= high:
        return f"{against}{interval}: luck explains that."
    says = "more than luck explains, on this data" if low > 0 else "more surely than luck explains"
    return f"{against}{interval}: {says}; one run is no evidence of skill."

"""Read what an agent is trained on from the journal of named runs.

Observations are what the door stored, and, where the agent was not asked in a run, what the door
would have shown it, if the caller knows how to have that. A run whose agents were asked under
another observation schema is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sqlalchemy import select

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO, Role
from darwin.core.market import DAY_MS, Timeframe
from darwin.errors import ConfigError
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.training.rows import Rows
from darwin.store.db import Database
from darwin.store.queries import find_run
from darwin.store.schema import agent_decisions, candidates, outcomes, runs, verdicts

FEWEST = {GATE: 1000, PORTFOLIO: 500, META_LEARNER: 2000}
"""Candidates that an agent should see before it is trained (deployment checklist)."""


Observe: TypeAlias = Callable[[Database, str], Mapping[bytes, bytes]]
"""What the agent would have seen in a run that it took no part in: float32 by candidate id."""


class Source(NamedTuple):
    """Runs of one database."""

    database: Database
    run_ids: tuple[str, ...]


def read_rows(
    page: AgentSpec,
    sources: Iterable[Source],
    *,
    allow_small: bool = False,
    observe: Observe | None = None,
    last_days: float | None = None,
) -> Rows:
    """All candidates of the runs that the agent of `page` was asked about, each once.

    In a run that it took no part in these are the ones that `observe` tells of; without it such a
    run is refused.

    A candidate that several runs hold counts as it was first recorded. Left out and counted: those
    the expert was not asked about, those with an observation that is not finite, and all from the
    first one on whose bracket the run's last bar left open: of the later ones only the quick would
    be known; and what is older than `last_days`, if given. Raises ConfigError for an unknown or
    unfinished run, one of another feature schema, and for fewer rows than `FEWEST` unless
    `allow_small`.
    """
    parts = [
        _of_run(page, source.database, run_id, observe)
        for source in sources
        for run_id in source.run_ids
    ]
    if not parts:
        raise ConfigError("no run is named", where="--run-ids", mend="name at least one")
    rows = _joined(page, parts)
    if last_days is not None and len(rows):
        since = int(rows.decided[-1] - last_days * DAY_MS)
        rows = rows.but_for(f"more than {last_days:g} days before the last", rows.decided > since)
    if len(rows) < FEWEST[page.name] and not allow_small:
        raise ConfigError(
            f"{len(rows):,} candidates are too few to train {page.name} on",
            where=f"{FEWEST[page.name]:,} at least",
            mend="name more or longer runs; --allow-small trains all the same, to try things out",
        )
    return rows


class _Run(NamedTuple):
    """What one run adds."""

    facts: list[tuple[Any, ...]]  # candidate, verdict and outcome as selected, then the observation
    bar_ms: int
    risk: float
    most_exposure: float
    cost_of_call_in: float  # USD that one R is worth
    left_out: dict[str, int]


_NOT_ASKED = "expert not asked"
_UNOBSERVED = "observation not finite"
_OPEN = "after the first open bracket"
_TWICE = "in several runs"


def _of_run(page: AgentSpec, database: Database, run_id: str, observe: Observe | None) -> _Run:
    if find_run(database, run_id).status != "finished":
        raise ConfigError(
            f"run '{run_id}' is not finished",
            where=str(database.path),
            mend="finish it: `darwin run CONFIG --resume`",
        )
    with database.read() as connection:
        config = json.loads(
            connection.execute(
                select(runs.c.config_json).where(runs.c.run_id == run_id)
            ).scalar_one()
        )
        c, v, o = candidates.c, verdicts.c, outcomes.c
        facts = connection.execute(
            select(
                c.candidate_id, c.symbol, c.bar_time, c.close, c.stop_distance,
                v.take, v.cost_usd, o.status, o.entry_time, o.exit_time, o.r,
            )
            .outerjoin(verdicts, (v.run_id == c.run_id) & (v.candidate_id == c.candidate_id))
            .outerjoin(outcomes, (o.run_id == c.run_id) & (o.candidate_id == c.candidate_id))
            .where(c.run_id == run_id)
            .order_by(c.id)
        ).all()  # fmt: skip
        d = agent_decisions.c
        stored = connection.execute(
            select(d.candidate_id, d.feature_schema, d.observation).where(
                d.run_id == run_id, d.agent_name == page.name, d.role == str(Role.SERVING)
            )
        ).all()
    seen = _observations(page, database, run_id, stored, observe)
    known, left_out = [], dict.fromkeys((_NOT_ASKED, _UNOBSERVED, _OPEN), 0)
    open_from = min((f.bar_time for f in facts if f.status == "unresolved"), default=None)
    for fact in facts:
        observation = seen.get(fact.candidate_id.encode())
        if observation is None:
            continue  # the agent is not asked about what finds a position open
        if open_from is not None and fact.bar_time >= open_from:
            left_out[_OPEN] += 1
        elif fact.take is None:
            left_out[_NOT_ASKED] += 1
        elif not np.isfinite(row := np.frombuffer(observation, "<f4")).all():
            left_out[_UNOBSERVED] += 1
        else:
            known.append((*fact, row))
    portfolio, timeframe = config["portfolio"], config["market"]["timeframe"]
    return _Run(
        facts=known,
        bar_ms=Timeframe.parse(timeframe).ms,
        risk=_risk(portfolio),
        most_exposure=float(portfolio["max_exposure_fraction"] or np.inf),
        cost_of_call_in=_risk(portfolio) * portfolio["starting_equity_usd"],
        left_out=left_out,
    )


def _observations(
    page: AgentSpec,
    database: Database,
    run_id: str,
    stored: Sequence[Any],
    observe: Observe | None,
) -> Mapping[bytes, bytes]:
    mine = {one.candidate_id.encode(): one.observation for one in stored
            if one.feature_schema == page.schema}  # fmt: skip
    if stored and len(mine) == len(stored):
        return mine
    if stored:
        raise ConfigError(
            f"run '{run_id}' was seen by {page.name} under another feature schema",
            where=f"{stored[0].feature_schema[:12]} instead of {page.schema[:12]}",
            mend="make the run again with this version of Darwin, under another run_id",
        )
    if observe is not None:
        return observe(database, run_id)
    raise ConfigError(
        f"{page.name} was not asked in run '{run_id}'",
        where=str(database.path),
        mend=f"make it again with `rl.{page.name}_agent` observing",
    )


def _risk(portfolio: dict[str, Any]) -> float:
    """The share of equity that a trade of full size risks; 1 % where the size is fixed."""
    return float(portfolio.get("risk_per_trade") or 0.01)


def _joined(page: AgentSpec, parts: Sequence[_Run]) -> Rows:
    left_out: dict[str, int] = {}
    for part in parts:
        for why, count in part.left_out.items():
            if count:
                left_out[why] = left_out.get(why, 0) + count
    every = [(*fact, part) for part in parts for fact in part.facts]
    first: dict[str, tuple[Any, ...]] = {}
    for fact in every:
        first.setdefault(fact[0], fact)
    if len(first) < len(every):
        left_out[_TWICE] = len(every) - len(first)
    kept = sorted(first.values(), key=lambda fact: (fact[2] + fact[12].bar_ms, fact[0]))
    symbols = tuple(sorted({fact[1] for fact in kept}))
    code = {symbol: at for at, symbol in enumerate(symbols)}
    k = len(page.names)
    return Rows(
        page=page,
        ids=np.array([fact[0] for fact in kept], dtype="S16"),
        observations=np.array([fact[11] for fact in kept], dtype=np.float32).reshape(-1, k),
        decided=np.array([fact[2] + fact[12].bar_ms for fact in kept], dtype=np.int64),
        settled=np.array([_settled(fact) for fact in kept], dtype=np.int64),
        r=np.array([0.0 if fact[10] is None else fact[10] for fact in kept], dtype=np.float64),
        take=np.array([bool(fact[5]) for fact in kept], dtype=np.bool_),
        call_cost_r=np.array([fact[6] / fact[12].cost_of_call_in for fact in kept], np.float64),
        symbol=np.array([code[fact[1]] for fact in kept], dtype=np.int64),
        stop=np.array([fact[4] / fact[3] for fact in kept], dtype=np.float64),
        symbols=symbols,
        risk=parts[0].risk,
        most_exposure=parts[0].most_exposure,
        left_out=left_out,
    )


def _settled(fact: tuple[Any, ...]) -> int:
    """The close of the bar that told what became of it; of a gapped entry, the bar it gapped at."""
    last = fact[9] if fact[9] is not None else fact[8] if fact[8] is not None else fact[2]
    return int(last + fact[12].bar_ms)

"""The habits of an agent as a run has them on record."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, and_, select

from darwin.core.agents import (
    GATE,
    META_LEARNER,
    PORTFOLIO,
    SKIP,
    TO_SKIP,
    TO_TAKE,
    Model,
    Role,
    Why,
)
from darwin.core.market import DAY_MS, BoolArray, FloatArray, IntArray
from darwin.errors import DataError
from darwin.rl.graduation.checklist import FEWEST
from darwin.rl.graduation.contract import Terms, terms_of
from darwin.rl.graduation.habits import Habits, Side, Spread
from darwin.safety.stages import AUDITED_ONE_IN
from darwin.stats.increments import (
    DEEPEST_R,
    OVERRIDE_PRIOR,
    PRIOR_WEIGHT,
    SKIP_PRIOR,
)
from darwin.store.db import Database
from darwin.store.queries import ON_PAPER, require_run
from darwin.store.schema import agent_decisions, candidates, id_range, outcomes, runs, verdicts

USUAL_ACTS = {GATE: SKIP_PRIOR, META_LEARNER: OVERRIDE_PRIOR, PORTFOLIO: math.nan}
"""On how much an agent acts of which nothing is on record."""
USUAL_SIZES = np.linspace(0.005, 0.995, 100)
"""The same for sizes: any is as likely."""
NOBODY = Model("none yet", "0" * 64)


class _Rows(NamedTuple):
    """Arrays of shape (n,), in the order of time."""

    time: IntArray
    action: FloatArray
    take: FloatArray
    r: FloatArray  # 0 where the bracket was never entered, NaN where it is not known
    rw: FloatArray  # clip(R, -3, TP)
    profit: FloatArray  # TP
    cost_usd: FloatArray
    weight: FloatArray  # decisions that each stands for: an audited skip, for those nobody heard of


def read_habits(database: Database, agent: str, run_id: str | None = None) -> Habits:
    """The habits of an agent in a run: the newest that asked it, else the newest with candidates.

    Raises ConfigError for a run that is none, DataError where too little is on record.
    """
    with database.read() as connection:
        found = _newest_run(connection, agent) if run_id is None else run_id
        run = require_run(connection, database, found)
        config = json.loads(run.config_json)
        terms = terms_of(config, agent, NOBODY, feature_schema="")
        advises = _asked(connection, agent, run.number)
        rows = _rows(connection, agent, run.number, terms, advises=advises)
    known = np.isfinite(rows.r)
    days = int(rows.time[-1] - rows.time[0]) / DAY_MS if len(rows.time) else 0.0
    wins, fell = int((rows.r[known] > 0).sum()), int((rows.r[known] <= 0).sum())
    acting = _acting(agent, rows) if advises else np.full(len(rows.time), np.nan)
    sides = _sides(agent, rows, acting, days) if days > 0.0 else ()
    enough = sides or (agent == PORTFOLIO and days > 0.0 and wins and fell)
    if wins + fell < FEWEST or not enough:
        raise DataError(
            f"run '{found}' tells what became of {wins + fell} decisions for {agent}, {wins} of "
            f"them won: a plan wants {FEWEST} or more, won and lost ones where the expert takes",
            mend="let a run go on for longer, or name another with --run",
        )
    acts = float(acting.mean()) if advises else USUAL_ACTS[agent]
    judged = ~np.isnan(rows.take)
    cost = float(rows.cost_usd[judged].mean()) if judged.any() else 0.0
    clustering, blocks = _clustering(agent, rows, acting, terms.block_ms)
    advised = agent == PORTFOLIO and advises
    return Habits(
        agent=agent,
        run_id=found,
        mode=ON_PAPER if (run.mode, config.get("mode")) == ("feed", ON_PAPER) else run.mode,
        advises=advises,
        newest=int(rows.time[-1]),
        decisions=len(rows.time),
        days=days,
        takes=_share(rows.take[judged], rows.weight[judged]) if agent != PORTFOLIO else math.nan,
        acts=acts,
        sides=sides,
        sizes=np.sort(rows.action[known]) if advised else USUAL_SIZES,
        r=rows.rw[known],
        settled=int(known.sum()),
        wins=wins / int(known.sum()),
        sd=float(rows.rw[known].std()),
        clustering=clustering,
        blocks=blocks,
        call_cost_r=_in_r(config, cost),
        terms=terms,
    )


def _newest_run(connection: Connection, agent: str) -> str:
    every = connection.execute(
        select(runs.c.run_id, runs.c.number).order_by(runs.c.number.desc())
    ).all()
    for run_id, number in every:
        if _asked(connection, agent, number):
            return str(run_id)
    for run_id, number in every:
        first, last = id_range(number)
        if connection.execute(
            select(outcomes.c.id).where(outcomes.c.id.between(first, last)).limit(1)
        ).first():
            return str(run_id)
    raise DataError(
        "no run is on record that had a candidate, so nothing is known to plan from",
        mend="run a config first: `darwin run configs/demo.json`",
    )


def _asked(connection: Connection, agent: str, number: int) -> bool:
    """Whether advice of the agent is on record in a run."""
    d = agent_decisions.c
    ours = (d.agent_name == agent) & (d.role == str(Role.SERVING))
    query = select(d.id).where(d.id.between(*id_range(number)), ours)
    return connection.execute(query.where(d.action.is_not(None)).limit(1)).first() is not None


def _rows(connection: Connection, agent: str, number: int, terms: Terms, *, advises: bool) -> _Rows:
    """What the agent was asked about, or would have been: for sizes, orders; else verdicts."""
    c, d, v, o = candidates.c, agent_decisions.c, verdicts.c, outcomes.c
    same = (d.run_id == c.run_id) & (d.candidate_id == c.candidate_id)
    ours = and_(same, d.agent_name == agent, d.role == str(Role.SERVING))
    query = (
        select(c.bar_time, d.action, v.take, o.status, o.r, c.playbook, v.cost_usd, d.reason)
        .outerjoin_from(candidates, agent_decisions, ours)
        .outerjoin(verdicts, (v.run_id == c.run_id) & (v.candidate_id == c.candidate_id))
        .outerjoin(outcomes, (o.run_id == c.run_id) & (o.candidate_id == c.candidate_id))
        .where(c.id.between(*id_range(number)))
        .order_by(c.bar_time, c.id)
    )
    if advises:
        query = query.where(d.action.is_not(None))
    elif agent == PORTFOLIO:
        query = query.where(c.stage.is_(None))  # an order went out
    else:
        query = query.where(v.take.is_not(None))
    rows = connection.execute(query).all()
    time, action, take, status, r, playbook, cost, why = (
        zip(*rows, strict=True) if rows else ((),) * 8
    )
    told = _reals(r)
    told[np.array(status, dtype=object) == "gapped"] = 0.0
    profit = _reals([terms.take_profit_r[one] for one in playbook])
    clipped = np.clip(told, DEEPEST_R, profit)
    audited = np.array(why, dtype=object) == Why.AUDIT.value
    weight = np.where(audited, float(AUDITED_ONE_IN), 1.0)
    times = np.array(time, dtype=np.int64)
    return _Rows(times, _reals(action), _reals(take), told, clipped, profit, _reals(cost), weight)


def _acting(agent: str, rows: _Rows) -> FloatArray:
    """1 where the agent acts, else 0; for sizes, the size; shape (n,)."""
    if agent == GATE:
        skips: FloatArray = (rows.action == SKIP).astype(np.float64)
        return skips
    if agent == PORTFOLIO:
        return rows.action
    to_skip = (rows.action == TO_SKIP) & (rows.take == 1.0)
    to_take = (rows.action == TO_TAKE) & (rows.take == 0.0)
    overrides: FloatArray = (to_skip | to_take).astype(np.float64)
    return overrides


def _sides(agent: str, rows: _Rows, acting: FloatArray, days: float) -> tuple[Side, ...]:
    if agent == PORTFOLIO:
        return ()
    found = []
    for take, toward in ((1.0, -1.0), (0.0, 1.0)) if agent == META_LEARNER else ((1.0, -1.0),):
        which = (rows.take == take) & np.isfinite(rows.r)
        won = rows.r > 0.0
        if not (which & won).any() or not (which & ~won).any():
            continue
        counted = np.maximum(rows.r, DEEPEST_R) if take else np.minimum(rows.r, rows.profit)
        weight = rows.weight[which]
        acts = float(np.average(acting[which], weights=weight))
        found.append(
            Side(
                toward=toward,
                per_day=float(weight.sum()) / days,
                acts=USUAL_ACTS[agent] if math.isnan(acts) else acts,
                wins=float(np.average(won[which], weights=weight)),
                winners=_spread(rows.rw, counted, which & won),
                losers=_spread(rows.rw, counted, which & ~won),
            )
        )
    return tuple(found)


def _spread(rw: FloatArray, counted: FloatArray, which: BoolArray) -> Spread:
    some, paid = rw[which], counted[which]
    return Spread(float(some.mean()), float(some.std()), float(paid.mean()), float(paid.std()))


def _clustering(agent: str, rows: _Rows, acting: FloatArray, block_ms: int) -> tuple[float, int]:
    """How much more blocks vary than if their decisions had nothing in common; of how many.

    Of increments of skill; where nobody has decided, of R alone, as if one view were taken of a
    whole block. Held against 20 blocks in which nothing hangs together; 1 at least.
    """
    which = np.isfinite(rows.r) & ((rows.take == 1.0) | (agent != GATE))
    x = rows.rw[which] - rows.rw[which].mean()
    actions = acting[which]
    if np.isfinite(actions).all() and np.ptp(actions) > 0.0:
        x = x * (actions - actions.mean())
        x = x - x.mean()
    _, block = np.unique(rows.time[which] // block_ms, return_inverse=True)
    sums = np.bincount(block, weights=x)
    squares = float(x @ x)
    if not squares > 0.0:
        return 1.0, len(sums)
    found = float(sums @ sums) / squares
    shrunk = (PRIOR_WEIGHT + len(sums) * found) / (PRIOR_WEIGHT + len(sums))
    return max(shrunk, 1.0), len(sums)


def _share(which: FloatArray, weight: FloatArray) -> float:
    return float(np.average(which, weights=weight)) if len(which) else math.nan


def _in_r(config: Any, usd: float) -> float:
    portfolio = config["portfolio"]
    if portfolio["sizing"] != "risk" or not portfolio["risk_per_trade"]:
        return 0.0
    return float(usd / (portfolio["risk_per_trade"] * portfolio["starting_equity_usd"]))


def _reals(values: Any) -> FloatArray:
    return np.array(values, dtype=np.float64)  # None becomes NaN

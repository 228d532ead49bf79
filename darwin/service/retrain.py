"""Which command trains an agent anew, on what its last runs have recorded.

An agent of candidates goes on from the version that serves, on the last days of its finished runs,
be they few: it has seen as many as it must before, and is judged on what is new to it.
An agent of a book cannot go on from a version: it is trained from the beginning, on all bars of its
last finished run, of which a month would be too few. Either way the registry has the last word: the
new version must have learned something, and where another may act it only challenges that one.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from darwin.core.agents import Model, Role
from darwin.core.market import DAY_MS
from darwin.core.rebalance import BOOK_AGENTS, MARKET
from darwin.core.schedule import Schedule
from darwin.errors import ConfigError
from darwin.rl.agents.pages import PAGES
from darwin.service.acts import TRAINING
from darwin.service.place import Place
from darwin.store import jobs
from darwin.store.db import Database
from darwin.store.jobs import Job
from darwin.store.schedules import read_schedule
from darwin.store.schema import agent_decisions, rebalances, run_states, runs

RETRAIN = "retrain"
"""The kind of these jobs."""
MOST_RUNS = 12
LOOKS, LEAST_LOOK = 4, 1_000
EPISODE, EPISODES = 252, 1_000
"""Decisions of an episode of a book, and how many episodes are the least that teach anything."""


def ask(place: Place, agent: str, *, by: str, reason: str, at: datetime) -> Job:
    """Put a retraining of an agent into the queue, for a person.

    Raises ConfigError, saying why, where there is nothing to train from, or too many jobs wait.
    """
    with place.write() as database:
        schedule = read_schedule(database, agent)
        words = retraining(place, agent, schedule, by=by, reason=reason)
        job = jobs.enqueue(
            database, RETRAIN, words, lane=TRAINING, agent=agent, by=by, reason=reason, at=at
        )
    assert job is not None  # without a period none is refused as known
    return job


def retraining(
    place: Place, agent: str, schedule: Schedule, *, by: str, reason: str
) -> tuple[str, ...]:
    """The command that trains `agent` anew by the terms of `schedule`.

    Raises ConfigError where no version serves, or no finished run holds anything to learn from.
    """
    with place.registry() as registry:
        serving = registry.shelf(agent).serving
        if serving is None:
            raise ConfigError(
                f"no model of {agent} serves, so there is none to train further",
                where=str(registry.models_dir),
                mend="train a first one: `darwin rl train`, `darwin market train` or"
                " `darwin allocation train`",
            )
        signed = ("--by", by, "--reason", reason)
        if agent in BOOK_AGENTS:
            return (*_of_a_book(registry.database, agent, schedule), *signed, *_placed(place))
        words = _of_candidates(registry.database, agent, serving, schedule)
    output = () if place.models_dir is None else ("--output-dir", f"{place.models_dir}/{agent}")
    return (*words, *signed, *place.words, *output)


def _placed(place: Place) -> tuple[str, ...]:
    models = () if place.models_dir is None else ("--models-dir", place.models_dir)
    return (*place.words, *models)


def _of_candidates(
    database: Database, agent: str, serving: Model, schedule: Schedule
) -> tuple[str, ...]:
    names = runs_of(database, agent, schedule.last_days)
    if not names:
        raise ConfigError(
            f"no finished run holds decisions of {agent} under its features of today",
            where=str(database.path),
            mend=f"finish a run with {agent} observing: `darwin run CONFIG`",
        )
    look = max(schedule.timesteps // LOOKS, min(LEAST_LOOK, schedule.timesteps))
    return (
        "rl", "train", agent, "--run-ids", ",".join(names), "--from", serving.version,
        "--last-days", f"{schedule.last_days:g}", "--total-timesteps", str(schedule.timesteps),
        "--eval-freq", str(look), "--seeds", "1", "--allow-small",
    )  # fmt: skip


def runs_of(database: Database, agent: str, last_days: float) -> list[str]:
    """The finished runs that hold the last days of an agent's decisions, the latest last."""
    d = agent_decisions.c
    newest = func.max(d.bar_time).label("newest")
    query = (
        select(d.run_id, newest)
        .join(run_states, run_states.c.run_id == d.run_id)
        .where(
            d.agent_name == agent, d.role == str(Role.SERVING),
            d.feature_schema == PAGES[agent].schema, run_states.c.status == "finished",
        )
        .group_by(d.run_id)
        .order_by(newest, d.run_id)
    )  # fmt: skip
    with database.read() as connection:
        found = [(run_id, time) for run_id, time in connection.execute(query)]
    since = found[-1][1] - last_days * DAY_MS if found else 0
    return [run_id for run_id, time in found if time > since][-MOST_RUNS:]


def _of_a_book(database: Database, agent: str, schedule: Schedule) -> tuple[str, ...]:
    run_id, config = _last_book(database, agent)
    market = config["market"]
    if market["provider"] != "files":
        raise ConfigError(
            f"run '{run_id}' took its bars from '{market['provider']}', which cannot be learned"
            " from",
            where="market.provider",
            mend="`darwin data fetch` keeps bars as files; run the agent on those",
        )
    costs = config["costs"]
    bps = sum(costs[name] for name in ("taker_bps", "half_spread_bps", "slippage_bps"))
    start = () if market["start"] is None else ("--start", market["start"])
    return (
        "market" if agent == MARKET else "allocation", "train", "--data", market["path"],
        "--symbols", ",".join(market["symbols"]), "--timeframe", market["timeframe"], *start,
        *(("--funding",) if market["funding"] else ()),
        "--every", str(config["allocation"]["every"]), "--cost-bps", f"{bps:g}",
        "--episodes", str(max(EPISODES, schedule.timesteps // EPISODE)),
    )  # fmt: skip


def _last_book(database: Database, agent: str) -> tuple[str, dict[str, Any]]:
    query = (
        select(runs.c.run_id, runs.c.config_json)
        .join(run_states, run_states.c.run_id == runs.c.run_id)
        .where(
            run_states.c.status == "finished",
            runs.c.run_id.in_(
                select(rebalances.c.run_id).where(rebalances.c.agent_name == agent).distinct()
            ),
        )
        .order_by(runs.c.number.desc())
        .limit(1)
    )
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise ConfigError(
            f"no finished run holds rebalances of {agent}",
            where=str(database.path),
            mend="`darwin allocation run CONFIG` makes one, for either agent of a book",
        )
    return row.run_id, json.loads(row.config_json)

"""What the service knows, as trees for JSON: folds of the database, the very ones of the commands.

Each function reads one state of the database. Times are ISO 8601 UTC, or ms UTC where the name
says `_ms` or the tables have it so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table, func, select

from darwin.core.rebalance import ALL_AGENTS, BOOK_AGENTS
from darwin.errors import ConfigError
from darwin.rl.cli import killing
from darwin.rl.cli.dossier_files import FOLDER, place_tree, places
from darwin.rl.cli.graduation_status import look, status_tree
from darwin.rl.cli.rollout import rollout_tree
from darwin.rl.cli.trees import version_trees, whole_version_tree
from darwin.rl.cli.whys import why_tree
from darwin.rl.registry.registry import Registry
from darwin.service.acts import known
from darwin.service.place import Place, now
from darwin.store import schema
from darwin.store.db import Database
from darwin.store.jobs import Job
from darwin.store.queries import events_of, find_run, funnel, list_runs, provenance, rulings_of
from darwin.store.rebalance_story import story_of
from darwin.store.story import Story
from darwin.store.story_tree import story_tree

MOST = 500
"""Rows of one page."""


def agent_status(registry: Registry, agent: str, run_id: str | None = None) -> dict[str, Any]:
    """An agent as `darwin rl status` has it, and what it holds as `darwin rl rollout status`."""
    one = look(registry, known(agent), run_id)
    return status_tree(one) | {"rollout": rollout_tree(one, now())}


def kill_status(place: Place) -> dict[str, Any]:
    """The kill switch, source by source, as `darwin kill status` has it."""
    return killing.kill_tree(killing.look(place.artifacts, place.deployment.db))


def runs(database: Database) -> list[dict[str, Any]]:
    """All runs, the latest begun first."""
    return [run._asdict() for run in reversed(list_runs(database))]


def run(database: Database, run_id: str) -> dict[str, Any]:
    """One run, as `darwin runs show`. Raises ConfigError for one that nobody knows."""
    return (
        find_run(database, run_id)._asdict()
        | {"funnel": [end._asdict() for end in funnel(database, run_id)]}
        | {"rulings": [one._asdict() for one in rulings_of(database, run_id)]}
        | {"safety_events": [event._asdict() for event in events_of(database, run_id)]}
        | {"bar_events": [e._asdict() for e in provenance(database, run_id).bar_events]}
    )


def decisions(
    database: Database,
    agent: str,
    *,
    run_id: str | None = None,
    role: str | None = None,
    reason: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """A page of an agent's decisions, the newest first, with the outcome where it is known.

    `before` is the `next` of the page before; None there: this was the last one. Raises ConfigError
    for an agent that nobody knows.
    """
    table = schema.decisions_of(known(agent))
    d = table.c
    query = select(table).order_by(d.id.desc()).limit(_few(limit) + 1).where(d.agent_name == agent)
    for column, value in ((d.run_id, run_id), (d.role, role), (d.reason, reason)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(d.id < before)
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
        told = [_plain(row) for row in rows[:limit]]
        if agent not in BOOK_AGENTS:
            _with_outcomes(connection, told)
    return {"decisions": told, "next": rows[limit - 1]["id"] if len(rows) > limit else None}


def decision_counts(database: Database) -> dict[str, int]:
    """How many decisions of each agent are on record."""
    with database.read() as connection:
        counted = dict.fromkeys(ALL_AGENTS, 0)
        for table in (schema.agent_decisions, schema.rebalances):
            query = select(table.c.agent_name, func.count()).group_by(table.c.agent_name)
            counted |= {row[0]: row[1] for row in connection.execute(query)}
    return counted


def why(database: Database, any_id: str, run_id: str | None = None) -> dict[str, Any]:
    """The story of a candidate or a rebalance, as `darwin why`. Raises ConfigError."""
    return why_tree(story_of(database, any_id, run_id))


def story_features(story: Story) -> dict[str, float | None]:
    """The features at the signal of a candidate; None for one that was not to be had."""
    features: dict[str, float | None] = story_tree(story)["features"]
    return features


def candidates(
    database: Database, run_id: str, *, before: int | None = None, limit: int = 50
) -> dict[str, Any]:
    """A page of the candidates of a run, the newest first, each with how it ended."""
    c, e = schema.candidates.c, schema.endings.c
    with database.read() as connection:
        query = (
            select(
                c.id, c.candidate_id, c.symbol, c.playbook, c.side, c.bar_time, e.stage, e.reason
            )
            .join_from(
                schema.candidates, schema.endings,
                (e.run_id == c.run_id) & (e.candidate_id == c.candidate_id),
            )
            .where(c.run_id == run_id).order_by(c.id.desc()).limit(_few(limit) + 1)
        )  # fmt: skip
        if before is not None:
            query = query.where(c.id < before)
        rows = connection.execute(query).mappings().all()
    told = [dict(row) for row in rows[:limit]]
    return {"candidates": told, "next": rows[limit - 1]["id"] if len(rows) > limit else None}


def models(registry: Registry, agent: str | None = None) -> list[dict[str, Any]]:
    """The versions that are kept, of one agent or all."""
    return version_trees(registry, ALL_AGENTS if agent is None else (known(agent),))


def model(registry: Registry, agent: str, version: str) -> dict[str, Any]:
    """One version, its history and its spec. Raises ConfigError, ModelError."""
    return whole_version_tree(registry, agent, registry.shelf(known(agent)).pick(version))


def dossiers(place: Place, database: Database) -> list[dict[str, Any]]:
    """Every promotion and demotion on record, and whether its dossier is written."""
    trees = [place_tree(one) for one in places(database, place.artifacts / FOLDER)]
    return [tree | {"file": tree["file"].rpartition("/")[2]} for tree in trees]


def alerts(
    database: Database, *, agent: str | None = None, before: int | None = None, limit: int = 50
) -> dict[str, Any]:
    """A page of alerts, the newest first."""
    return _page(database, schema.alerts, "alerts", before, limit, agent)


def acts(database: Database, *, before: int | None = None, limit: int = 50) -> dict[str, Any]:
    """A page of what was asked of the service, the newest first."""
    return _page(database, schema.service_acts, "acts", before, limit, None)


def job_tree(job: Job) -> dict[str, Any]:
    """A job as JSON; its command without what only this machine knows."""
    return job._asdict() | {"state": str(job.state), "progress": job.progress._asdict()}


def _page(
    database: Database, table: Table, name: str, before: int | None, limit: int, agent: str | None
) -> dict[str, Any]:
    query = select(table).order_by(table.c.id.desc()).limit(_few(limit) + 1)
    if agent is not None:
        query = query.where(table.c.agent_name == known(agent))
    if before is not None:
        query = query.where(table.c.id < before)
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
    told = [_plain(row) for row in rows[:limit]]
    return {name: told, "next": rows[limit - 1]["id"] if len(rows) > limit else None}


def _few(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise ConfigError(f"{limit} rows are asked for", where="limit", mend=f"1 to {MOST}")
    return limit


_UNTOLD = {"seal", "hash", "prev_hash", "observation"}


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row without its links and its observation; weights of a book as numbers."""
    told = {name: value for name, value in row.items() if name not in _UNTOLD}
    for name, value in told.items():
        if isinstance(value, bytes):
            told[name] = np.frombuffer(value, "<f8").tolist()
    return told | ({"detail": _read(told["detail"])} if "detail" in told else {})


def _read(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _with_outcomes(connection: Connection, told: list[dict[str, Any]]) -> None:
    """Add R and status of the candidate's outcome; None where it is not known yet."""
    o = schema.outcomes.c
    names = {(row["run_id"], row["candidate_id"]) for row in told}
    found: dict[tuple[str, str], Any] = {}
    for run_id in {run for run, _ in names}:
        ids = [one for run, one in names if run == run_id]
        query = select(o.candidate_id, o.status, o.r).where(
            o.run_id == run_id, o.candidate_id.in_(ids)
        )
        found |= {(run_id, row.candidate_id): row for row in connection.execute(query)}
    for row in told:
        outcome = found.get((row["run_id"], row["candidate_id"]))
        row["r"] = None if outcome is None else outcome.r
        row["outcome"] = None if outcome is None else outcome.status

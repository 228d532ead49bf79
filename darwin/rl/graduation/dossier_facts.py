"""The parts of a dossier that say where its facts are from: runs, model, drift of what was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select

from darwin.core.agents import Model
from darwin.core.market import FloatArray
from darwin.rl.agents.pages import PAGES
from darwin.rl.graduation.as_of import AsOf, code_then, head_then
from darwin.rl.graduation.contract import Contract
from darwin.rl.graduation.health import FEWEST_ROWS
from darwin.rl.graduation.reading import sources_of
from darwin.rl.graduation.shadow import SEED
from darwin.stats.drift import DRIFTED, SHIFTED, Reference, band, psi, psi_by_chance
from darwin.store import logs
from darwin.store.schema import agent_decisions, id_range, model_events, runs

Tree = dict[str, Any]


def runs_tree(
    connection: Connection, agent: str, model: Model, contract: Contract | None, moment: AsOf
) -> list[Tree]:
    """The runs that the decisions are from, each with the head of its chain as of the act."""
    told = []
    columns = select(
        runs.c.run_id, runs.c.number, runs.c.mode, runs.c.config_digest, runs.c.data_digest
    )
    sources = None if contract is None else {one.number for one in sources_of(connection, contract)}
    for run in connection.execute(columns.order_by(runs.c.number)).all():
        if sources is not None and run.number not in sources:
            continue
        counts = _counts(connection, agent, model, contract, moment, run.number)
        if not counts["decisions"] and run.number != moment.number:
            continue
        facts, head = head_then(connection, run.number, moment)
        told.append(
            {
                "run_id": run.run_id,
                "mode": run.mode,
                "code_version": code_then(connection, run.number, moment),
                "config_digest": run.config_digest,
                "data_digest": run.data_digest,
                "facts": facts,
                "head": head,
                **counts,
            }
        )
    return told


def _counts(
    connection: Connection, agent: str, model: Model, contract: Contract | None, moment: AsOf,
    number: int,
) -> Tree:  # fmt: skip
    d = agent_decisions.c
    since = -(1 << 62) if contract is None else contract.since_ms
    mine = (
        d.id.between(id_range(number)[0], moment.end(number) - 1)
        & (d.agent_name == agent)
        & (d.model_sha256 == model.sha256)
    )
    asked, advised, first, last = connection.execute(
        select(func.count(), func.count(d.action), func.min(d.bar_time), func.max(d.bar_time))
        .select_from(agent_decisions)
        .where(mine, d.bar_time >= since)
    ).one()
    early = connection.execute(
        select(func.count()).select_from(agent_decisions).where(mine, d.bar_time < since)
    ).scalar_one()
    return {
        "decisions": advised,
        "without_advice": asked - advised,
        "before_the_contract": early,
        "from_ms": first,
        "to_ms": last,
    }


def model_tree(connection: Connection, agent: str, model: Model, moment: AsOf) -> Tree:
    """Which model it is, and how it came in; a rule in the place of a model came from nowhere."""
    known = [
        row
        for row in logs.sound_rows_in(connection, model_events)
        if (row["agent_name"], row["manifest_sha256"]) == (agent, model.sha256)
        and row["version"] == model.version
        and row["at"] <= moment.at
    ]
    first = known[0] if known else None
    return {
        "version": model.version,
        "manifest_sha256": model.sha256,
        "zip_sha256": first and first["zip_sha256"],
        "came": first and first["kind"],
        "at": first and first["at"],
        "by": first and first["by"],
    }


def drift_tree(
    connection: Connection, agent: str, model: Model, contract: Contract | None, moment: AsOf,
    training: Reference | str,
) -> Tree:  # fmt: skip
    """How far each column that the model was shown has moved since training, the worst first."""
    bounds = {"shifted_from": SHIFTED, "drifted_above": DRIFTED, "by_chance_share": 0.999}
    if isinstance(training, str):
        return {"rows": 0, "unknown": training, **bounds, "columns": []}
    page = PAGES[agent]
    rows = _observations(connection, agent, model, contract, moment)
    if len(rows) < FEWEST_ROWS:
        unknown = f"{len(rows)} observations, of fewer than {FEWEST_ROWS} none is told"
        return {"rows": len(rows), "unknown": unknown, **bounds, "columns": []}
    found = psi(training, rows)
    chance = psi_by_chance(training, len(rows), np.random.default_rng(SEED))
    columns = [
        {"column": name, "psi": index, "by_chance": most, "band": str(band(index))}
        for name, index, most in zip(page.names, found.tolist(), chance.tolist(), strict=True)
    ]
    columns.sort(key=lambda one: (-one["psi"], one["column"]))
    return {"rows": len(rows), "unknown": "", **bounds, "columns": columns}


def _observations(
    connection: Connection, agent: str, model: Model, contract: Contract | None, moment: AsOf
) -> FloatArray:
    """What it was shown where it gave advice, each candidate once, shape (n, width)."""
    d, page = agent_decisions.c, PAGES[agent]
    query = (
        select(d.id, d.candidate_id, d.observation)
        .where(d.agent_name == agent, d.model_sha256 == model.sha256, d.action.is_not(None))
        .where(d.feature_schema == page.schema)
        .order_by(d.id)
    )
    if contract is not None:
        query = query.where(d.bar_time >= contract.since_ms)
    width, seen = len(page.names), dict[str, bytes]()
    numbers = [
        one.number for one in (sources_of(connection, contract) if contract else ())
    ] or list(moment.before)
    for number in sorted(numbers):
        mine = d.id.between(id_range(number)[0], moment.end(number) - 1)
        for _, candidate, observation in connection.execute(query.where(mine)):
            if len(observation) == 4 * width:
                seen.setdefault(candidate, observation)
    rows = np.frombuffer(b"".join(seen.values()), dtype="<f4").reshape(-1, width)
    finite: FloatArray = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
    return finite

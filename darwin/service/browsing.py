"""What pages show of runs: their equity, trades, candidates by choice, heartbeat, twins, report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from darwin.errors import ConfigError
from darwin.rl.cli.dossier_files import FOLDER, WRITTEN, places
from darwin.service.place import Place, now
from darwin.service.reading import MOST
from darwin.store import schema
from darwin.store.db import Database
from darwin.store.queries import ON_PAPER, find_run, kind_of_run

METRICS, PAGE, HEARTBEAT = "metrics.json", "report.html", "heartbeat.json"
SILENT_S = 30.0
"""After so long without a heartbeat a run on paper counts as silent."""
_MOST_BYTES = 64 << 20


def equity(database: Database, run_id: str) -> dict[str, Any]:
    """Equity at the end of each UTC day: `x` in s UTC, `values` in USD."""
    m = schema.equity_marks.c
    query = select(m.time, m.equity_usd).where(m.run_id == run_id).order_by(m.day)
    with database.read() as connection:
        rows = connection.execute(query).all()
    return {"x": [row.time / 1000 for row in rows], "values": [row.equity_usd for row in rows]}


def kinds(database: Database) -> dict[str, str]:
    """Of each run whether it is a replay, a feed or on paper."""
    with database.read() as connection:
        rows = connection.execute(select(schema.runs.c.run_id, kind_of_run())).all()
    return {row[0]: row[1] for row in rows}


def heartbeats(place: Place, database: Database) -> list[dict[str, Any]]:
    """The runs on paper that are not finished, with what they last said of themselves."""
    s = schema.run_states.c
    query = (
        select(s.run_id)
        .join(schema.runs, schema.runs.c.run_id == s.run_id)
        .where(s.status == "running", kind_of_run() == ON_PAPER)
        .order_by(s.started_at.desc())
    )
    with database.read() as connection:
        names = connection.execute(query).scalars().all()
    return [_beat(name, _read_json(_folder(place, name) / HEARTBEAT)) for name in names]


def twins(place: Place, database: Database, run_id: str) -> dict[str, Any] | None:
    """What the agents of a run brought, against its twins; None: nothing is said of that.

    From metrics.json of the run. Raises ConfigError for a run that nobody knows.
    """
    find_run(database, run_id)
    told = _read_json(_folder(place, run_id) / METRICS)
    found = told.get("twins") if told else None
    return found if isinstance(found, dict) else None


def report_file(place: Place, database: Database, run_id: str) -> Path:
    """The report of a run. Raises ConfigError for an unknown run, or one without a report."""
    find_run(database, run_id)
    file = _folder(place, run_id) / PAGE
    if not file.is_file():
        raise ConfigError(
            f"run '{run_id}' has no report", mend=f"`darwin report {run_id}` writes it, once it is"
            " finished",
        )  # fmt: skip
    return file


def has_report(place: Place, run_id: str) -> bool:
    """Whether the report of a known run is written."""
    return (_folder(place, run_id) / PAGE).is_file()


def dossier_page(place: Place, database: Database, agent: str, number: int) -> Path:
    """The page of a dossier. Raises ConfigError where no such act is on record, or none written."""
    for one in places(database, place.artifacts / FOLDER, agent):
        if one.event.number == number and one.state == WRITTEN:
            return one.html
    raise ConfigError(
        f"there is no dossier {number} of {agent}",
        mend="`darwin rl dossier write` writes what lacks",
    )


def trades(
    database: Database, run_id: str, *, before: int | None = None, limit: int = 50
) -> dict[str, Any]:
    """A page of the closed trades of a run, the last closed first; figures as in trades.csv."""
    entry, left = schema.fills.alias("entered"), schema.fills.alias("left")
    query = (
        select(
            left.c.id, entry.c.candidate_id, entry.c.symbol, entry.c.side,
            entry.c.time.label("entry_time"), entry.c.price.label("entry_price"),
            left.c.time.label("exit_time"), left.c.price.label("exit_price"),
            left.c.reason.label("exit_reason"), entry.c.units,
            (entry.c.fee_usd + left.c.fee_usd).label("fees_usd"),
            left.c.funding_usd, entry.c.mid_price, entry.c.stop_price,
        )
        .join_from(
            left, entry,
            (entry.c.run_id == left.c.run_id) & (entry.c.candidate_id == left.c.candidate_id)
            & (entry.c.kind == "entry"),
        )
        .where(left.c.run_id == run_id, left.c.kind == "exit")
        .order_by(left.c.id.desc()).limit(_few(limit) + 1)
    )  # fmt: skip
    if before is not None:
        query = query.where(left.c.id < before)
    with database.read() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    for row in rows:
        moved = row["units"] * (row["exit_price"] - row["entry_price"])
        net = (moved if row["side"] == "long" else -moved) - row["fees_usd"] - row["funding_usd"]
        risk = abs(row["mid_price"] - row["stop_price"]) * row["units"]
        row |= {"net_pnl_usd": net, "r": net / risk if risk > 0 else None}
    told = rows[:limit]
    return {"trades": told, "next": told[-1]["id"] if len(rows) > limit else None}


def candidates(
    database: Database,
    run_id: str,
    *,
    symbol: str | None = None,
    playbook: str | None = None,
    ending: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """A page of the candidates of a run by choice, the newest first, each with how it ended.

    `ending` is a stage and a reason as the funnel has them: `expert: expert skip`.
    """
    c, e, o = schema.candidates.c, schema.endings.c, schema.outcomes.c
    query = (
        select(
            c.id, c.candidate_id, c.symbol, c.playbook, c.side, c.bar_time, c.close,
            e.stage, e.reason, o.status, o.r,
        )
        .join_from(
            schema.candidates, schema.endings,
            (e.run_id == c.run_id) & (e.candidate_id == c.candidate_id),
        )
        .outerjoin(
            schema.outcomes, (o.run_id == c.run_id) & (o.candidate_id == c.candidate_id)
        )
        .where(c.run_id == run_id).order_by(c.id.desc()).limit(_few(limit) + 1)
    )  # fmt: skip
    if symbol:
        query = query.where(c.symbol == symbol)
    if playbook:
        query = query.where(c.playbook == playbook)
    if ending:
        stage, _, reason = ending.partition(": ")
        query = query.where(
            e.stage.is_(None) if stage == "open" else (e.stage == stage) & (e.reason == reason)
        )
    if before is not None:
        query = query.where(c.id < before)
    with database.read() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    told = rows[:limit]
    return {"candidates": told, "next": told[-1]["id"] if len(rows) > limit else None}


def choices(database: Database, run_id: str) -> dict[str, list[str]]:
    """The symbols and playbooks that a run has candidates of."""
    c = schema.candidates.c
    with database.read() as connection:
        found = connection.execute(
            select(c.symbol, c.playbook).where(c.run_id == run_id).distinct()
        ).all()
    return {
        "symbols": sorted({row.symbol for row in found}),
        "playbooks": sorted({row.playbook for row in found}),
    }


def _folder(place: Place, run_id: str) -> Path:
    return place.artifacts / "runs" / run_id


def _beat(run_id: str, told: dict[str, Any] | None) -> dict[str, Any]:
    """Its heartbeat, and for how long it has been silent; None where it never said anything."""
    if told is None:
        return {"run_id": run_id, "told": None, "age_s": None, "silent": True}
    try:
        age = (now() - datetime.fromisoformat(str(told.get("at"))).astimezone(UTC)).total_seconds()
    except ValueError:
        age = None
    return {
        "run_id": run_id, "told": told, "age_s": age,
        "silent": age is None or not age <= SILENT_S,
    }  # fmt: skip


def _read_json(path: Path) -> dict[str, Any] | None:
    """What a file of a run says; None where it is not there, or cannot be read as JSON."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _few(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise ConfigError(f"{limit} rows are asked for", where="limit", mend=f"1 to {MOST}")
    return limit

"""The story of one candidate: each stage of the funnel with what was decided and what it cost."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Row, Select, Table, select

from darwin.core.agents import AGENTS
from darwin.core.decision import STAGES, Verdict
from darwin.errors import ConfigError
from darwin.store.db import Database
from darwin.store.features import unpack
from darwin.store.queries import require_run, stage_rank, verdict_of
from darwin.store.schema import (
    agent_decisions,
    candidates,
    endings,
    fills,
    llm_calls,
    orders,
    outcomes,
    runs,
    verdicts,
)

_LEAST_DIGITS = 4
_SHOWN = 5


class Story(NamedTuple):
    """What is recorded of a candidate; rows carry the columns of their tables by name."""

    candidate: Row[Any]
    ending: tuple[str, str] | None  # stage and reason; None: it has not ended yet
    verdict: Verdict | None  # None: the expert was not asked
    order: Row[Any] | None
    cancelled: Row[Any] | None
    entry: Row[Any] | None
    exit: Row[Any] | None
    outcome: Row[Any] | None
    decisions: tuple[Row[Any], ...]  # of agents, in the order in which they were asked
    features: dict[str, float]  # as they stood at the signal's close
    asked_model: str | None = None  # None: the expert is no model

    @property
    def net_pnl_usd(self) -> float | None:
        """What the closed position earned, all costs paid; None without one."""
        if self.entry is None or self.exit is None:
            return None
        side = 1 if self.entry.side == "long" else -1
        moved = side * self.entry.units * (self.exit.price - self.entry.price)
        return float(moved - self.entry.fee_usd - self.exit.fee_usd - self.exit.funding_usd)

    @property
    def realised_r(self) -> float | None:
        """That over the distance from the entry's mid price to the initial stop, times units."""
        earned = self.net_pnl_usd
        if self.entry is None or earned is None:
            return None
        risk = abs(self.entry.mid_price - self.entry.stop_price) * self.entry.units
        return float(earned / risk) if risk > 0 else None

    def stages(self) -> list[tuple[str, str]]:
        """Each stage of the funnel and how it went: passed, `ended: …`, not reached, or taken.

        An agent that was not asked has no stage, nor have data that came in time.
        """
        silent = {"data", *AGENTS} - {decision.agent_name for decision in self.decisions}
        silent -= {self.ending[0]} if self.ending else set()
        shown = [stage for stage in STAGES if stage not in silent]
        if self.ending is None:
            return [(stage, "passed") for stage in shown[:-2]] + [("entry", "open")]
        ended, reason = self.ending
        at = stage_rank(ended)
        went = [(stage, "passed" if stage_rank(stage) < at else "not reached") for stage in shown]
        told = (ended, reason if ended == reason else f"ended: {reason}")
        return [told if stage == ended else (stage, how) for stage, how in went]


def candidate(database: Database, candidate_id: str, run_id: str | None = None) -> Story:
    """Tell the story of a candidate, named by its id or by the first digits of it (four or more).

    Raises ConfigError for what is no id, for an unknown run or candidate, and when several match:
    several ids begin so, or several runs hold that candidate and `run_id` names none.
    """
    prefix = digits(candidate_id)
    with database.read() as connection:
        if run_id is not None:
            require_run(connection, database, run_id)
        found = connection.execute(beginning(prefix, run_id)).all()
        row = only(found, [one.candidate_id for one in found], prefix, database)
        verdict = _one(connection, verdicts, row)
        submitted, cancelled = _pair(connection, orders, row, "submitted", "cancelled")
        entry, exit_ = _pair(connection, fills, row, "entry", "exit")
        return Story(
            candidate=row,
            ending=_ending(connection, row),
            verdict=None if verdict is None else verdict_of(verdict),
            order=submitted,
            cancelled=cancelled,
            entry=entry,
            exit=exit_,
            outcome=_one(connection, outcomes, row),
            decisions=tuple(sorted(_facts(connection, agent_decisions, row), key=_by_id)),
            features=_features(require_run(connection, database, row.run_id), row),
            asked_model=_model(connection, verdict),
        )


def digits(told: str) -> str:
    """The first digits of an id, as a person wrote them. Raises ConfigError for what is none."""
    prefix = told.lower()
    if not re.fullmatch(rf"[0-9a-f]{{{_LEAST_DIGITS},16}}", prefix):
        raise ConfigError(
            f"'{told}' is no candidate id, nor one of a rebalance",
            mend=f"write {_LEAST_DIGITS} to 16 hex digits, as trades.csv or weights.csv has them",
        )
    return prefix


def beginning(prefix: str, run_id: str | None) -> Select[Any]:
    """Select candidates whose id begins with `prefix`, by run; searches the ids run by run."""
    return begun_with(candidates, candidates.c.candidate_id, prefix, run_id)


def begun_with(table: Table, ids: Column[Any], prefix: str, run_id: str | None) -> Select[Any]:
    """The same of any table of facts."""
    first, last = prefix.ljust(16, "0"), prefix.ljust(16, "f")
    mine = [run_id] if run_id is not None else select(runs.c.run_id)
    return (
        select(table).where(table.c.run_id.in_(mine), ids.between(first, last)).order_by(table.c.id)
    )


def only(
    found: Sequence[Row[Any]],
    named: Sequence[str],
    prefix: str,
    database: Database,
    noun: str = "candidate",
) -> Row[Any]:
    """The one row of `found`, or a ConfigError that says what to write instead.

    `named` has the id of each row; `noun` says what they are.
    """
    ids = list(dict.fromkeys(named))
    if not ids:
        raise ConfigError(
            f"no candidate '{prefix}' is recorded, and no rebalance",
            where=str(database.path),
            mend="ids stand in trades.csv and weights.csv; `darwin runs` lists runs",
        )
    if len(ids) > 1:
        raise ConfigError(
            f"{len(ids)} {noun}s begin with '{prefix}': {_some(ids)}",
            where=str(database.path),
            mend="write more digits",
        )
    if len(found) > 1:
        raise ConfigError(
            f"{noun} {ids[0]} is in {len(found)} runs: {_some([row.run_id for row in found])}",
            where=str(database.path),
            mend=f"name one: --run {found[-1].run_id}",
        )
    return found[0]


def _ending(connection: Connection, row: Row[Any]) -> tuple[str, str] | None:
    query = select(endings.c.stage, endings.c.reason).where(
        endings.c.run_id == row.run_id, endings.c.candidate_id == row.candidate_id
    )
    stage, reason = connection.execute(query).one()
    return None if reason is None else (stage, reason)


def _model(connection: Connection, verdict: Row[Any] | None) -> str | None:
    """The model that was asked for a verdict, in this run or in the one that asked first."""
    if verdict is None or verdict.prompt_sha256 is None:
        return None
    query = select(llm_calls.c.model).where(llm_calls.c.request_sha256 == verdict.prompt_sha256)
    return connection.execute(query.limit(1)).scalar()


def _features(run: Row[Any], row: Row[Any]) -> dict[str, float]:
    """Name the feature values of a candidate."""
    return dict(zip(json.loads(run.feature_names), unpack(row.features).tolist(), strict=False))


def _some(names: Sequence[str]) -> str:
    more = f" +{len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _facts(connection: Connection, table: Table, about: Row[Any]) -> Sequence[Row[Any]]:
    query = select(table).where(
        table.c.run_id == about.run_id, table.c.candidate_id == about.candidate_id
    )
    return connection.execute(query).all()


def _by_id(row: Row[Any]) -> int:
    return int(row.id)


def _one(connection: Connection, table: Table, about: Row[Any]) -> Row[Any] | None:
    return next(iter(_facts(connection, table, about)), None)


def _pair(
    connection: Connection, table: Table, about: Row[Any], first: str, second: str
) -> tuple[Row[Any] | None, Row[Any] | None]:
    """The facts of kind `first` and `second`, each None where there is none."""
    by_kind = {row.kind: row for row in _facts(connection, table, about)}
    return by_kind.get(first), by_kind.get(second)

"""What is known of an agent's advice: one row per candidate, with what the expert and time said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from darwin.core.agents import Role, Why
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.rl.graduation.increments import Entry, Outcome
from darwin.store.queries import ON_PAPER, kind_of_run
from darwin.store.schema import SEQ_BITS, agent_decisions, decisions_of, outcomes, runs, verdicts


@dataclass(frozen=True, slots=True)
class Evidence:
    """The decisions of one model with sound advice, in the order of bar time; arrays of shape (n,).

    A candidate that several runs held counts once, as it was first recorded.
    """

    bar_time: IntArray  # ms UTC
    action: FloatArray  # in the agent's own unit
    take: FloatArray  # the expert's verdict, 0 or 1; NaN: it was not asked
    audited: BoolArray  # a would-be skip that passed to keep skips measured
    settled: BoolArray  # what became of the bracket is known, be it that it was never entered
    exit_time: IntArray  # ms UTC; -1: no R
    r: FloatArray  # net of all costs; NaN: not settled, or never entered
    fed: BoolArray  # made in a run on paper
    silent_share: float = float("nan")  # of all decisions on record: those without sound advice

    def __len__(self) -> int:
        return len(self.bar_time)

    @property
    def resolved(self) -> BoolArray:
        """Where there is an R, shape (n,)."""
        return np.isfinite(self.r)

    def select(self, which: BoolArray) -> Evidence:
        """The decisions at the places `which`, shape (n,); of the silent ones nothing is said."""
        columns = [one.name for one in fields(self) if one.name != "silent_share"]
        chosen = {name: getattr(self, name)[which] for name in columns}
        return replace(self, **chosen, silent_share=float("nan"))


def read_evidence(
    connection: Connection,
    agent: str,
    sha256: str,
    run_id: str | None = None,
    before: Mapping[int, int] | None = None,
) -> Evidence:
    """The evidence of the model of that digest as the one that serves, of all runs or one.

    `before` leaves out what was not known yet: by the number of a run, the id of the first such
    fact.
    """
    d, v, o = agent_decisions.c, verdicts.c, outcomes.c
    query = (
        select(
            d.candidate_id, d.bar_time, d.action, d.reason, v.take, o.status, o.exit_time, o.r,
            kind_of_run(), d.id, o.id,
        )
        .join_from(agent_decisions, runs, runs.c.run_id == d.run_id)
        .outerjoin(verdicts, (v.run_id == d.run_id) & (v.candidate_id == d.candidate_id))
        .outerjoin(outcomes, (o.run_id == d.run_id) & (o.candidate_id == d.candidate_id))
        .where(d.agent_name == agent, d.role == str(Role.SERVING), d.model_sha256 == sha256)
        .order_by(d.id)
    )  # fmt: skip
    if run_id is not None:
        query = query.where(d.run_id == run_id)
    rows = connection.execute(query).all()
    if before is not None:
        return fold_rows([_known(row, before) for row in rows if row[9] < _end(row[9], before)])
    return fold_rows([row[:9] for row in rows])


def _known(row: Sequence[Any], before: Mapping[int, int]) -> Sequence[Any]:
    """A row whose outcome was not known yet has none."""
    if row[10] is None or row[10] < _end(row[10], before):
        return row[:9]
    return (*row[:5], None, None, None, row[8])


def _end(fact: int, before: Mapping[int, int]) -> int:
    return before.get(fact >> SEQ_BITS, 0)


def silent_share(
    connection: Connection, agent: str, sha256: str, run_id: str | None = None
) -> float:
    """Of all decisions of the model of that digest those without sound advice; NaN of none."""
    d = decisions_of(agent).c
    query = select(func.count(), func.count(d.action)).where(
        d.agent_name == agent, d.role == str(Role.SERVING), d.model_sha256 == sha256
    )
    if run_id is not None:
        query = query.where(d.run_id == run_id)
    every, sound = connection.execute(query).one()
    return 1.0 - sound / every if every else float("nan")


def fold_rows(rows: Sequence[Sequence[Any]]) -> Evidence:
    """Columns of rows in the order in which they were recorded.

    A row is: candidate id, bar time, action or None, reason, take or None, status of the outcome
    or None, exit time or None, r or None, mode of the run.
    """
    sound = [row for row in rows if row[2] is not None]
    ids, bar_time, action, reason, take, status, exit_time, r, mode = (
        zip(*sound, strict=True) if sound else ((),) * 9
    )
    _, first = np.unique(np.array(ids, dtype="S16"), return_index=True)
    times = np.array(bar_time, dtype=np.int64)
    kept = np.sort(first)
    kept = kept[np.argsort(times[kept], kind="stable")]
    state = np.array(status, dtype=object)[kept]
    return Evidence(
        bar_time=times[kept],
        action=_reals(action)[kept],
        take=_reals(take)[kept],
        audited=np.array(reason, dtype=object)[kept] == Why.AUDIT.value,
        settled=(state == "resolved") | (state == "gapped"),
        exit_time=np.array([-1 if one is None else one for one in exit_time], np.int64)[kept],
        r=_reals(r)[kept],
        fed=np.array(mode, dtype=object)[kept] == ON_PAPER,
        silent_share=1.0 - len(sound) / len(rows) if rows else float("nan"),
    )


def of_stream(
    rows: Sequence[tuple[Entry, Outcome | None]], *, fed: bool, silent_share: float
) -> Evidence:
    """The same of the decisions of a stream."""
    n = len(rows)
    outcomes = [outcome for _, outcome in rows]
    r = _reals([math.nan if one is None else one.r for one in outcomes])
    known = [-1 if one is None else one.known_ms for one in outcomes]
    return Evidence(
        bar_time=np.array([entry.bar_time for entry, _ in rows], dtype=np.int64),
        action=_reals([entry.action for entry, _ in rows]),
        take=_reals([entry.take for entry, _ in rows]),
        audited=np.array([entry.audited for entry, _ in rows], dtype=np.bool_),
        settled=np.array([one is not None for one in outcomes], dtype=np.bool_),
        exit_time=np.where(np.isfinite(r), np.array(known, dtype=np.int64), -1),
        r=r,
        fed=np.full(n, fed, dtype=np.bool_),
        silent_share=silent_share,
    )


def _reals(values: Any) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)  # None becomes NaN


NONE = fold_rows([])
"""No decision at all."""

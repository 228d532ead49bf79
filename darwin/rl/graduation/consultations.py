"""How often an agent was asked, run by run and day by day of market time, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, case, func, select

from darwin.core.agents import Model, Role
from darwin.core.market import DAY_MS, BoolArray, FloatArray, IntArray
from darwin.store.queries import ON_PAPER, kind_of_run
from darwin.store.schema import SEQ_BITS, agent_decisions, id_range, run_states, runs

BEFORE, INSIDE, AFTER = -1, 0, 1
"""Where a consultation lies by a window."""

OURS, NOBODYS, ANOTHERS = 0, 1, 2
"""Whose advice was asked for: that of the model in question, of no model, of another one."""


class Window(NamedTuple):
    """Market time: open times of bars after `since`, up to and with `until`, in ms UTC."""

    since: int
    until: int


class Run(NamedTuple):
    """A run, and how far it has come."""

    number: int
    run_id: str
    mode: str  # replay or feed
    reached: int | None  # open time of the last bar it covers whole; None: of none


def read_runs(connection: Connection, run_id: str | None = None) -> tuple[Run, ...]:
    """All runs, or one, in the order in which they were begun."""
    query = (
        select(runs.c.number, runs.c.run_id, kind_of_run(), run_states.c.reached)
        .join_from(runs, run_states, run_states.c.run_id == runs.c.run_id)
        .order_by(runs.c.number)
    )
    if run_id is not None:
        query = query.where(runs.c.run_id == run_id)
    return tuple(Run(*row) for row in connection.execute(query))


def newest_bar(connection: Connection, agent: str, among: tuple[Run, ...]) -> int | None:
    """The open time of the newest bar that those runs know of, in ms UTC; None: of none.

    Once a run on paper has asked `agent`, replays have no say: one over later bars,
    generated ones for example, must not hide what goes on.
    """
    last = {run.number: _last_asked(connection, agent, run) for run in among}
    fed = [run for run in among if run.mode == ON_PAPER]
    if any(last[run.number] is not None for run in fed):
        among = tuple(fed)
    times = [time for run in among for time in (run.reached, last[run.number]) if time is not None]
    return max(times, default=None)


def _last_asked(connection: Connection, agent: str, run: Run) -> int | None:
    d = agent_decisions.c
    asked = select(d.id).where(d.run_id == run.run_id, d.agent_name == agent).limit(1)
    if connection.execute(asked).first() is None:  # an index knows; the rows would all be read
        return None
    return connection.execute(
        select(d.bar_time)
        .where(d.id.between(*id_range(run.number)), d.agent_name == agent)
        .order_by(d.id.desc())
        .limit(1)
    ).scalar()


@dataclass(frozen=True, slots=True)
class Consultations:
    """Consultations of an agent's serving model, counted; arrays of shape (g,).

    Those of one run, day, part of time, model and reason are one element.
    """

    window: Window
    number: IntArray  # of the run
    day: IntArray  # UTC, since 1970
    part: IntArray  # BEFORE, INSIDE, AFTER
    whose: IntArray
    reason: NDArray[np.object_]
    asked: IntArray
    sound: IntArray  # of these, with sound advice
    first: IntArray  # bar time of the first, ms UTC
    last: IntArray
    first_id: IntArray
    last_id: IntArray

    @property
    def inside(self) -> BoolArray:
        """Where the window is."""
        which: BoolArray = self.part == INSIDE
        return which

    @property
    def relevant(self) -> BoolArray:
        """Where the model was asked, or should have been and there was none."""
        which: BoolArray = self.whose != ANOTHERS
        return which

    def silences(self, which: BoolArray) -> dict[str, int]:
        """How often there was no sound advice among `which`, by reason; the most frequent first."""
        found: Counter[str] = Counter()
        silent = which & self.relevant & (self.asked > self.sound)
        for at in np.flatnonzero(silent):
            found[self.reason[at]] += int(self.asked[at] - self.sound[at])
        return dict(found.most_common())

    def ids(self) -> list[tuple[int, int]]:
        """First and last id of all consultations inside the window, for each run."""
        found = []
        for number in np.unique(self.number[self.inside]):
            mine = self.inside & (self.number == number)
            found.append((int(self.first_id[mine].min()), int(self.last_id[mine].max())))
        return found

    def spans(self, among: tuple[Run, ...]) -> dict[int, tuple[int, int]]:
        """From when to when each of the runs had the model, in bar time: first and last, ms UTC.

        A run that asked it to the last has it as far as the run has come.
        """
        reached = {run.number: run.reached for run in among}
        found = {}
        for number in np.unique(self.number[self.whose == OURS]).tolist():
            here = self.number == number
            ours, relevant = here & (self.whose == OURS), here & self.relevant
            last = int(self.last[ours].max())
            if self.last_id[relevant].max() == self.last_id[here].max():
                last = max(int(self.last[relevant].max()), reached.get(number) or last)
            found[number] = (int(self.first[ours].min()), last)
        return found

    def daily(
        self, spans: dict[int, tuple[int, int]], part: int | None
    ) -> tuple[FloatArray, IntArray]:
        """Decisions with advice and days covered, (n, 2), of each run and UTC day, (n,).

        Of the time that is BEFORE or INSIDE the window, or of all of it (None). Part of a day
        counts as such.
        """
        rows, days = [np.zeros((0, 2))], [np.zeros(0, dtype=np.int64)]
        since, until = self.window
        ours = self.whose == OURS
        for number, (first, last) in spans.items():
            low = max(first, since) if part == INSIDE else first
            high = last if part is None else min(last, until if part == INSIDE else since)
            if low > high:
                continue
            day = np.arange(low // DAY_MS, high // DAY_MS + 1)
            covered = np.minimum(high, (day + 1) * DAY_MS) - np.maximum(low, day * DAY_MS)
            mine = ours & (self.number == number) & ((self.part == part) | (part is None))
            counts = np.bincount(self.day[mine] - day[0], self.sound[mine], len(day))
            rows.append(np.column_stack([counts, covered / DAY_MS]))
            days.append(day)
        return np.concatenate(rows), np.concatenate(days)


def read_consultations(
    connection: Connection, agent: str, model: Model | None, among: tuple[Run, ...], window: Window
) -> Consultations:
    """Count the consultations of `agent` in these runs, in one reading."""
    d = agent_decisions.c
    whose = case((d.model_sha256.is_(None), NOBODYS), else_=ANOTHERS)
    if model is not None:
        whose = case(
            (d.model_sha256.is_(None), NOBODYS),
            (d.model_sha256 == model.sha256, OURS),
            else_=ANOTHERS,
        )
    part = case(
        (d.bar_time <= window.since, BEFORE), (d.bar_time <= window.until, INSIDE), else_=AFTER
    )
    keys = (d.id.op(">>")(SEQ_BITS), d.bar_time.op("/")(DAY_MS), part, whose, d.reason)
    query = (
        select(
            *keys, func.count(), func.count(d.action), func.min(d.bar_time), func.max(d.bar_time),
            func.min(d.id), func.max(d.id),
        )
        .where(d.agent_name == agent, d.role == str(Role.SERVING))
        .group_by(*keys)
    )  # fmt: skip
    if len(among) == 1:
        query = query.where(d.id.between(*id_range(among[0].number)))
    found = connection.execute(query).all()
    columns = list(zip(*found, strict=True)) if found else [()] * 11
    number, day, parts, whom, *counts = (
        np.array(column, dtype=np.int64) for column in (*columns[:4], *columns[5:])
    )
    reason = np.array(columns[4], dtype=object)
    return Consultations(window, number, day, parts, whom, reason, *counts)


def read_observations(
    connection: Connection, agent: str, schema: str, width: int, counted: Consultations
) -> FloatArray:
    """The finite observations of the window, each candidate once, shape (n, width).

    Only those of that schema. No row before the first of the window in its run is read, nor one
    after the last.
    """
    d, window = agent_decisions.c, counted.window
    seen: dict[str, bytes] = {}
    for first, last in counted.ids():
        found = connection.execute(
            select(d.candidate_id, d.observation)
            .where(d.id.between(first, last), d.agent_name == agent)
            .where(d.role == str(Role.SERVING), d.feature_schema == schema)
            .where(d.bar_time > window.since, d.bar_time <= window.until)
            .order_by(d.id)
        )
        for candidate, observation in found:
            if len(observation) == 4 * width:
                seen.setdefault(candidate, observation)
    rows = np.frombuffer(b"".join(seen.values()), dtype="<f4").reshape(-1, width)
    finite: FloatArray = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
    return finite

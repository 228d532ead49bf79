"""An agent's daily health check: the last days of market time, held against its whole record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from sqlalchemy import Connection, or_, select

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import Why
from darwin.core.market import DAY_MS, BoolArray
from darwin.rl.agents.pages import PAGES
from darwin.rl.graduation.consultations import (
    ANOTHERS,
    BEFORE,
    INSIDE,
    Consultations,
    Run,
    Window,
    newest_bar,
    read_consultations,
    read_observations,
    read_runs,
)
from darwin.rl.graduation.contract import trained_until
from darwin.rl.graduation.evidence import NONE, read_evidence
from darwin.rl.graduation.judged import Judged, MayAct, judge
from darwin.rl.graduation.scorecard import PortfolioFigures, score
from darwin.rl.graduation.vitals import Figure, vitals
from darwin.rl.registry.registry import Registry
from darwin.safety.circuit import OPENED
from darwin.safety.overrides import STORM
from darwin.stats.bootstrap import block_bootstrap, ratio
from darwin.stats.drift import Band, Reference, band, psi, psi_by_chance
from darwin.stats.intervals import Interval, wilson
from darwin.store.queries import require_run
from darwin.store.schema import alerts, id_range, safety_events

SEED = 20_240_101
"""Of everything that is drawn by chance, so that the same database gives the same figures."""

FEWEST_ROWS = 20
"""Of fewer observations no drift is told."""

Training: TypeAlias = Reference | str
"""How the rows of training were distributed, or why that is not known."""


class Rate(NamedTuple):
    """Decisions with advice per day of market time that runs with the model covered."""

    per_day: Interval
    decisions: int  # as often as runs held them
    days: float  # of all runs together


class Silence(NamedTuple):
    """Consultations without sound advice."""

    share: Interval  # of all consultations
    asked: int
    reasons: Mapping[str, int]  # how often for each reason, the most frequent first


class Part(NamedTuple):
    """What was decided in a stretch of market time; each candidate once, as in the scorecard.

    What training has seen is told by its number alone.
    """

    decisions: int  # with sound advice, on bars after training and a day
    seen: int  # the same, on bars before that
    fed: int  # of these, in runs on paper
    outcomes: int  # of these, with an R
    rate: Rate
    silence: Silence
    figures: tuple[Figure, ...]


class Drift(NamedTuple):
    """How far the observations of a column have moved since training."""

    column: str
    psi: float
    by_chance: float  # what it stays below in 999 of 1,000 cases where nothing moved
    band: Band

    @property
    def tells(self) -> bool:
        """Whether it has drifted, and further than chance takes so few rows."""
        return self.band is Band.DRIFTED and self.psi > self.by_chance


class Drifts(NamedTuple):
    """That of all columns, the worst first."""

    columns: tuple[Drift, ...]
    rows: int  # observations of the window
    unknown: str  # why nothing is known; empty: it is


@dataclass(frozen=True, slots=True)
class Health:
    """All that a health check has found."""

    judged: Judged
    window: Window | None  # None: no run knows of a bar
    runs: tuple[str, ...]  # that asked the agent inside the window
    inside: Part
    before: Rate
    record: Part
    newest_ms: int | None  # bar time of the newest decision on record; None: there is none
    others: int  # consultations of other models inside the window
    strange: int  # rows inside the window beyond ten sd of training, which the door refused
    drifts: Drifts
    alerts: tuple[Alert, ...]  # of the last 24 hours; without an agent: about the run
    openings: tuple[SafetyEvent, ...]  # of its breaker, inside the window
    storms: int  # in which it wanted to set aside more than half of the verdicts


def check(
    registry: Registry,
    agent: str,
    may_act: MayAct,
    training: Callable[[Judged], Training],
    days: float,
    run_id: str | None = None,
) -> Health:
    """Check the model of `agent` that serves, else the rule that was asked in its place.

    Looked at are the last `days` of market time that the database, or one run, holds. Raises
    ConfigError for an unknown run, StorageError, IntegrityError.
    """
    with registry.database.read() as connection:
        if run_id is not None:
            require_run(connection, registry.database, run_id)
        among = read_runs(connection, run_id)
        newest = newest_bar(connection, agent, among)
    one = judge(registry, agent, may_act, run_id)
    end = 0 if newest is None else newest
    window = Window(end - max(round(days * DAY_MS), 1), end)
    with registry.database.read() as connection:
        evidence, trained = NONE, 0
        if one.model is not None:
            evidence = read_evidence(connection, agent, one.model.sha256, run_id)
            trained = trained_until(connection, agent, one.model)
        counted = read_consultations(connection, agent, one.model, among, window)
        drifts = _drifts(connection, agent, training(one), counted)
        raised = _alerts(connection, agent, among, end)
        safety = _safety(connection, agent, among, window)
    rng = np.random.default_rng(SEED)
    spans = counted.spans(among)
    inside = counted.inside
    within = (evidence.bar_time > window.since) & (evidence.bar_time <= window.until)
    fresh = evidence.bar_time >= trained
    figures = score(agent, evidence.select(fresh), one.card.latest).figures
    a_year = figures.per_year if isinstance(figures, PortfolioFigures) else 0.0
    every = np.ones_like(inside)

    def part(decided: BoolArray, which: BoolArray, when: int | None) -> Part:
        told = evidence.select(decided & fresh)
        return Part(
            len(told),
            int((decided & ~fresh).sum()),
            int(told.fed.sum()),
            int(told.resolved.sum()),
            _rate(counted, spans, when, rng),
            _silence(counted, which),
            vitals(agent, told, a_year, rng),
        )

    return Health(
        judged=one,
        window=None if newest is None else window,
        runs=tuple(run.run_id for run in among if run.number in counted.number[inside]),
        inside=part(within, inside, INSIDE),
        before=_rate(counted, spans, BEFORE, rng),
        record=part(np.ones_like(within), every, None),
        newest_ms=int(evidence.bar_time[-1]) if len(evidence) else None,
        others=int(counted.asked[inside & (counted.whose == ANOTHERS)].sum()),
        strange=counted.silences(inside).get(Why.OUT_OF_RANGE, 0),
        drifts=drifts,
        alerts=raised,
        openings=tuple(event for event in safety if event.kind == OPENED),
        storms=sum(event.kind == STORM for event in safety),
    )


def _rate(
    counted: Consultations,
    spans: dict[int, tuple[int, int]],
    part: int | None,
    rng: np.random.Generator,
) -> Rate:
    rows, day = counted.daily(spans, part)
    decisions, days = rows.sum(axis=0)
    return Rate(block_bootstrap(rows, day, ratio, rng), int(decisions), float(days))


def _silence(counted: Consultations, which: BoolArray) -> Silence:
    asked = int(counted.asked[which & counted.relevant].sum())
    reasons = counted.silences(which)
    share = sum(reasons.values()) / asked if asked else float("nan")
    return Silence(wilson(share, asked), asked, reasons)


def _drifts(
    connection: Connection, agent: str, training: Training, counted: Consultations
) -> Drifts:
    if isinstance(training, str):
        return Drifts((), 0, training)
    page = PAGES[agent]
    rows = read_observations(connection, agent, page.schema, len(page.names), counted)
    if len(rows) < FEWEST_ROWS:
        unknown = (
            f"{len(rows)} observations in the window, of fewer than {FEWEST_ROWS} none is told"
        )
        return Drifts((), len(rows), unknown)
    found = psi(training, rows)
    bound = psi_by_chance(training, len(rows), np.random.default_rng(SEED))
    columns = [
        Drift(page.names[at], float(found[at]), float(bound[at]), band(float(found[at])))
        for at in np.argsort(-found, kind="stable")
    ]
    return Drifts(tuple(columns), len(rows), "")


def _alerts(
    connection: Connection, agent: str, among: tuple[Run, ...], until: int
) -> tuple[Alert, ...]:
    """Those about the agent, and those about a run itself."""
    a, found = alerts.c, []
    for run in among:
        rows = connection.execute(
            select(a.time, a.kind, a.agent_name, a.detail)
            .where(a.id.between(*id_range(run.number)))
            .where(or_(a.agent_name == agent, a.agent_name.is_(None)))
            .where(a.time > until - DAY_MS, a.time <= until)
            .order_by(a.id)
        )
        found += [Alert(time, kind, whose or "", detail) for time, kind, whose, detail in rows]
    return tuple(found)


def _safety(
    connection: Connection, agent: str, among: tuple[Run, ...], window: Window
) -> tuple[SafetyEvent, ...]:
    e, found = safety_events.c, []
    for run in among:
        rows = connection.execute(
            select(e.time, e.kind, e.detail)
            .where(e.run_id == run.run_id, e.agent_name == agent)
            .where(e.kind.in_((OPENED, STORM)))
            .where(e.time > window.since, e.time <= window.until)
            .order_by(e.id)
        )
        found += [SafetyEvent(*row, agent=agent) for row in rows]
    return tuple(found)

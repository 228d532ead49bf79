"""What a named person may do with an agent: promote it, demote it, give it another stage.

Each act judges the agent as it stands, is written down with what it rests on, and leaves its
dossier. Commands and the service call the same.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from darwin.core.agents import STAGES, Model
from darwin.core.market import SYNTHETIC_VENUE
from darwin.errors import ConfigError
from darwin.rl.cli.dossier_files import write_down
from darwin.rl.cli.graduation_status import look
from darwin.rl.graduation import acts
from darwin.rl.graduation.checklist import Condition, all_pass, lacking
from darwin.rl.graduation.contract import contracts_in
from darwin.rl.graduation.footing import footing
from darwin.rl.graduation.judged import Judged
from darwin.rl.graduation.reading import sources_of
from darwin.rl.graduation.record import DEPLOYMENT, Promotion, run_of
from darwin.rl.registry.registry import Registry
from darwin.store.db import Database
from darwin.store.queries import ON_PAPER, runs_at_a_glance
from darwin.store.verify import verify


class Promoted(NamedTuple):
    """What came of a promotion that was asked for."""

    model: Model
    promoted: bool
    lacking: tuple[Condition, ...]  # that are not passed
    shown: tuple[str, ...]  # what its evidence is from; empty where the person overrides
    pages: tuple[Path, ...]  # dossiers that were written


class Demoted(NamedTuple):
    """What came of a demotion."""

    ended: Promotion
    pages: tuple[Path, ...]


class Staged(NamedTuple):
    """What came of a stage that was asked for."""

    before: float
    stage: float  # that holds now
    lacking: tuple[Condition, ...]  # that kept it from the stage; empty: it has it
    max_position_usd: float | None = None  # the cap that holds now; None: as the config has it
    max_position_usd_before: float | None = None


def promote(
    registry: Registry,
    artifacts_dir: str,
    agent: str,
    *,
    by: str,
    reason: str,
    at: datetime,
    override: bool = False,
    scope: str = DEPLOYMENT,
) -> Promoted:
    """Let the model that serves act, on the first stage, if its conditions are passed.

    A person's `override` stands for those that are not. The runs that the evidence is from are
    verified first. Raises ConfigError where no model serves or it is promoted already,
    IntegrityError where the record of one of those runs was changed.
    """
    one = look(registry, agent, run_of(scope) or None)
    model, passed = one.model, all_pass(one.conditions)
    shown = () if override else _shown(registry.database, one, scope)
    if model is None:
        raise ConfigError(
            f"no model of {agent} serves, so there is none to promote",
            where=str(registry.database.path),
            mend=f"`darwin rl models deploy {agent} FOLDER` brings one in",
        )
    if not (passed or override):
        return Promoted(model, False, lacking(one.conditions), shown, ())
    acts.promote(
        registry.database, agent, model, by=by, reason=reason, at=at, override=override,
        scope=scope, conditions=one.conditions, detail=footing(one.trial, one.card.latest.bar_time),
    )  # fmt: skip
    lacks = () if passed else lacking(one.conditions)
    return Promoted(model, True, lacks, shown, write_down(registry, artifacts_dir))


def demote(
    registry: Registry,
    artifacts_dir: str,
    agent: str,
    *,
    by: str,
    reason: str,
    at: datetime,
    scope: str = DEPLOYMENT,
) -> Demoted:
    """Let no model of the agent act any more. Raises ConfigError where none is promoted there."""
    one = look(registry, agent, run_of(scope) or None)
    ended = acts.demote(
        registry.database, agent, by=by, reason=reason, at=at, scope=scope,
        detail=footing(one.trial, one.card.latest.bar_time),
    )  # fmt: skip
    return Demoted(ended, write_down(registry, artifacts_dir))


def set_stage(
    registry: Registry,
    agent: str,
    stage: float,
    *,
    by: str,
    reason: str,
    at: datetime,
    override: bool = False,
    max_position_usd: float | None = None,
    lift_cap: bool = False,
) -> Staged:
    """Let the promoted model hold `stage` of the capital, if nothing is lacking.

    `override` stands for stages, time and conditions; for the cap see `graduation.acts.set_stage`.
    Raises ConfigError where none is promoted, or the stage may not be had whatever the conditions
    are.
    """
    one = look(registry, agent)
    before = one.promotion.stage if one.promotion else STAGES[0]
    cap = one.record.cap_within(DEPLOYMENT)
    lacks = _lacking_alone(one, stage, at)
    if lacks and not override:
        return Staged(before, before, lacks, cap, cap)
    record = acts.set_stage(
        registry.database, agent, stage, by=by, reason=reason, at=at, override=override,
        conditions=one.of_promoted, detail=footing(one.trial, one.card.latest.bar_time),
        max_position_usd=max_position_usd, lift_cap=lift_cap,
    )  # fmt: skip
    return Staged(before, stage, (), record.cap_within(DEPLOYMENT), cap)


def _lacking_alone(one: Judged, stage: float, now: datetime) -> tuple[Condition, ...]:
    """The conditions that keep an agent from a stage, where nothing else does."""
    found = one.climb(stage, now)
    return () if found.never or found.early else found.lacking


def _shown(database: Database, one: Judged, scope: str) -> tuple[str, ...]:
    """What the evidence is from, for the person who promotes on it; its runs are verified first.

    Raises IntegrityError where the record of one of them was changed.
    """
    if one.trial is None:
        return ()
    contract = one.trial.contract
    with database.read() as connection:
        sources = [source.run_id for source in sources_of(connection, contract)]
        told = runs_at_a_glance(connection, sources)
    for run_id in sources:
        verify(database, run_id, lambda run: [])
    lines = []
    for run_id, kind, symbols in told:
        made = any(symbol.endswith(f":{SYNTHETIC_VENUE}") for symbol in symbols)
        what = "bars that were generated" if made else "bars that were chosen"
        of = "bars as they came" if kind == ON_PAPER else what
        lines.append(f"evidence: run '{run_id}', {kind}, {of} ({', '.join(symbols)})")
    if scope == DEPLOYMENT and contract.scope != DEPLOYMENT:
        with database.read() as connection:
            every = contracts_in(connection, one.agent)
        tried = {c.scope for c in every if c.terms.model == contract.terms.model} - {DEPLOYMENT}
        lines.append(
            f"note: of {len(tried):,} such run{'s' if len(tried) != 1 else ''} that tried this"
            " version it is the latest; a level holds for one, not for the best of several"
        )
    return tuple(lines)

"""Promote an agent, demote it, give it more or less capital: recorded acts, one row each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, select

from darwin.core.agents import Model
from darwin.errors import ConfigError
from darwin.rl.graduation.checklist import Condition, all_pass, lacking
from darwin.rl.graduation.climb import Climb, climb
from darwin.rl.graduation.dwell import market_time_held
from darwin.rl.graduation.record import (
    BY_ITSELF,
    DEPLOYMENT,
    NO_CAPITAL,
    Kind,
    Promotion,
    Record,
    record_in,
)
from darwin.store import logs
from darwin.store.db import Database
from darwin.store.runs import iso_time
from darwin.store.schema import graduation_events, rollout_events

Detail: TypeAlias = Mapping[str, Any]
"""What an act rests on, as JSON: the bar time of it, the evidence, the contract."""
_LEAST_CAP_USD, _MOST_CAP_USD = 0.01, 1e15  # a cent, for less would be told as nothing
_TICK = timedelta(milliseconds=1)  # to which the logs know the time


def promote(
    database: Database,
    agent: str,
    model: Model,
    *,
    by: str,
    reason: str,
    at: datetime,
    override: bool = False,
    scope: str = DEPLOYMENT,
    conditions: Sequence[Condition] = (),
    detail: Detail | None = None,
) -> Record:
    """Let `model` act from the next decision on, on the first stage of capital; gives the record.

    Every one of its `conditions` must be passed, unless a named person's `override` stands for
    those that are not. `detail` is what it rests on. Raises ConfigError where they are not, and
    where it is promoted already.
    """
    earned = all_pass(conditions)
    if not (earned or override):
        missing = [one.name for one in lacking(conditions)]
        raise ConfigError(
            f"version {model.version} of {agent} has not earned it:"
            f" {', '.join(missing) or 'nothing is known of it'}",
            mend="a named person may promote it all the same, with --override",
        )
    with database.write() as connection:
        held = record_in(connection, agent).within(*{DEPLOYMENT, scope})
        if held and (held.model, held.scope) == (model, scope) and held.stage > NO_CAPITAL:
            raise ConfigError(
                f"version {model.version} of {agent} is promoted already,"
                f" and holds {held.stage:.0%} of the capital",
                mend=f"`darwin rl rollout set {agent} STAGE` changes the stage",
            )
        said = (by, reason, _moment(connection, at))
        _note(
            connection, agent, Kind.PROMOTED, model, scope, *said, override=not earned,
            detail=detail,
        )  # fmt: skip
        return record_in(connection, agent)


def demote(
    database: Database,
    agent: str,
    *,
    by: str,
    reason: str,
    at: datetime,
    scope: str = DEPLOYMENT,
    detail: Detail | None = None,
) -> Promotion:
    """Let no model of the agent act any more, from the next decision on; gives what has ended.

    One of the deployment ends the promotions of all replays as well; one of a replay is about that
    replay alone. Raises ConfigError where nothing that counts in that scope is promoted.
    """
    with database.write() as connection:
        ended = record_in(connection, agent).within(*{DEPLOYMENT, scope})
        if ended is None:
            raise ConfigError(
                f"no model of {agent} is promoted there, so there is nothing to take back",
                where=scope,
                mend=f"`darwin rl status {agent}` tells what is on record; a promotion in a replay "
                "is ended with --scope run:ID",
            )
        said = (by, reason, _moment(connection, at))
        _note(
            connection, agent, Kind.DEMOTED, ended.model, scope, *said, override=False,
            detail=detail,
        )  # fmt: skip
    return ended


def set_stage(
    database: Database,
    agent: str,
    stage: float,
    *,
    by: str,
    reason: str,
    at: datetime,
    override: bool = False,
    conditions: Sequence[Condition] = (),
    detail: Detail | None = None,
    max_position_usd: float | None = None,
    lift_cap: bool = False,
) -> Record:
    """Let the promoted model hold `stage` of the capital from now on; gives the record.

    Down at any time; up as `climb` has it, or by a named person's `override`, which stands for
    the stages, the time and the `conditions` and is recorded where it was needed. With
    `max_position_usd` no position in which the agent acts is worth more from then on, whatever the
    config allows; None keeps the cap that is in force, and `lift_cap` takes it away. With another
    cap the stage may be the one that is held. Raises ConfigError, saying what stands against it.
    """
    require_cap(max_position_usd)
    with database.write() as connection:
        held = record_in(connection, agent).promotion
        if held is None:
            raise ConfigError(
                f"no model of {agent} is promoted, so it holds no capital",
                mend=f"`darwin rl promote {agent}` gives it the first stage",
            )
        cap = held.max_position_usd if max_position_usd is None else max_position_usd
        cap = None if lift_cap else cap
        time = market_time_held(connection, agent, held.model.sha256, held.stage_since)
        is_cap_alone = stage == held.stage and cap != held.max_position_usd
        found = Climb() if is_cap_alone else climb(held, stage, time, conditions, at)
        if found.never:
            raise ConfigError(
                f"{agent} stays as it is: {found.never}",
                mend=f"`darwin rl rollout status {agent}` tells where it stands",
            )
        if found.wants_override and not override:
            raise ConfigError(
                f"{agent} stays at {held.stage:.0%} of the capital: {found.said}",
                mend="wait, or let a named person decide it all the same, with --override",
            )
        logs.append(
            connection, rollout_events, agent_name=agent, stage=stage, by=by, reason=reason,
            override=int(found.wants_override), detail=_text(detail), at=_moment(connection, at),
            max_position_usd=cap,
        )  # fmt: skip
        return record_in(connection, agent)


def require_cap(usd: float | None) -> None:
    """See that a cap on positions is one; None names none. Raises ConfigError."""
    if usd is not None and not _LEAST_CAP_USD <= usd <= _MOST_CAP_USD:
        raise ConfigError(
            f"{usd:g} USD is no size of a position",
            where="max_position_usd",
            mend="say an amount from 0.01 to 1e15; without one the cap in force stays, or there is"
            " none",
        )


def move(
    database: Database, agent: str, stage: float, *, scope: str, reason: str, at: datetime,
    detail: Detail,
) -> None:  # fmt: skip
    """Write down that the promoted model holds another stage, as its evidence or safety has it.

    The cap on its positions stays: only a person may loosen it.
    """
    with database.write() as connection:
        cap = record_in(connection, agent).cap_within(*{DEPLOYMENT, scope})
        logs.append(
            connection, rollout_events, agent_name=agent, stage=stage, by=BY_ITSELF, reason=reason,
            override=0, scope=None if scope == DEPLOYMENT else scope, detail=_text(detail),
            at=_moment(connection, at), max_position_usd=cap,
        )  # fmt: skip


def _note(
    connection: Connection, agent: str, kind: Kind, model: Model, scope: str, by: str, reason: str,
    at: str, *, override: bool, detail: Detail | None,
) -> None:  # fmt: skip
    logs.append(
        connection, graduation_events, agent_name=agent, kind=str(kind), version=model.version,
        manifest_sha256=model.sha256, scope=scope, by=by, reason=reason, override=int(override),
        detail=_text(detail), at=at,
    )  # fmt: skip


def _text(detail: Detail | None) -> str | None:
    return json.dumps(detail, sort_keys=True, separators=(",", ":")) if detail else None


def _moment(connection: Connection, now: datetime) -> str:
    """Now, or a tick after the newest row where the clock has gone back: order is kept by time."""
    newest = [
        row.at
        for log in (graduation_events, rollout_events)
        for row in connection.execute(select(log.c.at).order_by(log.c.id.desc()).limit(1))
    ]
    due = [datetime.fromisoformat(text) + _TICK for text in newest]
    return iso_time(max([now, *due]))

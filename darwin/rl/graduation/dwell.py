"""How long an agent has truly acted since a moment: the market time that its decisions span."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select

from darwin.core.agents import Mode, Role
from darwin.store.runs import iso_time
from darwin.store.schema import agent_decisions, checkpoints, id_range, runs


def market_time_held(connection: Connection, agent: str, sha256: str, since: datetime) -> int:
    """Market time in ms, for which the model of that digest was heard after the moment `since`.

    What counts are its active decisions with inference in runs that were fed their bars: from the
    first to the last of each run. A stretch of market time counts once, however often its bars
    were fed, and a replay earns nothing.
    """
    fed = connection.execute(select(runs.c.number).where(runs.c.mode == "feed")).scalars().all()
    found = (_heard(connection, number, agent, sha256, since) for number in fed)
    return _covered(stretch for stretch in found if stretch is not None)


def _heard(
    connection: Connection, number: int, agent: str, sha256: str, since: datetime
) -> tuple[int, int] | None:
    """Bar times of the first and the last decision of one run that was kept after `since`."""
    first, last = id_range(number)
    before = connection.execute(
        select(func.max(checkpoints.c.facts))
        .where(checkpoints.c.id.between(first, last))
        .where(checkpoints.c.at <= iso_time(since))
    ).scalar()
    one = agent_decisions.c
    earliest, latest = connection.execute(
        select(func.min(one.bar_time), func.max(one.bar_time))
        .where(one.id.between(first + (before or 0) + 1, last))
        .where(one.agent_name == agent, one.role == str(Role.SERVING), one.mode == str(Mode.ACTIVE))
        .where(one.model_sha256 == sha256, one.action.is_not(None))
    ).one()
    return None if earliest is None else (earliest, latest)


def _covered(stretches: Iterable[tuple[int, int]]) -> int:
    """The length of the union of closed intervals."""
    length, reached = 0, None
    for first, last in sorted(stretches):
        begin = first if reached is None else max(first, reached)
        if last > begin:
            length += last - begin
        reached = last if reached is None else max(reached, last)
    return length

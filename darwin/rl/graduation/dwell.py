"""How long an agent has truly acted since a moment: the market time that its decisions span."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select, true

from darwin.core.agents import Mode, Role
from darwin.store.queries import ON_PAPER, kind_of_run
from darwin.store.runs import iso_time
from darwin.store.schema import checkpoints, decisions_of, id_range, runs


def market_time_held(connection: Connection, agent: str, sha256: str, since: datetime) -> int:
    """Market time in ms, for which the model of that digest was heard after the moment `since`.

    What counts are its active decisions with inference in runs on paper: from the first to the
    last of each run. A stretch of market time counts once, however often its bars were fed: within
    a stage, and over all stages, for only bars count that are newer than all of which any version
    of the agent had decided on paper before `since`. A replay earns nothing, nor does a file that
    is fed bar by bar.
    """
    on_paper = select(runs.c.number).where(kind_of_run() == ON_PAPER)
    fed = connection.execute(on_paper).scalars().all()
    kept = {number: _kept(connection, number, since) for number in fed}
    seen = [_newest(connection, number, kept[number], agent) for number in fed]
    mark = max((time for time in seen if time is not None), default=None)
    found = (_heard(connection, number, kept[number], agent, sha256, mark) for number in fed)
    return _covered(stretch for stretch in found if stretch is not None)


def _kept(connection: Connection, number: int, since: datetime) -> int:
    """The id of the last fact of one run that was kept up to `since`."""
    first, last = id_range(number)
    facts = connection.execute(
        select(func.max(checkpoints.c.facts))
        .where(checkpoints.c.id.between(first, last))
        .where(checkpoints.c.at <= iso_time(since))
    ).scalar()
    return first + (facts or 0)


def _newest(connection: Connection, number: int, kept: int, agent: str) -> int | None:
    """Bar time of the newest decision about the agent among the facts up to `kept`."""
    one = decisions_of(agent).c
    found: int | None = connection.execute(
        select(func.max(one.bar_time))
        .where(one.id.between(id_range(number)[0], kept))
        .where(one.agent_name == agent)
    ).scalar()
    return found


def _heard(
    connection: Connection, number: int, kept: int, agent: str, sha256: str, mark: int | None
) -> tuple[int, int] | None:
    """Bar times of the first and the last decision that count, on bars newer than `mark`."""
    one = decisions_of(agent).c
    newer = one.bar_time > mark if mark is not None else true()
    earliest, latest = connection.execute(
        select(func.min(one.bar_time), func.max(one.bar_time))
        .where(one.id.between(kept + 1, id_range(number)[1]), newer)
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

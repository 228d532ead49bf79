"""Put retrainings into the queue when they are due, and let demoted versions make room.

All that it knows is in the database: any number of schedulers, on any hosts and through restarts,
come to one job per agent and period, for a period is the due time itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from darwin.core.rebalance import ALL_AGENTS
from darwin.core.schedule import Schedule
from darwin.errors import ConfigError, DarwinError
from darwin.rl.graduation.record import BY_ITSELF
from darwin.rl.registry.events import Kind, ModelEvent, events
from darwin.rl.registry.registry import Registry
from darwin.rl.registry.versions import Shelf, fold
from darwin.service.acts import TRAINING
from darwin.service.fallback import fall_back, is_on
from darwin.service.metadata import write_metadata
from darwin.service.place import Place
from darwin.service.retrain import RETRAIN, retraining
from darwin.service.schedule import latest_due, require_sense
from darwin.store import jobs
from darwin.store.db import Database
from darwin.store.jobs import Job
from darwin.store.runs import iso_time
from darwin.store.schedules import read_schedule
from darwin.store.schedules import set_schedule as write_schedule

_SKEW = timedelta(days=1)
"""By which the clock of another host may be ahead; a later period is of a clock that was wrong."""
_LOG = logging.getLogger(__name__)


class Scheduler:
    """Watches the schedules of one deployment. Call `tick` every few seconds, or once by cron."""

    def __init__(self, place: Place, *, auto_rollback: bool | None = None) -> None:
        """Without a word on `auto_rollback` the environment has it; see `fallback.is_on`."""
        self._place = place
        self._auto_rollback = is_on() if auto_rollback is None else auto_rollback
        self._warned: dict[tuple[str, str], str] = {}
        self._is_new = True

    def tick(self, now: datetime) -> list[Job]:
        """Do what is due at `now`; gives the jobs that were new, be it that nothing could be done.

        What is wrong with one agent is told to the log and keeps no other. Raises StorageError
        where there is no database.
        """
        made = []
        with self._place.registry(to_change=True) as registry:
            with registry.database.read() as connection:
                told = events(connection)
            known = {event.agent for event in told}
            for agent in (one for one in ALL_AGENTS if one in known):
                shelf = fold(agent, told)
                if self._is_new:  # what others have changed since somebody looked
                    write_metadata(self._place, agent, now)
                for act in (self._fall_back, self._retrain):
                    with self._warning(agent, act.__name__):
                        made += act(registry, shelf, told, now)
        self._is_new = False
        return made

    def _fall_back(
        self, registry: Registry, shelf: Shelf, told: Sequence[ModelEvent], now: datetime
    ) -> list[Job]:
        if self._auto_rollback and (back := fall_back(registry, shelf, now)) is not None:
            _LOG.warning("RL %s: version %s serves again", shelf.agent, back.name)
            write_metadata(self._place, shelf.agent, now)
        return []

    def _retrain(
        self, registry: Registry, shelf: Shelf, told: Sequence[ModelEvent], now: datetime
    ) -> list[Job]:
        agent, due = shelf.agent, due_now(registry.database, shelf, told, now)
        if due is None:
            return []
        job = self._enqueue(registry, agent, due, now)
        if job is None:  # another scheduler was faster
            return []
        write_metadata(self._place, agent, now)
        return [job]

    def _enqueue(self, registry: Registry, agent: str, due: datetime, now: datetime) -> Job | None:
        database, period = registry.database, iso_time(due)
        schedule = read_schedule(database, agent)
        reason = f"retraining of {due:%Y-%m-%d %H:%M} UTC"
        try:
            words = retraining(self._place, agent, schedule, by=BY_ITSELF, reason=reason)
        except ConfigError as why:
            return jobs.skip(
                database, RETRAIN, agent=agent, period=period, by=BY_ITSELF, reason=why.what,
                at=now,
            )  # fmt: skip
        job = jobs.enqueue(
            database, RETRAIN, words, lane=TRAINING, agent=agent, by=BY_ITSELF, reason=reason,
            at=now, period=period,
        )  # fmt: skip
        jobs.supersede(database, RETRAIN, agent, period, now)
        return job

    @contextmanager
    def _warning(self, agent: str, act: str) -> Iterator[None]:
        """Tell what goes wrong to the log, the same of one agent and act once."""
        try:
            yield
        except DarwinError as fault:
            if self._warned.get((agent, act)) != str(fault):
                self._warned[agent, act] = str(fault)
                _LOG.warning("RL %s: the scheduler cannot go on: %s", agent, fault)
        else:
            self._warned.pop((agent, act), None)


def due_now(
    database: Database, shelf: Shelf, told: Sequence[ModelEvent], now: datetime
) -> datetime | None:
    """The latest due time of an agent that has no job yet; None: nothing is due.

    Nothing is before a version serves, nor by a schedule from before it was set, nor where another
    host, whose clock is ahead, has seen a later period.
    """
    agent = shelf.agent
    served = [
        event.at for event in told
        if event.agent == agent and event.kind in (Kind.DEPLOYED, Kind.ADOPTED)
    ]  # fmt: skip
    if not served or shelf.serving is None:
        return None
    schedule = read_schedule(database, agent)
    due = latest_due(schedule, max([served[0], schedule.since or served[0]]), now)
    if due is None:
        return None
    periods = iso_time(due), iso_time(now + _SKEW)
    return None if jobs.is_scheduled(database, RETRAIN, agent, *periods) else due


def set_schedule(
    place: Place, agent: str, schedule: Schedule, *, by: str, reason: str, at: datetime
) -> Schedule:
    """Let `schedule` hold for an agent from now on. Raises ConfigError, naming what is wrong."""
    require_sense(schedule)
    with place.write() as database:
        held = write_schedule(database, agent, schedule, by=by, reason=reason, at=at)
    write_metadata(place, agent, at)
    return held

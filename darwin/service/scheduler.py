"""Put retrainings into the queue when they are due, and let demoted versions make room.

All that it knows is in the database: any number of schedulers, on any hosts and through restarts,
come to one job per agent and period, for a period is the due time itself.
"""

from __future__ import annotations

import logging
from datetime import datetime

from darwin.core.rebalance import ALL_AGENTS
from darwin.core.schedule import Schedule
from darwin.errors import ConfigError, DarwinError
from darwin.rl.graduation.record import BY_ITSELF
from darwin.rl.registry.events import Kind, events
from darwin.rl.registry.registry import Registry
from darwin.service.fallback import fall_back, is_on
from darwin.service.jobs import TRAINING
from darwin.service.metadata import write_metadata
from darwin.service.place import Place
from darwin.service.retrain import RETRAIN, retraining
from darwin.service.schedule import latest_due, require_sense
from darwin.store import jobs
from darwin.store.jobs import Job
from darwin.store.runs import iso_time
from darwin.store.schedules import read_schedule
from darwin.store.schedules import set_schedule as write_schedule

_LOG = logging.getLogger(__name__)


class Scheduler:
    """Watches the schedules of one deployment. Call `tick` every few seconds, or once by cron."""

    def __init__(self, place: Place, *, auto_rollback: bool | None = None) -> None:
        """Without a word on `auto_rollback` the environment has it; see `fallback.is_on`."""
        self._place = place
        self._auto_rollback = is_on() if auto_rollback is None else auto_rollback
        self._warned: dict[str, str] = {}

    def tick(self, now: datetime) -> list[Job]:
        """Do what is due at `now`; gives the jobs that were new, be it that nothing could be done.

        What is wrong with one agent is told to the log and keeps no other. Raises StorageError
        where there is no database.
        """
        made = []
        with self._place.registry(to_change=True) as registry:
            for agent in ALL_AGENTS:
                try:
                    made += self._look(registry, agent, now)
                except DarwinError as fault:
                    self._warn(agent, fault)
                else:
                    self._warned.pop(agent, None)
        return made

    def _look(self, registry: Registry, agent: str, now: datetime) -> list[Job]:
        if self._auto_rollback and (back := fall_back(registry, agent, now)) is not None:
            _LOG.warning("RL %s: version %s serves again", agent, back.name)
            write_metadata(self._place, agent, now)
        due = due_now(registry, agent, now)
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

    def _warn(self, agent: str, fault: DarwinError) -> None:
        """Tell the same once."""
        if self._warned.get(agent) != str(fault):
            self._warned[agent] = str(fault)
            _LOG.warning("RL %s: the scheduler cannot go on: %s", agent, fault)


def due_now(registry: Registry, agent: str, now: datetime) -> datetime | None:
    """The latest due time of an agent that has no job yet; None: nothing is due.

    Nothing is before a version serves, nor by a schedule from before it was set.
    """
    with registry.database.read() as connection:
        served = [
            event.at for event in events(connection)
            if event.agent == agent and event.kind in (Kind.DEPLOYED, Kind.ADOPTED)
        ]  # fmt: skip
    if not served or registry.shelf(agent).serving is None:
        return None
    schedule = read_schedule(registry.database, agent)
    due = latest_due(schedule, max([served[0], schedule.since or served[0]]), now)
    if due is None or jobs.scheduled(registry.database, RETRAIN, agent, iso_time(due)):
        return None
    return due


def set_schedule(
    place: Place, agent: str, schedule: Schedule, *, by: str, reason: str, at: datetime
) -> Schedule:
    """Let `schedule` hold for an agent from now on. Raises ConfigError, naming what is wrong."""
    require_sense(schedule)
    with place.write() as database:
        held = write_schedule(database, agent, schedule, by=by, reason=reason, at=at)
    write_metadata(place, agent, at)
    return held

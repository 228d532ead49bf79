"""`metadata.json` beside the versions of an agent: what the events say, for those who read files.

It is written anew after each change and never read by Darwin: who edits it changes nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from darwin.errors import StorageError
from darwin.report.files import json_text, write_text
from darwin.rl.registry.events import Kind, ModelEvent, events
from darwin.rl.registry.registry import Registry
from darwin.rl.registry.versions import Place as At
from darwin.rl.registry.versions import fold
from darwin.service.acts import TRAINING
from darwin.service.place import Place
from darwin.service.schedule import next_due
from darwin.store import jobs
from darwin.store.jobs import Job, State
from darwin.store.runs import iso_time
from darwin.store.schedules import read_schedule

FILE = "metadata.json"
_CAME = (Kind.DEPLOYED, Kind.CHALLENGING, Kind.ADOPTED)
_MOST_JOBS = 1_000
_LOG = logging.getLogger(__name__)


def write_metadata(place: Place, agent: str, now: datetime) -> None:
    """Write it for one agent, if it has a version; a disk that refuses is told to the log alone."""
    with place.registry() as registry:
        told = metadata(registry, agent, now)
        path = registry.home(agent).root / FILE
    if told["models"]:
        try:
            write_text(path, json_text(told))
        except StorageError as fault:
            _LOG.warning("%s of %s was not written: %s", FILE, agent, fault)


def metadata(registry: Registry, agent: str, now: datetime) -> dict[str, Any]:
    """What the file says. Raises IntegrityError, StorageError."""
    with registry.database.read() as connection:
        told = [event for event in events(connection) if event.agent == agent]
    shelf, home = fold(agent, told), registry.home(agent)
    database = registry.database
    done = [job for job in jobs.latest(database, agent=agent, limit=_MOST_JOBS)
            if job.lane == TRAINING]  # fmt: skip
    schedule = read_schedule(database, agent)
    due = None if shelf.serving is None else next_due(schedule, now)
    ended = [job.ended_at for job in done if job.state is State.DONE and job.ended_at]
    return {
        "agent": agent,
        "models": [
            {
                "version": one.name,
                "deployed_at": iso_time(_came(told, one.name).at),
                "place": str(one.place),
                "source_path": str(home.folder(one.name)),
                "active_path": str(home.root / "current") if one.place is At.SERVING else None,
                **_taught(_came(told, one.name), done),
            }
            for one in shelf.kept
        ],
        "current_version": None if shelf.serving is None else shelf.serving.version,
        "last_retrain_time": max(ended, default=None),
        "next_retrain_time": None if due is None else iso_time(due),
    }


def _came(told: list[ModelEvent], version: str) -> ModelEvent:
    """How a version came into the registry."""
    return next(one for one in told if one.model.version == version and one.kind in _CAME)


def _taught(came: ModelEvent, done: list[Job]) -> dict[str, Any]:
    """How a version was trained, where a job handed it over; else nothing is known here."""
    at = iso_time(came.at)
    for job in done:
        if (job.started_at or at) <= at <= (job.ended_at or at) and job.started_at:
            return {
                "training_timesteps": _number(job, "--total-timesteps"),
                "training_epochs": _number(job, "--episodes"),
                "training_loss": job.progress.policy_loss,
            }
    return {"training_timesteps": None, "training_epochs": None, "training_loss": None}


def _number(job: Job, option: str) -> int | None:
    """The number that a command is given with an option."""
    if option not in job.words[:-1]:
        return None
    given = job.words[job.words.index(option) + 1]
    return int(given) if given.isdigit() else None

"""Which chores a service does: watch over jobs, retrain by schedule, tell people."""

from __future__ import annotations

from darwin.service.background import Chore
from darwin.service.jobs import Supervisor
from darwin.service.scheduler import Scheduler
from darwin.service.settings import Settings

EVERY_S = 1.0
SCHEDULES_EVERY_S = 10.0


def chores_of(settings: Settings) -> tuple[Chore, ...]:
    """Those that `settings` ask for."""
    chores = []
    if settings.runs_jobs:
        chores.append(Chore("jobs", Supervisor(settings.place), EVERY_S))
    if settings.schedules:
        chores.append(Chore("schedules", Scheduler(settings.place), SCHEDULES_EVERY_S))
    return tuple(chores)

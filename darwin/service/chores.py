"""Which chores a service does: watch over jobs, retrain by schedule, tell people outside."""

from __future__ import annotations

import os

from darwin.service.background import Chore
from darwin.service.jobs import Supervisor
from darwin.service.notices.notifier import notifier_of
from darwin.service.scheduler import Scheduler
from darwin.service.settings import Settings

EVERY_S = 1.0
SCHEDULES_EVERY_S = 10.0
NOTICES_EVERY_S = 5.0


def chores_of(settings: Settings) -> tuple[Chore, ...]:
    """Those that `settings` and the environment ask for. Raises ConfigError."""
    chores = []
    if settings.runs_jobs:
        chores.append(Chore("jobs", Supervisor(settings.place), EVERY_S))
    if settings.schedules:
        chores.append(Chore("schedules", Scheduler(settings.place), SCHEDULES_EVERY_S))
    notifier = notifier_of(settings.place, os.environ)
    return (*chores, Chore("notices", notifier, NOTICES_EVERY_S))

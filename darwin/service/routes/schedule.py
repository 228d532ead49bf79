"""`/api/v1/schedule`: when agents are trained anew."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from darwin.core.rebalance import ALL_AGENTS
from darwin.core.schedule import Schedule
from darwin.errors import ConfigError
from darwin.service import schedule as rules
from darwin.service import scheduler
from darwin.service.answers import Answer
from darwin.service.place import now
from darwin.service.refusals import Refusal
from darwin.service.routes.answers_told import acting, looking
from darwin.service.routes.trees import Schedule as ScheduleTree
from darwin.service.routes.trees import Schedules
from darwin.service.served import AnAgent, TheAsker, TheService, signed
from darwin.service.shapes import ScheduleSet
from darwin.store.runs import iso_time
from darwin.store.schedules import read_schedule

router = APIRouter(prefix="/api/v1/schedule", tags=["jobs"])


@router.get("", summary="When each agent is trained anew", responses=looking(Schedules))
def schedules(served: TheService) -> Answer:
    """As it was set, or as it is by default."""
    database = served.reader.database()
    held = [_tree(agent, read_schedule(database, agent)) for agent in ALL_AGENTS]
    return Answer({"schedules": held, "running": served.settings.schedules})


@router.post(
    "/{agent}", summary="Set when an agent is trained anew", name="schedule",
    responses=acting(ScheduleTree),
)  # fmt: skip
def set_schedule(served: TheService, who: TheAsker, agent: AnAgent, body: ScheduleSet) -> Answer:
    """Either `cron`, five fields of the wall clock in `timezone`, or `interval_days`."""
    by = signed(who, body)
    wanted = Schedule(
        body.enabled, body.cron, body.interval_days, body.timezone, body.last_days, body.timesteps
    )
    try:
        rules.require_sense(wanted)
    except ConfigError as fault:
        raise Refusal(422, fault.what, where=fault.where or "body", mend=fault.mend) from fault
    held = scheduler.set_schedule(served.place, agent, wanted, by=by.by, reason=by.reason, at=now())
    return Answer(_tree(agent, held))


def _tree(agent: str, held: Schedule) -> dict[str, Any]:
    due = rules.next_due(held, now())
    return {
        "agent": agent, **held._asdict(), "since": held.since and iso_time(held.since),
        "next_due": due and iso_time(due),
    }  # fmt: skip

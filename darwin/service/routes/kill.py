"""`/api/v1/kill`: switch all agents off, or let them go on."""

from __future__ import annotations

from fastapi import APIRouter

from darwin.service import acts, reading
from darwin.service.answers import Answer
from darwin.service.refusals import Refusal
from darwin.service.routes.answers_told import acting, looking
from darwin.service.routes.trees import Kill as KillTree
from darwin.service.served import TheAsker, TheService, signed
from darwin.service.shapes import Kill

router = APIRouter(prefix="/api/v1/kill", tags=["safety"])


@router.get("", summary="Whether agents are killed, and by what", responses=looking(KillTree))
def status(served: TheService) -> Answer:
    """Source by source, as `darwin kill status --json`; what cannot be read kills."""
    return Answer(reading.kill_status(served.place))


@router.post(
    "", summary="Switch all agents off, or release them", name="kill", responses=acting(KillTree)
)
def switch(served: TheService, who: TheAsker, body: Kill) -> Answer:
    """Off needs no reason and works without the database; to release them wants one."""
    by = signed(who, body, "by HTTP, without a reason")
    if body.state == "on":
        return Answer(acts.kill(served.place, by))
    if body.reason is None:
        raise Refusal(
            422, "agents go on only for a reason", where="reason",
            mend="say why they may, for whoever reads it later",
        )  # fmt: skip
    return Answer(acts.release(served.place, by))

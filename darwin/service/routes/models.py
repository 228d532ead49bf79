"""The versions of models: what is kept, what serves, the way back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from darwin.core.rebalance import ALL_AGENTS
from darwin.errors import ConfigError
from darwin.service import acts, reading
from darwin.service.answers import Answer
from darwin.service.refusals import Refusal
from darwin.service.routes.answers_told import acting, looking
from darwin.service.routes.trees import Model, Models
from darwin.service.served import AnAgent, OfAgent, Served, TheAsker, TheService, found, signed
from darwin.service.shapes import Pin, Version

router = APIRouter(prefix="/api/v1", tags=["models"])
AVersion = Annotated[
    str, Path(min_length=1, max_length=64, examples=["20261122_030000"], description="A version.")
]


@router.get("/agents/{agent}/models", summary="The versions of an agent", responses=looking(Models))
def models(served: TheService, agent: AnAgent) -> Answer:
    """All that are kept, as `darwin rl models list --json`."""
    return Answer({"models": reading.models(served.reader.registry(), agent)})


@router.get(
    "/agents/{agent}/models/{version}", summary="One version of an agent",
    responses=looking(Model),
)  # fmt: skip
def model(served: TheService, agent: AnAgent, version: AVersion) -> Answer:
    """What became of it, and its spec."""
    return Answer(reading.model(served.reader.registry(), agent, version))


@router.get(
    "/models/{version}", summary="One version, whichever agent it is of", responses=looking(Model)
)
def version_of_any(served: TheService, version: AVersion, agent: OfAgent = None) -> Answer:
    """The same where one agent alone has a version of that name; else `agent` says of whom."""
    registry = served.reader.registry()
    among = ALL_AGENTS if agent is None else (agent,)
    having = [one for one in among if registry.shelf(one).find(version) is not None]
    if len(having) != 1:
        what = f"{', '.join(having)} each have" if having else "no agent has"
        raise Refusal(
            404, f"{what} a version of this name", where="version",
            mend="GET /api/v1/agents/{agent}/models lists those of an agent",
        )  # fmt: skip
    return Answer(reading.model(registry, having[0], version))


@router.post(
    "/agents/{agent}/rollback", summary="Let an earlier version serve again", name="rollback",
    responses=acting(Model),
)  # fmt: skip
def rollback(served: TheService, who: TheAsker, agent: AnAgent, body: Version) -> Answer:
    """One event and one link, in less than a second; the next decision carries its digest."""
    _require_known(served, agent, body.version)
    return Answer(acts.roll_back(served.place, agent, body.version, signed(who, body)))


@router.post(
    "/agents/{agent}/pin", summary="Keep a version from being removed", name="pin",
    responses=acting(Model),
)  # fmt: skip
def pin(served: TheService, who: TheAsker, agent: AnAgent, body: Pin) -> Answer:
    """Or, with `"pinned": false`, no longer."""
    _require_known(served, agent, body.version)
    return Answer(
        acts.set_pin(served.place, agent, body.version, signed(who, body), pinned=body.pinned)
    )


def _require_known(served: Served, agent: str, version: str) -> None:
    try:
        served.reader.registry().shelf(agent).pick(version)
    except ConfigError as fault:
        raise found(served, fault) from fault

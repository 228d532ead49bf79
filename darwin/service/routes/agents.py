"""`/api/v1/agents`: modes, evidence and decisions; promote, demote, stage."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from darwin.core.rebalance import ALL_AGENTS
from darwin.service import acts, reading
from darwin.service.answers import Answer
from darwin.service.routes.answers_told import acting, looking
from darwin.service.routes.trees import Agents, AgentStatus, Decisions, Promoted, Staged
from darwin.service.served import AnAgent, Before, Few, TheAsker, TheService, signed
from darwin.service.shapes import MustSign, Override, Stage

router = APIRouter(prefix="/api/v1/agents", tags=["agents"])
_SHORT = (
    "agent", "mode", "stage", "serving", "challenger", "decisions", "outcomes", "overall",
    "breaker", "latest_run",
)  # fmt: skip
AText = Annotated[str | None, Query(max_length=64)]


@router.get("", summary="All agents, shortly", responses=looking(Agents))
def agents(served: TheService) -> Answer:
    """Each agent's mode on record, what it holds, what serves."""
    told = [served.reader.agent_status(agent) for agent in ALL_AGENTS]
    return Answer({"agents": [{name: one[name] for name in _SHORT} for one in told]})


@router.get(
    "/{agent}", summary="How far an agent has come: the conditions of its graduation",
    responses=looking(AgentStatus),
)  # fmt: skip
def agent_status(served: TheService, agent: AnAgent) -> Answer:
    """Its model, mode, conditions and evidence, as `darwin rl status --json`, and its rollout."""
    return Answer(served.reader.agent_status(agent))


@router.get(
    "/{agent}/graduation", summary="The same as the agent itself", responses=looking(AgentStatus)
)
def graduation(served: TheService, agent: AnAgent) -> Answer:
    """How far it has come on its way to act."""
    return Answer(served.reader.agent_status(agent))


@router.get("/{agent}/decisions", summary="The decisions of an agent", responses=looking(Decisions))
def decisions(
    served: TheService, agent: AnAgent, run: AText = None, role: AText = None,
    reason: AText = None, before: Before = None, limit: Few = 50,
) -> Answer:  # fmt: skip
    """A page, the newest first, with outcomes; filtered by run, role and reason."""
    return Answer(
        reading.decisions(
            served.reader.database(), agent, run_id=run, role=role, reason=reason, before=before,
            limit=limit,
        )
    )  # fmt: skip


@router.post(
    "/{agent}/promote", summary="Let the model that serves act", name="promote",
    responses=acting(Promoted),
)  # fmt: skip
def promote(served: TheService, who: TheAsker, agent: AnAgent, body: Override) -> Answer:
    """On 1 % of the capital, where every condition is passed, or by a named person's `override`."""
    return Answer(acts.promote(served.place, agent, signed(who, body), override=body.override))


@router.post(
    "/{agent}/demote", summary="Let no model of the agent act any more", name="demote",
    responses=acting(Promoted),
)  # fmt: skip
def demote(served: TheService, who: TheAsker, agent: AnAgent, body: MustSign) -> Answer:
    """From the next decision on."""
    return Answer(acts.demote(served.place, agent, signed(who, body)))


@router.post(
    "/{agent}/stage", summary="Set how much of the capital the promoted model holds",
    name="stage", responses=acting(Staged),
)  # fmt: skip
def stage(served: TheService, who: TheAsker, agent: AnAgent, body: Stage) -> Answer:
    """Down at any time; up one stage at a time, after its time and with green evidence."""
    return Answer(
        acts.set_stage(
            served.place,
            agent,
            body.stage,
            signed(who, body),
            override=body.override,
            max_position_usd=body.max_position_usd,
        )
    )

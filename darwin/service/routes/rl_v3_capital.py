"""`/api/v1/rl/v3/rollout`: how much of the capital an agent holds, in the names of the guide."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from darwin.errors import ConfigError
from darwin.service import acts, reading
from darwin.service.acts import Signed
from darwin.service.answers import Answer
from darwin.service.refusals import Refusal
from darwin.service.routes.answers_told import acting, looking
from darwin.service.routes.trees import RolledOut, RolloutStatus
from darwin.service.served import ON_MARKET, MarketByDefault, Served, TheAsker, TheService, signed
from darwin.service.shapes import Rollout
from darwin.service.stages import (
    RolloutStage,
    require_risk_guard,
    stage_of_percent,
    stage_of_share,
)

router = APIRouter(prefix="/api/v1/rl/v3/rollout", tags=["rl v3"])
_CONFIG = {
    "capital_percentage": 5.0, "max_position_size": 50_000, "enable_risk_guard": True,
    "configured_at": "2025-12-02T16:00:00+00:00", "stage": "Stage 2: Confidence Building (5%)",
}  # fmt: skip


@router.post(
    "", summary="Set how much of the capital an agent holds",
    name="rollout",
    responses=acting(RolledOut, {
        "status": "success", "config": _CONFIG,
        "message": "Rollout configured: Stage 2: Confidence Building (5%)",
    }),
)  # fmt: skip
def configure(
    served: TheService, who: TheAsker, body: Rollout, agent: MarketByDefault = ON_MARKET
) -> Answer:
    """Down at any time; up one stage at a time, after its time and with green evidence.

    The first stage is given by a promotion, `POST /api/v1/agents/{agent}/promote`. A request for
    what holds already changes nothing.
    """
    stage = _meant(body)
    held = reading.agent_status(served.reader.registry(), agent)["rollout"]
    cap = held["max_position_usd"]
    same_cap = body.max_position_size in (None, cap)
    if held["promoted"] is None and stage.share > 0:
        raise Refusal(
            409, f"no model of {agent} is promoted, and a rollout promotes none",
            where="capital_percentage",
            mend=f"POST /api/v1/agents/{agent}/promote gives it the first stage",
        )  # fmt: skip
    if held["promoted"] is not None and not (stage.share == held["stage"] and same_cap):
        _hold(served, agent, stage, signed(who, body), body.max_position_size)
    config = _config(reading.agent_status(served.reader.registry(), agent)["rollout"])
    return Answer(
        {"status": "success", "message": f"Rollout configured: {stage.words}", "config": config,
         "agent": agent}
    )  # fmt: skip


@router.get(
    "/status", summary="How much of the capital an agent holds",
    responses=looking(RolloutStatus, {"configured": True, "config": _CONFIG}),
)  # fmt: skip
def status(served: TheService, agent: MarketByDefault = ON_MARKET) -> Answer:
    """`configured`: a promotion is in force, be it at 0 %; without one the agent only watches."""
    held = served.reader.agent_status(agent)["rollout"]
    return Answer(
        {"configured": held["promoted"] is not None, "config": _config(held), "agent": agent,
         "next": held["next"], "days_held": held["days_held"], "promoted": held["promoted"]}
    )  # fmt: skip


def _meant(body: Rollout) -> RolloutStage:
    """The stage that a body asks for. Raises Refusal for what is none."""
    try:
        stage = stage_of_percent(body.capital_percentage)
        require_risk_guard(body.capital_percentage, enabled=body.enable_risk_guard)
    except ConfigError as fault:
        raise Refusal(422, fault.what, where=fault.where, mend=fault.mend) from fault
    return stage


def _hold(
    served: Served, agent: str, stage: RolloutStage, by: Signed, max_position_usd: float | None
) -> None:
    """Let an agent hold a stage. Raises NotPassedError, ConfigError."""
    acts.set_stage(served.place, agent, stage.share, by, max_position_usd=max_position_usd)


def _config(held: dict[str, Any]) -> dict[str, Any]:
    return {
        "capital_percentage": round(100 * held["stage"], 9),
        "max_position_size": held["max_position_usd"],
        "enable_risk_guard": True,
        "configured_at": held["stage_since"],
        "stage": stage_of_share(held["stage"]).words,
    }

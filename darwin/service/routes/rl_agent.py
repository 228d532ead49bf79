"""`/api/rl-agent/`: an agent's model and its retraining, in the names of the guide."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from darwin.core.agents import Model
from darwin.errors import ModelError
from darwin.rl.registry.registry import Registry
from darwin.rl.registry.retention import TERMS
from darwin.service import retrain
from darwin.service.acts import TRAINING
from darwin.service.answers import Answer
from darwin.service.metadata import metadata
from darwin.service.place import now
from darwin.service.refusals import Refusal
from darwin.service.routes.answers_told import acting, looking
from darwin.service.routes.asked_jobs import ended
from darwin.service.routes.trees import Retrained, RlAgentStatus
from darwin.service.served import GateByDefault, Served, TheAsker, TheService, signed
from darwin.service.shapes import Retrain
from darwin.service.told_jobs import told
from darwin.store import jobs
from darwin.store.jobs import Job, State
from darwin.store.schedules import read_schedule

router = APIRouter(prefix="/api/rl-agent", tags=["rl-agent"])
_STATUS = {
    "success": True,
    "status": {
        "agent": "gate", "model_loaded": True,
        "model_info": {
            "current_version": "20251128_153000",
            "current_path": "rl_models/gate/versions/20251128_153000",
            "total_models": 4, "retention_days": 30,
        },
        "scheduler": {
            "enabled": True, "is_training": False,
            "last_retrain_time": "2025-11-28T15:30:00.000+00:00",
            "next_retrain_time": "2025-12-05T03:00:00.000+00:00", "interval_days": 7, "cron": None,
        },
    },
}  # fmt: skip


@router.get(
    "/status", summary="The model that serves, and its retraining",
    responses=looking(RlAgentStatus, _STATUS),
)  # fmt: skip
def status(served: TheService, agent: GateByDefault = "gate") -> Answer:
    """Say which version serves, and when it is trained anew."""
    registry = served.reader.registry()
    shelf = registry.shelf(agent)
    serving = shelf.serving
    tree = {
        "agent": agent,
        "model_loaded": serving is not None and _loads(registry, agent, serving),
        "model_info": {
            "current_version": serving and serving.version,
            "current_path": serving and _path(registry, agent, serving),
            "total_models": len(shelf.kept),
            "retention_days": TERMS.days,
        },
        "scheduler": _scheduler(served, registry, agent),
    }
    return Answer({"success": True, "status": tree})


@router.post(
    "/retrain", summary="Train the model that serves further, on what runs have recorded since",
    name="retrain",
    responses=acting(Retrained, says="It was done in time, or has been asked for."),
)  # fmt: skip
async def retrain_now(
    served: TheService, who: TheAsker, body: Retrain | None = None, agent: GateByDefault = "gate"
) -> Answer:
    """Put a retraining into the queue; with `"async": false` wait for it, a minute at most.

    The new version serves only as the rules of the registry say; on any failure the old one stays.
    """
    job, new = await run_in_threadpool(_ask, served, agent, signed(who, body))
    if body is not None and not body.in_background:
        job = await ended(served, job, served.settings.benchmark_wait_s)
    if job.state is State.FAILED:
        raise Refusal(409, f"the retraining has failed: {told(job, served.place)['message']}",
                      where=f"job {job.id}", mend=f"GET /api/v1/jobs/{job.id}/log tells more",
                      more={"job": told(job, served.place)})  # fmt: skip
    words = "is in the queue" if new else "was in the queue already"
    message = job.message or f"retraining of {agent} {words}"
    return Answer({"success": True, "message": message, "job": told(job, served.place)})


def _ask(served: Served, agent: str, by: Any) -> tuple[Job, bool]:
    for job in jobs.latest(served.reader.database(), agent=agent, kind=retrain.RETRAIN):
        if not job.state.over:
            return job, False
    return retrain.ask(served.place, agent, by=by.by, reason=by.reason, at=now()), True


def _scheduler(served: Served, registry: Registry, agent: str) -> dict[str, Any]:
    kept, schedule = metadata(registry, agent, now()), read_schedule(registry.database, agent)
    running = jobs.latest(registry.database, agent=agent, limit=20)
    return {
        "enabled": schedule.enabled and served.settings.schedules,
        "is_training": any(
            job.state is State.RUNNING and job.lane == TRAINING for job in running
        ),
        "last_retrain_time": kept["last_retrain_time"],
        "next_retrain_time": kept["next_retrain_time"],
        "interval_days": schedule.interval_days,
        "cron": schedule.cron,
    }  # fmt: skip


def _loads(registry: Registry, agent: str, serving: Model) -> bool:
    try:
        registry.load(agent, serving)
    except ModelError:
        return False
    return True


def _path(registry: Registry, agent: str, serving: Model) -> str:
    """Where it lies below what holds the models."""
    folder = registry.home(agent).folder(serving.version)
    return str(folder.relative_to(registry.models_dir.parent))

"""Pages about work that takes long: trainings, jobs as they go on, the schedule."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from darwin.core.agents import AGENTS
from darwin.core.rebalance import ALL_AGENTS
from darwin.service import reading
from darwin.service.dashboard.page_route import PageRoute
from darwin.service.dashboard.render import page
from darwin.service.jobs import log_of
from darwin.service.metadata import metadata
from darwin.service.place import now
from darwin.service.reader import Reader
from darwin.service.refusals import public
from darwin.service.served import TheService
from darwin.store import jobs
from darwin.store.jobs import Job
from darwin.store.schedules import read_schedule

router = APIRouter(route_class=PageRoute, include_in_schema=False)
LOG_LINES = 60
AJob = Annotated[int, Path(ge=1, le=2**53)]
FIRST = {
    "agent": "", "run": "", "timesteps": "20000", "seeds": "1", "small": "", "quick": "",
    "reason": "",
}  # fmt: skip
"""What a training is asked for with, until somebody says otherwise."""


@router.get("/training")
def training(request: Request, served: TheService, agent: str = "", run: str = "") -> Response:
    """Start a training; the jobs so far."""
    return page(
        request, served.reader, "training.html.j2", here="Training", refused=None,
        jobs=jobs.latest(served.reader.database()),
        **train_form(served.reader, FIRST | {"agent": agent, "run": run}),
    )  # fmt: skip


@router.get("/part/jobs")
def jobs_part(request: Request, served: TheService, all: bool = False) -> Response:
    """The jobs that are not over, or `all`, for a page to renew."""
    found = jobs.latest(served.reader.database())
    shown = found if all else [job for job in found if not job.state.over]
    return page(request, served.reader, "jobs_part.html.j2", jobs=shown)


@router.get("/jobs/{job_id}")
def job(job_id: AJob, request: Request, served: TheService) -> Response:
    """A job as it goes on: progress, log, cancel."""
    return _job(job_id, request, served.reader, "job.html.j2")


@router.get("/part/jobs/{job_id}")
def job_part(job_id: AJob, request: Request, served: TheService) -> Response:
    """The same, for the page to renew."""
    return _job(job_id, request, served.reader, "job_part.html.j2")


@router.get("/schedule")
def schedule(request: Request, served: TheService) -> Response:
    """When each agent is trained anew."""
    return page(
        request, served.reader, "schedule.html.j2", here="Schedule",
        schedules=[_schedule(served.reader, agent) for agent in ALL_AGENTS],
    )  # fmt: skip


def train_form(sight: Reader, given: dict[str, str]) -> dict[str, Any]:
    """What the form of a training shows."""
    done = [one["run_id"] for one in reading.runs(sight.database()) if one["status"] == "finished"]
    return {"trainable": AGENTS, "run_names": done, "given": given}


def _job(job_id: int, request: Request, sight: Reader, template: str) -> Response:
    found: Job = jobs.find(sight.database(), job_id)
    place = sight.place
    lines = log_of(place, job_id).splitlines()[-LOG_LINES:]
    tree = reading.job_tree(found) | {"message": public(found.message, place)}
    return page(
        request, sight, template, here="Training", job=tree, over=found.state.over,
        log=public("\n".join(lines), place),
        words=public(shlex.join(found.words), place),
    )  # fmt: skip


def _schedule(sight: Reader, agent: str) -> dict[str, Any]:
    held = read_schedule(sight.database(), agent)
    told = metadata(sight.registry(), agent, now())
    return held._asdict() | {
        "agent": agent, "next": told["next_retrain_time"], "last": told["last_retrain_time"],
        "why_not": "it is off" if not held.enabled else "no model serves",
    }  # fmt: skip

"""`/api/v1/jobs`: the work of the service, what became of it, and how to stop it."""

from __future__ import annotations

from fastapi import APIRouter

from darwin.errors import ConfigError
from darwin.service import acts
from darwin.service.answers import Answer
from darwin.service.jobs import log_of
from darwin.service.refusals import Refusal, public
from darwin.service.routes.answers_told import acting, looking
from darwin.service.routes.rl_v3 import result_of
from darwin.service.routes.trees import AnyTree, Job, JobLog, Jobs
from darwin.service.served import AJob, Few, OfAgent, TheAsker, TheService, found
from darwin.service.shapes import MaySign
from darwin.service.told_jobs import told
from darwin.store import jobs as store

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
LONGEST_LOG = 200_000  # characters


@router.get("", summary="The latest jobs", responses=looking(Jobs))
def jobs(
    served: TheService,
    agent: OfAgent = None,
    limit: Few = 50,
) -> Answer:
    """The newest first."""
    listed = store.latest(served.reader.database(), agent=agent, limit=limit)
    return Answer({"jobs": [told(job, served.place) for job in listed]})


@router.get("/{job_id}", summary="One job", responses=looking(Job))
def job(served: TheService, job_id: AJob) -> Answer:
    """Its command, who asked for it, how far it is, what came of it."""
    return Answer(told(store.find(served.reader.database(), job_id), served.place))


@router.get("/{job_id}/log", summary="What a job has said", responses=looking(JobLog))
def log(served: TheService, job_id: AJob) -> Answer:
    """The end of it, where it is long."""
    said = log_of(served.place, job_id)[-LONGEST_LOG:]
    return Answer({"id": job_id, "log": public(said, served.place)})


@router.get("/{job_id}/result", summary="The figures of a benchmark", responses=looking(AnyTree))
def result(served: TheService, job_id: AJob) -> Answer:
    """In the guide's names, for who was answered 202."""
    job = store.find(served.reader.database(), job_id)
    figures = result_of(served, job)
    if figures is None:
        raise Refusal(
            404, f"job {job_id} has no figures: it is {job.state}", where=f"job {job_id}",
            mend=f"GET /api/v1/jobs/{job_id}/log tells more",
        )  # fmt: skip
    return Answer(figures | {"job": told(job, served.place)})


@router.post(
    "/{job_id}/cancel", summary="Take a job back, or stop it", name="cancel", responses=acting(Job)
)
def cancel(served: TheService, who: TheAsker, job_id: AJob, body: MaySign | None = None) -> Answer:
    """One that runs is stopped within seconds; what serves goes on serving. Twice is once."""
    try:
        job = store.find(served.reader.database(), job_id)
    except ConfigError as fault:
        raise found(served, fault) from fault
    if job.state is not store.State.CANCELLED:
        job = acts.cancel_job(served.place, job_id)
    return Answer(told(job, served.place))

"""Jobs that routes ask for: queued once, and waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from darwin.service import acts
from darwin.service.acts import Signed
from darwin.service.served import Served
from darwin.store import jobs
from darwin.store.jobs import Job

_LOOK_EVERY_S = 0.25


def queued(
    served: Served, kind: str, words: Sequence[str], signed: Signed, *, lane: str, agent: str,
    same: Sequence[str],
) -> tuple[Job, bool]:  # fmt: skip
    """Put a command into the queue; gives the job, and whether it is a new one.

    One of this kind and agent that is not over and whose words begin with `same` is not asked for
    twice. Raises ConfigError where too many wait.
    """
    for job in jobs.latest(served.reader.database(), agent=agent, kind=kind):
        if not job.state.over and job.words[: len(same)] == tuple(same):
            return job, False
    return acts.start_job(served.place, kind, words, signed, lane=lane, agent=agent), True


async def ended(served: Served, job: Job, wait_s: float) -> Job:
    """The job when it is over, or as it is after `wait_s`."""
    until = time.monotonic() + wait_s
    while not job.state.over and time.monotonic() < until:
        await asyncio.sleep(_LOOK_EVERY_S)
        job = await run_in_threadpool(_found, served, job.id)
    return job


def _found(served: Served, job_id: int) -> Job:
    return jobs.find(served.reader.database(), job_id)

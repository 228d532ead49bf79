"""`/api/v1/rl/v3/`: training and benchmark of an agent of books, in the names of the guide."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from darwin.config.values import BASE_URL
from darwin.core.market import Timeframe
from darwin.core.rebalance import BOOK_AGENTS, MARKET
from darwin.service import reading
from darwin.service.acts import BENCHMARK, TRAINING, Signed
from darwin.service.answers import Answer
from darwin.service.refusals import Refusal
from darwin.service.routes.answers_told import acting, looking
from darwin.service.routes.asked_jobs import ended, queued
from darwin.service.routes.trees import (
    BenchmarkAnswer,
    Experiences,
    Started,
    TrainingProgress,
    V3Status,
)
from darwin.service.served import (
    ON_MARKET,
    Few,
    MarketByDefault,
    Served,
    TheAsker,
    TheService,
    signed,
)
from darwin.service.shapes import Benchmark, TrainProduction
from darwin.service.told_jobs import told
from darwin.store import jobs
from darwin.store.jobs import Job, State

router = APIRouter(prefix="/api/v1/rl/v3", tags=["rl v3"])
TRAIN = "train"
FEWEST_BARS, FEWEST_DAYS = 1_000, 105
"""So many bars and days on top leave each part of a training enough to be judged on."""
_HOUR_MS = 3_600_000


@router.get(
    "/status", summary="Whether an agent is at work, and what it has seen",
    responses=looking(
        V3Status, {"active": True, "shadow_mode": True, "experiences_collected": 0}
    ),
)  # fmt: skip
def status(served: TheService, agent: MarketByDefault = ON_MARKET) -> Answer:
    """`active`: a version serves and nothing kills it; `shadow_mode`: it holds no capital."""
    tree, killed = served.reader.agent_status(agent), reading.kill_status(served.place)["killed"]
    return Answer(
        {
            "active": tree["serving"] is not None and not killed,
            "shadow_mode": not tree["stage"],
            "experiences_collected": reading.decision_counts(served.reader.database())[agent],
            "agent": agent,
            "killed": killed,
            "mode": tree["mode"],
        }
    )


@router.post(
    "/train_production", summary="Train an agent on bars of the venue",
    name="train",
    responses=acting(Started, says="It is in the queue."),
)  # fmt: skip
def train_production(
    served: TheService, who: TheAsker, body: TrainProduction, agent: MarketByDefault = ON_MARKET
) -> Answer:
    """Fetch the latest bars and train on them, in the background.

    The model becomes a version where it has learned something, and serves as the registry says.
    """
    _require_books(agent)
    words = _Bars.of(served, body, agent).words("train")
    words += ("--episodes", str(body.num_episodes))
    job, new = _queue(served, TRAIN, words, signed(who, body), agent, lane=TRAINING)
    hours, message = _hours(body.timeframe, body.lookback_hours), ""
    if hours > body.lookback_hours:
        message = f", on {hours:,} hours of bars: {body.lookback_hours:,} would leave no test"
    began = "Training started" if new else "Training was started already,"
    return Answer(
        {
            "status": "started",
            "message": f"{began} on {body.symbol} with {body.num_episodes} episodes{message}",
            "job": told(job, served.place),
        }
    )


@router.get(
    "/training_progress", summary="How far the latest training is",
    responses=looking(TrainingProgress),
)  # fmt: skip
def training_progress(served: TheService, agent: MarketByDefault = ON_MARKET) -> Answer:
    """`active` until it is over; figures that are not known yet are null."""
    found = [
        job for job in jobs.latest(served.reader.database(), agent=agent) if job.lane == TRAINING
    ]
    job = found[0] if found else None
    if job is None:
        nothing = dict.fromkeys(("current_reward", "avg_reward", "policy_loss", "value_loss"))
        return Answer(
            {"active": False, "progress": 0.0, "message": "no training was asked for",
             "started_at": None, "metrics": nothing, "job": None}
        )  # fmt: skip
    figures = job.progress._asdict()
    percent, message = figures.pop("percent"), figures.pop("message")
    tree = told(job, served.place)
    return Answer(
        {
            "active": not job.state.over,
            "progress": 100.0 if job.state is State.DONE else percent,
            "message": tree["message"] or message or str(job.state),
            "started_at": job.started_at,
            "metrics": figures,
            "job": tree,
        }
    )


@router.post(
    "/benchmark", summary="Set the model that serves beside those who know nothing",
    name="benchmark",
    responses=acting(BenchmarkAnswer, says="The figures, with their intervals.",
                     later=Started,),
)  # fmt: skip
async def benchmark(
    served: TheService, who: TheAsker, body: Benchmark, agent: MarketByDefault = ON_MARKET
) -> Answer:
    """Judge the model that serves on bars that it has not seen; waits for it, a minute at most."""
    _require_books(agent)
    job = await run_in_threadpool(_ask_benchmark, served, agent, body, signed(who, body))
    job = await ended(served, job, served.settings.benchmark_wait_s)
    tree = told(job, served.place)
    if not job.state.over:
        told_later = {"status": "running", "message": f"GET /api/v1/jobs/{job.id} tells more"}
        return Answer(told_later | {"job": tree}, status_code=202)
    figures = await run_in_threadpool(result_of, served, job)
    if figures is None:
        raise Refusal(
            409, f"the benchmark came to nothing: {tree['message'] or job.state}",
            where=f"job {job.id}", mend=f"GET /api/v1/jobs/{job.id}/log tells more",
            more={"job": tree},
        )  # fmt: skip
    return Answer(figures | {"job": tree})


@router.get(
    "/experiences", summary="The latest decisions and what came of them",
    responses=looking(Experiences),
)  # fmt: skip
def experiences(served: TheService, limit: Few = 50, agent: MarketByDefault = ON_MARKET) -> Answer:
    """The newest first, each with its outcome where that is known."""
    page = reading.decisions(served.reader.database(), agent, limit=limit)["decisions"]
    return Answer({"experiences": page, "count": len(page), "agent": agent})


class _Bars(NamedTuple):
    """The bars that are asked for, as options of a command."""

    agent: str
    symbol: str
    timeframe: str
    hours: int
    source: tuple[str, ...]
    place: tuple[str, ...]

    @classmethod
    def of(cls, served: Served, body: TrainProduction | Benchmark, agent: str) -> _Bars:
        """Those of a request, from where the service gets its bars."""
        settings, place = served.settings, served.place
        if settings.data is not None:
            source: tuple[str, ...] = ("--data", settings.data)
        else:
            fresh = place.artifacts / "jobs" / "bars" / secrets.token_hex(8)
            source = ("--data", str(fresh), "--fetch-from", settings.klines_url or BASE_URL)
        hours = _hours(body.timeframe, body.lookback_hours)
        return cls(agent, body.symbol, body.timeframe, hours, source, place.words)

    def words(self, verb: str) -> tuple[str, ...]:
        """The command, without what is its own."""
        return (
            self.agent if self.agent == MARKET else "allocation", verb, "--symbols", self.symbol,
            "--timeframe", self.timeframe, "--lookback-hours", str(self.hours), *self.source,
        )  # fmt: skip


def _hours(timeframe: str, asked: int) -> int:
    """How many hours are taken: what was asked, or what the parts of a training need."""
    bar_hours = Timeframe.parse(timeframe).ms / _HOUR_MS
    return max(asked, int(FEWEST_BARS * bar_hours) + FEWEST_DAYS * 24)


def _queue(
    served: Served, kind: str, words: tuple[str, ...], by: Signed, agent: str, *, lane: str
) -> tuple[Job, bool]:
    place, own = served.place, words[: words.index("--data")]
    models = ("--models-dir", place.models_dir) if place.models_dir is not None else ()
    if kind == TRAIN:
        whole = (*words, *models, "--by", by.by, "--reason", by.reason, *place.words)
    else:
        whole = (*words, *models, "--artifacts-dir", place.artifacts_dir)
    return queued(served, kind, whole, by, lane=lane, agent=agent, same=own)


def _ask_benchmark(served: Served, agent: str, body: Benchmark, by: Signed) -> Job:
    serving = served.reader.registry().shelf(agent).serving
    if serving is None:
        raise Refusal(
            409, f"no model of {agent} serves, so there is none to judge", where="agent",
            mend="POST /api/v1/rl/v3/train_production trains one",
        )  # fmt: skip
    words = _Bars.of(served, body, agent).words("benchmark")
    result = served.place.artifacts / "jobs" / "results" / f"{secrets.token_hex(8)}.json"
    words += (
        "--model", serving.version, "--seeds", str(body.num_episodes), "--guide", str(result),
    )  # fmt: skip
    return _queue(served, BENCHMARK, words, by, agent, lane=BENCHMARK)[0]


def result_of(served: Served, job: Job) -> dict[str, Any] | None:
    """What a benchmark has written; None: nothing."""
    if "--guide" not in job.words[:-1]:
        return None
    path = Path(job.words[job.words.index("--guide") + 1])
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _require_books(agent: str) -> None:
    if agent not in BOOK_AGENTS:
        raise Refusal(
            422, f"{agent} learns from candidates that runs have recorded, not from bars alone",
            where="agent", mend=f"POST /api/rl-agent/retrain?agent={agent}, or `darwin rl train`",
        )  # fmt: skip

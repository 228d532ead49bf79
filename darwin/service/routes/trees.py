"""The fields that answers have at least, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from darwin.service.routes.answers_told import Told


class ModelInfo(Told):
    """Of the version that serves."""

    current_version: str | None
    current_path: str | None
    total_models: int
    retention_days: float


class SchedulerInfo(Told):
    """Of the retraining."""

    enabled: bool
    is_training: bool
    last_retrain_time: str | None
    next_retrain_time: str | None
    interval_days: int | None
    cron: str | None


class RlAgent(Told):
    """Of an agent."""

    agent: str
    model_loaded: bool
    model_info: ModelInfo
    scheduler: SchedulerInfo


class RlAgentStatus(Told):
    """As the guide has it."""

    success: bool
    status: RlAgent


class Job(Told):
    """One job."""

    id: int
    kind: str
    lane: str
    agent: str | None
    state: str
    by: str
    reason: str
    queued_at: str
    started_at: str | None
    ended_at: str | None
    progress: dict[str, Any]
    exit_code: int | None
    message: str


class Jobs(Told):
    """The newest first."""

    jobs: list[Job]


class JobLog(Told):
    """What its command has said; the end of it, where that is long."""

    id: int
    log: str


class Retrained(Told):
    """What came of asking."""

    success: bool
    message: str
    job: Job


class V3Status(Told):
    """As the guide has it."""

    active: bool
    shadow_mode: bool
    experiences_collected: int


class Started(Told):
    """As the guide has it, and the job."""

    status: str
    message: str
    job: Job


class TrainingMetrics(Told):
    """Of the latest look; null: not known, or no such figure."""

    current_reward: float | None
    avg_reward: float | None
    policy_loss: float | None
    value_loss: float | None


class TrainingProgress(Told):
    """As the guide has it."""

    active: bool
    progress: float
    message: str
    started_at: str | None
    metrics: TrainingMetrics


class BenchmarkFigures(Told):
    """Of one strategy; `intervals` has low and high of each."""

    total_return: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    avg_return: float | None
    intervals: dict[str, list[float | None]]


class BenchmarkAnswer(Told):
    """As the guide has it, with intervals; `winner` is null where no one wins by the test."""

    rl_v3_metrics: BenchmarkFigures
    buy_hold_metrics: BenchmarkFigures
    moving_avg_metrics: BenchmarkFigures
    random_metrics: BenchmarkFigures
    winner: str | None
    why: str


class RolloutConfig(Told):
    """What an agent holds."""

    capital_percentage: float
    max_position_size: float | None
    enable_risk_guard: bool
    configured_at: str | None
    stage: str


class RolledOut(Told):
    """As the guide has it."""

    status: str
    message: str
    config: RolloutConfig


class RolloutStatus(Told):
    """As the guide has it."""

    configured: bool
    config: RolloutConfig


class Experiences(Told):
    """The newest first."""

    experiences: list[dict[str, Any]]
    count: int


class Runs(Told):
    """The latest begun first."""

    runs: list[dict[str, Any]]


class Run(Told):
    """One run."""

    run_id: str
    status: str
    funnel: list[dict[str, Any]]


class Candidates(Told):
    """A page."""

    candidates: list[dict[str, Any]]
    next: int | None


class Agents(Told):
    """All agents, shortly."""

    agents: list[dict[str, Any]]


class AgentStatus(Told):
    """An agent as `darwin rl status --json` has it, and its rollout."""

    agent: str
    mode: str
    stage: float
    decisions: int
    conditions: list[dict[str, Any]]
    overall: str
    rollout: dict[str, Any]


class Decisions(Told):
    """A page, the newest first."""

    decisions: list[dict[str, Any]]
    next: int | None


class Models(Told):
    """The versions that are kept."""

    models: list[dict[str, Any]]


class Model(Told):
    """A version."""

    agent: str
    version: str
    place: str
    pinned: bool


class Promoted(Told):
    """What holds now."""

    agent: str
    promoted: bool
    version: str


class Staged(Told):
    """What is held now, and was before."""

    agent: str
    stage: float
    stage_before: float


class Dossiers(Told):
    """Every promotion and demotion, and its dossier."""

    dossiers: list[dict[str, Any]]


class Alerts(Told):
    """A page, the newest first."""

    alerts: list[dict[str, Any]]
    next: int | None


class Acts(Told):
    """A page, the newest first."""

    acts: list[dict[str, Any]]
    next: int | None


class Kill(Told):
    """The switch, source by source."""

    killed: bool


class Schedules(Told):
    """Of every agent."""

    schedules: list[dict[str, Any]]


class Schedule(Told):
    """When an agent is trained anew."""

    agent: str
    enabled: bool
    cron: str | None
    interval_days: int | None
    timezone: str
    last_days: float
    timesteps: int
    next_due: str | None


class Health(Told):
    """Whether the service can do its work."""

    status: str
    database: str
    disk: str
    killed: bool


class AnyTree(Told):
    """As the command has it with --json."""

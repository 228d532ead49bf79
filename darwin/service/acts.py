"""What the service may be asked to do: the acts of the commands, each by somebody, for a reason.

An act answers with a tree for JSON, or raises: ConfigError what cannot be meant or is refused,
`NotPassedError` what lacks evidence. Who may ask is for `auth`, what is written down of it for the
routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from darwin.core.agents import STAGES
from darwin.core.rebalance import ALL_AGENTS
from darwin.errors import ConfigError, DarwinError
from darwin.rl.cli import acting, killing
from darwin.rl.cli.graduation_status import condition_trees
from darwin.rl.cli.trees import version_tree
from darwin.rl.graduation.checklist import Condition
from darwin.rl.registry.rollback import pin, rollback
from darwin.service.place import Place, now
from darwin.store import jobs
from darwin.store.jobs import Job

TRAINING, BENCHMARK = "training", "benchmark"
"""Lanes: of each one job runs at a time."""


class Signed(NamedTuple):
    """Who asks for an act, and why."""

    by: str
    reason: str


class NotPassedError(DarwinError):
    """An agent has not earned what was asked for; its conditions say what lacks."""

    exit_code = 10

    def __init__(self, what: str, lacking: Sequence[Condition], *, mend: str) -> None:
        """Say `what` is refused, and keep the conditions that are `lacking`."""
        names = ", ".join(one.name for one in lacking)
        super().__init__(f"{what}: it lacks {names or 'all evidence'}", mend=mend)
        self.lacking = condition_trees(lacking)


_OVERRIDE = "wait for the evidence, or let a named person decide it all the same, with `override`"


def kill(place: Place, signed: Signed) -> dict[str, Any]:
    """Switch all agents off. Raises StorageError where nothing could be written."""
    done = killing.kill(
        place.artifacts, place.deployment.db, by=signed.by, reason=signed.reason, at=now()
    )
    told = {"recorded": not done.unrecorded, "file_made": not done.unmade}
    warnings = [why for why in (done.unrecorded, done.unmade) if why]
    return (
        {"killed": True, "by": signed.by, "reason": signed.reason} | told | {"warnings": warnings}
    )


def release(place: Place, signed: Signed) -> dict[str, Any]:
    """Let agents go on, as far as what was switched on by an act goes. Raises StorageError."""
    done = killing.release(
        place.artifacts, place.deployment.db, by=signed.by, reason=signed.reason, at=now()
    )
    told = {"released": done.was is not None, "file_removed": done.removed}
    return told | killing.kill_tree(done.now)


def promote(place: Place, agent: str, signed: Signed, *, override: bool = False) -> dict[str, Any]:
    """Let the model that serves act, on the first stage. Raises NotPassedError, ConfigError."""
    with place.registry(to_change=True) as registry:
        done = acting.promote(
            registry, place.artifacts_dir, known(agent), by=signed.by, reason=signed.reason,
            at=now(), override=override,
        )  # fmt: skip
    if not done.promoted:
        raise NotPassedError(
            f"version {done.model.version} of {agent} is not promoted", done.lacking, mend=_OVERRIDE
        )
    return {
        "agent": agent, "version": done.model.version, "promoted": True, "stage": STAGES[1],
        "lacking": condition_trees(done.lacking), "evidence": list(done.shown),
    }  # fmt: skip


def demote(place: Place, agent: str, signed: Signed) -> dict[str, Any]:
    """Let no model of the agent act any more. Raises ConfigError where none is promoted."""
    with place.registry(to_change=True) as registry:
        done = acting.demote(
            registry, place.artifacts_dir, known(agent), by=signed.by, reason=signed.reason,
            at=now(),
        )  # fmt: skip
    return {
        "agent": agent, "promoted": False, "version": done.ended.model.version,
        "stage_before": done.ended.stage,
    }  # fmt: skip


def set_stage(
    place: Place, agent: str, stage: float, signed: Signed, *, override: bool = False,
    max_position_usd: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Let the promoted model hold `stage` of the capital, its positions up to a cap, if one is
    named; else the cap that is in force stays. Raises NotPassedError, ConfigError."""
    if stage not in STAGES:
        raise ConfigError(
            f"{stage:.4g} is no stage of capital",
            where="stage",
            mend=f"one of {', '.join(f'{one:g}' for one in STAGES)}",
        )
    with place.registry(to_change=True) as registry:
        done = acting.set_stage(
            registry, known(agent), stage, by=signed.by, reason=signed.reason, at=now(),
            override=override, max_position_usd=max_position_usd,
        )  # fmt: skip
    if done.lacking:
        raise NotPassedError(
            f"{agent} stays at {done.before:.0%} of the capital", done.lacking, mend=_OVERRIDE
        )
    return {
        "agent": agent, "stage": done.stage, "stage_before": done.before,
        "max_position_usd": done.max_position_usd,
        "max_position_usd_before": done.max_position_usd_before,
    }  # fmt: skip


def roll_back(place: Place, agent: str, version: str, signed: Signed) -> dict[str, Any]:
    """Let an earlier version serve again. Raises ConfigError, ModelError."""
    with place.registry(to_change=True) as registry:
        done = rollback(
            registry, known(agent), version, by=signed.by, reason=signed.reason, now=now()
        )
        return version_tree(agent, done)


def set_pin(
    place: Place, agent: str, version: str, signed: Signed, *, pinned: bool
) -> dict[str, Any]:
    """Keep a version from being removed, or no longer. Raises ConfigError, ModelError."""
    with place.registry(to_change=True) as registry:
        done = pin(
            registry, known(agent), version, by=signed.by, reason=signed.reason, now=now(),
            pinned=pinned,
        )  # fmt: skip
        return version_tree(agent, done)


def start_job(
    place: Place, kind: str, words: Sequence[str], signed: Signed, *, lane: str, agent: str | None
) -> Job:
    """Put a command into the queue. Raises ConfigError where too many wait."""
    with place.write() as database:
        job = jobs.enqueue(
            database, kind, words, lane=lane, agent=agent, by=signed.by, reason=signed.reason,
            at=now(),
        )  # fmt: skip
    assert job is not None  # only one with a period may be there already
    return job


def cancel_job(place: Place, job_id: int) -> Job:
    """Take a job back, or ask it to stop. Raises ConfigError for one that is over or unknown."""
    with place.write() as database:
        return jobs.cancel(database, job_id, now())


def known(agent: str) -> str:
    """An agent by its name. Raises ConfigError for anything else."""
    if agent not in ALL_AGENTS:
        raise ConfigError(
            f"there is no agent called {ascii(agent)[:80]}",
            where="agent",
            mend=f"one of {', '.join(ALL_AGENTS)}",
        )
    return agent

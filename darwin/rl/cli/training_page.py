"""What a course of training came to, for a machine and for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from darwin.rl.registry.versions import Version
    from darwin.rl.training.course import Course
    from darwin.rl.training.gains import Gains


def tree_of(course: Course, version: Version | None, run_ids: tuple[str, ...]) -> dict[str, Any]:
    """All figures of a course, for a machine."""
    from darwin.rl.training.course import interquartile_mean
    from darwin.rl.training.recipe_file import tree_of_recipe

    parts, plan = course.parts, course.plan
    return {
        "agent": course.page.name,
        "runs": list(run_ids),
        "algo": plan.recipe.algo,
        "recipe": tree_of_recipe(course.page.name, plan.recipe),
        "timesteps": plan.timesteps,
        "seeds": [one.seed for one in course.seeds],
        "verdict": course.verdict(),
        "learned": course.learned,
        "version": None if version is None else version.name,
        "place": None if version is None else str(version.place),
        "rows": {
            "train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test),
            "left_out": dict(course.rows.left_out) | dict(parts.train.left_out)
            | dict(parts.test.left_out),
        },
        "cuts": {
            "validation_from": _iso(parts.cuts.validation_from),
            "test_from": _iso(parts.cuts.test_from),
            "embargo_hours": parts.cuts.embargo_ms / 3_600_000,
        },
        "threshold": course.threshold,
        "test": _gains(course.test),
        "supervised_learner": _gains(course.learner),
        "of_seeds": list(course.of_seeds),
        "interquartile_mean_of_seeds": interquartile_mean(course.of_seeds),
        "curves": {
            str(one.seed): [found._asdict() for found in one.trained.history]
            for one in course.seeds
        },
        "data_digest": course.rows.digest,
        "plan_digest": plan.digest(),
    }  # fmt: skip


def _gains(found: Gains) -> dict[str, Any]:
    return {
        "learned_gain_r": found.learned._asdict(),
        "over_baseline_r": found.over_baseline._asdict(),
        "departure_rate": found.departures,
        "mean_reward_r": found.mean_reward,
    }


def print_course(course: Course, version: Version | None, folder: Path) -> None:
    """Tell a person what came of a training, in a dozen lines."""
    parts = course.parts
    click.echo(
        f"{course.page.name}: {len(parts.train):,} rows of training, {len(parts.validation):,} of"
        f" validation, {len(parts.test):,} of test from {_iso(parts.cuts.test_from)}"
    )
    for why, count in (dict(course.rows.left_out) | dict(parts.train.left_out)).items():
        click.echo(f"  left out: {count:,} {why}")
    click.echo(course.verdict())
    over = course.test.over_baseline
    click.echo(
        f"Over the baseline: {over.value:+.4f} R ({over.low:+.4f} to {over.high:+.4f});"
        f" it leaves the baseline in {course.test.departures:.1%} of the test."
    )
    alone = ", ".join(f"{gain:+.4f}" for gain in course.of_seeds)
    click.echo(f"Seeds alone: {alone} R.")
    if version is None:
        click.echo("No model was handed over; the registry is as it was.")
    else:
        click.echo(f"version {version.name} of {course.page.name} is {version.place}; it may watch")
    click.echo(f"report: {folder / 'report.json'}")


def _iso(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"

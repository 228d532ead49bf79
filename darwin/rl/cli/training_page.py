"""What a course of training came to, for a machine and for a person."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.rl.cli.sharpe_page import sharpe_told, sharpe_tree
from darwin.rl.cli.training_files import FIGURES, PAGE

if TYPE_CHECKING:
    from darwin.rl.registry.versions import Version
    from darwin.rl.training.course import Course
    from darwin.rl.training.trials import Count

GAIN = "the learned gain"


def tree_of(course: Course, tried: Count, run_ids: tuple[str, ...]) -> dict[str, Any]:
    """All figures of a course, for a machine: of the training alone, the same whenever made."""
    from darwin.engine.report_words import plain
    from darwin.rl.training.anatomy import anatomy, gains_tree
    from darwin.rl.training.course import interquartile_mean
    from darwin.rl.training.recipe_file import tree_of_recipe

    parts, plan = course.parts, course.plan
    told: dict[str, Any] = {
        "agent": course.page.name,
        "runs": list(run_ids),
        "algo": plan.recipe.algo,
        "recipe": tree_of_recipe(course.page.name, plan.recipe),
        "timesteps": plan.timesteps,
        "seeds": [one.seed for one in course.seeds],
        "verdict": course.verdict(),
        "learned": course.learned,
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
        "test": gains_tree(course.test),
        "supervised_learner": gains_tree(course.learner),
        "before": None if course.before is None else gains_tree(course.before),
        "continues": plan.continues,
        "stays": course.stays,
        "trials": sharpe_tree(course.sharpe, tried, GAIN),
        "of_seeds": list(course.of_seeds),
        "interquartile_mean_of_seeds": interquartile_mean(course.of_seeds),
        "curves": {
            str(one.seed): [found._asdict() for found in one.trained.history]
            for one in course.seeds
        },
        "data_digest": course.rows.digest,
        "plan_digest": plan.digest(),
    }  # fmt: skip
    whole: dict[str, Any] = plain(told | anatomy(course))
    return whole


def version_tree(version: Version | None) -> dict[str, Any]:
    """What the model of a training became."""
    if version is None:
        return {"version": None, "place": None}
    return {"version": version.name, "place": str(version.place)}


def print_course(course: Course, tried: Count, version: Version | None, folder: Path) -> None:
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
    spread = "" if math.isnan(over.low) else f" ({over.low:+.4f} to {over.high:+.4f})"
    click.echo(
        f"Over the baseline: {over.value:+.4f} R{spread};"
        f" it leaves the baseline in {course.test.departures:.1%} of the test."
    )
    alone = ", ".join(f"{gain:+.4f}" for gain in course.of_seeds)
    click.echo(f"Seeds alone: {alone} R.")
    if course.before is not None and course.stays is None:
        click.echo(f"The version gone on from: {course.before.learned.value:+.4f} R on these rows.")
    click.echo(sharpe_told(course.sharpe, tried, GAIN))
    if version is None:
        click.echo("No model was handed over; the registry is as it was.")
    else:
        click.echo(f"version {version.name} of {course.page.name} is {version.place}; it may watch")
    click.echo(f"report: {folder / PAGE}, its figures in {FIGURES}")


def _iso(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"

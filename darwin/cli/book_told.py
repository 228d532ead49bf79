"""What a training or an evaluation of an agent of books found: as JSON, as a table, as files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from darwin.core.panel import Panel
    from darwin.rl.training.book_course import BookCourse
    from darwin.rl.training.book_judge import Judged
    from darwin.rl.training.trials import Count

FIGURES, PAGE, MODEL = "report.json", "report.html", "model"
LEAD = "the daily lead"


def judged_tree(agent: str, panel: Panel, found: Judged) -> dict[str, Any]:
    """What a look at held-out bars found, fit for JSON."""
    from darwin.core.market import SYNTHETIC_VENUE
    from darwin.rl.training.book_judge import is_led, verdict
    from darwin.rl.training.export import instant_of

    return {
        "agent": agent,
        "symbols": list(panel.symbols),
        "synthetic": any(name.endswith(f":{SYNTHETIC_VENUE}") for name in panel.symbols),
        "timeframe": panel.timeframe.name,
        "learned": is_led(found),
        "verdict": verdict(found),
        "held_out": {
            "from": instant_of(int(found.closed[0])),
            "to": instant_of(int(found.closed[-1])),
            "days": found.days,
            "decisions": len(found.rows),
            "asked": found.asked,
        },
        "daily_lead": {
            "over": found.figures[1].name,
            "value": _known(found.lead.value),
            "low": _known(found.lead.low),
            "high": _known(found.lead.high),
            "low_99": _known(found.decisive.low),
            "high_99": _known(found.decisive.high),
        },
        "figures": [
            {name: value if name == "name" else _known(value) for name, value in row.items()}
            for row in (one._asdict() for one in found.figures)
        ],
    }


def course_tree(course: BookCourse, tried: Count) -> dict[str, Any]:
    """What a training found, and how many networks saw its test, fit for JSON."""
    from dataclasses import asdict

    from darwin.rl.cli.sharpe_page import sharpe_tree
    from darwin.rl.training.export import instant_of

    panel, plan = course.ground.panel, course.plan
    told = judged_tree(course.ground.page.name, panel, course.judged)
    spans = {
        name: {
            "from": instant_of(int(panel.time[one.start]) + panel.timeframe.ms),
            "to": instant_of(int(panel.time[one.stop - 1]) + panel.timeframe.ms),
        }
        for name, one in course.stretches._asdict().items()
    }
    terms = plan.terms
    return told | {
        "spans": spans,
        "algo": plan.recipe.algo,
        "seed": plan.seed,
        "episodes": plan.episodes,
        "steps": plan.timesteps,
        "recipe": asdict(plan.recipe),
        "terms": {
            "every": terms.every, "cost_rate": terms.cost_rate, "reward": asdict(terms.reward),
        },
        "looks": [one._asdict() for one in course.trained.history],
        "best_at": course.trained.best.steps,
        "trials": sharpe_tree(course.sharpe, tried, LEAD),
    }  # fmt: skip


def write_files(
    folder: Path, told: dict[str, Any], found: Judged, panel: Panel, files: dict[str, bytes] | None
) -> None:
    """Write report.json and report.html, and the model. Raises StorageError."""
    from darwin.cli.synth import make_folder
    from darwin.report.book import page
    from darwin.report.files import write_bytes, write_text

    make_folder(folder)
    write_text(folder / FIGURES, json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n")
    write_text(folder / PAGE, page(told, found.closed, found.walks, panel.symbols))
    for name, content in (files or {}).items():
        write_bytes(folder / MODEL / name, [content])


def print_told(told: dict[str, Any], folder: Path) -> None:
    """Print it for people."""
    from darwin.cli.tables import print_table, terminal

    label = "synthetic, " if told["synthetic"] else ""
    held = told["held_out"]
    console = terminal()
    console.print(
        f"{told['agent']} on {len(told['symbols'])} assets ({label}{told['timeframe']}), held out"
        f" {held['from'][:10]} to {held['to'][:10]}, {held['decisions']:,} decisions"
    )
    rows = [
        (
            one["name"], _percent(one["total_return"]), _plain(one["sharpe"]),
            _percent(one["max_drawdown"]), _plain(one["turnover"], 4), _percent(one["costs"]),
        )
        for one in told["figures"]
    ]  # fmt: skip
    heads = ("", "return", "Sharpe", "drawdown", "turnover", "costs")
    print_table(console, heads, rows, range(1, len(heads)))
    console.print(told["verdict"])
    if "trials" in told:
        console.print(told["trials"]["told"])
    click.echo(f"report: {folder / PAGE}", err=True)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:+.1f} %"


def _plain(value: float | None, digits: int = 2) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"

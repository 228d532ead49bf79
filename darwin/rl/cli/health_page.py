"""A health check as it is told: tables for people, one object for machines."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import click

from darwin.core.market import DAY_MS
from darwin.rl.cli.columns import print_columns
from darwin.rl.cli.graduation_status import condition_trees, print_conditions
from darwin.rl.graduation.checklist import overall
from darwin.rl.graduation.checkup import Checkup, number
from darwin.rl.graduation.health import SEED, Health, Part, Rate
from darwin.rl.graduation.vitals import SHARE, Figure

WORST = 5
"""How many columns people are shown."""


def print_page(health: Health, checkup: Checkup, days: float) -> None:
    """Print it for people; `days` is the window that was asked for."""
    one = health.judged
    rows = [("judged", f"version {one.model.version}" if one.model else "nothing")]
    if one.model is not None and one.serving is None:
        rows[0] = ("judged", f"{one.model.version}, a rule in the place of a model")
    if health.window is None:
        rows.append(("window", "no run on record holds a bar"))
    else:
        rows += [
            ("window", f"{days:g} days of market time: after {_when(health.window.since)},"
             f" up to and with {_when(health.window.until)} UTC"),
            ("runs in it", ", ".join(health.runs) or f"none that asked {one.agent}"),
        ]  # fmt: skip
    if not health.inside.decisions + health.inside.seen:
        rows.append(("decisions", "none in the window"))
    if health.record.seen:
        rows.append(
            ("left out", f"{health.record.seen:,} decisions on bars of its training and a day after"
             f", {health.inside.seen:,} of them in the window: of these no figure is made")
        )  # fmt: skip
    if health.others:
        rows.append(("other models", f"asked {health.others:,} times in the window"))
    print_columns((one.agent, ""), rows)
    click.echo()
    heads = ("", "window", "95% interval", "cases", "record", "95% interval", "cases")
    print_columns(heads, _beside(health.inside, health.record))
    click.echo()
    _tell_drift(health)
    click.echo()
    told = [(_when(alert.time), alert.kind, alert.detail) for alert in health.alerts]
    print_columns(("alerts, 24 h", "", ""), told or [("none", "", "")])
    click.echo()
    openings = [(_when(event.time), event.detail) for event in health.openings]
    print_columns(("breaker opened", ""), openings or [("not in the window", "")])
    click.echo()
    print_conditions(one.conditions)
    click.echo()
    print_columns(
        ("daily checklist", "", ""), [(a.name, str(a.light), a.said) for a in checkup.lines]
    )
    click.echo(f"\n{checkup.verdict}")


def _beside(inside: Part, record: Part) -> list[tuple[str, ...]]:
    """A row for each figure, of the window and of the record."""

    def counts(name: str, one: int, other: int) -> tuple[str, ...]:
        return name, f"{one:,}", "", "", f"{other:,}", "", ""

    def rate(one: Rate) -> tuple[str, str, str]:
        value, low, high = one.per_day
        if math.isnan(value):
            return "", "", ""
        interval = "" if math.isnan(low) else f"{low:.3g} to {high:.3g}"
        return f"{value:.3g}", interval, f"{one.days:.1f} days"

    def cells(one: Figure) -> tuple[str, str, str]:
        if math.isnan(one.value):
            return "", "", f"{one.cases:,}"
        low, high = number(one, one.low), number(one, one.high)
        return (
            number(one, one.value),
            f"{low} to {high}" if one.has_interval else "",
            f"{one.cases:,}",
        )

    rows = [
        counts("decisions", inside.decisions, record.decisions),
        counts("of these in fed runs", inside.fed, record.fed),
        counts("outcomes resolved", inside.outcomes, record.outcomes),
        ("decisions a day", *rate(inside.rate), *rate(record.rate)),
    ]
    for now, then in zip(_figures(inside), _figures(record), strict=True):
        rows.append((now.name.replace("_", " "), *cells(now), *cells(then)))
    for why in dict.fromkeys([*inside.silence.reasons, *record.silence.reasons]):
        found = (part.silence.reasons.get(why, 0) for part in (inside, record))
        rows.append(counts(f"  {why}", *found))
    return rows


def _figures(part: Part) -> tuple[Figure, ...]:
    silence = part.silence
    return (*part.figures, Figure("silent_share", *silence.share, silence.asked, SHARE))


def _tell_drift(health: Health) -> None:
    drifts = health.drifts
    strange = f"{health.strange} rows beyond 10 sd of training were refused in the window"
    if drifts.unknown:
        print_columns(("drift", ""), [("not known", drifts.unknown), ("strange", strange)])
        return
    bands = [one.band for one in drifts.columns]
    told = ", ".join(f"{bands.count(band)} {band}" for band in dict.fromkeys(bands))
    rows = [("columns", f"{told}; {drifts.rows} observations"), ("strange", strange)]
    print_columns(("drift since training", ""), rows)
    click.echo()
    worst = [
        (one.column, f"{one.psi:.3f}", str(one.band), f"{one.by_chance:.3f}")
        for one in drifts.columns[:WORST]
    ]
    print_columns(("worst columns", "PSI", "is", "by chance up to"), worst)


def tree(health: Health, checkup: Checkup) -> dict[str, Any]:
    """The same for machines."""
    one, drifts, window = health.judged, health.drifts, health.window
    return {
        "agent": one.agent,
        "judged": one.model and one.model._asdict(),
        "serving": one.serving and one.serving._asdict(),
        "window": window and {
            "since_ms": window.since, "since": _iso(window.since),
            "until_ms": window.until, "until": _iso(window.until),
            "days": (window.until - window.since) / DAY_MS, "runs": health.runs,
        },
        "inside": _part_tree(health.inside) | {"asked_of_other_models": health.others},
        "before": {"rate": _rate_tree(health.before)},
        "record": _part_tree(health.record),
        "overall": str(overall(one.conditions)),
        "conditions": condition_trees(one.conditions),
        "alerts": [alert._asdict() for alert in health.alerts],
        "breaker": {
            "phase": str(one.card.latest.breaker),
            "openings": [{"time": e.time, "detail": e.detail} for e in health.openings],
            "override_storms": health.storms,
        },
        "drift": {
            "known": not drifts.unknown, "why_not": drifts.unknown or None,
            "rows": drifts.rows, "strange": health.strange,
            "columns": [
                {"column": c.column, "psi": c.psi, "by_chance": c.by_chance, "band": str(c.band)}
                for c in drifts.columns
            ],
        },
        "seed": SEED,
        "daily": [{"name": a.name, "is": str(a.light), "said": a.said} for a in checkup.lines],
        "findings": checkup.findings,
        "verdict": checkup.verdict,
    }  # fmt: skip


def _part_tree(part: Part) -> dict[str, Any]:
    return {
        "decisions": part.decisions,
        "left_out": part.seen,
        "decisions_fed": part.fed,
        "outcomes": part.outcomes,
        "asked": part.silence.asked,
        "silent": dict(part.silence.reasons),
        "rate": _rate_tree(part.rate),
        "figures": {
            one.name: {
                "value": _number(one.value), "low": _number(one.low), "high": _number(one.high),
                "cases": one.cases, "unit": one.unit,
            }
            for one in _figures(part)
        },
    }  # fmt: skip


def _rate_tree(rate: Rate) -> dict[str, Any]:
    value, low, high = map(_number, rate.per_day)
    told = {"per_day": value, "low": low, "high": high}
    return told | {"decisions": rate.decisions, "days": rate.days}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _when(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()

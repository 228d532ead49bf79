"""What a health check comes to: the five lines of the daily checklist, and a verdict in words."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from darwin.core.agents import META_LEARNER
from darwin.rl.graduation.checklist import FEWEST, State, lacking
from darwin.rl.graduation.health import Health
from darwin.rl.graduation.vitals import SETTLED, SHARE, Figure
from darwin.safety.circuit import Phase

LEAST, MOST = 0.5, 2.0
"""A rate of decisions is normal within these times that of before."""
ENOUGH = 10
"""Where neither as many decisions were made nor as many expected, a rate is not judged."""
SILENT, STRANGE = 0.5, 0.05
"""Shares of all consultations from which on silence, and rows beyond ten sd, are looked at."""
NAMED = 3
"""How many columns a verdict names."""


class Light(StrEnum):
    """What is said of a line."""

    OK = "ok"
    LOOK = "look"
    NO_DATA = "no data"


class Line(NamedTuple):
    """A line of the checklist."""

    name: str
    light: Light
    said: str


class Checkup(NamedTuple):
    """The whole of it."""

    lines: tuple[Line, ...]
    findings: tuple[str, ...]  # what to look at
    verdict: str


def check_up(health: Health) -> Checkup:
    """Judge what was found."""
    lines = (
        _alerts(health),
        _rates(health),
        _metrics(health),
        _overrides(health),
        _breaker(health),
    )
    findings = [f"{one.name}: {one.said}" for one in lines if one.light is Light.LOOK]
    findings += _more(health)
    unknown = [one.name for one in lines if one.light is Light.NO_DATA]
    if health.window is None:
        verdict = "nothing is known: no run holds a bar"
    elif findings:
        verdict = "look at: " + "; ".join(findings)
    elif unknown:
        verdict = "healthy as far as is known; no data on: " + ", ".join(unknown)
    else:
        verdict = "healthy"
    return Checkup(lines, tuple(findings), verdict)


def _alerts(health: Health) -> Line:
    name = "No new alerts in past 24 hours"
    if health.window is None:
        return Line(name, Light.NO_DATA, "no run holds a bar")
    if not health.alerts:
        return Line(name, Light.OK, "none")
    kinds = dict.fromkeys(alert.kind for alert in health.alerts)
    return Line(name, Light.LOOK, f"{len(health.alerts)}: {', '.join(kinds)}")


def _rates(health: Health) -> Line:
    name, inside, before = "Agent decision rates normal", health.inside, health.before
    if health.window is None or health.judged.model is None:
        return Line(name, Light.NO_DATA, "no run has asked this agent")
    if not inside.decisions + inside.seen:
        newest = health.newest_ms
        last = "none on record either" if newest is None else f"the last at {_when(newest)}"
        return Line(name, Light.LOOK, f"no decision in the window, {last}{_why(health)}")
    if inside.silence.share.value >= SILENT:
        said = f"no sound advice at {inside.silence.share.value:.0%}{_why(health)}"
        return Line(name, Light.LOOK, said)
    now, then, days = inside.rate.per_day.value, before.per_day.value, inside.rate.days
    if not before.days > 0.0 or not days > 0.0:
        return Line(name, Light.NO_DATA, "the record is no longer than the window")
    said = f"{now:.3g} a day, before the window {then:.3g}"
    if max(inside.rate.decisions, then * days) < ENOUGH:
        return Line(name, Light.NO_DATA, f"{said}: too few to judge")
    normal = LEAST * then <= now <= MOST * then
    return Line(name, Light.OK if normal else Light.LOOK, said)


def _why(health: Health) -> str:
    reasons = ", ".join(f"{why} {count}" for why, count in health.inside.silence.reasons.items())
    return f" ({reasons})" if reasons else ""


def _metrics(health: Health) -> Line:
    """A figure is unstable where its intervals, of window and record, do not touch.

    Brackets of the last days are open yet, so fewer are settled than on record.
    """
    name = "Performance metrics stable"
    if not health.before.days > 0.0:
        return Line(name, Light.NO_DATA, "the record is no longer than the window")
    if health.record.seen and health.inside.decisions == health.record.decisions:
        return Line(name, Light.NO_DATA, "all before the window lies in the time of training")
    pairs = [
        (now, then)
        for now, then in zip(health.inside.figures, health.record.figures, strict=True)
        if now.has_interval and then.has_interval and now.cases >= FEWEST and now.name != SETTLED
    ]
    if not pairs:
        return Line(
            name, Light.NO_DATA, f"no figure of the window has {FEWEST} cases and an interval"
        )
    moved = [
        f"{now.name.replace('_', ' ')} {number(now, now.value)}, on record"
        f" {number(then, then.value)}"
        for now, then in pairs
        if now.low > then.high or now.high < then.low
    ]
    if moved:
        return Line(name, Light.LOOK, ", ".join(moved))
    return Line(name, Light.OK, f"{len(pairs)} figures, whose intervals touch those of the record")


def _overrides(health: Health) -> Line:
    name = "Override rates within limits"
    if health.judged.agent != META_LEARNER:
        return Line(name, Light.OK, "this agent sets no verdict aside")
    if not health.inside.decisions:
        said = "no decision in the window"
        if health.inside.seen:
            said += " on bars after training"
        return Line(name, Light.NO_DATA, said)
    rate = next(one for one in health.inside.figures if one.name == "override_rate")
    limit = health.judged.card.latest.max_override_rate
    if health.storms:
        said = f"it wanted to set aside more than half of the verdicts, {health.storms} times"
        return Line(name, Light.LOOK, said)
    if limit is None:
        return Line(name, Light.NO_DATA, "the config of its latest run sets no limit")
    said = f"{rate.value:.1%} wanted, {limit:.0%} allowed"
    if rate.value > limit:
        enough = rate.cases >= FEWEST
        return Line(name, Light.LOOK if enough else Light.NO_DATA, said)
    return Line(name, Light.OK, said)


def _breaker(health: Health) -> Line:
    name, latest = "No circuit breaker activations", health.judged.card.latest
    if latest.run_id is None:
        return Line(name, Light.NO_DATA, "no run has asked this agent")
    if health.openings:
        last = health.openings[-1]
        said = f"{len(health.openings)} in the window, the last {last.detail}"
        return Line(name, Light.LOOK, said)
    if latest.breaker is not Phase.CLOSED:
        return Line(name, Light.LOOK, f"it is {latest.breaker} in run '{latest.run_id}'")
    return Line(name, Light.OK, "none")


def _more(health: Health) -> list[str]:
    """What is no line of the checklist and should be looked at all the same."""
    found = []
    asked = health.inside.silence.asked
    if asked and health.strange / asked >= STRANGE:
        found.append(f"Strange rows: {health.strange} of {asked} lay beyond 10 sd of training")
    drifted = [one for one in health.drifts.columns if one.tells]
    if drifted:
        worst = ", ".join(f"{one.column} (PSI {one.psi:.2f})" for one in drifted[:NAMED])
        more = f" and {len(drifted) - NAMED} more" if len(drifted) > NAMED else ""
        found.append(f"Drift since training: {worst}{more}")
    every = lacking(health.judged.conditions)
    refuted = [one.name for one in every if one.state is State.REFUTED]
    if refuted:
        found.append(f"Conditions refuted: {', '.join(refuted)}")
    return found


def number(figure: Figure, value: float) -> str:
    """Write a value of a figure as people read it."""
    return f"{value:.1%}" if figure.unit == SHARE else f"{value:+.3f}"


def _when(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"

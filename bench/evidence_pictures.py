"""`python -m bench.evidence_pictures [FOLDER]`: the pictures of docs/graduation.md, drawn anew.

Twenty meta-learners that set the expert's takes aside at random, and twenty that rank winners above
losers, are told to the trials of the product, decision by decision, in one planted market. Drawn
are the random one whose evidence rose highest and, of the skilled ones, the one promoted in the
middle; below them the days on which the checklist's thresholds, looked at daily, are met. All of it
is seeded.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.mutants import ROOT
from darwin.core.agents import KEEP, META_LEARNER, TO_SKIP
from darwin.core.market import DAY_MS, HOUR_MS, BoolArray, FloatArray
from darwin.rl.graduation.checklist import (
    ACCURATE,
    AGREEMENT,
    LEAST_DAYS,
    LEAST_DECISIONS,
)
from darwin.rl.graduation.contract import ALPHA, Contract, Terms
from darwin.rl.graduation.increments import Entry, Outcome
from darwin.rl.graduation.trial import SKILL, UTILITY, Trial
from darwin.stats.binormal import separation

FOLDER = ROOT / "docs" / "pictures"
START = DAY_MS * 19_724  # 2024-01-02, where a block of two days begins
DAYS, PER_DAY, AGENTS = 365, 10, 20
TAKES, WINS, OVERRIDES = 0.6, 0.38, 0.2
"""What the expert takes, what of all wins, and of what is taken how much an agent sets aside."""
WON_R, LOST_R, SPREAD_R = 1.8, -1.15, 0.2
SKILLED_AUC = 0.65
SEED = 20_240_102

WIDTH, HEIGHT = 760, 330
LEFT, RIGHT, TOP, BOTTOM = 74, 16, 40, 58
LEAST_E, MOST_E = 0.01, 10_000.0
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.grid{stroke:#ddd}.needed{stroke:#b3261e;"
    "stroke-dasharray:6 4}.line{fill:none;stroke-width:2}.skill{stroke:#1f5fa8}"
    ".utility{stroke:#2e7d32}.other{stroke:#bbb;stroke-width:1}.met{stroke:#d98200}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.other{stroke:#555}"
    ".skill{stroke:#7fb2ee}.utility{stroke:#83c788}.needed{stroke:#ff8a80}}"
)


@dataclass(frozen=True)
class Life:
    """One agent over the year."""

    trial: Trial
    met: BoolArray  # days on which the checklist's thresholds were met, (DAYS,)

    @property
    def promoted_day(self) -> float:
        """Day on which skill and utility have both crossed; infinite: never."""
        both = [self.trial.tracks[name].crossed for name in (SKILL, UTILITY)]
        return max(math.inf if one is None else day_of(one.end_ms) for one in both)

    def curve(self, name: str) -> list[tuple[float, float]]:
        """Day and E after each block."""
        points = self.trial.tracks[name].points
        return [(day_of(one.end_ms), math.exp(one.log_e)) for one in points]

    @property
    def highest(self) -> float:
        """Of its skill."""
        return max(e for _, e in self.curve(SKILL))


def day_of(ms: int) -> float:
    return (ms - START) / DAY_MS


def live(auc: float, seed: int) -> Life:
    """An agent that overrides what its score ranks lowest of what the expert takes."""
    chance = np.random.default_rng([SEED, seed])
    n = DAYS * PER_DAY
    bar = np.sort(chance.integers(0, DAYS * 24, n)) * HOUR_MS + START
    won, take = chance.random(n) < WINS, chance.random(n) < TAKES
    r = np.where(won, WON_R, LOST_R) + SPREAD_R * chance.standard_normal(n)
    score = chance.standard_normal(n) + separation(auc) * won
    skip = take & (score < np.quantile(score[take], OVERRIDES))
    trial = Trial(Contract(TERMS, "run:pictures", 1, START, datetime(2024, 1, 1, tzinfo=UTC)))
    for at in range(n):
        action = TO_SKIP if skip[at] else KEEP
        entry = Entry(str(at), int(bar[at]), action, float(take[at]), 3.0, audited=False)
        trial.hear(str(at), entry)
        trial.hear(str(at), Outcome(int(bar[at]) + HOUR_MS, float(r[at])))
    return Life(trial, _met(skip, skip & ~won, (bar - START) / DAY_MS))


TERMS = Terms(
    agent=META_LEARNER, version="pictures", manifest_sha256="0" * 64, feature_schema="",
    bar_ms=HOUR_MS, action_threshold=None, training_end_ms=None, life_ms=8 * HOUR_MS,
    block_ms=2 * DAY_MS, take_profit_r={"planted": 3.0}, call_cost_r=0.002,
    risk_per_trade=0.0025, alpha=ALPHA, world="planted",
)  # fmt: skip


def _met(override: BoolArray, right: BoolArray, day: FloatArray) -> BoolArray:
    """Whether the checklist's thresholds are met on the evening of each day, (DAYS,)."""
    seen = np.searchsorted(day, np.arange(1, DAYS + 1))
    overrides = np.concatenate([[0], np.cumsum(override)])[seen]
    well = np.concatenate([[0], np.cumsum(right)])[seen]
    agreement = 1.0 - overrides / np.maximum(seen, 1)
    enough = (seen >= LEAST_DECISIONS[META_LEARNER]) & (
        np.arange(1, DAYS + 1) >= LEAST_DAYS[META_LEARNER]
    )
    within = (agreement >= AGREEMENT[0]) & (agreement <= AGREEMENT[1])
    return enough & within & (well > ACCURATE * overrides)


def picture(title: str, life: Life, others: list[Life]) -> str:
    """Draw E over the days, on a logarithmic scale, with where it has to get to."""
    needed = 1.0 / life.trial.tracks[SKILL].level
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}" '
        f'xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>',
        f'<text x="{LEFT}" y="20" font-weight="600">{title}</text>',
    ]
    for tick in (0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0):
        parts.append(f'<path class="grid" d="M{LEFT} {_y(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 8, _y(tick) + 4, f"{'≥ ' * (tick == MOST_E)}{tick:,g}", "end"))
    parts.append(f'<path class="needed" d="M{LEFT} {_y(needed):.1f}H{WIDTH - RIGHT}"/>')
    parts.append(_text(LEFT + 6, _y(needed) - 6, f"promoted at E = {needed:,.0f}", "start"))
    for day in range(0, DAYS + 1, 73):
        anchor = "end" if day == DAYS else "middle"
        parts.append(_text(_x(day), HEIGHT - BOTTOM + 34, f"day {day}", anchor))
    lines = [("other", other.curve(SKILL)) for other in others]
    lines += [("utility", life.curve(UTILITY)), ("skill", life.curve(SKILL))]
    for look, curve in lines:
        drawn = "L".join(f"{_x(day):.1f} {_y(e):.1f}" for day, e in curve)
        parts.append(f'<path class="line {look}" d="M{drawn}"/>')
    base = HEIGHT - BOTTOM + 8
    for day in np.flatnonzero(life.met):
        parts.append(f'<path class="met" d="M{_x(day + 1):.1f} {base}v9"/>')
    legend = [("skill", "E of skill"), ("utility", "E of utility")]
    legend += [("other", f"the other {len(others)}")] if others else []
    legend += [("met", "days the checklist's thresholds are met")]
    x = LEFT
    for look, words in legend:
        parts.append(f'<path class="line {look}" d="M{x} {HEIGHT - 9}h18"/>')
        parts.append(_text(x + 24, HEIGHT - 5, words, "start"))
        x += 40 + 7 * len(words)
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def _x(day: float) -> float:
    return LEFT + day / DAYS * (WIDTH - LEFT - RIGHT)


def _y(e: float) -> float:
    reach = math.log(MOST_E / LEAST_E)
    up = math.log(min(max(e, LEAST_E), MOST_E) / LEAST_E) / reach
    return HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def _count(lives: list[Life], what: str) -> str:
    by_list = [int(np.flatnonzero(life.met)[0]) + 1 for life in lives if life.met.any()]
    by_evidence = [life.promoted_day for life in lives if life.promoted_day < math.inf]
    first = f", the first on day {min(by_list)}" if by_list else ""
    last = f", on day {np.median(by_evidence):.0f} in the middle" if by_evidence else ""
    return (
        f"{what}: the thresholds, looked at daily, promote {len(by_list)} of {len(lives)}{first};"
        f" the evidence {len(by_evidence)}{last}"
    )


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lucky = sorted((live(0.5, seed) for seed in range(AGENTS)), key=lambda life: life.highest)
    skilled = sorted(
        (live(SKILLED_AUC, seed + AGENTS) for seed in range(AGENTS)),
        key=lambda life: life.promoted_day,
    )
    chosen = skilled[AGENTS // 2]
    title = f"The luckiest of {AGENTS} agents that override the expert at random"
    (folder / "lucky.svg").write_text(picture(title, lucky[-1], lucky[:-1]), "utf-8")
    title = f"An agent with skill: it ranks a winner above a loser {SKILLED_AUC:.0%} of the time"
    (folder / "skilled.svg").write_text(picture(title, chosen, []), "utf-8")
    print(_count(lucky, "at random"))
    print(f"the luckiest of them came to E = {lucky[-1].highest:.3g}")
    print(_count(skilled, f"with an AUC of {SKILLED_AUC:g}"))


if __name__ == "__main__":
    main()

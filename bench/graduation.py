"""How often graduation promotes agents without skill, how soon those with, how soon it demotes.

What a promotion rests on is run over simulated streams (`graduation_world`), beside the
checklist's plain thresholds looked at every day on the very same streams. A version spends α_v: the
value rule of the gate and the rules of the others 0.8 of it, the cost rule of the gate 0.2. The
expert takes 40 %, with an AUC of .55 where the market is profitable. Drawdown is left out: this
world has no equity.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from bench import graduation_demotion as demotion
from bench import graduation_folding as folding
from bench import graduation_streams as streams
from bench import graduation_world as world
from bench.graduation_demotion import GONE, NEVER, REVERSED, WATCHED
from bench.graduation_streams import INDEPENDENT, PERSISTENT, SKIP_ONLY
from bench.graduation_world import CANDIDATES, TRADES, Pace
from bench.tables import met, table
from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO

SEED, REPETITIONS, CHUNK, DECISIONS = 20_261, 2_000, 200, 5_000
METHOD, FIRST_VERSION = 0.05, 0.05 * 0.2
LEVELS = (METHOD, FIRST_VERSION)
NULLS, SKILLED = (INDEPENDENT, PERSISTENT, SKIP_ONLY), (0.60, 0.65)
MOST_BY_LUCK = {METHOD: 0.05, FIRST_VERSION: 0.02}
GOALS = {
    (METHOD, GATE): (0.67, 0.99), (METHOD, PORTFOLIO): (1.0, 1.0),
    (METHOD, META_LEARNER): (0.98, 1.0),
    (FIRST_VERSION, GATE): (0.35, 0.90), (FIRST_VERSION, PORTFOLIO): (0.95, 0.99),
    (FIRST_VERSION, META_LEARNER): (0.85, 0.98),
}  # fmt: skip
"""Share of AUC .60 and .65 to be promoted; at the level of the method what was seen elsewhere."""
WATCHES, WATCH_CHUNK = 1_000, 100
FALSE_ALARMS, WITHIN = 0.25, {REVERSED: 600, GONE: 1_500}


class Setting(NamedTuple):
    """An agent, and the markets that it is tried in; the first is the one that goals are about."""

    agent: str
    pace: Pace
    shifts: tuple[float, ...]


SETTINGS = (
    Setting(GATE, CANDIDATES, (0.05, 0.0, -0.10)),
    Setting(PORTFOLIO, TRADES, (0.0, 0.04, -0.10)),
    Setting(META_LEARNER, CANDIDATES, (0.05, 0.0, -0.10)),
)


class Cell(NamedTuple):
    """What became of the streams of one agent in one market."""

    promoted: dict[float, np.ndarray]  # by α_v: decisions until then, NEVER for none; (streams,)
    checklist: np.ndarray  # whether its thresholds were ever all met
    loosely: np.ndarray  # gate: the same, misses counted of all decisions


Cells = dict[tuple[str, float, str | float], Cell]


def main() -> None:
    """Print all tables."""
    began = time.perf_counter()
    cells = simulate()
    _print_verdicts(cells)
    _print_cells(cells)
    watched = {
        auc: demotion.watch(SEED, auc, WATCHES, WATCH_CHUNK, FIRST_VERSION) for auc in SKILLED
    }
    _print_demotion(watched)
    drawn = len(cells) * REPETITIONS + 3 * len(SKILLED) * WATCHES
    folding.main()
    print(f"\n{drawn:,} streams in {time.perf_counter() - began:.0f} s, one process")


def simulate(repetitions: int = REPETITIONS, chunk: int = CHUNK) -> Cells:
    """Run every agent in every market over as many streams each, some at a time."""
    found: dict[tuple[str, float, str | float], list[Cell]] = {}
    for number, setting in enumerate(SETTINGS):
        for place, shift in enumerate(setting.shifts):
            for start in range(0, repetitions, chunk):
                rng = np.random.default_rng((SEED, number, place, start))
                market = world.market(rng, chunk, DECISIONS, setting.pace, shift)
                for kind in (*NULLS, *SKILLED):
                    cell = _cell(rng, setting, market, kind, shift)
                    found.setdefault((setting.agent, shift, kind), []).append(cell)
    return {key: _joined(parts) for key, parts in found.items()}


def _cell(
    rng: np.random.Generator,
    setting: Setting,
    market: world.Market,
    kind: str | float,
    shift: float,
) -> Cell:
    agent, pace = setting.agent, setting.pace
    acts = streams.actions_of(agent, streams.score_of(rng, market, kind, shift), market, kind)
    told = streams.told_of(agent, acts, market, pace)
    evidence = streams.evidence_of(told)
    promoted = {}
    for level in LEVELS:
        block = streams.promoted_at(agent, told, evidence, level)
        promoted[level] = np.where(block >= 0, streams.decisions_by(block, pace), NEVER)
    passed = [
        streams.checklist_passes(agent, acts, market, pace, of_all=of_all)
        for of_all in (False, True)
    ]
    return Cell(promoted, *passed)


def _joined(parts: list[Cell]) -> Cell:
    promoted = {a: np.concatenate([part.promoted[a] for part in parts]) for a in LEVELS}
    return Cell(promoted, *(np.concatenate([part[i] for part in parts]) for i in (1, 2)))


def _print_verdicts(cells: Cells) -> None:
    rows = []
    for level in LEVELS:
        for agent, _, shifts in SETTINGS:
            by_luck = [
                (cells[agent, shift, kind].promoted[level] < NEVER).mean()
                for shift in shifts for kind in NULLS
            ]  # fmt: skip
            most = MOST_BY_LUCK[level]
            row = [
                f"{level:.2f} {agent}", f"{min(by_luck):.1%} .. {max(by_luck):.1%}",
                f"<= {most:.0%}", met(max(by_luck) <= most),
            ]  # fmt: skip
            for auc, goal in zip(SKILLED, GOALS[level, agent], strict=True):
                at = cells[agent, shifts[0], auc].promoted[level]
                share = (at < NEVER).mean()
                judged = met(share >= goal) if level == FIRST_VERSION else "seen"
                row += [f"{share:.1%}", _median(at[at < NEVER]), f">= {goal:.0%}", judged]
            rows.append(row)
    skilled = ("promoted", "median n", "goal", "")
    table(
        f"Promoted within {DECISIONS:,} decisions, {REPETITIONS:,} streams each: three nulls in"
        " three markets, then AUC .60 and .65 in the first market",
        ("α_v, agent", "without skill", "goal", "", *skilled, *skilled),
        rows,
    )


def _print_cells(cells: Cells) -> None:
    rows = []
    for (agent, shift, kind), cell in cells.items():
        name = kind if isinstance(kind, str) else f"AUC {kind:.2f}"
        row = [f"{agent} {shift:+.2f} {name}"]
        for at in cell.promoted.values():
            row += [f"{(at < NEVER).mean():.2%}", _median(at[at < NEVER])]
        loosely = f"{cell.loosely.mean():.1%}" if agent == GATE else ""
        rows.append([*row, f"{cell.checklist.mean():.1%}", loosely])
    levels = [f"α_v {level:.2f}" for level in LEVELS]
    table(
        "The same by market (shift) and agent, and by the checklist's thresholds looked at every"
        " day (for the gate also with misses counted of all decisions)",
        (
            "agent, shift, kind",
            levels[0],
            "median n",
            levels[1],
            "median n",
            "checklist",
            "loosely",
        ),
        rows,
    )


def _print_demotion(watched: dict[float, demotion.Watched]) -> None:
    rows = []
    for auc, found in watched.items():
        for true in (True, False):
            name = f"AUC {auc:.2f}, " + ("true edge" if true else "edge at promotion / 1.5")
            columns = _alarms(found, true=true)
            rows += [[f"{name}, {alarm}", *columns[alarm]] for alarm in demotion.ALARMS]
    table(
        f"Demotion of a meta-learner, {WATCHES:,} streams each, market {demotion.SHIFT:+.2f}, by"
        " skill (soft), by utility (hard), by whichever comes first; delays are medians, in"
        " decisions; goals are about the true edge",
        (
            "edge, alarm",
            f"false in {WATCHED:,}",
            "goal",
            "",
            REVERSED,
            "goal",
            "",
            GONE,
            "goal",
            "",
        ),
        rows,
    )


def _alarms(found: demotion.Watched, *, true: bool) -> dict[str, list[str]]:
    """Cells by alarm. With the `true` edge all streams count, else those that were promoted."""

    def edge(promoted: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which streams count, and the edge that each is held to."""
        if true:
            return np.ones_like(promoted), np.full(len(promoted), found.true_edge)
        return promoted, shown / demotion.SHRINKAGE

    counted, held_to = edge(found.promoted, found.edge)
    cells = {}
    for alarm, at in demotion.delays(found.held, held_to, 0).items():
        share = (at[counted] < NEVER).mean()
        judged = met(share <= FALSE_ALARMS) if true else ""
        cells[alarm] = [f"{share:.1%}", f"<= {FALSE_ALARMS:.0%}", judged]
    for name, told in found.lost.items():
        counted, held_to = edge(*found.promoted_then[name])
        for alarm, at in demotion.delays(told, held_to, demotion.CALM).items():
            median = float(np.median(at[counted & (at >= 0)]))
            said = f"{int(median):,}" if median < NEVER / 2 else "never"
            judged = met(median <= WITHIN[name]) if true else ""
            cells[alarm] += [said, f"<= {WITHIN[name]:,}", judged]
    return cells


def _median(at: np.ndarray) -> str:
    return f"{int(np.median(at)):,}" if len(at) else "-"


if __name__ == "__main__":
    main()

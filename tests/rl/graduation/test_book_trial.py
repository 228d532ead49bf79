"""Trials of agents of books: what counts as skill, what is luck, and who is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from bench import book_graduation as world
from darwin.core.market import DAY_MS, FloatArray
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.rl.graduation.checklist import State, Validation, all_pass, conditions, overall
from darwin.rl.graduation.contract import terms_of_book, world_of
from darwin.rl.graduation.increments import Outcome
from darwin.rl.graduation.judged import told_by
from darwin.rl.graduation.latest import Latest
from darwin.rl.graduation.promoter import has_crossed
from darwin.rl.graduation.proof import proof_of
from darwin.rl.graduation.scorecard import BookFigures, score
from darwin.rl.graduation.trial import OVER_HOLD, SKILL, UTILITY, Trial

LEVEL = world.METHOD
VALID = Validation(State.PASSED)


def seen(seed: int, days: int = 300, assets: int = 3, drift: float = 0.0) -> world.Market:
    return world.market(np.random.default_rng(seed), days, assets, drift, 0.0)


def sums(trial: Trial, name: str = "skill") -> list[float]:
    return [getattr(block.told, name).total for block in trial.blocks]


def told(trial: Trial) -> list[tuple[str, object]]:
    rows = []
    for entry, outcome in trial.stream.rows():
        rows.append((entry.key, entry))
        if outcome is not None:
            rows.append((entry.key, outcome))
    return rows


def judged(trial: Trial) -> tuple[State, dict[str, State]]:
    card = score(trial.contract.terms.agent, told_by(trial), Latest(run_id="one"))
    every = conditions(card, VALID, proof_of(trial))
    return overall(every), {one.name: one.state for one in every}


def test_a_block_is_what_reckoning_by_hand_gives() -> None:
    market, rng = seen(1, days=90), np.random.default_rng(2)
    market.returns[[40, 70]] *= 9.0
    market.returns[[55, 80]] *= -9.0
    weights = rng.dirichlet(np.ones(3), 90)
    trial = world.trial_of(ALLOCATOR, market, weights, LEVEL)
    r, equal = market.returns, np.full(3, 1 / 3)
    gain = world.net(r, weights) - world.net(r, np.broadcast_to(equal, weights.shape))
    skill, utility = np.zeros(90), np.zeros(90)
    done: list[tuple[float, float]] = []
    for day in range(90):
        known = day  # outcomes of all days before
        off = weights[day] - weights[:day].mean(axis=0) if day else np.zeros(3)
        mean = r[:known].mean(axis=0) if known else r[day]
        x, u = float(off @ (r[day] - mean)), float(gain[day])
        if known >= 20:
            root = np.sqrt((r[:known] ** 2).mean(axis=0))
            for i, (out, value, away) in enumerate(
                ((skill, x, off), (utility, u, weights[day] - equal))
            ):
                past = math.sqrt(np.mean([one[i] ** 2 for one in done]))
                out[day] = min(value / max(past, float(np.linalg.norm(away * root))), 3.0)
        done.append((x, u))
    assert {skill.max(), utility.max()} == {3.0}
    assert min(skill.min(), utility.min()) < -3.0
    blocks = [slice(3 * at, 3 * at + 3) for at in range(len(trial.blocks))]
    assert len(blocks) >= 28
    assert sums(trial) == pytest.approx([skill[at].sum() for at in blocks], abs=1e-12)
    assert sums(trial, "utility") == pytest.approx([utility[at].sum() for at in blocks], abs=1e-12)


@pytest.mark.parametrize("drift", world.DRIFTS.values())
def test_a_constant_tilt_is_no_skill_wherever_the_market_goes(drift: float) -> None:
    market = seen(3, drift=drift)
    trial = world.trial_of(ALLOCATOR, market, np.tile([0.7, 0.2, 0.05], (300, 1)), LEVEL)
    assert set(sums(trial)) == {0.0}
    assert trial.tracks[SKILL].crossed is None
    hold = world.trial_of(MARKET, seen(3, assets=1, drift=drift), np.ones((300, 1)), LEVEL)
    assert set(sums(hold)) == {0.0}
    assert not has_crossed(hold)


def test_what_beats_flat_must_beat_holding_too() -> None:
    """In a rising market an agent that is mostly long beats flat; that is no merit."""
    rng = np.random.default_rng(5)
    weights = np.where(rng.random((900, 1)) < 0.9, 1.0, 0.0)
    market = seen(4, 900, 1, drift=0.006)
    trial = world.trial_of(MARKET, market, weights, LEVEL)
    assert trial.tracks[UTILITY].crossed is not None
    assert trial.tracks[OVER_HOLD].crossed is None
    assert not has_crossed(trial)


def test_an_agent_that_suddenly_dares_cannot_make_its_luck_look_rare() -> None:
    """Its scale is what so large a deviation comes to, not what its small ones came to."""
    market = seen(6, days=200)
    weights = np.tile([1 / 3, 1 / 3, 1 / 3], (200, 1)) + 1e-5 * np.random.default_rng(1).normal(
        size=(200, 3)
    )
    weights[150:] = np.eye(3)[np.random.default_rng(2).integers(0, 3, 50)]
    trial = world.trial_of(ALLOCATOR, market, weights, LEVEL)
    assert np.abs(sums(trial)).max() < 20.0
    assert np.max(sums(trial)) <= 9.0


def test_what_comes_later_changes_nothing_that_was_scored() -> None:
    market = seen(7, days=120)
    weights = np.random.default_rng(3).dirichlet(np.ones(3), 120)
    whole = world.trial_of(ALLOCATOR, market, weights, LEVEL)
    other = world.Market(market.returns.copy(), market.hint)
    other.returns[100:] = 0.2
    half = world.trial_of(ALLOCATOR, other, weights, LEVEL)
    count = 100 // 3 - 1
    assert sums(half)[:count] == sums(whole)[:count]
    again = Trial.of(whole.contract, told(whole))
    assert sums(again) == sums(whole)
    assert again.tracks[SKILL].points == whole.tracks[SKILL].points


def test_an_outcome_that_never_came_is_no_evidence() -> None:
    market = seen(8, days=90)
    weights = np.random.default_rng(4).dirichlet(np.ones(3), 90)
    whole = world.trial_of(ALLOCATOR, market, weights, LEVEL)
    missing = whole.stream.scored[40][0].key
    parts = [one for one in told(whole) if one[0] != missing or not isinstance(one[1], Outcome)]
    trial = Trial.of(whole.contract, parts)
    assert sum(block.lost for block in trial.blocks) == 1
    assert len(trial.blocks) >= len(whole.blocks) - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "name"), [(agent, name) for agent, every in world.NULLS.items() for name in every]
)
def test_without_skill_hardly_any_is_promoted(agent: str, name: str) -> None:
    """Of 40 streams in a rising market, 5 would be too many at a level of 5 % (one in 600)."""
    found = world.cell(agent, name, world.NULLS[agent][name], "rising", 40, 0.0, days=500)
    assert found.promoted[LEVEL] * 40 < 6
    assert found.skill_alone * 40 < 6


@pytest.mark.slow
@pytest.mark.parametrize("agent", [ALLOCATOR, MARKET])
def test_one_with_skill_is_promoted(agent: str) -> None:
    found = world.cell(agent, "skilled", world.SKILLED[agent], "sideways", 4, 0.6, days=1_000)
    assert found.promoted[world.FIRST_VERSION] == 1.0


def guide(days: int = 365) -> FloatArray:
    """Daily returns that come to −44.9 % with a Sharpe ratio of −1.48."""
    z = np.random.default_rng(9).normal(size=days)
    z = (z - z.mean()) / z.std(ddof=1) - 1.48 / math.sqrt(365.25 * (days - 1) / days)
    low, high = 1e-4, 0.2
    for _ in range(200):
        sd = (low + high) / 2
        low, high = (sd, high) if np.prod(1 + sd * z) > 1 - 0.449 else (low, sd)
    return sd * z


def test_an_agent_with_the_figures_of_the_guide_is_refused() -> None:
    """−44.9 % and a Sharpe ratio of −1.48, whatever its tests may once have said."""
    r = guide()
    trial = Trial(world.contract(MARKET, LEVEL))
    rng = np.random.default_rng(1)
    for day, (mine, position) in enumerate(zip(r, rng.choice([-1.0, 1.0], len(r)), strict=True)):
        key, time = f"{day:016x}", day * DAY_MS
        trial.hear(key, world.entry_of(key, time, [position]))
        asset = float(mine * position)
        trial.hear(key, Outcome(time + DAY_MS, float(mine), (0.0, asset), (asset,)))
    figures = score(MARKET, told_by(trial), Latest(run_id="one")).figures
    assert isinstance(figures, BookFigures)
    assert figures.total_return == pytest.approx(-0.449, abs=1e-3)
    assert figures.sharpe == pytest.approx(-1.48, abs=0.01)
    state, each = judged(trial)
    assert state is State.REFUTED
    assert each["shadow drawdown"] is State.REFUTED
    assert each["Sharpe ratio"] is State.REFUTED
    assert not has_crossed(trial)
    for track in trial.tracks.values():  # were it lucky beyond belief, it would be refused still
        track.crossed = track.points[-1]
    every = conditions(score(MARKET, told_by(trial), Latest(run_id="one")), VALID, proof_of(trial))
    assert not all_pass(every)
    assert overall(every) is State.REFUTED


def test_nothing_is_promoted_before_the_least_that_must_be_seen() -> None:
    trial = world.trial_of(
        ALLOCATOR, seen(1, days=80), np.random.default_rng(1).dirichlet(np.ones(3), 80), LEVEL
    )
    for track in trial.tracks.values():
        track.crossed = track.points[-1]
    state, each = judged(trial)
    assert state is not State.PASSED
    assert each["decisions"] is State.INCONCLUSIVE
    assert each["days of market time"] is State.PASSED


CONFIG = {
    "run_id": "one",
    "mode": "replay",
    "market": {"timeframe": "1h", "symbols": ["A/B", "C/D"], "start": None},
    "costs": {"taker_bps": 5.0},
    "allocation": {"agent": "allocator", "every": 24, "mode": "observe"},
}


def terms(**changes: object) -> object:
    config = json.loads(json.dumps(CONFIG))
    for path, value in changes.items():
        block, _, key = path.partition("__")
        if key:
            config[block][key] = value
        else:
            config[block] = value
    model = world.contract(ALLOCATOR, LEVEL).terms.model
    return terms_of_book(config, model, feature_schema="s" * 64)


def test_terms_say_the_pace_and_the_world() -> None:
    plain = terms()
    assert (plain.block_ms, plain.life_ms) == (3 * DAY_MS, DAY_MS)
    assert terms(allocation__every=96).block_ms == 8 * DAY_MS
    assert terms(run_id="two", market__start="2020-01-01", allocation__mode="auto") == plain
    for other in (
        terms(allocation__every=12), terms(costs={"taker_bps": 6.0}),
        terms(market__symbols=["A/B"]), terms(market__timeframe="4h"),
    ):  # fmt: skip
        assert other.world != plain.world
    assert world_of(CONFIG) == plain.world


def test_the_first_version_may_be_lucky_once_in_a_hundred() -> None:
    first = world.contract(ALLOCATOR, world.FIRST_VERSION)
    assert first.alpha_v == pytest.approx(0.01)
    assert replace(first, number=2).alpha_v == pytest.approx(0.008)

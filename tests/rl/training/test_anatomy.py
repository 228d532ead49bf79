"""What a report tells of the test is reckoned again here, row by row, with the heads that serve."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.spec_file import ARGMAX_Q, CATEGORICAL, CLIPPED_GAUSSIAN, TANH_GAUSSIAN
from darwin.rl.training import importance as importances
from darwin.rl.training.calibration import calibration, tenths
from darwin.rl.training.changes import changes
from darwin.rl.training.gains import gains, learned_gain
from darwin.rl.training.importance import by_kind, importance, kinds, together
from darwin.rl.training.network import (
    Network,
    actions_of,
    decided,
    departures_of,
    scores,
)
from darwin.rl.training.rows import Normaliser, Rows
from tests.rl.training.test_worlds import HOUR_MS, made_rows

HEADS = [
    (GATE, CATEGORICAL, 0.5),
    (GATE, CATEGORICAL, None),
    (GATE, ARGMAX_Q, 0.1),
    (META_LEARNER, CATEGORICAL, 0.7),
    (META_LEARNER, CATEGORICAL, None),
    (META_LEARNER, ARGMAX_Q, None),
    (PORTFOLIO, CLIPPED_GAUSSIAN, None),
    (PORTFOLIO, TANH_GAUSSIAN, None),
]
each_head = pytest.mark.parametrize(("agent", "kind", "threshold"), HEADS)
each_agent = pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])


def a_network(agent: str, kind: str = CATEGORICAL, width: int = 16, seed: int = 5) -> Network:
    """One that looks at everything."""
    page, rng = PAGES[agent], np.random.default_rng(seed)

    def layer(outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
        weights = rng.normal(0, 1 / math.sqrt(inputs), (outputs, inputs))
        return weights.astype(np.float32), rng.normal(0, 0.1, outputs).astype(np.float32)

    layers = (layer(width, len(page.names)), layer(page.outputs, width))
    return Network(layers, "relu" if kind in (ARGMAX_Q, TANH_GAUSSIAN) else "tanh", kind)


def seen_of(rows: Rows) -> np.ndarray:
    return Normaliser.of(rows)(rows.observations)


@each_head
def test_all_at_once_a_network_decides_as_the_heads_that_serve(
    agent: str, kind: str, threshold: float | None
) -> None:
    rows, network = made_rows(agent, n=2000), a_network(agent, kind)
    seen = seen_of(rows)
    found = decided(rows.page, kind, network.outputs(seen), threshold)
    np.testing.assert_array_equal(found, actions_of(rows.page, network, seen, threshold))
    assert len(np.unique(found)) > 1


@each_head
def test_importance_is_what_the_gain_falls_by_when_the_column_is_shuffled(
    agent: str, kind: str, threshold: float | None
) -> None:
    rows, network = made_rows(agent, n=150), a_network(agent, kind)
    page, seen = rows.page, seen_of(rows)
    groups = {name: kinds(page.names)[name] for name in ("return_in_vol", "hour", "drawdown")}
    found = {one.name: one for one in importance(rows, seen, network, threshold, groups)}
    before = learned_gain(rows, actions_of(page, network, seen, threshold))
    rng = np.random.default_rng(importances._SEED)
    orders = [rng.permutation(len(rows)) for _ in range(importances.PERMUTATIONS)]
    for name, places in groups.items():
        falls = []
        for order in orders:
            shuffled = seen.copy()
            for place in places:
                for row, other in enumerate(order):
                    shuffled[row, place] = seen[other, place]
            falls.append(
                before - learned_gain(rows, actions_of(page, network, shuffled, threshold))
            )
        assert found[name].columns == tuple(page.names[place] for place in places)
        assert found[name].fall == pytest.approx(np.mean(falls), abs=1e-12)
        assert found[name].spread == pytest.approx(np.std(falls, ddof=1), abs=1e-12)
        # Student's t with nine degrees of freedom, from a table
        most = 2.2622 * np.std(falls, ddof=1) * math.sqrt(1.1)
        assert found[name].beyond_spread == (np.mean(falls) > most)
    assert [one.fall for one in found.values()] == sorted(
        (one.fall for one in found.values()), reverse=True
    )


def test_columns_go_together_that_only_together_mean_something() -> None:
    names = PAGES[PORTFOLIO].names
    one = {name: [names[at] for at in places] for name, places in together(names).items()}
    assert one["hour"] == ["hour_sin", "hour_cos"]
    assert one["playbook"] == ["playbook_breakout", "playbook_pullback", "playbook_mean_reversion"]
    assert one["with_side_ema_distance_8"] == ["with_side_ema_distance_8"]
    kind = {name: [names[at] for at in places] for name, places in kinds(names).items()}
    assert set(kind["ema_slope"]) == {
        "with_side_ema_slope_21_4", "with_side_ema_slope_50_12", "with_side_x4_ema_slope_14_4",
        "with_side_x24_ema_slope_10_3",
    }  # fmt: skip
    for groups in (one, kind):
        assert sorted(name for some in groups.values() for name in some) == sorted(names)


def test_kinds_of_one_column_are_told_as_the_column_is() -> None:
    rows, network = made_rows(GATE, n=150), a_network(GATE)
    seen = seen_of(rows)
    columns = importance(rows, seen, network, 0.5, together(rows.page.names))
    told = by_kind(rows, seen, network, 0.5, columns)
    again = importance(rows, seen, network, 0.5, kinds(rows.page.names))
    assert told == again


def test_a_column_that_counts_stands_out_and_noise_does_only_by_chance() -> None:
    """The network looks at both alike, the outcome hangs on one of them: 40 worlds."""
    page = PAGES[GATE]
    counts, noise = page.place("with_side_rsi_balance_14"), page.place("volume_trend_24")
    matrix = np.zeros((2, len(page.names)), np.float32)
    matrix[0, counts] = matrix[1, noise] = 1.0
    last = np.array([[-1.0, -1.0], [1.0, 1.0]], np.float32)
    network = Network(((matrix, np.zeros(2, np.float32)), (last, np.zeros(2, np.float32))),
                      "tanh", CATEGORICAL)  # fmt: skip
    stood_out = {"counts": 0, "noise": 0}
    for seed in range(40):
        rows = made_rows(GATE, n=400, seed=seed)
        chance = np.random.default_rng(seed + 1000).normal(0, 0.5, len(rows))
        rows = rows.with_outcomes(np.tanh(rows.observations[:, counts]) + chance)
        found = importance(
            rows, seen_of(rows), network, 0.5, {"counts": [counts], "noise": [noise]}
        )
        assert found[0].name == "counts"
        for one in found:
            stood_out[one.name] += one.beyond_spread
    assert stood_out["counts"] == 40
    assert stood_out["noise"] <= 4


@each_agent
def test_calibration_is_the_mean_of_each_tenth_with_errors_by_day(agent: str) -> None:
    rows, network = (
        made_rows(agent, n=230),
        a_network(agent, CLIPPED_GAUSSIAN if agent == PORTFOLIO else CATEGORICAL),
    )
    page, seen = rows.page, seen_of(rows)
    given, score = network.outputs(seen), scores(rows.page, network, seen)
    departures = np.zeros(len(rows), int) if page.is_continuous else departures_of(page, given)
    told = calibration(rows, score, departures)
    assert len(told) == 10
    ranked, start = sorted(range(len(rows)), key=lambda at: score[at]), 0
    for one in told:
        mine = ranked[start : start + one["candidates"]]
        start += one["candidates"]
        assert one["low"] == score[mine[0]] and one["high"] == score[mine[-1]]
        assert one["candidates"] == 23
        days = [int(rows.decided[at]) // (24 * HOUR_MS) for at in mine]
        assert one["days"] == len(set(days))
        figures = {"mean_r": [float(rows.r[at]) for at in mine]}
        if agent != PORTFOLIO:
            base = int(page.baseline)
            figures["leaving_r"] = [
                float(rows.rewards[at, departures[at]] - rows.rewards[at, base]) for at in mine
            ]
        for name, values in figures.items():
            mean = sum(values) / len(values)
            of_days: dict[int, float] = {}
            for day, value in zip(days, values, strict=True):
                of_days[day] = of_days.get(day, 0.0) + value - mean
            g = len(of_days)
            error = math.sqrt(g / (g - 1) * sum(v * v for v in of_days.values())) / len(values)
            assert one[name] == pytest.approx(mean)
            assert one[f"{name}_error"] == pytest.approx(error)
    assert start == len(rows)


def test_equal_scores_are_never_torn_apart() -> None:
    score = np.repeat([0.1, 0.2, 0.9], [100, 60, 40])
    tenth = tenths(score)
    assert {len(np.unique(tenth[score == one])) for one in (0.1, 0.2, 0.9)} == {1}
    assert len(np.unique(tenth)) == 3
    assert len(np.unique(tenths(np.full(50, 0.3)))) == 1


@each_agent
def test_what_would_have_changed_adds_up_to_the_gain_over_the_baseline(agent: str) -> None:
    rows = made_rows(agent, n=300)
    rng = np.random.default_rng(8)
    observations = rows.observations.copy()
    which = rng.integers(0, 4, len(rows))  # the fourth is a playbook that the agent cannot tell
    for at, name in enumerate(("breakout", "pullback", "mean_reversion")):
        observations[:, rows.page.place(f"playbook_{name}")] = which == at
    observations[:, rows.page.place("side")] = rng.choice([-1.0, 1.0], len(rows))
    rows = replace(
        rows.with_observations(observations), symbols=("A", "B"), symbol=rng.integers(0, 2, 300)
    )
    actions = (
        np.round(rng.random(300), 3) if agent == PORTFOLIO
        else rng.integers(0, len(rows.page.actions), 300).astype(float)
    )  # fmt: skip
    told = changes(rows, actions, rng.random(300))
    whole = gains(rows, actions).over_baseline.value * 300
    assert told["gain_r"] == pytest.approx(whole)
    for part in ("choices", "by_playbook", "by_symbol", "by_side"):
        assert sum(one["candidates"] for one in told[part]) == 300
        assert sum(one["gain_r"] for one in told[part]) == pytest.approx(whole)
    assert sum(one["total_r"] for one in told["choices"]) == pytest.approx(rows.r.sum())
    assert sum(one["expert_takes"] for one in told["choices"]) == rows.take.sum()
    assert [one["name"] for one in told["by_playbook"]][-1] == "other"
    shorts = next(one for one in told["by_side"] if one["name"] == "short")
    assert shorts["candidates"] == int((observations[:, rows.page.place("side")] < 0).sum())
    assert shorts["mean_r"] == pytest.approx(
        rows.r[observations[:, rows.page.place("side")] < 0].mean()
    )


def test_the_gate_is_told_by_what_it_skips_and_the_meta_learner_by_what_it_sets_aside() -> None:
    gate = made_rows(GATE, n=100)
    actions = (np.arange(100) % 3 > 0).astype(float)  # skips every third
    skipped, passed = changes(gate, actions, actions)["choices"]
    assert skipped["choice"] == "skipped" and skipped["candidates"] == 34
    assert skipped["mean_r"] == pytest.approx(gate.r[::3].mean())
    asked = np.where(gate.take, gate.r, 0.0) - 0.002
    assert skipped["gain_r"] == pytest.approx(-asked[::3].sum())
    assert passed["gain_r"] == 0.0
    meta = made_rows(META_LEARNER, n=100)
    told = {one["choice"]: one for one in changes(meta, np.full(100, 2.0), actions)["choices"]}
    takes = int(meta.take.sum())
    assert told["kept, a take"]["candidates"] == takes  # to take what the expert takes keeps it
    assert told["overridden to take"]["candidates"] == 100 - takes
    assert told["overridden to skip"]["candidates"] == told["kept, a skip"]["candidates"] == 0
    assert told["overridden to take"]["gain_r"] == pytest.approx((meta.r[~meta.take] - 0.02).sum())


@each_agent
def test_the_calls_named_are_the_ten_that_gained_and_lost_most(agent: str) -> None:
    rows = made_rows(agent, n=300)
    rng = np.random.default_rng(2)
    rows = rows.with_outcomes(rng.normal(0, 1, 300))
    actions = rng.random(300) if agent == PORTFOLIO else np.full(300, 1.0 - rows.page.baseline)
    told = changes(rows, actions, actions)
    gain = {}
    for at in range(300):
        if agent == PORTFOLIO:
            gain[at] = (actions[at] - 1.0) * rows.r[at]
        else:
            left, base = (
                rows.rewards[at, int(actions[at])],
                rows.rewards[at, int(rows.page.baseline)],
            )
            gain[at] = left - base
    best = sorted(gain, key=lambda at: -gain[at])[:10]
    worst = sorted(gain, key=lambda at: gain[at])[:10]
    for part, expected in (("best_calls", best), ("costliest_mistakes", worst)):
        assert [one["candidate_id"] for one in told[part]] == [f"{at:016x}" for at in expected]
        assert [one["gain_r"] for one in told[part]] == pytest.approx([gain[at] for at in expected])
    nothing = changes(rows, np.full(300, rows.page.baseline), actions)
    assert nothing["best_calls"] == nothing["costliest_mistakes"] == []

"""The benchmark as a whole: who is named winner, who is refused, and on what each is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq

from darwin.allocation import strategies
from darwin.allocation.benchmark import OWN_NAMES, Benchmark, benchmark_of
from darwin.allocation.benchmark_settings import BenchmarkSettings, Judged
from darwin.allocation.benchmark_tree import guide_metrics, tree_of
from darwin.allocation.criteria import Verdict
from darwin.allocation.strategies import Plan
from darwin.core.market import DAY_MS
from darwin.core.panel import Panel
from darwin.errors import ConfigError, ModelError
from darwin.trading.book import walk
from tests.benchmark.panels import null_panel, returning

QUICK = BenchmarkSettings(
    cost_bps=5, every=1, windows=3, embargo=2, seeds=4, draws=300, lookback=40, fast=5, slow=20
)


def holding(weights):
    def strategy(panel, rows, book):
        return Plan(rows, np.tile(np.array(weights, dtype=float), (len(rows), 1)))

    return strategy


def judged(strategy, name="agent", **more):
    return Judged.fixed(name, strategy, **more)


def drifting(seed=0, days=600, assets=4) -> Panel:
    """A null world but for its first asset, which rises steadily."""
    rng = np.random.default_rng([11, seed])
    moved = 0.01 * rng.standard_normal((days, assets))
    moved[:, 0] += 0.004
    return returning(moved)


@pytest.mark.slow
def test_an_agent_that_knows_what_rises_wins_and_passes():
    told = benchmark_of(drifting(), judged(holding([1, 0, 0, 0])), QUICK)
    assert told.winner == "agent"
    assert told.standing("agent").p_value < 0.05
    assert "better than each of the others" in told.why
    assert {one.name: one.held for one in told.criteria} == {
        "sharpe_ratio": True, "max_drawdown": True, "win_rate": True, "beats_buy_and_hold": True,
    }  # fmt: skip
    assert told.verdict is Verdict.PASSED


def test_a_benchmark_may_win_and_then_the_agent_is_refused():
    told = benchmark_of(drifting(), judged(holding([0, 0, 0, 1])), QUICK)
    assert told.winner == "buy_and_hold"
    assert told.verdict is Verdict.REFUSED


def test_who_does_the_same_as_a_rival_wins_nothing():
    told = benchmark_of(drifting(), judged(strategies.equal_weight), QUICK)
    assert told.standing("agent").p_value == told.standing("equal_weight").p_value == 1.0
    assert told.winner != "agent"
    assert told.verdict is not Verdict.PASSED


def test_the_best_of_losers_is_no_winner():
    moved = 0.02 * np.random.default_rng(13).standard_normal((600, 4)) - 0.02
    moved[:, 0] += 0.019
    after_a_rise = replace(QUICK, fast=1, slow=2)
    told = benchmark_of(returning(moved), judged(holding([1, 0, 0, 0])), after_a_rise)
    assert told.standing("agent").figures.sharpe_ratio.value < 0.5
    assert told.standing("agent").p_value < 0.05
    assert told.winner is None and "not above zero" in told.why


def test_who_rises_as_all_others_do_is_no_winner():
    rng = np.random.default_rng(12)
    rising = returning(0.004 + 0.01 * rng.standard_normal((600, 1)) * np.ones((1, 4)))
    told = benchmark_of(rising, judged(holding([1, 0, 0, 0])), QUICK)
    assert told.standing("agent").figures.sharpe_ratio.low > 0.0
    assert told.winner is None and "is it shown" in told.why


def test_alone_the_benchmarks_are_judged_among_themselves():
    told = benchmark_of(null_panel(1), None, QUICK)
    assert [one.name for one in told.standings] == list(OWN_NAMES[:6])
    assert (told.judged, told.verdict, told.criteria, told.over_hold) == (None, None, (), None)
    one = benchmark_of(null_panel(1, assets=1), None, QUICK)
    assert [s.name for s in one.standings] == [*OWN_NAMES[:4], "flat"]
    assert one.standing("flat").figures.total_return.value == 0.0


def with_the_guides_figures(days: int, test: int) -> Panel:
    """One asset whose test returns −44.9 % with a Sharpe ratio of −1.48, and one that stands."""
    rng = np.random.default_rng(52)
    noise = rng.standard_normal(test)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    mean = -1.48 / np.sqrt(365)  # in standard deviations
    size = brentq(lambda s: np.log1p(s * (noise + mean)).sum() - np.log(1 - 0.449), 1e-4, 0.2)
    before = 0.01 * rng.standard_normal(days - test)
    calm = 0.002 * rng.standard_normal(days)
    return returning(np.column_stack([np.concatenate([before, size * (noise + mean)]), calm]))


@pytest.mark.parametrize("test", [120, 250, 365])
def test_an_agent_with_the_figures_of_the_guides_is_refused(test):
    panel = with_the_guides_figures(test + 201, test)
    free = BenchmarkSettings(
        cost_bps=0, every=1, windows=1, embargo=2, seeds=4, draws=300, lookback=40, fast=5, slow=20,
        test_from=int(panel.time[200]),
    )  # fmt: skip
    told = benchmark_of(panel, judged(holding([1, 0])), free)
    figures = told.standing("agent").figures
    assert figures.total_return.value == pytest.approx(-0.449, abs=1e-6)
    assert figures.sharpe_ratio.value == pytest.approx(-1.48, abs=1e-6)
    assert figures.max_drawdown.value < -0.449
    assert told.winner != "agent"
    assert not any(one.held for one in told.criteria)
    assert told.verdict is Verdict.REFUSED


def test_a_model_that_has_seen_the_test_is_refused():
    panel = null_panel(1)
    start = int(panel.time[300])
    for until, is_refused in ((start - 2 * DAY_MS, False), (start - 2 * DAY_MS + 1, True)):
        settings = BenchmarkSettings(
            every=10, windows=1, embargo=2, seeds=1, draws=100, lookback=40, test_from=start
        )
        agent = judged(holding([0, 0, 0, 1]), trained_until=until)
        if is_refused:
            with pytest.raises(ModelError, match=r"has seen bars to .* too late for a test"):
                benchmark_of(panel, agent, settings)
        else:
            benchmark_of(panel, agent, settings)


def test_an_agent_is_made_for_each_window_from_earlier_bars_alone():
    panel, made = null_panel(2), []

    def policy_for(train, seed):
        def strategy(seen, rows, book):
            made.append((seed, int(train.time[-1]), int(rows[0]), int(rows[-1]), len(seen)))
            assert seen.time[rows[0]] - train.time[-1] > QUICK.embargo * DAY_MS
            assert len(seen) == rows[-1] + 1 or len(seen) == rows[-1] + 2
            return holding([0.25] * 4)(seen, rows, book)

        return strategy

    told = benchmark_of(panel, Judged("agent", policy_for, seeds=2), QUICK)
    assert [one[0] for one in made] == [0, 0, 0, 1, 1, 1]
    first = [(one[2], one[3]) for one in made[:3]]
    assert first[0][0] == told.course.start == 300
    assert first[-1][1] == len(panel) - 2
    assert first[0][1] + 1 == first[1][0]
    assert told.standing("agent").books == 2


def test_a_book_goes_on_from_window_to_window():
    panel, books = null_panel(3), []

    def strategy(seen, rows, book):
        books.append((int(rows[0]), book))
        return Plan(rows[:1], np.array([[0.5, 0.5, 0, 0]]))

    told = benchmark_of(panel, judged(strategy), QUICK)
    assert books[0][1].weights == (0.0,) * 4
    rows = np.array([row for row, _ in books]) - told.course.start
    whole = walk(
        panel.slice(told.course.start, len(panel)), rows, np.tile([0.5, 0.5, 0, 0], (3, 1)), 5e-4
    )
    for (_, book), row in zip(books[1:], rows[1:], strict=True):
        assert_allclose(book.weights, whole.weights[row])
        assert book.value == pytest.approx(whole.value[row])
        asked = rows[rows <= row]
        assert book.peak == pytest.approx(whole.value[asked].max())
        assert book.entry == 1.0  # nothing was turned since the first decision
    assert_allclose(told.standing("agent").value, whole.value)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (lambda panel, rows: Plan(rows + 1, np.zeros((len(rows), 4))), "not asked"),
        (lambda panel, rows: Plan(rows[::-1], np.zeros((len(rows), 4))), "not asked"),
        (lambda panel, rows: Plan(rows, np.full((len(rows), 4), np.nan)), "no numbers"),
        (lambda panel, rows: Plan(rows, np.zeros((len(rows), 2))), "of shape"),
        (lambda panel, rows: Plan(rows, np.full((len(rows), 4), 5.0)), "more than 10 times"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(plan, told):
    with pytest.raises(ModelError) as refused:
        benchmark_of(null_panel(1), judged(lambda panel, rows, book: plan(panel, rows)), QUICK)
    assert told in str(refused.value)


def test_an_agent_may_not_take_the_name_of_a_benchmark():
    with pytest.raises(ConfigError, match="is a benchmark itself"):
        benchmark_of(null_panel(1), judged(holding([1, 0, 0, 0]), "random"), QUICK)


@pytest.mark.parametrize(
    "wrong", [{"every": 0}, {"cost_bps": float("nan")}, {"fast": 20, "slow": 20}, {"draws": 1}]
)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ConfigError, match="cannot be run with that"):
        BenchmarkSettings(**wrong)


def test_without_the_package_no_winner_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    told = benchmark_of(drifting(), judged(holding([1, 0, 0, 0])), QUICK)
    assert told.winner is None
    assert 'pip install -e ".[report]"' in told.why
    assert tree_of(told)["strategies"]["agent"]["p_value"] is None
    assert told.verdict is Verdict.UNDECIDED


def test_too_few_days_say_nothing():
    panel = null_panel(1, 40)
    told = benchmark_of(panel, judged(holding([1, 0, 0, 0])), QUICK)
    assert told.winner is None and "too few" in told.why
    assert all(one.held is None for one in told.criteria)


def test_the_same_seed_gives_the_same_tree():
    one, two = (tree_of(benchmark_of(null_panel(4), None, QUICK)) for _ in range(2))
    assert one == two


def test_the_answer_of_the_guides_holds_every_key():
    told = benchmark_of(drifting(), judged(holding([1, 0, 0, 0])), QUICK)
    answer = guide_metrics(told)
    for key in ("rl_v3_metrics", "buy_hold_metrics", "moving_avg_metrics", "random_metrics"):
        assert set(answer[key]) == {
            "total_return", "sharpe_ratio", "max_drawdown", "win_rate", "avg_return", "intervals"
        }  # fmt: skip
        assert set(answer[key]["intervals"]) == set(answer[key]) - {"intervals"}
    assert answer["winner"] == "RL v3"
    alone = guide_metrics(benchmark_of(null_panel(4), None, QUICK))
    assert alone["rl_v3_metrics"] is None and alone["winner"] is None


def chance_agent(seed):
    return judged(strategies.random_weights(np.random.default_rng([99, seed])))


def of_null_world(seed) -> Benchmark:
    return benchmark_of(null_panel(100 + seed), chance_agent(seed), QUICK)


@pytest.mark.slow
def test_where_nothing_can_be_known_nobody_wins():
    assert [of_null_world(seed).winner for seed in range(3)] == [None] * 3


@pytest.mark.sweep
def test_of_twenty_null_worlds_at_most_one_has_a_winner():
    won = [told.winner for told in map(of_null_world, range(20)) if told.winner is not None]
    assert len(won) <= 1


def test_costs_only_lower_what_trades():
    cheap, dear = (
        benchmark_of(null_panel(5), None, BenchmarkSettings(
            cost_bps=cost, every=2, windows=1, embargo=2, seeds=3, draws=100, lookback=40, slow=60,
        )) for cost in (0, 50)
    )  # fmt: skip
    for one, two in zip(cheap.standings, dear.standings, strict=True):
        assert one.figures.total_return.value >= two.figures.total_return.value
        assert_array_equal(one.value.shape, two.value.shape)

"""What a report says of twins: differences that add up, their intervals, the page, the file."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darwin.cli.report_files import TWINS, names, write_report
from darwin.cli.report_page import page
from darwin.core.market import FloatArray
from darwin.engine.report import Report, report
from darwin.engine.report_curves import curves
from darwin.engine.report_paired import FEWEST_DAYS, FEWEST_DAYS_APART
from darwin.engine.result import RunResult
from darwin.engine.twins import Twin, Twins
from darwin.testing.builders import make_bars, make_result

AGENTS = ("gate", "meta_learner", "portfolio")
HOURS = 24 * 200


def moved(result: RunResult, daily_usd: FloatArray) -> RunResult:
    """The same run, whose account earned so much more at noon of each day."""
    noon = np.zeros(len(result.equity.time))
    noon[12::24] = daily_usd
    equity = replace(result.equity, equity=result.equity.equity + np.cumsum(noon))
    return replace(result, equity=equity, orders=result.orders[1:])


def gains(mean: float, seed: int, days: int = HOURS // 24, spread: float = 5.0) -> FloatArray:
    return np.random.default_rng(seed).normal(mean, spread, days)


def told(hours: int = HOURS, **daily_usd: FloatArray) -> Report:
    """A run against whose twin without agents every agent alone earned so much more a day."""
    without = make_result(make_bars(hours, volatility=0.002))
    alone = {agent: moved(without, daily_usd[agent]) for agent in AGENTS}
    result = moved(without, daily_usd["run"])
    changed = dict.fromkeys(AGENTS, 7)
    each = {agent: Twin(one) for agent, one in alone.items()}
    return report(result, "x", twins=Twins(changed, Twin(without), each, True))


@pytest.fixture(scope="module")
def usual() -> Report:
    return usual_report()


def usual_report() -> Report:
    """The gate earns, the portfolio agent changes nothing, nobody can tell what the third does."""
    days = HOURS // 24
    return told(
        gate=gains(2.0, 1), meta_learner=gains(0.0, 2), portfolio=np.zeros(days), run=gains(1.0, 3)
    )


def value(difference: dict[str, Any], of: str = "usd") -> float:
    return float(difference[of]["value"])


def test_what_each_brought_and_what_they_did_to_each_other_add_up(usual: Report) -> None:
    twins = usual.metrics["twins"]
    for of in ("usd", "total_return"):
        parts = [value(one, of) for one in twins["contributions"].values()]
        whole = value(twins["accounts"]["without_agents"]["run_minus"], of)
        assert sum(parts) + value(twins["interaction"], of) == pytest.approx(whole)
        assert abs(value(twins["interaction"], of)) > 0


def test_a_difference_is_the_one_between_the_accounts_at_the_end(usual: Report) -> None:
    accounts = usual.metrics["twins"]["accounts"]
    assert set(accounts) == {"run", "without_agents", *AGENTS}
    for name in accounts.keys() - {"run"}:
        apart = accounts[name]["run_minus"]
        for of, figure in (
            ("usd", "final_equity_usd"),
            ("total_return", "total_return"),
            ("sharpe_ratio", "sharpe_ratio"),
        ):
            expected = accounts["run"][figure] - accounts[name][figure]
            assert value(apart, of) == pytest.approx(expected, abs=1e-9)
    contribution = usual.metrics["twins"]["contributions"]["gate"]
    gate, without = accounts["gate"], accounts["without_agents"]
    assert value(contribution) == pytest.approx(
        gate["final_equity_usd"] - without["final_equity_usd"]
    )
    assert value(contribution, "sharpe_ratio") == pytest.approx(
        gate["sharpe_ratio"] - without["sharpe_ratio"], abs=1e-9
    )


def test_the_figures_of_the_run_are_those_at_the_top(usual: Report) -> None:
    m = usual.metrics
    for figure, number in m["twins"]["accounts"]["run"].items():
        if figure in m:
            assert number == m[figure]
    assert m["twin"]["total_return"] == m["twins"]["accounts"]["without_agents"]["total_return"]


def test_a_gain_on_every_day_is_told_from_luck_and_one_by_chance_is_not(usual: Report) -> None:
    contributions = usual.metrics["twins"]["contributions"]
    assert contributions["gate"]["usd"]["low"] > 0
    lucky = contributions["meta_learner"]["usd"]
    assert lucky["low"] < 0 < lucky["high"]


def test_an_interval_of_a_sum_of_independent_days_is_the_textbooks() -> None:
    earned = gains(0.0, 11)
    flat = np.zeros(len(earned))
    found = told(gate=flat, meta_learner=flat, portfolio=flat, run=earned).metrics["twins"]
    apart = found["accounts"]["without_agents"]["run_minus"]["usd"]
    half = 1.96 * earned.std() * np.sqrt(len(earned))
    assert (apart["high"] - apart["low"]) / 2 == pytest.approx(half, rel=0.15)
    assert apart["low"] < apart["value"] < apart["high"]


def test_what_the_market_did_to_both_accounts_is_no_part_of_the_interval() -> None:
    """A hundredth of a cent every day, in a market that moves the account by dollars."""
    little, flat = np.full(HOURS // 24, 1e-4), np.zeros(HOURS // 24)
    little[::2] *= 3.0
    found = told(gate=little, meta_learner=flat, portfolio=flat, run=little).metrics["twins"]
    assert found["contributions"]["gate"]["usd"]["low"] > 0.0


def test_an_account_that_never_parts_from_the_other_differs_by_exactly_nothing(
    usual: Report,
) -> None:
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0}
    found = usual.metrics["twins"]["contributions"]["portfolio"]
    assert found == {
        "days_apart": 0, "usd": nothing, "total_return": nothing, "sharpe_ratio": nothing
    }  # fmt: skip


@pytest.mark.parametrize(
    ("days", "apart", "known"),
    [
        (FEWEST_DAYS, FEWEST_DAYS, True),
        (FEWEST_DAYS - 1, FEWEST_DAYS - 1, False),
        (60, FEWEST_DAYS_APART, True),
        (60, FEWEST_DAYS_APART - 1, False),
    ],
)
def test_of_few_days_there_is_a_difference_and_no_interval(
    days: int, apart: int, known: bool
) -> None:
    earned = np.zeros(days)
    earned[:apart] = gains(0.0, 4, apart)
    same = dict.fromkeys((*AGENTS, "run"), earned)
    made = told(24 * days, **same)
    found = made.metrics["twins"]["accounts"]["without_agents"]["run_minus"]
    assert found["days_apart"] == apart
    assert found["usd"]["value"] == pytest.approx(earned.sum())
    assert (found["usd"]["low"] is not None) == known
    assert ("too few days to tell" in " ".join(made.metrics["verdict"])) != known


def test_dollars_that_only_rounding_makes_are_no_difference() -> None:
    dust = np.full(HOURS // 24, 1e-9)
    same = dict.fromkeys((*AGENTS, "run"), dust)
    found = told(**same).metrics
    assert found["twins"]["accounts"]["without_agents"]["run_minus"]["days_apart"] == 0
    assert any("left no trace in the account" in said for said in found["verdict"])


@pytest.mark.parametrize(
    ("mean", "says"),
    [
        (3.0, "more than its twin without them"),
        (3.0, ": more than luck explains, on this data; one run is no evidence of skill."),
        (-3.0, "less than its twin without them"),
        (-3.0, ": more surely than luck explains; one run is no evidence of skill."),
        (0.0, ": luck explains that."),
    ],
)
def test_the_verdict_says_whether_the_difference_may_be_luck(mean: float, says: str) -> None:
    same = {name: gains(mean, 11) for name in (*AGENTS, "run")}
    [said] = [one for one in told(**same).metrics["verdict"] if one.startswith("With its agents")]
    assert says in said


def unchanged() -> Report:
    result = make_result(make_bars(HOURS, volatility=0.002))
    itself = Twin(result, is_run=True)
    changed = dict.fromkeys(AGENTS, 0)
    twins = Twins(changed, itself, dict.fromkeys(AGENTS, itself), True)
    return report(result, "x", twins=twins)


def test_where_no_size_was_changed_the_twins_are_the_run_and_no_days_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def draws(*what: object) -> None:
        raise AssertionError("nothing differs")

    monkeypatch.setattr("darwin.engine.report_paired.resampled_sums", draws)
    m = unchanged().metrics
    assert m["twin"] is None
    assert m["twins"]["equal"] is True
    accounts = m["twins"]["accounts"]
    assert all(one["is_run"] for one in accounts.values())
    figures = [{k: v for k, v in one.items() if k != "run_minus"} for one in accounts.values()]
    assert figures == [figures[0]] * 5
    assert not any("twin" in said for said in m["verdict"])


def test_without_agents_there_are_no_twins() -> None:
    m = report(make_result(), "x").metrics
    assert (m["twin"], m["twins"]) == (None, None)


def test_twins_csv_holds_every_account_at_the_end_of_each_day(
    usual: Report, tmp_path: Path
) -> None:
    write_report(tmp_path, usual)
    assert {one.name for one in tmp_path.iterdir()} == set(names(agents=True))
    with (tmp_path / TWINS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["day", "run", "without_agents", *AGENTS]
    assert [rows[0]["day"], rows[1]["day"]] == ["2024-01-01", "2024-01-02"]
    last = usual.sampling.days.last
    assert [float(row["run"]) for row in rows] == usual.result.equity.equity[last].tolist()
    assert usual.twins is not None
    gate = usual.twins.alone["gate"].result.equity.equity
    assert [float(row["gate"]) for row in rows] == gate[last].tolist()
    accounts = usual.metrics["twins"]["accounts"]
    for name, one in accounts.items():
        assert float(rows[-1][name]) == one["final_equity_usd"]


def test_the_same_report_twice_is_the_same_bytes(usual: Report, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert usual.twins is not None
        write_report(tmp_path / name, report(usual.result, "x", twins=usual.twins))
    for name in names(agents=True):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_equity_is_drawn_against_the_twin_and_what_was_added_day_by_day(usual: Report) -> None:
    plots = curves(usual)
    assert [one["name"] for one in plots["equity"]["series"]][:2] == ["run", "without_agents"]
    added = plots["added"]
    assert [one["name"] for one in added["series"]] == ["run", "gate", "meta_learner"]
    whole = value(usual.metrics["twins"]["accounts"]["without_agents"]["run_minus"])
    assert added["series"][0]["values"][-1] == pytest.approx(whole, rel=1e-5)
    assert added["x"][-1] == np.datetime64("2024-07-19", "s").astype(int)
    assert "added" not in curves(unchanged())
    assert "without_agents" not in [one["name"] for one in curves(unchanged())["equity"]["series"]]


def test_the_page_tells_of_the_twins_in_words(usual: Report) -> None:
    html = page(beside_panel(usual))
    for words in (
        "What the agents were worth to this account", "Gate alone", "Without agents",
        "What they did to each other", "All agents together", "7 times (gate)",
        'data-plot="added"',
    ):  # fmt: skip
        assert words in html
    html = page(beside_panel(unchanged()))
    assert "is therefore this run itself" in html
    assert "What they did to each other" not in html


def test_the_page_counts_what_nobody_could_be_asked_and_names_models_that_are_gone(
    usual: Report,
) -> None:
    assert usual.twins is not None
    bereft = replace(usual.twins.alone["gate"], not_known=3, missing_models=("gate 2026_<b>",))
    twins = replace(usual.twins, alone={**usual.twins.alone, "gate": bereft})
    html = page(beside_panel(report(usual.result, "x", twins=twins)))
    assert "Gate alone: 3 candidates came up on which this run never heard the expert" in html
    assert "gate 2026_&lt;b&gt; could not be had any more" in html


def beside_panel(made: Report) -> Report:
    """Twins stand in the panel of agents, which a run that nobody decided in has not."""
    counted = dict.fromkeys(("decisions", "advised", "followed"), 7)
    shares = dict.fromkeys(("agreement", "saved_calls", "miss_rate"), 0.5)
    spared = dict.fromkeys(("spared_calls", "saved_usd", "missed_r"), 0)
    one = counted | shares | spared | {"would_change_r": 0.0, "versions": [], "reasons": {}}
    return replace(made, metrics=made.metrics | {"agents": {"gate": one}})

"""A run whose entries a risk manager sizes: fed as replayed, verified, replayed, explained."""

from __future__ import annotations

import re

import pytest

from tests.run.command import Desk

pytestmark = pytest.mark.slow

SIZED = {
    "sizing": "risk_manager",
    "risk_per_trade": 0.02,
    "risk_manager": {"hedge_threshold": 0.01, "hedge_part_of_excess": 5, "volatility_bars": 72},
}


@pytest.mark.sweep
def test_fed_and_replayed_it_leaves_the_same_bytes_and_tells_its_figures(desk: Desk) -> None:
    config = desk.config(portfolio=SIZED, market={"bars": 1500})
    for run_id, mode in (("small", []), ("fed", ["--feed"])):
        done = desk.darwin("run", config, "--set", f"run_id={run_id}", *mode)
        assert done.returncode == 0, done.stderr
    assert desk.export("fed") == desk.export("small") != ""
    assert desk.darwin("verify", "fed").returncode == 0
    assert desk.darwin("replay", "small").returncode == 0
    orders = desk.ask(
        "SELECT candidate_id, units, price, clipped_by FROM orders"
        " WHERE run_id = 'small' AND kind = 'submitted'"
    )
    figures = [re.findall(r"(\d+\.\d{4})(?=[,;]|$)", told) for *_, told in orders]
    assert len(figures) > 20 and all(len(one) == 3 for one in figures)
    assert any(float(hedge) > 0.0 for _, _, hedge in figures)
    at = next(i for i, (_, _, hedge) in enumerate(figures) if float(hedge) > 0.0)
    done = desk.darwin("why", f"{orders[at][0]}", "--run", "small")
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    volatility, leverage, hedge = figures[at]
    assert f"by risk manager: volatility {volatility}, leverage {leverage}, hedge {hedge}" in shown


@pytest.mark.parametrize(("target", "told"), [(0.3, True), (0.2, False)])
def test_a_risk_manager_that_sizes_nothing_is_told_of(
    target: float, told: bool, desk: Desk
) -> None:
    config = desk.config(portfolio={"risk_manager": {"target_volatility": target}})
    done = desk.darwin("run", config, "--set", "market.bars=600")
    assert done.returncode == 0, done.stderr
    assert ("nothing of risk_manager is read" in done.stderr) is told

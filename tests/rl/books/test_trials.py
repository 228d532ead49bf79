"""Each network of an agent of books is on record before its test is looked at, and is paid for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from darwin.allocation.market import MARKET_PAGE
from darwin.allocation.reward import RETURN_ALONE
from darwin.cli.main import darwin
from darwin.core.rebalance import MARKET
from darwin.data.planted_book import PlantedBook
from darwin.errors import StorageError
from darwin.rl.training.book_ground import Stretch, Terms, ground_of
from darwin.rl.training.book_judge import lead_sharpe
from darwin.rl.training.book_recipes import book_recipe
from darwin.rl.training.trials import Trial

pytest.importorskip("stable_baselines3")
from darwin.rl.training.book_course import BookCourse, BookPlan, run_book_course

pytestmark = pytest.mark.slow
TRAIN = ("market", "train", "--bars", "2600", "--episodes", "4", "--length", "50",
         "--output-dir", "out", "--by", "Ada")  # fmt: skip


def told(*words: str) -> Any:
    result = CliRunner().invoke(darwin, (*words, "--json"), standalone_mode=False)
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def test_a_second_network_makes_the_first_less_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DARWIN__ARTIFACTS_DIR", raising=False)
    alone = told(*TRAIN)["trials"]
    assert alone["trials"] == 1 and alone["expected_maximum_per_day"] == 0.0
    told(*TRAIN, "--seed", "1")
    again = told(*TRAIN)["trials"]  # the same network: a row more, and nothing more to choose from
    kept = told("rl", "trials", "market")
    assert [(one["seed"], one["by"], one["finished"]) for one in kept] == [
        (0, "Ada", True), (1, "Ada", True), (0, "Ada", True),
    ]  # fmt: skip
    assert again["trials"] == 2 and again["per_day"] == alone["per_day"]
    ratios = [one["sharpe"] for one in kept[:2]]
    assert again["variance_of_trials"] == pytest.approx(np.var(ratios, ddof=1))
    assert again["deflated"] < alone["deflated"]
    assert again["told"] in (tmp_path / "out" / "report.html").read_text().replace("−", "-")
    table = CliRunner().invoke(darwin, ("rl", "trials", "market")).output
    assert "reward" in table and "2 different networks" in table


def course(**more: Any) -> BookCourse:
    recipe = replace(book_recipe(MARKET), hidden=(8,), batch=512)
    plan = BookPlan(recipe, 60, Terms(1, 0.0005, RETURN_ALONE), length=100)
    return run_book_course(MARKET_PAGE, PlantedBook(1, 2_600, 1, 1.0).panel(), plan, **more)


def test_leads_that_last_for_days_count_as_fewer_days() -> None:
    page, panel = MARKET_PAGE, PlantedBook(1, 2_600, 1, 1.0).panel()
    whole = Stretch(page.warmup, len(panel) - 1)
    ground = ground_of(page, panel, whole, Terms(1, 0.0))
    rows = whole.rows(1)
    chance = np.random.default_rng(4).standard_normal(len(rows) // 24 + 1)
    lasting = np.convolve(chance, np.ones(4), "same")
    counted = []
    for mood in (chance, lasting):  # knows the next bar, and by how much it is heard hangs on days
        knows = np.sign(panel.close[rows + 1] - panel.open[rows + 1])
        held = 0.3 * np.tanh(np.repeat(mood, 24)[: len(rows), None]) * knows
        counted.append(lead_sharpe(ground, whole, rows, held))
    assert counted[0].days == counted[1].days > 90
    assert counted[1].effective_days < 0.7 * counted[0].effective_days


def test_a_training_that_was_stopped_after_a_look_is_on_record() -> None:
    noted: list[Trial] = []

    def stop(steps: int, look: Any) -> None:
        if look is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        course(tell=stop, note=noted.append)
    assert [(one.agent_name, one.finished, one.sharpe) for one in noted] == [(MARKET, False, None)]
    assert noted[0].rows_from < noted[0].test_from < noted[0].rows_until


def test_what_cannot_be_put_on_record_has_no_test() -> None:
    def refuse(trial: Trial) -> None:
        raise StorageError("the disk is full", where="state.sqlite")

    with pytest.raises(StorageError, match="the disk is full"):
        course(note=refuse)

"""`darwin allocation evaluate`: which bars are evidence, and whose terms they are read by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from darwin.cli.main import darwin
from darwin.core.market import Bars
from darwin.data.convert import bar_frame, write_whole
from darwin.errors import ConfigError, DataError
from tests.benchmark.panels import HOUR, returning
from tests.benchmark.test_benchmark_command import SYMBOLS, model

BEFORE, AFTER = "2019-12-31T00:00:00Z", "2020-04-30T00:00:00Z"


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, with 120 days in which the asset that the model holds drifts up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DARWIN__ARTIFACTS_DIR", raising=False)
    (tmp_path / "data").mkdir()
    noise = 0.004 * np.random.default_rng(5).standard_normal((2880, 2))
    panel = returning(noise + np.array([0.001, 0.0]), HOUR)
    for at, symbol in enumerate(SYMBOLS):
        prices = (one[:, at] for one in (panel.open, panel.high, panel.low, panel.close))
        bars = Bars(symbol, panel.timeframe, panel.time, *prices, np.ones(len(panel)))
        write_whole(bar_frame(bars), tmp_path / "data" / f"{symbol.replace('/', '')}-1h.parquet")


def evaluated(end: str | None, *words: str) -> Result:
    if not Path("m").exists():
        model(Path("m"), end=end)
    line = ("allocation", "evaluate", "--model", "m", "--data", "data", *words)
    return CliRunner().invoke(darwin, line, standalone_mode=False)


def told(result: Result) -> Any:
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def test_a_lead_on_later_bars_is_evidence_and_wants_no_bars_to_train_on() -> None:
    found = evaluated(BEFORE, "--test-from", "2020-01-08", "--json")
    assert told(found)["held_out"]["from"] == "2020-01-08T01:00:00Z"
    assert found.return_value == 0 and told(found)["learned"] is True
    assert told(found)["verdict"].startswith("Learned:")


@pytest.mark.parametrize(("end", "why"), [(AFTER, "prove little"), (None, "until when")])
def test_a_lead_on_bars_that_may_have_been_known_is_inconclusive(end: str | None, why: str) -> None:
    found = evaluated(end, "--test-from", "2020-01-08", "--json")
    tree = told(found)
    assert found.return_value == 11
    assert tree["bars_were_known"] is True and tree["learned"] is False
    assert tree["verdict"].startswith("A lead on known bars:") and why in tree["verdict"]
    page = Path("artifacts/rl_evaluations/allocator/report.html").read_text("utf-8")
    assert why in page


def test_bars_of_another_length_are_not_the_model_s() -> None:
    result = evaluated(BEFORE, "--timeframe", "4h")
    assert isinstance(result.exception, ConfigError)
    assert "trained on bars of 1h" in str(result.exception)


def test_too_few_held_out_bars_are_named_as_such() -> None:
    result = evaluated(BEFORE, "--test-from", "2020-04-01")
    assert isinstance(result.exception, DataError)
    assert "too few for test" in str(result.exception)

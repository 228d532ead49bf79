"""`darwin allocation` and `darwin market` from outside: files, exit codes, words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from darwin.cli.main import darwin
from darwin.core.market import Bars
from darwin.core.rebalance import MARKET
from darwin.data.convert import bar_frame, write_whole
from darwin.data.planted_book import PlantedBook
from darwin.errors import ConfigError, DataError, ModelError
from darwin.rl.serving.validation import validate_files
from darwin.rl.training.experience_file import write_experiences
from tests.rl.books.test_experiences import recorded

pytest.importorskip("stable_baselines3")
SMALL = ("--bars", "2600", "--episodes", "8", "--length", "50")


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DARWIN__ARTIFACTS_DIR", raising=False)


def ran(*words: str) -> Result:
    return CliRunner().invoke(darwin, words, standalone_mode=False)


def refused(kind: type[Exception], *words: str) -> str:
    result = ran(*words)
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def told(result: Result) -> Any:
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


@pytest.mark.slow
def test_what_found_nothing_writes_its_report_and_hands_nothing_over(tmp_path: Path) -> None:
    words = ("allocation", "train", *SMALL, "--assets", "3", "--edge", "0", "--output-dir", "out")
    result = ran(*words, "--json")
    assert result.return_value == 10
    tree = told(result)
    assert tree["learned"] is False and tree["version"] is None and tree["synthetic"] is True
    assert tree["verdict"].startswith("Nothing learnable found")
    assert [one["name"] for one in tree["figures"]] == ["allocator", "equal weight"]
    assert tree["terms"]["reward"]["cost"] == 10.0
    assert not (tmp_path / "artifacts" / "rl_models").exists()
    kept = json.loads((tmp_path / "out" / "report.json").read_text())
    assert kept["verdict"] == tree["verdict"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert (
        page.count("<svg") >= 3
        and "http" not in page.replace("http://www.w3.org", "").split("<main")[1].split("</main")[0]
    )
    assert "were generated" in page
    files = {one.name: one.read_bytes() for one in (tmp_path / "out" / "model").iterdir()}
    assert set(files) == {"spec.json", "weights.safetensors"}


@pytest.mark.slow
def test_a_model_is_evaluated_on_files_as_it_was_judged(tmp_path: Path) -> None:
    panel = PlantedBook(2, 2_600, 3, 1.0).panel()
    data = tmp_path / "data"
    data.mkdir()
    for at, name in enumerate(("AAA", "BBB")):
        prices = (one[:, at] for one in (panel.open, panel.high, panel.low, panel.close))
        bars = Bars(f"{name}/USDT", panel.timeframe, panel.time, *prices, np.ones(len(panel)))
        write_whole(bar_frame(bars), data / f"{name}USDT-1h.parquet")
    where = ("--data", "data", "--symbols", "AAA/USDT,BBB/USDT")
    trained = told(ran("allocation", "train", *where, "--episodes", "8", "--length", "50",
                       "--output-dir", "out", "--json", "--every", "2"))  # fmt: skip
    assert trained["synthetic"] is False
    found = told(ran("allocation", "evaluate", "--model", "out/model", "--data", "data", "--json"))
    assert found["bars_were_known"] is True
    for one, other in zip(found["figures"], trained["figures"], strict=True):
        assert one["total_return"] == pytest.approx(other["total_return"], rel=1e-6)
    assert (tmp_path / "artifacts/rl_evaluations/allocator/report.html").is_file()


@pytest.mark.slow
def test_a_position_is_trained_from_a_replay_buffer(tmp_path: Path) -> None:
    write_experiences(tmp_path / "seen.npz", recorded())
    result = ran("market", "train", *SMALL, "--experiences", "seen.npz", "--output-dir", "out",
                 "--json")  # fmt: skip
    tree = told(result)
    assert [one["name"] for one in tree["figures"]] == ["market", "flat", "buy and hold"]
    assert np.isfinite(tree["figures"][0]["total_return"])
    files = {one.name: one.read_bytes() for one in (tmp_path / "out" / "model").iterdir()}
    spec = json.loads(files["spec.json"])
    assert spec["agent"] == MARKET and spec["book"]["symbols"] == ["P000/USDT:SYNTH"]
    if spec["held_out"]["gain"] < 0.0:
        with pytest.raises(ModelError, match=r"whatever it sees|held-out"):
            validate_files(MARKET, files)


@pytest.mark.parametrize(
    ("kind", "words", "says"),
    [
        (ConfigError, ("allocation", "train", "--algo", "dqn"), "cannot be trained with dqn"),
        (ConfigError, ("market", "train", "--algo", "sac"), "cannot be trained with sac"),
        (ConfigError, ("allocation", "train", "--symbols", "BTC/USDT"), "bars from files"),
        (ConfigError, ("allocation", "train", "--data", "none"), "want symbols"),
        (DataError, ("allocation", "train", "--data", "none", "--symbols", "BTC/USDT"), ""),
        (ConfigError, ("allocation", "train", "--data", "none", "--symbols", "AA/USD,AAUSD"),
         "the same instrument"),
        (ConfigError, ("allocation", "train", "--data", "none", "--symbols", "AA/USD,AA/USD"),
         "the same instrument"),
        (DataError, ("allocation", "train", "--bars", "600"), "too few"),
        (ConfigError, ("allocation", "train", "--resume", "--bars", "2600"), "was begun here"),
        (DataError, ("market", "train", "--experiences", "none.npz"), "no file of experiences"),
        (ModelError, ("allocation", "evaluate", "--model", "nothing"), ""),
        (ConfigError, ("allocation", "benchmark", "--data", "none", "--symbols", "AA/USD,AAUSD"),
         "the same instrument"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_words(
    kind: type[Exception], words: tuple[str, ...], says: str
) -> None:
    assert says in refused(kind, *words)


@pytest.mark.parametrize("word", ["allocation", "market"])
def test_each_command_helps_with_an_example(word: str) -> None:
    for command in ("train", "evaluate"):
        shown = CliRunner().invoke(darwin, (word, command, "--help"))
        assert shown.exit_code == 0 and f"darwin {word} {command} --" in shown.output


@pytest.mark.slow
def test_what_learned_is_handed_over_listed_and_rolled_back(tmp_path: Path) -> None:
    words = ("market", "train", "--bars", "7000", "--edge", "3", "--world-seed", "3",
             "--episodes", "60", "--length", "100", "--by", "Ada", "--json")  # fmt: skip
    first = told(ran(*words))
    assert first["learned"] is True
    second = told(ran(*words, "--output-dir", "other", "--seed", "1"))
    names = [first["version"], second["version"]]
    listed = told(ran("rl", "models", "list", "market", "--json"))
    assert [(one["version"], one["place"]) for one in listed] == [
        (names[0], "archived"), (names[1], "serving"),
    ]  # fmt: skip
    ran("rl", "models", "rollback", "market", "--version", names[0], "--by", "Ada")
    again = told(ran("rl", "models", "list", "market", "--json"))
    assert [one["place"] for one in again] == ["serving", "archived"]
    current = "artifacts/rl_models/market/current"
    found = ran("market", "evaluate", "--model", current, "--bars", "7000", "--edge", "3",
                "--world-seed", "3", "--json")  # fmt: skip
    assert found.return_value == 11  # its training looked at these very bars
    assert told(found)["learned"] is False and "prove little" in told(found)["verdict"]
    assert told(found)["daily_lead"]["value"] == pytest.approx(first["daily_lead"]["value"])

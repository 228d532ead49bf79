"""The command of a retraining: of books, and what stands against one."""

from __future__ import annotations

from pathlib import Path

import pytest

from darwin.cli.book_train import train_market
from darwin.errors import ConfigError
from darwin.rl.cli.train_agent import train
from darwin.service.place import now
from darwin.service.retrain import ask
from darwin.store.jobs import State
from tests.run import books
from tests.service.desk import Served

pytestmark = pytest.mark.slow
SIGNED = {"by": "Ada", "reason": "a test"}


def run_a_book(served: Served, run_id: str, market: dict[str, object]) -> None:
    coin = {"agent": "market", "every": 8, "policy": "tests.run.books:Coin"}
    name = books.config(served.desk, run_id=run_id, market=market, allocation=coin)
    books.run(served.desk, name)


def test_an_agent_of_a_book_is_trained_anew_on_the_files_of_its_last_run(served: Served) -> None:
    words = ("data", "synth", "--bars", "1200", "--symbols", "BTC/USDT", "-o", "data")
    assert served.desk.darwin(*words).returncode == 0
    version = served.serve("market", now())
    with pytest.raises(ConfigError, match="no finished run holds rebalances of market"):
        ask(served.place, "market", at=now(), **SIGNED)
    files = {"provider": "files", "path": "data", "symbols": ["BTC/USDT:SYNTH"], "start": None}
    run_a_book(served, "filed", files)
    job = ask(served.place, "market", at=now(), **SIGNED)
    assert (job.state, job.lane, job.by) == (State.QUEUED, "training", "Ada")
    read = train_market.make_context("train", list(job.words[2:])).params
    assert (read["data"], read["symbols"], read["timeframe"]) == (
        Path("data"), "BTC/USDT:SYNTH", "1h",
    )  # fmt: skip
    assert (read["every"], read["cost_bps"], read["episodes"]) == (8, 7.0, 1_000)
    assert read["artifacts_dir"] == served.place.artifacts_dir
    assert served.serving("market") == version

    run_a_book(served, "made-up", {"symbols": ["BTC/USDT"]})
    with pytest.raises(ConfigError, match="took its bars from 'synthetic'"):
        ask(served.place, "market", at=now(), **SIGNED)


def test_the_words_of_a_training_are_those_its_command_takes() -> None:
    words = ["gate", "--run-ids", "a,b", "--from", "20260101_000000", "--last-days", "30",
             "--total-timesteps", "20000", "--eval-freq", "5000", "--seeds", "1", "--allow-small",
             "--progress", "progress.json", "--resume"]  # fmt: skip
    read = train.make_context("train", [*words, "--by", "Ada", "--reason", "a test"]).params
    assert (read["run_ids"], read["version"], read["last_days"]) == (
        ("a", "b"), "20260101_000000", 30.0,
    )  # fmt: skip
    assert read["progress"] == Path("progress.json")

"""`darwin data synth`: files that Darwin reads back, facts within their ranges, clear refusals."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from synthetic_worlds import market

from darwin.stats.stylised import HOURLY_CRYPTO


def test_files_hold_the_very_bars_of_the_generator(darwin, tmp_path):
    ended = darwin(
        "data", "synth", "--bars", "500", "--seed", "7", "--edge", "0.1",
        "--symbols", "BTC/USDT, ETH/USDT", "-o", str(tmp_path / "made"), "--json",
    )  # fmt: skip
    assert ended.code == 0
    told = json.loads(ended.out)
    assert told["synthetic"] and [each["bars"] for each in told["files"]] == [500, 500]
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "BTCUSDT_SYNTH-1h.parquet",
        "ETHUSDT_SYNTH-1h.parquet",
    ]
    frame = pl.read_parquet(tmp_path / "made" / "ETHUSDT_SYNTH-1h.parquet")
    bars = market(bars=500, seed=7, edge=0.1, symbols=("ETH/USDT",)).bars("ETH/USDT")
    assert frame.columns == ["timestamp", "open", "high", "low", "close", "volume"]
    assert frame.schema["timestamp"] == pl.Datetime("ms", "UTC")
    np.testing.assert_array_equal(frame["timestamp"].to_physical().to_numpy(), bars.time)
    for name in frame.columns[1:]:
        np.testing.assert_array_equal(frame[name].to_numpy(), getattr(bars, name))


def test_what_is_written_passes_the_checks_of_real_data(darwin, tmp_path):
    darwin("data", "synth", "--timeframe", "15m", "--jumps-per-year", "90", "-o", str(tmp_path))
    assert darwin("data", "check", str(tmp_path)).code == 0


def test_a_file_is_replaced_only_by_force(darwin, tmp_path):
    command = ("data", "synth", "--bars", "10", "-o", str(tmp_path))
    assert darwin(*command).code == 0
    before = (tmp_path / "BTCUSDT_SYNTH-1h.parquet").read_bytes()
    refused = darwin(*command, "--seed", "2")
    assert refused.code == 2 and "exists" in refused.err
    assert (tmp_path / "BTCUSDT_SYNTH-1h.parquet").read_bytes() == before
    assert darwin(*command, "--seed", "2", "--force").code == 0
    assert (tmp_path / "BTCUSDT_SYNTH-1h.parquet").read_bytes() != before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--bars", "0"),
        ("--bars", "many"),
        ("--edge", "nan"),
        ("--edge", "2"),
        ("--timeframe", "1x"),
        ("--start", "yesterday"),
        ("--symbols", ","),
        ("--symbols", "BTC/USDT,BTCUSDT"),
        ("--annual-volatility", "-1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_three_lines(darwin, tmp_path, option, value):
    ended = darwin("data", "synth", option, value, "-o", str(tmp_path))
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) <= 3
    assert not list(tmp_path.iterdir())


@pytest.mark.sweep
def test_stylised_facts_lie_within_their_ranges_over_five_seeds(darwin):
    ended = darwin("data", "synth", "--facts", "--json")
    told = json.loads(ended.out)
    assert list(told["facts"]) == ["1", "2", "3", "4", "5"]
    assert set(told["kept"]) == {*HOURLY_CRYPTO, "hourly_correlation"}
    assert set(told["kept"].values()) == {5} and told["passed"] and ended.code == 0


def test_facts_out_of_range_do_not_pass_and_are_marked(darwin):
    ended = darwin("data", "synth", "--facts", "--bars", "8000", "--seeds", "3")
    assert ended.code == 10
    assert "!" in ended.out and "NOT passed" in ended.out and "excess_kurtosis" in ended.out


def test_facts_of_a_planted_world_tell_the_auc_on_offer(darwin):
    ended = darwin(
        "data", "synth", "--facts", "--bars", "9000", "--edge", "0.25", "--seeds", "3", "--json"
    )
    assert 0.52 < json.loads(ended.out)["facts"]["3"]["attainable_auc"] < 0.8


@pytest.mark.parametrize(
    ("option", "value"), [("--timeframe", "1m"), ("--bars", "700"), ("--seeds", "1;2")]
)
def test_facts_that_make_no_sense_are_refused(darwin, option, value):
    assert darwin("data", "synth", "--facts", option, value).code == 2

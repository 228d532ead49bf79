"""`darwin runs` and `darwin why`, from the command line."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.conftest import (
    BLOCKED,
    GAPPED,
    HELD,
    NO_BAR,
    SKIPPED,
    TAKEN,
    record,
    worked_out,
)

pytestmark = pytest.mark.slow

Darwin = Callable[..., tuple[int, str, str]]


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_runs_lists_what_is_recorded(recorded: Path, darwin: Darwin) -> None:
    code, out, err = darwin("runs")
    assert (code, err) == (0, "")
    assert words(out)[1] == [
        "one", "finished", "replay", "120", "6", "2", "10,059", "2024-06-01", "12:00",
    ]  # fmt: skip
    assert darwin("runs", "list")[1] == out


def test_runs_as_json_is_json_alone(recorded: Path, darwin: Darwin) -> None:
    code, out, err = darwin("runs", "--json")
    assert (code, err) == (0, "")
    (run,) = json.loads(out)
    assert (run["run_id"], run["candidates"], run["started_at"][:10]) == ("one", 6, "2024-06-01")
    assert run["finished_at"] > run["started_at"]


def test_show_prints_a_funnel_that_adds_up(recorded: Path, darwin: Darwin) -> None:
    code, out, _ = darwin("runs", "show", "one")
    assert code == 0
    lines = words(out)
    assert ["account", "position", "open", "1"] in lines
    assert ["taken", "taken", "2"] in lines
    assert ["all", "6"] in lines
    assert ["2024-01-02", "06:00", "UTC", "daily_loss", "-5.1", "%"] in lines
    tree = json.loads(darwin("runs", "show", "one", "--json")[1])
    assert sum(end["candidates"] for end in tree["funnel"]) == tree["candidates"] == 6
    assert [event["kind"] for event in tree["safety_events"]] == ["daily_loss", "reducing"]


def test_why_tells_a_taken_candidate_from_signal_to_exit(recorded: Path, darwin: Darwin) -> None:
    code, out, _ = darwin("why", TAKEN)
    assert code == 0
    for said in (
        f"candidate {TAKEN} · BTC/USDT · breakout · long · run one",
        "signal 2024-01-01 10:00 UTC, close 100; stop 2 away, target 4 away (2 R)",
        "time stop 32 bars",
        "take, confidence 0.61, quality 0.5, cost 0.01 USD",
        "order 2 units at 100 = 200 USD, clipped by exposure",
        "filled 2024-01-01 11:00 UTC at 100, fee 0.1 USD, stop at 98",
        "left 2024-01-01 15:00 UTC at 104 (target)",
        "net +7.5000 USD",
        "R +1.8750 realised; R +1.9500 counterfactual",
    ):
        assert said in out, said


@pytest.mark.parametrize(
    ("name", "sayings"),
    [
        (
            SKIPPED,
            ["ended: expert skip", "flags: thin volume, odd", "R -1.0500 counterfactual: entry"],
        ),
        (BLOCKED, ["ended: position open", "R -0.5000 counterfactual"]),
        (GAPPED, ["cancelled 2024-01-01 21:00 UTC: gapped", "no counterfactual R"]),
        (HELD, ["(end_of_run)", "realised; counterfactual R not known"]),
        (NO_BAR, ["ended: no next bar", "trailing by 2.5 from 1 R on, measured from the fill"]),
    ],
)
def test_why_says_where_and_why_it_ended(
    recorded: Path, darwin: Darwin, name: str, sayings: list[str]
) -> None:
    code, out, _ = darwin("why", name)
    assert code == 0
    for said in sayings:
        assert said in out, said


def test_why_as_json_holds_rows_and_features(recorded: Path, darwin: Darwin) -> None:
    tree = json.loads(darwin("why", SKIPPED[:16], "--run", "one", "--json")[1])
    assert tree["candidate"]["candidate_id"] == SKIPPED
    assert tree["verdict"]["risk_flags"] == ["thin volume", 'odd "name" é']
    assert tree["features"] == {"rsi_14": 1.25, "return_1": None}
    assert (tree["order"], tree["realised_r"], tree["outcome"]["r"]) == (None, None, -1.05)
    assert tree["stages"][1] == {"stage": "expert", "state": "ended: expert skip"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["why", "zz"], 2, "no candidate id"),
        (["why", "eeee"], 2, "no candidate 'eeee'"),
        (["why", "1111"], 2, "2 candidates begin with '1111'"),
        (["why", TAKEN, "--run", "onn"], 2, "did you mean 'one'?"),
        (["runs", "show", "onn"], 2, "did you mean 'one'?"),
        (["runs", "shwo"], 2, "No such command 'shwo'"),
        (["runs", "--db", "nowhere.sqlite"], 4, "there is no database yet"),
        (["runs", "--db", "."], 4, "a folder"),
    ],
)
def test_a_question_that_cannot_be_answered_ends_in_a_few_plain_lines(
    recorded: Path, darwin: Darwin, words: list[str], code: int, said: str
) -> None:
    ended, out, err = darwin(*words)
    assert (ended, out) == (code, "")
    assert said in err
    assert len(err.splitlines()) <= 3


def test_a_candidate_of_several_runs_lists_them(recorded: Path, darwin: Darwin) -> None:
    record(recorded, worked_out(), "two")
    code, _, err = darwin("why", TAKEN)
    assert code == 2
    assert "is in 2 runs: one, two" in err
    assert darwin("why", TAKEN, "--run", "two")[0] == 0


def test_digits_that_a_candidate_and_a_rebalance_share_want_more_of_them(
    recorded: Path, darwin: Darwin
) -> None:
    row = {
        "id": 2**32 + 9_999, "run_id": "one", "hash": bytes(32), "prev_hash": bytes(32),
        "rebalance_id": "1111" + "f" * 12, "agent_name": "allocator", "role": "serving",
        "bar_time": 0, "mode": "observe", "baseline_weights": bytes(8), "final_weights": bytes(8),
        "limited_by": "", "followed": 0, "reason": "no model", "feature_schema": "0" * 64,
        "observation": bytes(4),
    }  # fmt: skip
    with closing(sqlite3.connect(recorded)) as database, database:
        marks = ", ".join("?" * len(row))
        database.execute(
            f"INSERT INTO rebalances ({', '.join(row)}) VALUES ({marks})", list(row.values())
        )
    code, out, err = darwin("why", "1111")
    assert (code, out) == (2, "")
    assert "candidates and rebalances begin with '1111'" in err and "more digits" in err
    assert darwin("why", TAKEN)[0] == 0


def test_the_place_of_the_artifacts_can_be_named(
    recorded: Path, darwin: Darwin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    recorded.parent.parent.rename(elsewhere)
    assert darwin("runs")[0] == 4
    assert darwin("runs", "--artifacts-dir", str(elsewhere))[0] == 0
    assert darwin("runs", "--db", str(elsewhere / "rl_state" / "agent_state.sqlite"))[0] == 0
    monkeypatch.setenv("DARWIN__ARTIFACTS_DIR", str(elsewhere))
    assert darwin("runs")[0] == 0
    assert darwin("runs", "--db", "artifacts/rl_state/agent_state.sqlite")[0] == 0


@pytest.mark.parametrize("words", [["runs"], ["runs", "list"], ["runs", "show"], ["why"]])
def test_every_command_has_help_with_an_example(darwin: Darwin, words: list[str]) -> None:
    code, out, _ = darwin(*words, "--help")
    assert code == 0
    assert "Example" in out


def test_a_garbled_file_is_one_plain_refusal(recorded: Path) -> None:
    recorded.write_bytes(os.urandom(20_000))
    command = Path(sys.executable).with_name("darwin")
    done = subprocess.run(
        [command, "runs", "--db", str(recorded)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines()[0] == "error: the file is not a database"
    assert len(done.stderr.splitlines()) == 3

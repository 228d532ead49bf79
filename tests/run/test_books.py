"""Runs of books through the command line: recorded, ruled on, resumed, verified, replayed."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from darwin.core.agents import Model
from darwin.rl.training.experience_file import read_experiences
from tests.run import books
from tests.run.command import Desk, checkpoint, clean_environment

ROOT = str(Path(__file__).resolve().parents[2])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk with one finished run whose agent only watches."""
    desk = Desk(tmp_path_factory.mktemp("watched"))
    books.run(desk, books.config(desk))
    return desk


def verified(desk: Desk, run_id: str = "book") -> dict[str, object]:
    done = desk.darwin("verify", run_id, "--json", PYTHONPATH=ROOT)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_watching_agent_is_recorded_and_changes_nothing(watched: Desk) -> None:
    told = books.rows(watched)
    assert len(told) > 100
    assert {row["reason"] for row in told} == {"observe"}
    assert {row["followed"] for row in told} == {0}
    for row in told:
        assert row["advised_weights"].tolist() == [0.6, 0.2, 0.1]
        assert row["final_weights"].tolist() == row["baseline_weights"].tolist() == [1 / 3] * 3
    assert len(watched.ask("SELECT 1 FROM holdings")) == len(told) - 1


def test_every_return_of_the_record_follows_from_the_bars(watched: Desk) -> None:
    metrics = watched.metrics("book")
    book, advised, equal = metrics["figures"]
    assert (book["name"], advised["name"], equal["name"]) == ("book", "advised", "equal_weight")
    for name, column in (("book_return", 0), ("advised_return", 1)):
        grown = np.prod([1 + r for (r,) in watched.ask(f"SELECT {name} FROM holdings ORDER BY id")])
        lines = (watched.run_dir("book") / "equity.csv").read_text().splitlines()[1:]
        last = watched.ask("SELECT max(known_time) FROM holdings")[0][0]
        (at,) = [line for line in lines if line.startswith(stamp(last + 3_600_000))]
        assert grown == pytest.approx(float(at.split(",")[1 + column]), rel=1e-12)
    assert book["total_return"] == equal["total_return"] != advised["total_return"]


def stamp(ms: int) -> str:
    return str(np.datetime64(ms, "ms"))[:16]


def test_a_run_is_verified_and_replayed(watched: Desk) -> None:
    told = verified(watched)
    assert told["recomputed"] == len(books.rows(watched))
    assert told["without_model"] == 0
    done = watched.darwin("replay", "book", PYTHONPATH=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("identical: ")
    shown = json.loads(watched.darwin("runs", "show", "book", "--json").stdout)
    [ruling] = shown["rulings"]
    assert (ruling["reason"], ruling["rebalances"]) == ("observe", len(books.rows(watched)))
    assert "observe" in watched.darwin("runs", "show", "book").stdout


def test_the_files_of_a_run_are_made_again_as_they_were(watched: Desk) -> None:
    folder = watched.run_dir("book")
    names = ("metrics.json", "equity.csv", "weights.csv", "report.html", "manifest.json")
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names[:-1]:
        (folder / name).unlink()
    done = watched.darwin("report", "book", PYTHONPATH=ROOT)
    assert done.returncode == 0, done.stderr
    assert {name: (folder / name).read_bytes() for name in names} == before
    page = before["report.html"].decode()
    assert "Always as advised" in page
    assert "What happens on them says nothing about a market" in page
    lines = before["weights.csv"].decode().splitlines()
    assert len(lines) == 1 + len(books.rows(watched))


def test_a_finished_run_is_not_run_again(watched: Desk) -> None:
    done = watched.darwin("allocation", "run", "book.json", PYTHONPATH=ROOT)
    assert done.returncode == 0
    assert "finished already" in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rebalances SET advised_weights = baseline_weights WHERE seq = 10",
        *(
            pytest.param(change, marks=pytest.mark.sweep)
            for change in (
                "UPDATE holdings SET advised_return = 0.5 WHERE seq = 9",
                "UPDATE rebalances SET followed = 1 WHERE seq = 10",
            )
        ),
    ],
)
def test_a_changed_row_is_found(desk: Desk, change: str) -> None:
    books.run(desk, books.config(desk, market={"bars": 1500}))
    with closing(sqlite3.connect(desk.folder / "artifacts/rl_state/agent_state.sqlite")) as raw:
        assert raw.execute(change).rowcount > 0
        raw.commit()
    done = desk.darwin("verify", "book", PYTHONPATH=ROOT)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_on_its_share_of_the_capital_a_promoted_agent_is_heard(desk: Desk) -> None:
    name = books.config(desk, allocation={"mode": "active"})
    first = books.config(desk, "first.json", run_id="first", market={"bars": 1500})
    books.run(desk, first)
    row = books.rows(desk, "first")[0]
    books.promote(desk, "allocator", Model(row["model_version"], row["model_sha256"]), 0.25)
    books.run(desk, name)
    told = books.rows(desk)
    heard = [row for row in told if row["reason"] == "active"]
    assert len(heard) > 20
    for row in heard:
        due = row["baseline_weights"] + 0.25 * (row["advised_weights"] - row["baseline_weights"])
        assert row["final_weights"].tolist() == due.tolist()
    assert verified(desk)["recomputed"] == len(told)
    assert desk.darwin("replay", "book", PYTHONPATH=ROOT).returncode == 0
    # what it advised cost more than it brought, so that it was not heard for long
    assert {row["reason"] for row in told[len(heard) :]} == {"observe"}
    [(kind, by)] = desk.ask("SELECT kind, by FROM graduation_events WHERE scope = 'run:book'")
    assert (kind, by) == ("demoted", "darwin")
    observed = books.run(desk, books.config(desk, "calm.json", run_id="calm"))
    assert "observes" not in observed
    assert {row["followed"] for row in books.rows(desk, "calm")} == {0}


def test_a_config_alone_never_lets_an_agent_act(desk: Desk) -> None:
    said = books.run(desk, books.config(desk, allocation={"mode": "active"}))
    assert "no promotion on record" in said
    assert {row["reason"] for row in books.rows(desk)} == {"observe"}


def test_the_kill_switch_stops_the_agent_and_not_the_book(desk: Desk) -> None:
    books.run(desk, books.config(desk), DARWIN_RL_DISABLED="1")
    told = books.rows(desk)
    assert {row["reason"] for row in told} == {"killed"}
    assert {row["advised_weights"] for row in told} == {None}
    assert all(row["final_weights"].tolist() == [1 / 3] * 3 for row in told)
    verified(desk)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("wants too much", "illegal action"),
        pytest.param("is NaN", "advice not finite", marks=pytest.mark.sweep),
        pytest.param("is no advice", "advice of wrong shape", marks=pytest.mark.sweep),
        ("fails", "inference raised"),
    ],
)
def test_advice_that_is_none_opens_the_breaker(desk: Desk, how: str, why: str) -> None:
    books.run(desk, books.config(desk, allocation={"params": {"how": how}}, market={"bars": 2000}))
    told = books.rows(desk)
    assert why in {row["reason"] for row in told}
    assert {row["followed"] for row in told} == {0}
    assert ("breaker_opened",) in desk.ask("SELECT kind FROM safety_events")
    verified(desk)
    assert desk.darwin("replay", "book", PYTHONPATH=ROOT).returncode == 0


def test_a_fall_turns_the_book_into_cash(desk: Desk) -> None:
    books.run(desk, books.config(desk, limits={"max_drawdown_fraction": 0.05}))
    told = books.rows(desk)
    stopped = [row for row in told if row["limited_by"] == "drawdown"]
    assert stopped
    assert told[-1] is stopped[-1]  # nobody lifted it
    assert {tuple(row["final_weights"].tolist()) for row in stopped} == {(0.0, 0.0, 0.0)}
    assert [kind for (kind,) in desk.ask("SELECT kind FROM safety_events")] == ["reducing"]
    verified(desk)


def test_limits_are_asked_last(desk: Desk) -> None:
    books.run(
        desk,
        books.config(desk, limits={"max_weight": 0.3, "max_exposure_fraction": 0.6}),
    )
    for row in books.rows(desk):
        assert row["limited_by"] == "max weight, max exposure"
        assert row["final_weights"].tolist() == pytest.approx([0.2] * 3)
    verified(desk)


def test_a_market_agent_is_held_against_flat_and_hold(desk: Desk) -> None:
    name = books.config(
        desk,
        market={"symbols": ["BTC/USDT"]},
        allocation={"agent": "market", "policy": f"{books.HERE}:Coin"},
    )
    books.run(desk, name)
    book, advised, flat, hold = desk.metrics("book")["figures"]
    assert (flat["name"], hold["name"]) == ("flat", "buy_and_hold")
    assert book["total_return"] == flat["total_return"] == 0.0
    assert hold["total_return"] != 0.0 != advised["total_return"]
    verified(desk)
    _experiences_follow_from_the_record(desk)
    held = books.config(
        desk,
        "held.json",
        run_id="held",
        market={"symbols": ["BTC/USDT"]},
        allocation={
            "agent": "market", "policy": f"{books.HERE}:Coin", "baseline": "buy_and_hold",
        },
    )  # fmt: skip
    books.run(desk, held)
    figures = desk.metrics("held")["figures"]
    assert figures[0]["total_return"] == figures[3]["total_return"] == hold["total_return"]
    verified(desk, "held")


def _experiences_follow_from_the_record(desk: Desk) -> None:
    done = desk.darwin("market", "experiences", "book", "-o", "told.npz", PYTHONPATH=ROOT)
    assert done.returncode == 0, done.stderr
    told = read_experiences(desk.folder / "told.npz")
    rows = desk.ask(
        "SELECT r.bar_time, h.asset_returns, r.observation FROM rebalances AS r"
        " JOIN holdings AS h USING (run_id, rebalance_id) ORDER BY r.id"
    )
    assert told.time.tolist() == [time + 3_600_000 for time, _, _ in rows]
    moved = np.array([np.frombuffer(returns, "<f8")[0] for _, returns, _ in rows])
    assert told.earned.tolist() == np.column_stack([0.0 * moved, moved, -moved]).tolist()
    assert told.observations.tobytes() == b"".join(seen for _, _, seen in rows)
    assert told.ends.tolist() == [False] * (len(rows) - 1) + [True]


@pytest.mark.sweep
@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(watched: Desk, desk: Desk) -> None:
    name = books.config(desk, allocation={"params": {"wait_s": 0.015}})
    process = subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "allocation", "run", name],
        cwd=desk.folder,
        env=clean_environment(PYTHONPATH=ROOT),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr as said:
        kept = next(n for n in map(checkpoint, said) if n is not None)
        process.kill()
    assert process.wait() == -signal.SIGKILL
    refused = desk.darwin("allocation", "run", name, PYTHONPATH=ROOT)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    books.run(desk, name, "--resume")
    whole = books.config(
        desk, "whole.json", run_id="whole", allocation={"params": {"wait_s": 0.015}}
    )
    books.run(desk, whole)
    assert 0 < kept < len(desk.export("book").splitlines())
    assert desk.export("book") == desk.export("whole")
    verified(desk)


def test_the_status_of_an_agent_of_a_book_is_that_of_its_trial(watched: Desk) -> None:
    done = watched.darwin("rl", "status", "allocator", "--json", PYTHONPATH=ROOT)
    assert done.returncode in (10, 11), done.stderr
    told = json.loads(done.stdout)
    assert told["latest_run"] == "book"
    assert told["decisions"] == len(books.rows(watched))
    names = {one["name"]: one["state"] for one in told["conditions"]}
    assert names["decisions"] == "passed"
    assert names["evidence of skill"] != "passed"  # a constant tilt is no skill
    assert told["trial"]["block_days"] == 3
    asked = watched.darwin("rl", "promote", "allocator", "--by", "Ada", "--reason", "x")
    assert asked.returncode == 10 or "to promote" in asked.stderr


def test_a_config_of_a_book_is_told_from_any_other(desk: Desk) -> None:
    done = desk.darwin("run", books.config(desk))
    assert done.returncode == 2
    assert "darwin allocation run" in done.stderr
    other = desk.darwin("allocation", "run", desk.config())
    assert other.returncode == 2
    assert "`darwin run`" in other.stderr

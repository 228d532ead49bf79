"""Runs of books that deployed models decide about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rl.books.test_serving import SYMBOLS, made
from tests.run import books
from tests.run.command import Desk

ROOT = str(Path(__file__).resolve().parents[2])
KINDS = {"allocator": "softmax", "market": "categorical"}


def deploy(desk: Desk, agent: str, seed: int = 0) -> str:
    """Deploy a small random model; gives its version."""
    folder = desk.folder / f"model-{agent}-{seed}"
    folder.mkdir()
    for name, content in made(agent, KINDS[agent], seed=seed)[0].items():
        (folder / name).write_bytes(content)
    done = desk.darwin(
        "rl", "models", "deploy", agent, str(folder), "--by", "Ada", "--reason", "x", "--json"
    )
    assert done.returncode == 0, done.stderr
    return str(desk.ask("SELECT version FROM model_events ORDER BY id DESC LIMIT 1")[0][0])


def config(desk: Desk, agent: str, name: str = "book.json", **changes: object) -> str:
    told = {"agent": agent, "every": 4, "policy": None, **changes}
    symbols = [*SYMBOLS[:2], "P001/USDT"] if agent == "allocator" else ["BTC/USDT"]
    return books.config(
        desk, name, market={"symbols": symbols, "bars": 2000}, allocation=told, run_id=name[:-5]
    )


@pytest.mark.parametrize("agent", [pytest.param("allocator", marks=pytest.mark.sweep), "market"])
def test_a_deployed_model_is_asked_recorded_and_made_again(tmp_path: Path, agent: str) -> None:
    desk = Desk(tmp_path)
    version = deploy(desk, agent)
    books.run(desk, config(desk, agent))
    told = books.rows(desk)
    asked = [row for row in told if row["reason"] == "observe"]
    assert len(asked) > len(told) / 2
    assert {row["reason"] for row in told} <= {"observe", "out of range"}
    assert {row["model_version"] for row in told} == {version}
    assert len({tuple(row["advised_weights"]) for row in asked}) > 1
    done = desk.darwin("verify", "book", "--json")
    assert json.loads(done.stdout)["recomputed"] == len(asked)
    assert desk.darwin("replay", "book").returncode == 0
    promoted = desk.darwin(
        "rl", "promote", agent, "--by", "Ada", "--reason", "tried", "--override"
    )  # fmt: skip
    assert promoted.returncode == 0, promoted.stderr
    books.run(desk, config(desk, agent, "acts.json", mode="active"))
    heard = [row for row in books.rows(desk, "acts") if row["followed"]]
    assert heard
    for row in heard:
        way = row["advised_weights"] - row["baseline_weights"]
        assert row["final_weights"].tolist() == (row["baseline_weights"] + 0.01 * way).tolist()
    assert desk.darwin("verify", "acts").returncode == 0
    shown = json.loads(desk.darwin("rl", "status", agent, "--json").stdout)
    assert shown["judged"]["version"] == version
    assert shown["trial"]["scope"] == "run:acts"
    # its training ended a day before the first bar that counts
    assert shown["trial"]["since_ms"] >= 1_704_067_200_000 + 86_400_000
    back = desk.darwin("rl", "demote", agent, "--by", "Ada", "--reason", "enough")
    assert back.returncode == 0, back.stderr
    books.run(desk, config(desk, agent, "again.json", mode="active"))
    assert not any(row["followed"] for row in books.rows(desk, "again"))


def test_a_model_of_another_pace_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    deploy(desk, "market")
    said = books.run(desk, config(desk, "market", every=24))
    assert "every 4 bars of 1h" in said
    assert {row["reason"] for row in books.rows(desk)} == {"no model"}
    assert desk.darwin("verify", "book").returncode == 0


def test_a_model_of_other_assets_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    deploy(desk, "allocator")
    other = {"symbols": ["ETH/USDT", "BTC/USDT", "P001/USDT"], "bars": 2000}  # in another order
    told = {"agent": "allocator", "every": 4, "policy": None}
    said = books.run(desk, books.config(desk, "book.json", market=other, allocation=told))
    assert "was trained on BTC/USDT, ETH/USDT, P001/USDT:SYNTH" in said
    assert {row["reason"] for row in books.rows(desk)} == {"no model"}


def test_without_its_model_a_promoted_agent_stops_the_run_unless_the_baseline_may_stand(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    deploy(desk, "market")
    done = desk.darwin(
        "rl", "promote", "market", "--by", "Ada", "--reason", "tried", "--override"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stopped = desk.darwin("allocation", "run", config(desk, "market", mode="active", every=24))
    assert stopped.returncode == 3, stopped.stderr
    assert "every 4 bars of 1h" in stopped.stderr
    assert len(stopped.stderr.strip().splitlines()) <= 3
    goes_on = config(
        desk, "market", "on.json", mode="active", every=24, on_model_error="baseline"
    )  # fmt: skip
    books.run(desk, goes_on)
    assert {row["reason"] for row in books.rows(desk, "on")} == {"no model"}


def test_a_challenger_is_asked_beside_and_holds_a_book_of_its_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    deploy(desk, "market")
    done = desk.darwin(
        "rl", "promote", "market", "--by", "Ada", "--reason", "tried", "--override"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    deploy(desk, "market", seed=1)
    books.run(desk, config(desk, "market"))
    roles = dict(desk.ask("SELECT role, count(*) FROM rebalances GROUP BY role"))
    assert roles["serving"] == roles["challenger"]
    returns = desk.ask(
        "SELECT a.advised_return, b.advised_return FROM holdings AS a JOIN holdings AS b"
        " USING (rebalance_id) WHERE a.role = 'serving' AND b.role = 'challenger'"
    )
    assert any(mine != other for mine, other in returns)
    assert desk.ask(
        "SELECT count(*) FROM holdings WHERE role = 'challenger' AND cost IS NOT NULL"
    ) == [(0,)]
    assert desk.darwin("verify", "book").returncode == 0
    assert desk.darwin("replay", "book").returncode == 0

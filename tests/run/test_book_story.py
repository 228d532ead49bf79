"""`darwin why` on rebalances of a book: what was seen, advised, held, and what came of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from darwin.core.agents import Model
from tests.run import books
from tests.run.command import Desk

ROOT = str(Path(__file__).resolve().parents[2])
SYMBOLS = ["BTC/USDT:SYNTH", "ETH/USDT:SYNTH", "SOL/USDT:SYNTH"]


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Two runs: one that watches, one whose agent holds a quarter and is cut by a limit."""
    desk = Desk(tmp_path_factory.mktemp("acted"))
    books.run(desk, books.config(desk, "first.json", run_id="first", market={"bars": 1000}))
    row = books.rows(desk, "first")[0]
    books.promote(desk, "allocator", Model(row["model_version"], row["model_sha256"]), 0.25)
    changes: dict[str, Any] = {"allocation": {"mode": "active"}, "limits": {"max_weight": 0.35}}
    books.run(desk, books.config(desk, market={"bars": 1000}, **changes))
    return desk


def lines(desk: Desk, run_id: str) -> list[dict[str, str]]:
    with (desk.run_dir(run_id) / "weights.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def why(desk: Desk, *words: str) -> str:
    done = desk.darwin("why", *words, PYTHONPATH=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_weights_csv_names_each_rebalance_as_the_record_does(acted: Desk) -> None:
    told = [line["rebalance_id"] for line in lines(acted, "book")]
    kept = acted.ask("SELECT rebalance_id FROM rebalances WHERE run_id = 'book' ORDER BY id")
    assert told == [name for (name,) in kept]
    assert told == [line["rebalance_id"] for line in lines(acted, "first")]


def test_it_tells_the_way_of_a_rebalance_from_what_was_seen_to_what_it_earned(acted: Desk) -> None:
    line = lines(acted, "book")[5]
    said = why(acted, line["rebalance_id"][:8], "--run", "book")
    assert f"rebalance {line['rebalance_id']} · allocator · run book" in said
    assert f"decided {line['time'][:10]} 00:00 UTC on a book of" in said
    for words in (
        "33 figures", "model rule.Tilt", "active (mode active): the advice was followed",
        "cut by max weight", "as advised", "equal weight", "of the book, which cost",
    ):  # fmt: skip
        assert words in said, words
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.split()}
    assert rows[SYMBOLS[0]][:3] == ["60.000%", "33.333%", "35.000%"]
    assert rows["cash"] == ["10.000%", "0.000%", "7.500%"]  # 1 - 0.35 - 0.3 - 0.275


def test_json_holds_weights_returns_and_what_was_seen_by_name(acted: Desk) -> None:
    line = lines(acted, "book")[5]
    tree = json.loads(why(acted, line["rebalance_id"], "--run", "book", "--json"))
    assert tree["symbols"] == SYMBOLS
    assert tree["rebalance"]["limited_by"] == "max weight" and tree["rebalance"]["followed"] == 1
    for kind in ("final", "advised", "baseline"):
        assert tree["weights"][kind] == {name: float(line[f"{kind} {name}"]) for name in SYMBOLS}, (
            kind
        )
    assert len(tree["observation"]) == 33 and "drawdown" in tree["observation"]
    assert tree["observation"]["weight[0]"] == pytest.approx(0.6, abs=0.1)
    held = tree["holding"]
    assert held["known"] == tree["decided"] + 24 * 3_600_000
    gained = sum(tree["weights"]["final"][name] * held["asset_returns"][name] for name in SYMBOLS)
    assert held["book_return"] == pytest.approx(gained, abs=2e-3)  # but for costs and the gap
    assert list(held["baseline_returns"]) == ["equal_weight"]
    assert tree["challengers"] == []


def test_the_book_is_worth_what_the_curve_of_the_run_says(acted: Desk) -> None:
    with (acted.run_dir("book") / "equity.csv").open(newline="") as file:
        curve = {line["time"]: float(line["book"]) for line in csv.DictReader(file)}
    for line in (lines(acted, "book")[0], lines(acted, "book")[7]):
        tree = json.loads(why(acted, line["rebalance_id"], "--run", "book", "--json"))
        assert tree["book_value_usd"] == pytest.approx(10_000 * curve[line["time"]])


def test_the_last_rebalance_has_no_holding_yet(acted: Desk) -> None:
    name = lines(acted, "book")[-1]["rebalance_id"]
    assert "not over when the run ended" in why(acted, name, "--run", "book")
    assert json.loads(why(acted, name, "--run", "book", "--json"))["holding"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0000000000000000"], "no candidate '0000000000000000' is recorded, and no rebalance"),
        (["xyz"], "'xyz' is no candidate id, nor one of a rebalance"),
        (["abcd", "--run", "boook"], "did you mean 'book'?"),
    ],
)
def test_an_id_that_leads_nowhere_ends_in_one_clear_error(
    acted: Desk, words: list[str], said: str
) -> None:
    done = acted.darwin("why", *words, PYTHONPATH=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_a_rebalance_of_several_runs_lists_them(acted: Desk) -> None:
    name = lines(acted, "book")[0]["rebalance_id"]
    done = acted.darwin("why", name, PYTHONPATH=ROOT)
    assert done.returncode == 2
    assert f"rebalance {name} is in 2 runs: first, book" in done.stderr
    assert "--run book" in done.stderr


def test_the_service_tells_what_the_command_tells(acted: Desk) -> None:
    pytest.importorskip("fastapi")
    from html import unescape

    from starlette.testclient import TestClient

    from darwin.service.app import create_app
    from darwin.service.place import Place
    from darwin.service.settings import Settings

    name = lines(acted, "book")[5]["rebalance_id"]
    place = Place(str(acted.folder / "artifacts"))
    app = create_app(Settings(place, runs_jobs=False, schedules=False))
    with TestClient(app, base_url="http://localhost") as client:
        told = client.get(f"/api/v1/candidates/{name[:8]}", params={"run": "book"})
        found = client.get("/candidates/find", params={"id": name[:8], "run": "book"})
    assert told.json() == json.loads(why(acted, name, "--run", "book", "--json"))
    page = " ".join(unescape(found.text).split())
    for word in why(acted, name, "--run", "book").split():
        assert word in page, word

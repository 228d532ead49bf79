"""`darwin runs compare` on runs worked out by hand: each cause, its dollars, damaged records."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darwin.core.decision import Reason
from darwin.core.trade import Exit, Fill
from darwin.engine.result import RunResult
from darwin.store.db import connect
from darwin.store.runs import begin_run
from tests.store.conftest import HELD, NOW, SKIPPED, TAKEN, hour, identity, keep, record, worked_out
from tests.store.verified import folded, overwrite, root_page, tampering

pytestmark = pytest.mark.slow

Darwin = Callable[..., tuple[int, str, str]]
OTHER_BARS = {"data_digest": "e" * 64}


def also(path: Path, run: RunResult, run_id: str = "two", **of: Any) -> None:
    with connect(path) as database:
        keep(database, begin_run(database, identity(run_id, **of), at=NOW), run)


def compared(darwin: Darwin, *words: str) -> dict[str, Any]:
    code, out, err = darwin("runs", "compare", *words, "--json")
    assert (code, err) == (0, ""), err
    tree: dict[str, Any] = json.loads(out)
    causes = sum(cause["usd"] for cause in tree["causes"])
    money = tree["net_pnl_usd"]
    assert causes == pytest.approx(money["by_trades"], abs=1e-9)
    assert causes + money["remainder"] == pytest.approx(money["difference"], abs=1e-9)
    assert sum(c["candidates"] for c in tree["causes"]) == len(tree["differences"])
    assert len(tree["differences"]) + tree["alike"] == tree["candidates"]
    return tree


def causes(tree: dict[str, Any]) -> dict[str, float]:
    """The dollars of each cause that has any."""
    return {c["cause"]: pytest.approx(c["usd"]) for c in tree["causes"] if abs(c["usd"]) > 1e-12}


def filled(*entry_and_exit: dict[str, Any]) -> RunResult:
    """The worked-out run whose first trade has other fills: 2 units, 100 to 104, paying 0.5."""
    run = worked_out()
    changed = [one._replace(**other) for one, other in zip(run.fills, entry_and_exit, strict=False)]
    return replace(run, fills=[*changed, *run.fills[2:]])


def test_two_runs_that_did_the_same_have_no_difference(recorded: Path, darwin: Darwin) -> None:
    also(recorded, worked_out())
    code, out, err = darwin("runs", "compare", "one", "two")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "no difference: 6 candidates went alike"
    tree = compared(darwin, "one", "two")
    assert (tree["no_difference"], tree["alike"], tree["differences"]) == (True, 6, [])


BOTH = {"units": 4.0, "fee_usd": 0.2}


@pytest.mark.parametrize(
    ("fills", "cause", "what", "usd"),
    [
        (({}, {"time": hour(16), "instant": 16}), "timing", "exit", {}),
        (({}, {"reason": int(Exit.STOP)}), "timing", "exit", {}),
        (({"time": hour(12), "instant": 12}, {}), "timing", "entry", {}),
        (({}, {"time": hour(16), "price": 103.0, "mid_price": 103.0}), "timing", "exit",
         {"timing": -2.0}),
        (({}, {"price": 103.5, "mid_price": 103.5}), "fill", "exit", {"fill": -1.0}),
        (({"price": 99.0, "mid_price": 99.0}, {"fee_usd": 0.3}), "fill", "entry",
         {"fill": 2.0, "cost": -0.2}),
        ((BOTH, BOTH | {"funding_usd": 0.6}), "size", "units", {"size": 7.5}),
        (({"units": 4.0}, {"units": 4.0}), "size", "units", {"size": 7.5, "cost": 0.5}),
        ((BOTH | {"price": 99.0, "mid_price": 99.0}, BOTH | {"funding_usd": 0.6}), "fill", "entry",
         {"fill": 2.0, "size": 9.5}),
        (({}, {"price": 103.9}), "cost", "price", {"cost": -0.2}),
        (({"fee_usd": 0.4}, {"funding_usd": 0.0}), "cost", "fees and funding", {}),
        (({"fee_usd": 0.4, "price": 100.5}, {}), "cost", "price and fees", {"cost": -1.3}),
    ],
)  # fmt: skip
def test_a_trade_that_went_otherwise_has_one_cause_and_its_dollars_add_up(
    recorded: Path,
    darwin: Darwin,
    fills: Sequence[dict[str, Any]],
    cause: str,
    what: str,
    usd: dict[str, float],
) -> None:
    also(recorded, filled(*fills))
    tree = compared(darwin, "one", "two")
    [one] = tree["differences"]
    assert (one["a"]["candidate_id"], one["cause"], one["what"]) == (TAKEN, cause, what)
    assert causes(tree) == usd


def test_units_under_the_cap_of_an_agent_are_no_knock_on_of_the_account(
    recorded: Path, darwin: Darwin
) -> None:
    larger = filled(BOTH, BOTH)
    first, *others = larger.orders
    also(recorded, larger)
    also(recorded, replace(larger, orders=[first._replace(clipped_by="agent cap"), *others]), "cap")
    for run_id, knock_on in (("two", True), ("cap", False)):
        [one] = compared(darwin, "one", run_id)["differences"]
        assert (one["cause"], one["knock_on"]) == ("size", knock_on)


def test_another_account_with_the_same_trades_is_a_remainder_that_is_told(
    recorded: Path, darwin: Darwin
) -> None:
    run = worked_out()
    also(recorded, replace(run, equity=replace(run.equity, equity=run.equity.equity + 5.0)))
    tree = compared(darwin, "one", "two")
    assert tree["net_pnl_usd"] == {"difference": 5.0, "by_trades": 0.0, "remainder": 5.0}
    assert not tree["no_difference"]
    out = darwin("runs", "compare", "one", "two")[1]
    assert ["open", "or", "not", "told", "+5.0000"] in [line.split() for line in out.splitlines()]
    assert "accounts and trades do not agree: `darwin verify` tells" in out


def test_another_ending_names_stage_and_reason_of_both(recorded: Path, darwin: Darwin) -> None:
    run = worked_out()
    reasons = run.reasons.copy()
    reasons[1] = Reason.POSITION_OPEN
    also(recorded, replace(run, reasons=reasons))
    tree = compared(darwin, "one", "two")
    [way] = tree["ways"]
    assert (way["cause"], way["what"]) == ("signal", "account")
    assert (way["a"], way["b"]) == ("expert: expert skip", "account: position open")
    [one] = tree["differences"]
    assert (one["a"]["candidate_id"], one["knock_on"]) == (SKIPPED, True)


def test_a_bar_that_came_too_late_for_one_run_is_data(recorded: Path, darwin: Darwin) -> None:
    run = worked_out()
    reasons = run.reasons.copy()
    reasons[1] = Reason.STALE
    also(recorded, replace(run, reasons=reasons))
    [one] = compared(darwin, "one", "two")["differences"]
    assert (one["cause"], one["what"], one["b"]["reason"]) == ("data", "stale", "stale")


def moved_close(run: RunResult) -> RunResult:
    table = run.candidates
    return replace(run, candidates=replace(table, close=table.close + np.eye(6)[1]))


def test_another_close_is_data_where_the_bars_differ_and_its_bar_is_named(
    recorded: Path, darwin: Darwin
) -> None:
    also(recorded, moved_close(worked_out()), **OTHER_BARS)
    tree = compared(darwin, "one", "two")
    [one] = tree["differences"]
    assert (one["a"]["candidate_id"], one["cause"], one["what"]) == (SKIPPED, "data", "close")
    assert tree["data"] == {
        "bars_differ": True, "told_by_digests": True, "first_seen_at": one["bar_time"],
    }  # fmt: skip
    assert "first seen at 2024-01-01 11:00 UTC" in darwin("runs", "compare", "one", "two")[1]


def test_the_same_bracket_on_another_course_is_data_only_where_the_bars_differ(
    recorded: Path, darwin: Darwin
) -> None:
    run = worked_out()
    price = run.outcomes.exit_price.copy()
    price[2] = 101.5
    other = replace(run, outcomes=replace(run.outcomes, exit_price=price))
    also(recorded, other, "two")
    also(recorded, other, "three", **OTHER_BARS)
    for run_id, cause in (("two", "fill"), ("three", "data")):
        [one] = compared(darwin, "one", run_id)["differences"]
        assert one["cause"] == cause


def test_a_candidate_of_one_run_alone_is_a_signal_on_the_same_bars_and_else_data(
    recorded: Path, darwin: Darwin
) -> None:
    run = worked_out()
    keys = replace(run, playbooks=("breakout", "pullback"))
    also(recorded, keys, "two")
    also(recorded, keys, "three", **OTHER_BARS)
    for run_id, cause, what in (("two", "signal", "setup"), ("three", "data", "bars")):
        gone, come = compared(darwin, "one", run_id)["differences"]
        assert {(one["cause"], one["what"]) for one in (gone, come)} == {(cause, what)}
        assert (gone["b"], come["a"]) == (None, None)


def test_another_bracket_is_data_unless_the_playbooks_have_other_terms(
    recorded: Path, darwin: Darwin
) -> None:
    run = worked_out()
    table = run.candidates
    wider = replace(table, stop_distance=table.stop_distance + np.eye(6)[0])
    other = replace(run, candidates=wider)
    terms = json.dumps({"limits": {"max_orders_per_bar": 5}, "playbooks": [{"name": "breakout"}]})
    also(recorded, other, "two", **OTHER_BARS)
    also(recorded, other, "three", **OTHER_BARS, config_json=terms)
    also(recorded, other, "four")
    for run_id, cause in (("two", "data"), ("three", "signal"), ("four", "signal")):
        [one] = compared(darwin, "one", run_id)["differences"]
        assert (one["cause"], one["what"]) == (cause, "bracket")
        assert one["a"]["candidate_id"] == TAKEN


def test_runs_of_two_databases_are_compared(recorded: Path, darwin: Darwin, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite"
    record(elsewhere, filled({}, {"fee_usd": 0.6}))
    tree = compared(darwin, "one", "one", "--other-db", str(elsewhere))
    assert causes(tree) == {"cost": -0.5}
    back = compared(
        darwin, "one", "one", "--db", str(elsewhere), "--other-db", str(recorded.resolve())
    )
    assert causes(back) == {"cost": 0.5}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["one", "onn"], 2, "did you mean 'one'?"),
        (["zebra", "one"], 2, "no run called 'zebra'"),
        (["one"], 2, "Missing argument 'B'"),
        (["one", "one", "--other-db", "nowhere.sqlite"], 2, "--other-db: there is no file"),
        (["one", "one", "--db", "nowhere.sqlite"], 4, "there is no database yet"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_few_plain_lines(
    recorded: Path, darwin: Darwin, words: list[str], code: int, said: str
) -> None:
    ended, out, err = darwin("runs", "compare", *words)
    assert (ended, out) == (code, "")
    assert said in err
    assert len(err.splitlines()) <= 3


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM fills WHERE kind = 'exit' AND {mine}", "has 30 facts, 32 were acknowledged"),
        ("UPDATE fills SET units = 3 WHERE kind = 'exit' AND {mine}",
         "closes what was never opened"),
        ("UPDATE fills SET units = 9e999 WHERE {mine}", "has no sound units or price"),
        ("UPDATE fills SET side = 'short' WHERE {mine}", "was traded on its other side"),
        ("UPDATE verdicts SET candidate_id = 'dddddddddddddddd' WHERE take = 0 AND {mine}",
         "is about no candidate of the run"),
        ("UPDATE candidates SET playbook = 'breakout', side = 'long', bar_time ="
         " (SELECT min(bar_time) FROM candidates) WHERE {mine}", f"repeats {TAKEN}"),
        ("UPDATE candidates SET features = zeroblob(24) WHERE {mine}",
         "has another number of features"),
        ("UPDATE candidates SET stage = NULL, reason = NULL WHERE {mine}", "never had its order"),
        ("UPDATE orders SET kind = 'gone' WHERE reason IS NOT NULL AND {mine}",
         "never had its ending"),
        ("UPDATE runs SET config_json = '{{}}' WHERE {mine}", "what run 'one' is made of was"),
        ("UPDATE equity_marks SET day = 'monday' WHERE day LIKE '%01' AND {mine}",
         "is of no day"),
    ],
)  # fmt: skip
def test_a_record_that_contradicts_itself_is_exit_4_and_the_row_is_named(
    recorded: Path, darwin: Darwin, sql: str, said: str
) -> None:
    also(recorded, worked_out())
    with tampering(recorded) as raw:
        raw.execute(sql.format(mine="run_id = 'one'"))
    for pair in (("one", "two"), ("two", "one")):
        code, out, err = darwin("runs", "compare", *pair)
        assert (code, out) == (4, "")
        assert said in err
        assert len(err.splitlines()) == 3


def test_nothing_is_written(recorded: Path, darwin: Darwin) -> None:
    also(recorded, filled({}, {"fee_usd": 0.6}))
    before = recorded.read_bytes()
    assert darwin("runs", "compare", "one", "two")[0] == 0
    assert recorded.read_bytes() == before


def test_the_candidates_that_matter_most_come_first_with_a_hint(
    recorded: Path, darwin: Darwin
) -> None:
    run = filled({}, {"fee_usd": 0.6})
    held: list[Fill] = [one._replace(fee_usd=5.0) for one in run.fills[2:]]
    also(recorded, replace(run, fills=[*run.fills[:2], *held]))
    out = darwin("runs", "compare", "one", "two")[1]
    lines = out.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("candidate "))
    assert [line.split()[0] for line in lines[first + 1 : first + 3]] == [HELD, TAKEN]
    assert "target, 2 units, net +7.5000" in lines[first + 2]
    assert lines[-1] == f"`darwin why {HELD} --run one` tells more of one"


def test_a_value_of_another_type_is_named(recorded: Path, darwin: Darwin) -> None:
    with tampering(recorded, loose=True) as raw:
        raw.execute("UPDATE fills SET price = 'dear' WHERE kind = 'exit'")
    code, out, err = darwin("runs", "compare", "one", "one")
    assert (code, out, len(err.splitlines())) == (4, "", 3)
    assert "of fills has no number in price" in err


def test_pages_that_cannot_be_read_are_exit_4(recorded: Path, darwin: Darwin) -> None:
    folded(recorded)
    page = root_page(recorded, "candidates")
    overwrite(recorded, page.start, b"\xff" * len(page))
    code, out, err = darwin("runs", "compare", "one", "one")
    assert (code, out, len(err.splitlines())) == (4, "", 3)
    assert "the database is damaged" in err

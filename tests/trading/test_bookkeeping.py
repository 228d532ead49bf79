"""The books of an auditor: which sequences of facts can be those of a run."""

from __future__ import annotations

from typing import Any

import pytest

from darwin.errors import RecordError
from darwin.trading.bookkeeping import Bookkeeping

ID, OTHER = "00000000000000aa", "00000000000000bb"


def candidate(candidate_id: str = ID, reason: str | None = None) -> tuple[str, dict[str, Any]]:
    return "candidates", {"candidate_id": candidate_id, "reason": reason}


def verdict(candidate_id: str = ID) -> tuple[str, dict[str, Any]]:
    return "verdicts", {"candidate_id": candidate_id}


def order(kind: str = "submitted", candidate_id: str = ID) -> tuple[str, dict[str, Any]]:
    return "orders", {"candidate_id": candidate_id, "kind": kind}


def outcome(candidate_id: str = ID) -> tuple[str, dict[str, Any]]:
    return "outcomes", {"candidate_id": candidate_id}


def fill(kind: str = "entry", candidate_id: str = ID, **other: Any) -> tuple[str, dict[str, Any]]:
    plain = {
        "candidate_id": candidate_id, "kind": kind, "symbol": "BTC/USDT", "side": "long",
        "time": 0, "phase": 0, "units": 2.0, "price": 100.0, "mid_price": 100.0, "fee_usd": 0.1,
        "funding_usd": 0.0, "stop_price": 98.0 if kind == "entry" else None,
    }  # fmt: skip
    return "fills", plain | other


TAKEN = (candidate(), verdict(), order(), fill(), fill("exit"), outcome())
CANCELLED = (candidate(), verdict(), order(), order("cancelled"), outcome())
SKIPPED = (candidate(reason="expert skip"), verdict(), outcome())


def booked(*facts: tuple[str, dict[str, Any]]) -> Bookkeeping:
    books = Bookkeeping(("BTC/USDT", "ETH/USDT"))
    for seq, (table, row) in enumerate(facts, start=1):
        books.fold(table, seq, row)
    return books


@pytest.mark.parametrize("facts", [TAKEN, CANCELLED, SKIPPED, ()])
def test_what_a_run_records_of_a_candidate_adds_up(facts: Any) -> None:
    books = booked(*facts)
    books.close()
    assert books.candidates == bool(facts)


def test_candidates_may_be_open_side_by_side() -> None:
    other = (candidate(OTHER), order(candidate_id=OTHER), fill(candidate_id=OTHER, side="short"))
    end = (fill("exit", OTHER, side="short"), outcome(OTHER))
    booked(*TAKEN[:4], *other, *TAKEN[4:], *end).close()


def test_an_outcome_may_be_known_before_the_position_is_left() -> None:
    booked(*TAKEN[:4], outcome(), fill("exit")).close()


def test_kinds_that_tell_of_no_candidate_are_left_alone() -> None:
    booked(("safety_events", {"kind": "halted"}), ("inputs", {"candidate_id": ID})).close()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((candidate(), candidate()), "was proposed before"),
        ((verdict(),), "judges no candidate that is open"),
        ((order(),), "is a second order of its candidate, or of none that is open"),
        ((candidate(), order(), order()), "is a second order of its candidate"),
        ((*SKIPPED[:1], order()), "is a second order of its candidate"),
        ((candidate(), order("cancelled")), "comes before the order of its candidate"),
        ((candidate(), fill()), "comes before the order of its candidate"),
        ((*CANCELLED[:4], fill()), "is a second ending of its candidate"),
        ((*TAKEN[:4], order("cancelled")), "is a second ending of its candidate"),
        ((*SKIPPED[:1], order("cancelled")), "is a second ending of its candidate"),
        ((*TAKEN, outcome()), "is a second outcome of its candidate, or of none that is open"),
        ((outcome(OTHER),), "is a second outcome of its candidate, or of none that is open"),
        ((*TAKEN[:3], fill("exit")), "does not balance: it closes a position that is not open"),
        ((*TAKEN[:4], fill("exit", units=1.0)), "does not balance: it closes 1.0 of 2.0 units"),
        ((*TAKEN[:4], fill("exit", side="short")), "does not balance: it closes 2.0 of 2.0"),
        ((*TAKEN[:4], fill()), "does not balance: its position is open already"),
        ((*TAKEN[:3], fill(units=-2.0)), "does not balance: units -2.0 at price 100.0"),
        ((*TAKEN[:3], fill(symbol="DOGE")), "is no fact of its kind (long DOGE)"),
        ((*TAKEN[:3], fill(side="up")), "is no fact of its kind (up BTC/USDT)"),
        ((*TAKEN[:3], fill(stop_price=100.0)), "is no fact of its kind (its stop is its price)"),
        ((*TAKEN[:3], fill(price=None)), "is no fact of its kind"),
        ((candidate("no id"), order(candidate_id="no id"), fill(candidate_id="no id")), "no fact"),
    ],
)
def test_the_first_fact_that_does_not_fit_is_named(facts: Any, words: str) -> None:
    with pytest.raises(RecordError) as found:
        booked(*facts)
    table, row = facts[-1]
    assert (found.value.table, found.value.seq) == (table, len(facts))
    assert found.value.candidate_id == row["candidate_id"]
    assert words in found.value.what


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (TAKEN[:1], "row 1 of candidates, candidate 00000000000000aa, never had its order and"),
        (TAKEN[:3], "never had its ending and outcome"),
        (TAKEN[:5], "never had its outcome"),
        (SKIPPED[:2], "never had its outcome"),
        ((*TAKEN[:4], outcome()), "row 4 of fills, candidate 00000000000000aa, entered a position"),
    ],
)
def test_a_finished_run_leaves_nothing_open(facts: Any, words: str) -> None:
    books = booked(*facts)
    with pytest.raises(RecordError, match=words):
        books.close()

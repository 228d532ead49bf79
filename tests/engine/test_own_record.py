"""An expert that remembers is shown what became of its verdicts, as far as it is known by then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from darwin.core.account import Account
from darwin.core.candidate import Candidate
from darwin.core.decision import NO_ANSWER, Verdict
from darwin.core.expert import Record
from darwin.core.market import FloatArray
from darwin.core.trade import Status
from darwin.engine.result import RunResult
from darwin.engine.scribe import known_time
from darwin.engine.track_record import LAST
from tests.engine.live_runs import fed, whimsical
from tests.engine.worlds import TakeAll, grid_bars, session_over


@dataclass(frozen=True)
class Diarist:
    """Takes two of three candidates, fails at some, and writes down what it was shown."""

    needs: tuple[str, ...] = ()
    takes_everything: Verdict | None = None
    shown: list[tuple[Candidate, Record]] = field(default_factory=list)

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        raise AssertionError("one that remembers is asked so")

    def decide_knowing(
        self, candidate: Candidate, features: FloatArray, account: Account, record: Record
    ) -> Verdict:
        self.shown.append((candidate, record))
        if candidate.id % 7 == 0:
            return Verdict(False, 0.0, 0.0, (f"{NO_ANSWER}a test",), 0.0)
        return Verdict(candidate.id % 3 > 0, (candidate.id % 100) / 100, 0.5, ("odd",), 0.0)


def markets() -> list[Any]:
    return [grid_bars(400, 1), grid_bars(400, 2, symbol="ETH/USDT", gaps=False)]


def expected(result: RunResult, shown: list[tuple[Candidate, Record]], at: int) -> dict[str, Any]:
    """What is known of the playbook at the `at`-th question, reckoned from the finished run."""
    table, outcomes = result.candidates, result.outcomes
    known = known_time(table, outcomes, result.markets)
    candidate = shown[at][0]
    before = [one for one, _ in shown[:at] if one.id % 7 and one.playbook == candidate.playbook]
    rows = [
        one.row
        for one in before
        if known[one.row] <= candidate.bar_time and outcomes.status[one.row] == Status.RESOLVED
    ]
    rows.sort(key=lambda row: (known[row], row))
    takes = [row for row in rows if table.id[row] % 3 > 0]
    won = outcomes.r > 0
    return {
        "asked": len(rows),
        "right": sum(bool(won[row]) == (row in takes) for row in rows),
        "takes": len(takes),
        "sum_r": sum(outcomes.r[takes].tolist()),
        "sum_r_skips": pytest.approx(sum(outcomes.r[row] for row in rows if row not in takes)),
        "last": [outcomes.r.item(row) for row in rows[-LAST:]],
    }


def told(record: Record) -> dict[str, Any]:
    tally = record.on_playbook
    return {
        "asked": tally.asked,
        "right": tally.right,
        "takes": tally.takes,
        "sum_r": pytest.approx(tally.sum_r_of_takes),
        "sum_r_skips": tally.sum_r_of_skips,
        "last": [judged.r for judged in tally.last],
    }


def test_it_is_shown_the_outcomes_that_are_known_by_then_and_no_others() -> None:
    diarist = Diarist()
    result = session_over(*markets(), decider=diarist).run()
    assert len(diarist.shown) > 100
    for at, (_, record) in enumerate(diarist.shown):
        assert told(record) == expected(result, diarist.shown, at)
    assert diarist.shown[-1][1].on_symbol.asked < diarist.shown[-1][1].on_playbook.asked


@pytest.mark.parametrize("sizes", [(1,), (7, 90), (10_000,)])
def test_fed_bar_by_bar_it_is_shown_the_same(sizes: tuple[int, ...]) -> None:
    walked, live = Diarist(), Diarist()
    session = whimsical(session_over(*markets(), decider=walked), 3, 0.2)
    session.run()
    fed(replace(session, decider=live), sizes)
    assert len(live.shown) > 50
    assert [one for one, _ in live.shown] == [one for one, _ in walked.shown]
    assert [record for _, record in live.shown] == [record for _, record in walked.shown]


def test_an_expert_that_does_not_remember_is_asked_as_before() -> None:
    plain = session_over(*markets(), decider=TakeAll()).run()
    assert np.count_nonzero(plain.verdicts.asked) > 100
    assert plain.verdicts.take[plain.verdicts.asked].all()

"""A seat at the door: what an agent is before anything is said of it, and which rows it sees."""

from __future__ import annotations

import numpy as np
import pytest

from darwin.core.account import Account
from darwin.core.agents import GATE, Mode, Standing
from darwin.core.ports import Moment
from darwin.engine.seat import AgentTerms, Seat, Sight
from darwin.safety.breaker import BreakerSettings
from tests.engine.doors import Plain
from tests.engine.worlds import grid_bars, session_over

TABLE = session_over(grid_bars(400, 3, gaps=False), rate=0.9).run().candidates
MOMENT = Moment(Account(10_000.0, 2_000.0, 0.0, 1, -0.01), 10_000.0, None)


def test_an_agent_may_not_act_unless_it_is_said() -> None:
    assert not AgentTerms(Plain(GATE)).may_act


def test_before_anything_is_said_of_it_an_agent_watches_without_a_model() -> None:
    seat = Seat(AgentTerms(Plain(GATE), may_act=True), ("x",), BreakerSettings(), 0.2)
    assert seat.mode is Mode.OBSERVE
    assert seat.standing == Standing(GATE)
    assert seat.serving is None
    assert seat.challenger is None


@pytest.mark.parametrize("first", [0, 5])
def test_a_new_table_is_looked_at_afresh(first: int) -> None:
    """Row 7 of the first table is not row 7 of the next."""
    sight = Sight(Plain(GATE), ("x",))
    sight.show(TABLE, 0)
    before = sight.observe(first, MOMENT)
    other = TABLE.select(np.arange(20, 40))
    sight.show(other, first)
    after = sight.observe(first, MOMENT)
    assert not np.array_equal(before, after)
    fresh = Sight(Plain(GATE), ("x",))
    fresh.show(TABLE, 0)
    np.testing.assert_array_equal(after, fresh.observe(20, MOMENT))


def test_rows_may_be_asked_in_any_order() -> None:
    sight, back = Sight(Plain(GATE), ("x",)), Sight(Plain(GATE), ("x",))
    sight.show(TABLE, 100)
    back.show(TABLE, 100)
    rows = range(100, 120)
    forth = [sight.observe(row, MOMENT).tobytes() for row in rows]
    assert [back.observe(row, MOMENT).tobytes() for row in reversed(rows)] == forth[::-1]
    told = Plain(GATE).columns(TABLE, ("x",))[: len(rows)]
    assert [one[: told[0].nbytes] for one in forth] == [row.tobytes() for row in told]

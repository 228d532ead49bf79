"""The cap of an agent on positions: where it acts no position is worth more, elsewhere nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.core.agents import AGENT_CAP, AGENTS, PASS, SKIP, Standing, Why
from darwin.core.decision import Reason
from darwin.core.facts import KILLED, Input
from darwin.core.trade import Order
from darwin.engine.session import Session
from darwin.engine.twins import twins_of
from darwin.trading.book_limits import BookLimits
from darwin.trading.sizing import Size, capped
from tests.engine.doors import (
    GATE,
    META_LEARNER,
    ONE,
    PORTFOLIO,
    Does,
    Script,
    always,
    seated,
    standing,
    terms,
    whimsical_policy,
)  # fmt: skip
from tests.engine.live_runs import Collected, fed
from tests.engine.test_agents_walk import market, replayed, traded
from tests.engine.test_rebalancing import OURS, Policy, made, panel, tilt
from tests.engine.test_rebalancing import standing as of_book
from tests.engine.worlds import NO_LIMITS

CAP = 60.0
"""USD; an order of these markets is one unit at some hundred USD."""
LOOSE = 1e6


def with_gate(session: Session, policy: Does | None = None, **other: Any) -> Session:
    return replace(session, agents=terms({GATE: policy or always(PASS)}, **other))


def orders(session: Session, script: Script) -> list[Order]:
    return list(replayed(session, script).of("orders"))


def value(order: Order) -> float:
    return order.units * order.price


def test_an_order_in_which_an_agent_acts_is_cut_to_its_cap_and_named_after_it() -> None:
    session = with_gate(market(positions_per_symbol=1))
    free, cut = (orders(session, seated(GATE, max_position_usd=cap)) for cap in (None, CAP))
    assert len(free) == len(cut) > 20
    assert {(order.units, order.clipped_by) for order in free} == {(1.0, "")}
    assert {order.clipped_by for order in cut} == {AGENT_CAP}
    assert [value(order) for order in cut] == pytest.approx([CAP] * len(cut), rel=1e-12)


@pytest.mark.parametrize("stage", [0.01, 0.5, 1.0])
def test_it_holds_at_every_stage_of_capital(stage: float) -> None:
    sizes = replace(market(), agents=terms({PORTFOLIO: always(0.9)}))
    found = orders(sizes, seated(PORTFOLIO, stage=stage, max_position_usd=CAP))
    assert found and max(map(value, found)) <= CAP * (1 + 1e-12)


def test_a_symbol_that_holds_as_much_as_the_cap_gets_no_more() -> None:
    session = with_gate(market(positions_per_symbol=3))
    result = session.run(inputs=seated(GATE, max_position_usd=CAP))
    refused = np.count_nonzero(result.reasons == Reason.MAX_POSITION_VALUE)
    assert refused > 10
    assert max(map(value, result.orders)) <= CAP * (1 + 1e-12)


def test_what_a_symbol_holds_already_leaves_so_much_less_room() -> None:
    session = with_gate(market(positions_per_symbol=3))
    found = orders(session, seated(GATE, max_position_usd=150.0))
    cut = [value(one) for one in found if one.clipped_by]  # a unit is worth less than 150 USD
    assert sum(15.0 < usd < 100.0 for usd in cut) > 10


def test_it_holds_from_the_next_candidate_on_until_it_is_lifted() -> None:
    session = with_gate(market(positions_per_symbol=1))
    script = seated(GATE).stand(30, standing(GATE, max_position_usd=CAP)).stand(70, standing(GATE))
    found = orders(session, script)
    cut = {order.row: order.clipped_by == AGENT_CAP for order in found}
    assert {row for row, is_cut in cut.items() if is_cut} == {row for row in cut if 30 <= row < 70}
    assert min(cut) < 30 and max(cut) > 70 and any(cut.values())


@pytest.mark.parametrize(
    "script",
    [
        seated(GATE, stage=0.0, max_position_usd=CAP),
        seated(GATE, promoted=False, max_position_usd=CAP),
        seated(GATE, serving=None, max_position_usd=CAP),
        seated(GATE, max_position_usd=CAP).kill(0),
    ],
)
def test_where_the_agent_does_not_act_every_order_is_as_without_it(script: Script) -> None:
    assert traded(replayed(with_gate(market()), script)) == traded(replayed(market(), None))


def test_nor_where_the_config_lets_it_watch_alone_or_its_advice_was_none() -> None:
    bare, script = traded(replayed(market(), None)), seated(GATE, max_position_usd=CAP)
    assert traded(replayed(with_gate(market(), may_act=False), script)) == bare
    broken = with_gate(market(), Does(lambda seen: None))
    assert traded(replayed(broken, script)) == bare


def test_an_audit_that_lets_a_skip_pass_is_no_act_and_has_no_cap() -> None:
    session = with_gate(market(bars=900, positions_per_symbol=1), always(SKIP))
    found = replayed(session, seated(GATE, max_position_usd=CAP))
    audited = {one.row for one in found.of("decisions") if one.why is Why.AUDIT}
    passed = found.of("orders")
    assert passed and {order.row for order in passed} <= audited
    assert {order.units for order in passed} == {1.0}


@pytest.mark.parametrize("of_config", [CAP, 80.0])
def test_a_cap_above_that_of_the_config_changes_nothing(of_config: float) -> None:
    session = with_gate(market())
    rules = replace(
        session.rules,
        limits=replace(NO_LIMITS, max_position_usd=of_config),
        sizing=replace(session.rules.sizing, max_position_usd=of_config),
    )
    session = replace(session, rules=rules)
    plain = orders(session, seated(GATE))
    assert orders(session, seated(GATE, max_position_usd=100.0)) == plain
    assert orders(session, seated(GATE, max_position_usd=of_config - 30.0)) != plain


def test_of_several_agents_that_act_the_tightest_cap_holds() -> None:
    session = replace(
        market(positions_per_symbol=1),
        agents=terms({GATE: always(PASS), META_LEARNER: always(0.0), PORTFOLIO: always(1.0)}),
    )
    caps = {GATE: 90.0, META_LEARNER: 50.0, PORTFOLIO: 70.0}
    for watching, most in ((None, 50.0), (META_LEARNER, 70.0)):
        script = Script({}).stand(
            0,
            *(
                standing(one, max_position_usd=cap, promoted=one != watching)
                for one, cap in caps.items()
            ),
        )
        assert max(map(value, orders(session, script))) == pytest.approx(most, rel=1e-12)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_fed_bar_by_bar_and_replayed_at_once_the_caps_cut_alike(
    seed: int, data: st.DataObject
) -> None:
    session = replace(market(seed, bars=90), agents=terms({a: whimsical_policy(a) for a in AGENTS}))
    caps = st.sampled_from([None, 30.0, CAP, 95.0, LOOSE])
    script = Script({}).stand(0, *(standing(a, max_position_usd=data.draw(caps)) for a in AGENTS))
    for row in data.draw(st.lists(st.integers(1, 60), max_size=4, unique=True)):
        agent = data.draw(st.sampled_from(AGENTS))
        script.stand(row, standing(agent, max_position_usd=data.draw(caps)))
    whole = replayed(session, script)
    _, live = fed(session, [data.draw(st.integers(1, 9))], inputs=script)
    assert live.told() == whole.told()


def test_a_twin_without_the_agent_is_a_run_without_its_cap() -> None:
    session = with_gate(market())
    capped_run = session.run(inputs=seated(GATE, max_position_usd=CAP))
    assert session.agents is not None
    found = twins_of(session, capped_run, session.agents, asks_nobody=True)
    assert found.sizes_changed == {GATE: 0} and not found.are_the_run
    assert list(found.without_agents.result.orders) == list(market().run().orders)
    assert found.alone[GATE].is_run
    free_run = session.run(inputs=seated(GATE))
    assert twins_of(session, free_run, session.agents, asks_nobody=True).are_the_run


@pytest.mark.parametrize(
    ("size", "room", "lot", "units", "clipped_by", "objection"),
    [
        (Size(2.0, "cash", None), 200.0, None, 2.0, "cash", None),
        (Size(2.0, "", None), 150.0, None, 1.5, AGENT_CAP, None),
        (Size(2.0, "cash", None), 150.0, None, 1.5, f"cash; {AGENT_CAP}", None),
        (Size(2.0, "", None), 199.0, 0.5, 1.5, AGENT_CAP, None),
        (Size(2.0, "", None), 9.9, None, 0.0, AGENT_CAP, Reason.MAX_POSITION_VALUE),
        (Size(2.0, "", None), -50.0, None, 0.0, AGENT_CAP, Reason.MAX_POSITION_VALUE),
        (Size(0.0, "lot", Reason.MINIMUM_ORDER), -5.0, None, 0.0, "lot", Reason.MINIMUM_ORDER),
    ],
)
def test_a_size_is_cut_to_the_room_in_whole_lots_down_to_the_minimum_order(
    size: Size, room: float, lot: float | None, units: float, clipped_by: str, objection: Reason
) -> None:
    assert capped(size, room, 100.0, 10.0, lot) == Size(units, clipped_by, objection)


def test_a_standing_without_a_cap_reads_and_writes_as_before_there_were_any() -> None:
    plain = standing(GATE)
    assert "max_position_usd" not in json.loads(plain.text())
    of_before = {"agent", "basis", "challenger", "fault", "promoted", "serving", "stage"}
    assert set(json.loads(plain.text())) == of_before | {"training_end_ms"}
    assert Standing.read(plain.text()) == plain
    with_cap = standing(GATE, max_position_usd=CAP)
    assert Standing.read(with_cap.text()) == with_cap != plain
    with pytest.raises(ValueError, match="no standing"):
        Standing.read(json.dumps({**json.loads(plain.text()), "max_position": 1.0}))


EQUITY = 1_000.0


def test_a_book_in_which_an_agent_acts_holds_no_more_than_the_cap_of_one_asset() -> None:
    bars, policies = panel(), {OURS: Policy(tilt)}
    script = {
        0: [of_book(1.0)],
        3: [of_book(1.0, max_position_usd=400.0)],
        8: [of_book(1.0, max_position_usd=LOOSE)],
        10: [of_book(1.0)],
    }
    found = made(bars, policies, script)
    free = made(bars, policies, {0: [of_book(1.0)]})
    for at, (row, one) in enumerate(zip(found.rows, found.rebalances, strict=True)):
        if 3 <= at < 8:
            assert one.limited_by == AGENT_CAP
            assert max(one.final) * found.value[row] * EQUITY == pytest.approx(400.0)
            assert one.final[1] == 0.1
        else:
            assert (one.final, one.limited_by) == ((0.7, 0.1), "")
    assert [one.action for one in found.rebalances] == [one.action for one in free.rebalances]


def test_where_the_agent_of_a_book_is_killed_or_watches_its_cap_cuts_nothing() -> None:
    kill = Input(0, 0, 0, KILLED, "Ada", "stop")
    for script in (
        {0: [of_book(1.0, max_position_usd=100.0), kill]},
        {0: [of_book(0.0, max_position_usd=100.0)]},
    ):
        found = made(panel(), {OURS: Policy(tilt)}, script)
        assert {(one.final, one.limited_by) for one in found.rebalances} == {((0.5, 0.5), "")}


def test_of_a_book_the_tighter_of_cap_and_config_holds_and_is_named() -> None:
    limits, wanted = BookLimits(max_position_usd=300.0), np.array([0.5, -0.5])
    held = np.zeros(2)
    for cap, most, names in ((200.0, 0.2, "max weight, agent cap"), (400.0, 0.3, "max weight")):
        allowed, cut = limits.within(wanted, held, EQUITY, None, cap)
        assert allowed.tolist() == [most, -most]
        assert cut == names


def test_collected_facts_tell_the_standing_with_its_cap() -> None:
    journal: Collected = replayed(with_gate(market()), seated(GATE, max_position_usd=CAP))
    [told] = journal.of("inputs")
    assert Standing.read(told.detail) == Standing(
        GATE, ONE, promoted=True, stage=1.0, max_position_usd=CAP
    )

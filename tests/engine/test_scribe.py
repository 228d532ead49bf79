"""What a journal is handed: all facts once, in order, the same however often it asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from darwin.core.account import Alert
from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO
from darwin.core.candidate import Candidate, Exits, Trailing
from darwin.core.decision import Reason
from darwin.core.facts import OF_BOOKS, ORDERED, TABLES, Facts, Input
from darwin.core.trade import Exit, Status
from darwin.engine.result import RunResult
from darwin.trading.costs import Costs
from tests.engine.doors import Script, seated, terms, whimsical_policy
from tests.engine.worlds import NO_LIMITS, TakeAll, grid_bars, session_over

DEAR = Costs(maker_bps=2, taker_bps=5, half_spread_bps=1, slippage_bps=1)
STRICT = replace(
    NO_LIMITS,
    max_orders_per_bar=2,
    max_refusals_per_bar=2,
    max_daily_loss_fraction=0.003,
    max_drawdown_fraction=0.004,
    reducing_resume_days=2,
)

exits_of_all_kinds = st.builds(
    Exits,
    stop_atr=st.sampled_from([0.5, 1.0, 2.0]),
    target_atr=st.sampled_from([None, 0.5, 3.0]),
    time_stop_bars=st.sampled_from([None, 1, 5, 20]),
    trailing=st.sampled_from([None, Trailing(0.5, 2.0)]),
    anchor=st.sampled_from(["signal", "fill"]),
)
worlds = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "exits": st.lists(exits_of_all_kinds, min_size=1, max_size=2),
        "limits": st.sampled_from([NO_LIMITS, STRICT]),
        "blind": st.booleans(),
        "per_symbol": st.integers(1, 2),
        "lengths": st.lists(st.integers(40, 150), min_size=1, max_size=3),
        "releases": st.sampled_from([None, 3, 11]),
        "agents": st.booleans(),
    }
)

MIXED = {
    "seed": 6, "exits": [Exits(1.0, 2.0, 8)] * 2, "limits": STRICT, "blind": True,
    "per_symbol": 2, "lengths": [150, 60, 110], "releases": 3, "agents": True,
}  # fmt: skip
"""A world in which everything happens."""


class Collected:
    """A journal that is due as `moods` say, and never once they are told."""

    def __init__(self, moods: Iterable[bool] = ()) -> None:
        self._moods = iter(moods)
        self.pieces: list[Facts] = []

    def due(self) -> bool:
        return next(self._moods, False)

    def append(self, facts: Facts) -> None:
        self.pieces.append(facts)

    def told(self) -> list[tuple[Any, ...]]:
        """All facts in the order in which they were handed over, each with its place in time."""
        return [fact for piece in self.pieces for fact in told(piece)]

    def beside(self) -> list[Alert]:
        """All alerts in the order in which they were handed over."""
        return [alert for piece in self.pieces for alert in piece.alerts]


class Releases:
    """Somebody who lifts every stop before each `every`th candidate, and seats `agents`."""

    def __init__(self, every: int | None, agents: Script) -> None:
        self._every, self._agents = every, agents

    def before(self, candidate: Candidate) -> Iterable[Input]:
        at = (candidate.row, candidate.id, candidate.bar_time)
        release = Input(*at, "release", "Ada", f"looked at {candidate.row}")
        released = self._every is not None and candidate.row % self._every == 0
        return [*self._agents.before(candidate), *([release] if released else [])]


def walk(journal: Collected, world: dict[str, Any], look_every: int = 1) -> RunResult:
    """Replay a world; a journal may be asked after every `look_every` candidates."""
    seed = world["seed"]
    markets = [
        grid_bars(n, seed + k, symbol=f"S{k}A/USDT", funding=k == 1)
        for k, n in enumerate(world["lengths"])
    ]
    session = session_over(
        *markets,
        exits=world["exits"],
        seed=seed,
        costs=DEAR,
        limits=world["limits"],
        decider=TakeAll(world["blind"]),
        equity=3_000.0,
        positions_per_symbol=world["per_symbol"],
    )
    every, agents = world["releases"], world["agents"]
    if agents:  # they act, and at a tenth of what they see they fail
        policies = {name: whimsical_policy(name, trouble=0.1) for name in AGENTS}
        session = replace(session, agents=terms(policies))
    inputs = Releases(every, seated(*AGENTS, stage=0.5) if agents else Script({}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darwin.engine.timeline._LOOK_EVERY", look_every)
        return session.run(journal=journal, inputs=inputs if every or agents else None)


def told(facts: Facts) -> Iterator[tuple[Any, ...]]:
    """The facts of one piece in its order: when and where it happened, the kind, every field."""
    rows = {
        "inputs": facts.inputs,
        "verdicts": facts.verdicts,
        "orders": [*facts.orders, *facts.cancels],
        "fills": facts.fills,
        "safety_events": facts.safety_events,
        "agent_decisions": facts.decisions,
    }
    for kind, number in zip(*facts.order(), strict=True):
        table = TABLES[kind]
        if table in rows:
            said: Any = rows[table][number]
        else:
            part = facts.candidates if table == "candidates" else facts.outcomes
            said = {
                field.name: value[number].tolist() if isinstance(value, np.ndarray) else value
                for field in fields(part)
                for value in [getattr(part, field.name)]
            }
        if table == "candidates":
            said |= {"row": facts.first_row + int(number), "decided": int(facts.decided[number])}
        yield place_of(table, said, facts), table, repr(plain(said))


def plain(value: Any) -> Any:
    """Tuples without their names, enumerations as the numbers they are."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return int(value) if isinstance(value, IntEnum) else value


END, DECIDE, OPEN, MARK = 4, 3, 0, 2


def place_of(table: str, said: Any, facts: Facts) -> tuple[int, ...]:
    """Bar, phase, symbol, playbook and side of a fact, after the page on trading."""
    if table == "fills":
        phase = END if said.reason == Exit.END_OF_RUN else said.phase
        return said.time, phase, said.symbol, said.playbook, -said.side
    if table == "orders" and hasattr(said, "order"):
        phase = END if said.reason == Reason.NO_NEXT_BAR else OPEN
        return said.time, phase, said.order.symbol, said.order.playbook, -said.order.side
    if table == "outcomes":
        phase = {Status.GAPPED: OPEN, Status.UNRESOLVED: END}.get(
            said["status"], said["exit_phase"]
        )
        return said["known_time"], phase, said["symbol"], said["playbook"], -said["side"]
    if table == "safety_events" and said.row < 0:
        return said.time, MARK, -1, -1, -1
    row = {"verdicts": lambda: said[0], "candidates": lambda: said["row"]}.get(
        table, lambda: said.row
    )()
    at, table_ = row - facts.first_row, facts.candidates
    where = (table_.symbol[at], table_.playbook[at], -table_.side[at])
    return (int(table_.bar_time[at]), DECIDE, *map(int, where))


@settings(max_examples=60, deadline=None)
@given(world=worlds, moods=st.lists(st.booleans(), min_size=1), every=st.sampled_from([1, 7, 40]))
@example(world=MIXED, moods=[True] * 1_000, every=1)
def test_pieces_hold_what_one_hand_over_at_the_end_holds(world, moods, every):
    often, once = Collected(moods), Collected()
    walk(often, world, every)
    walk(once, world)
    assert len(once.pieces) == 1
    assert often.told() == once.told()
    assert often.beside() == once.beside()


@settings(max_examples=60, deadline=None)
@given(world=worlds)
def test_each_piece_holds_all_up_to_its_bar_and_nothing_else(world):
    journal = Collected([True] * 1_000)
    result = walk(journal, world)
    after, row = -1, 0
    for piece in journal.pieces:
        assert piece.reached > after
        assert all(after < place[0] <= piece.reached for place, *_ in told(piece))
        assert all(after < alert.time <= piece.reached for alert in piece.alerts)
        assert piece.first_row == row
        assert piece.bars == sum(int((b.time <= piece.reached).sum()) for b in result.markets)
        after, row = piece.reached, row + len(piece.candidates)
    assert after == max(int(bars.time[-1]) for bars in result.markets)


@settings(max_examples=60, deadline=None)
@given(world=worlds)
def test_facts_come_in_the_order_of_events(world):
    journal = Collected([True] * 1_000)
    walk(journal, world)
    places = [place for place, *_ in journal.told()]
    assert places == sorted(places)


SAID = (
    "inputs", "candidates", GATE, "verdicts", META_LEARNER, PORTFOLIO, "orders", "safety_events",
)  # fmt: skip
"""What may be told of one decision, in the order in which it comes about."""


@settings(max_examples=60, deadline=None)
@given(world=worlds)
@example(world=MIXED)
def test_a_decision_of_an_agent_stands_where_the_agent_was_asked(world):
    journal = Collected([True] * 1_000)
    walk(journal, world)
    of_candidate: dict[int, list[str]] = {}
    for piece in journal.pieces:
        for kind, number in zip(*piece.order(), strict=True):
            table = TABLES[kind]
            if table == "agent_decisions":
                one = piece.decisions[number]
                of_candidate.setdefault(one.row, []).append(one.agent)
            elif table == "candidates":
                of_candidate.setdefault(piece.first_row + int(number), []).append(table)
            elif table == "verdicts":
                of_candidate[piece.verdicts[number][0]].append(table)
            elif table == "orders" and number < len(piece.orders):
                of_candidate[piece.orders[number].row].append(table)
    for told_of in of_candidate.values():
        assert told_of == sorted(told_of, key=SAID.index)
    agents = {name for told_of in of_candidate.values() for name in told_of} & set(AGENTS)
    assert agents == (set(AGENTS) if world["agents"] else set())


@settings(max_examples=60, deadline=None)
@given(world=worlds, moods=st.lists(st.booleans(), min_size=1))
def test_all_that_a_run_came_to_is_told_once(world, moods):
    journal = Collected(moods)
    result = walk(journal, world)
    pieces = journal.pieces

    def every(name: str) -> list[Any]:
        return [one for piece in pieces for one in getattr(piece, name)]

    def whole(part: str, name: str) -> np.ndarray:
        return np.concatenate([getattr(getattr(piece, part), name) for piece in pieces])

    for name in ("id", "symbol", "side", "bar_time", "close", "stop_distance", "features"):
        np.testing.assert_array_equal(
            whole("candidates", name), getattr(result.candidates, name), name
        )
    for name in ("orders", "cancels", "fills", "safety_events"):
        assert every(name) == list(getattr(result, name)), name
    asked = np.flatnonzero(result.verdicts.asked).tolist()
    assert [row for row, _ in every("verdicts")] == asked
    releases = world["releases"]
    inputs = range(0, len(result.candidates), releases) if releases else ()
    assert [one.row for one in every("inputs") if one.kind == "release"] == list(inputs)
    decided = [(one.row, one.final_action) for one in every("decisions")]
    asked_of = result.consulted
    assert decided == list(zip(asked_of.row.tolist(), asked_of.share.tolist(), strict=True))
    assert bool(decided) == world["agents"]


@settings(max_examples=60, deadline=None)
@given(world=worlds, moods=st.lists(st.booleans(), min_size=1))
def test_the_reason_of_every_candidate_can_be_folded_from_the_facts(world, moods):
    journal = Collected(moods)
    result = walk(journal, world)
    folded = np.concatenate([piece.decided for piece in journal.pieces])
    ordered = set(np.flatnonzero(folded == ORDERED).tolist())
    answered = set()
    for piece in journal.pieces:
        assert {order.row for order in piece.orders} == {
            piece.first_row + i for i in np.flatnonzero(piece.decided == ORDERED).tolist()
        }
        for fill in piece.fills:
            if fill.is_entry:
                folded[fill.row] = Reason.TAKEN
                answered.add(fill.row)
        for cancel in piece.cancels:
            folded[cancel.order.row] = cancel.reason
            answered.add(cancel.order.row)
    assert answered == ordered
    np.testing.assert_array_equal(folded, result.reasons)


@settings(max_examples=60, deadline=None)
@given(world=worlds, moods=st.lists(st.booleans(), min_size=1))
def test_every_candidate_has_its_outcome_told_once(world, moods):
    journal = Collected(moods)
    result = walk(journal, world)
    outcomes = [piece.outcomes for piece in journal.pieces]
    row = np.concatenate([part.row for part in outcomes])
    assert sorted(row.tolist()) == list(range(len(result.candidates)))
    back = np.argsort(row)

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in outcomes])[back]

    np.testing.assert_array_equal(column("id"), result.candidates.id)
    for name in (
        "status", "entry_price", "stop_price", "target_price", "exit_price", "exit_phase",
        "exit_reason", "ambiguous", "funding", "r",
    ):  # fmt: skip
        np.testing.assert_array_equal(column(name), getattr(result.outcomes, name), name)
    for name in ("entry", "exit"):
        bar = getattr(result.outcomes, f"{name}_bar")
        times = [
            int(result.markets[symbol].time[at]) if at >= 0 else -1
            for symbol, at in zip(result.candidates.symbol, bar, strict=True)
        ]
        open_ended = (result.outcomes.status == Status.UNRESOLVED) & (name == "exit")
        np.testing.assert_array_equal(column(f"{name}_time"), np.where(open_ended, -1, times))


def test_much_is_handed_over_though_the_journal_does_not_ask():
    journal, whole = Collected(), Collected()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darwin.engine.scribe._AT_MOST", 20)
        walk(journal, MIXED)
    walk(whole, MIXED)
    sizes = [len(piece.candidates) for piece in journal.pieces]
    assert len(sizes) > 10
    assert all(20 <= size < 20 + 12 for size in sizes[:-1])  # 12 at most stand at one bar
    assert journal.told() == whole.told()


def test_these_worlds_hold_every_kind_of_fact():
    """Or the properties above would promise less than they seem to."""
    journal = Collected([True] * 1_000)
    walk(journal, MIXED)
    assert {table for _, table, _ in journal.told()} == set(TABLES) - set(OF_BOOKS)
    events = [event for piece in journal.pieces for event in piece.safety_events]
    kinds = {event.kind for event in events if not event.agent}
    assert kinds == {"daily_loss", "reducing", "resumed", "halted"}
    assert {event.agent for event in events} > {""}
    assert len(journal.beside()) > 3
    assert len(journal.pieces) > 50


def test_the_short_cut_tells_what_the_step_tells():
    for seed in range(5):
        world = {
            "seed": seed, "exits": [Exits(1.0, 2.0, 8)] * 2, "limits": NO_LIMITS, "per_symbol": 1,
            "lengths": [120, 90], "releases": None, "agents": False,
        }  # fmt: skip
        stepped, cut = Collected([True] * 1_000), Collected()
        walk(stepped, world | {"blind": True})
        walk(cut, world | {"blind": False})
        assert (len(stepped.pieces) > 10, len(cut.pieces)) == (True, 1)
        assert stepped.told() == cut.told()

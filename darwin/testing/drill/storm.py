"""A meta-learner that sets verdicts aside wherever it can, with all of the capital."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from darwin.config.rl import RlConfig
from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO, TO_SKIP, TO_TAKE, Why
from darwin.core.market import HOUR_MS
from darwin.safety.circuit import OPENED
from darwin.safety.overrides import ENOUGH, STORM, WINDOW_DECISIONS
from darwin.testing.drill.held import Held, tried
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import RUN, Room, played, steady


class Said(NamedTuple):
    """One sound answer of the meta-learner, as the database has it."""

    time: int  # the close of the candidate's bar
    requested: bool  # it wanted to set the verdict aside
    stood: bool


def storm(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse a meta-learner that always overrides, and one that wants to a third of the time."""
    rl = RlConfig.model_validate(rehearsal.piece.whole.tree["rl"] or {})
    rate = rl.max_override_rate
    ends, limits, trips = {}, {}, {}
    for one_in, did in ((1, "every verdict"), (3, "every third")):
        contrary = played("Contrary", META_LEARNER, one_in=one_in)
        name = f"overrides-one-in-{one_in}"
        room = rehearsal.room(name, steady(GATE), contrary, steady(PORTFOLIO))
        ends[did] = room.run().ends() or room.verified()
        limits[did] = _limit(_said(room, rehearsal), rate)
        if one_in == 1:
            trips[did] = _trip(room)
    did = "a meta-learner with all of the capital wants to set aside every verdict, every third"
    at_most = f"standing overrides keep to {rate:.0%} of the decisions in every window"
    yield tried(at_most, did, limits)
    yield tried("wanting far too many opens its breaker", did.split(",")[0], trips)
    yield tried("the run ends well; verify agrees", did, ends)


def _said(room: Room, rehearsal: Rehearsal) -> list[Said]:
    """All its sound answers, in order."""
    bar_ms = rehearsal.piece.whole.session.markets[0].timeframe.ms
    rows = room.ask(
        "SELECT d.bar_time, d.action, v.take, d.reason FROM agent_decisions AS d"
        " JOIN verdicts AS v USING (run_id, candidate_id)"
        " WHERE d.run_id = ? AND d.agent_name = ? AND d.action IS NOT NULL ORDER BY d.id",
        RUN, META_LEARNER,
    )  # fmt: skip
    said = []
    for time, action, take, reason in rows:
        requested = action == (TO_SKIP if take else TO_TAKE)
        said.append(Said(time + bar_ms, requested, requested and reason == Why.ACTIVE))
    return said


def _limit(said: Sequence[Said], rate: float) -> str:
    """Where an override stood that should not have, or the other way round; reckoned anew."""
    share = Fraction(repr(float(rate)))
    requested = 0
    for number, one in enumerate(said):
        before = said[:number]
        window = max(
            [each for each in before if each.time > one.time - HOUR_MS],
            before[-WINDOW_DECISIONS:],
            key=len,
        )
        standing = sum(each.stood for each in window) + 1
        most = share * (len(window) + 1) if len(window) >= ENOUGH else int(share * ENOUGH)
        if one.requested and one.stood != (standing <= most):
            what = "stood" if one.stood else "did not stand"
            return f"override {standing} of {len(window) + 1} decisions {what}"
        requested += one.requested
    return "" if requested else "it wanted to set aside nothing"


def _trip(room: Room) -> str:
    """Whether the storm was seen as soon as there were enough decisions, and opened the breaker."""
    events = room.ask(
        "SELECT id, kind FROM safety_events WHERE run_id = ? AND agent_name = ? ORDER BY id",
        RUN, META_LEARNER,
    )  # fmt: skip
    kinds = [kind for _, kind in events]
    if STORM not in kinds:
        return "it was not seen"
    at = kinds.index(STORM)
    if kinds[at : at + 2] != [STORM, OPENED]:
        return "its breaker did not open"
    sound = f"agent_name = '{META_LEARNER}' AND action IS NOT NULL AND id < {events[at][0]}"
    asked = room.count("agent_decisions", RUN, sound)
    return "" if asked == ENOUGH else f"it was seen after {asked:,} sound answers"

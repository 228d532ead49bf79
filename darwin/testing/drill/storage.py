"""A database that stays locked, a disk that is full, a process that is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

from darwin.core.agents import Why
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import RUN, Room, lively, run_words

FEED = (*run_words(RUN), "--feed")
RESUME = (*FEED, "--resume")
MOMENTS = (0.2, 0.4, 0.6)
"""Of all facts, at which a run is killed."""
REFUSED = 4
_CHANGES = "final_action <> baseline_action AND agent_name <> 'meta_learner'"


def storage(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse faults of the storage in runs whose agents are active with all of the capital."""
    undisturbed = rehearsal.feed_room("undisturbed", *lively())
    flaw = first(
        undisturbed.run().ends(),
        "" if undisturbed.reasons().get(Why.ACTIVE) else "no agent acts",
        "" if undisturbed.count("agent_decisions", RUN, _CHANGES) else "they change nothing",
    )
    whole, due = undisturbed.export(), undisturbed.kept()
    did = "all agents active with all of the capital, undisturbed"
    yield tried("they act, so that what follows can tell a difference", did, {"the run": flaw})
    did = "kill -9 at three moments of a run that is fed its bars, then --resume"
    killed = {"the run": _killed(rehearsal.feed_room("killed", *lively()), whole, due)}
    yield tried("all facts are those of the undisturbed run", did, killed)
    did = "another process keeps the database locked, in the middle of the run; then --resume"
    for held, flaw in _locked(rehearsal.feed_room("locked", *lively()), whole, due):
        yield tried(held, did, {"the run": flaw})
    did = "no file may grow any more (RLIMIT_FSIZE), in the middle of the run; then --resume"
    for held, flaw in _full(rehearsal.feed_room("full", *lively()), whole, undisturbed):
        yield tried(held, did, {"the run": flaw})


def _killed(room: Room, whole: bytes, due: int) -> str:
    words = FEED
    for moment in MOMENTS:
        child = room.start(*words)
        if not room.wait_for_facts(child, moment * due):
            return f"it had ended before {moment:.0%} of its facts: {child.ended().ends()}"
        child.signal(signal.SIGKILL)
        if child.ended().code != -signal.SIGKILL:
            return f"it had ended before it was killed at {moment:.0%} of its facts"
        words = RESUME
    return _resumed(room, whole)


def _locked(room: Room, whole: bytes, due: int) -> Iterator[tuple[str, str]]:
    child = room.start(*FEED)
    if not room.wait_for_facts(child, MOMENTS[0] * due):
        yield "it stops with exit 4 and three lines", f"it had ended before: {child.ended().err}"
        return
    with ExitStack() as lock:
        with room.held(child):
            lock.enter_context(room.locked())
        ended = child.ended()
    yield "it stops with exit 4 and three lines", ended.ends(REFUSED)
    yield "all facts are those of the undisturbed run", _resumed(room, whole)


def _full(room: Room, whole: bytes, undisturbed: Room) -> Iterator[tuple[str, str]]:
    """Half of what the whole run writes is too little for its write-ahead log."""
    written = sum(file.stat().st_size for file in undisturbed.database.parent.iterdir())
    ended = room.start_on_a_full_disk(written // 2, *FEED).ended()
    kept = room.kept()
    yield (
        "it stops with exit 4 and three lines",
        first(ended.ends(REFUSED), "" if kept else "it had kept nothing before"),
    )
    yield "all facts are those of the undisturbed run", _resumed(room, whole)


def _resumed(room: Room, whole: bytes) -> str:
    """What is not as it should be once the run has gone on to its end."""
    flaw = room.darwin(*RESUME).ends()
    if flaw:
        return f"--resume: {flaw}"
    return first(
        "" if room.export() == whole else "the export is another",
        room.verified(),
    )

"""The kill switch, by each of its sources, before a run starts and in its middle."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

from darwin.core.agents import Why
from darwin.core.facts import ALLOWED, KILLED
from darwin.rl.registry import files
from darwin.rl.serving.kill_file import KILL_FILE
from darwin.safety.switch import VARIABLE
from darwin.testing.drill.children import Child
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.models import REFUSED, one_flipped_bit, serving, with_a_model
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import RUN, Room, lively, run_words

ON = ("kill", "on", "--by", "drill", "--reason", "a rehearsal")
OFF = ("kill", "off", "--by", "drill", "--reason", "it is over")
AFTER = "no decision after the flip is active"
STOPPED = 128 + signal.SIGTERM
_TAKES_S = 6.0
"""How long a run takes that is killed in its middle."""
_AWAITED = 8  # decisions, before and after something is done


def killing(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse all sources before the start; file and command also in the middle of a run."""
    yield from _before_the_start(rehearsal)
    yield from _by_file(rehearsal)
    yield from _by_command(rehearsal)


def _before_the_start(rehearsal: Rehearsal) -> Iterator[Held]:
    room = with_a_model(rehearsal, "killed-before")
    flaws, file = {}, room.artifacts / KILL_FILE
    with one_flipped_bit(serving(room) / files.WEIGHTS):
        control = room.run("control").ends(REFUSED)
        flaws["environment"] = _killed_run(room, rehearsal, "by-variable", **{VARIABLE: "1"})
        file.touch()
        flaws["file"] = _killed_run(room, rehearsal, "by-file")
        file.unlink()
        flaws["command"] = room.darwin(*ON).ends() or _killed_run(room, rehearsal, "by-command")
        latched = _killed_run(room, rehearsal, "again")
        released = room.darwin(*OFF).ends() or room.run("released").ends(REFUSED)
    did = "an active model is corrupt, and agents are killed before the start"
    yield tried("no byte of it is loaded: the run goes on as without agents", did,
                {"not killed": control, **flaws})  # fmt: skip
    did = "`darwin kill on`, then one process after the other; then `darwin kill off`"
    yield tried("it latches over restarts until a named act releases it", did,
                {"latched": latched, "released": released})  # fmt: skip


def _killed_run(room: Room, rehearsal: Rehearsal, run_id: str, **environment: str) -> str:
    return first(
        room.run(run_id, **environment).ends(),
        room.rules(Why.KILLED, run_id),
        room.differs(rehearsal.bare, run_id),
    )


def _by_file(rehearsal: Rehearsal) -> Iterator[Held]:
    room = rehearsal.feed_room("killed-by-file", *lively())
    child = _feed(room, rehearsal)
    flaw = _flip(room, child, (room.artifacts / KILL_FILE).touch) or child.ended().ends()
    did = "the file KILL is made in the middle of a run of active agents that is fed its bars"
    yield tried(AFTER, did, {"the run": flaw or _between(room, None)})
    yield tried("verify and replay agree", did, {"the run": room.disagrees()})


def _by_command(rehearsal: Rehearsal) -> Iterator[Held]:
    room = rehearsal.feed_room("killed-by-command", *lively())
    child = _feed(room, rehearsal)
    flaw = _flip(room, child, lambda: room.darwin(*ON)) or _goes_on(room, child)
    child.signal(signal.SIGTERM)
    flaw = flaw or child.ended().ends(STOPPED)
    stopped_at = _last(room)
    child = _feed(room, rehearsal, "--resume")
    again = _goes_on(room, child)
    with room.held(child):
        room.darwin(*OFF)
        released_at = _last(room)
    again = again or child.ended().ends()
    allowed = _input(room, ALLOWED)
    did = "`darwin kill on` in the middle of a run of active agents that is fed its bars"
    yield tried(AFTER, did, {"the run": flaw or _between(room, allowed)})
    did = "that run is stopped and resumed; later `darwin kill off`"
    early = allowed is not None and allowed <= max(stopped_at, released_at)
    latched = again or ("it was released before" if early else "")
    yield tried("it latches over the restart", did, {"the run": latched})
    acted = 0 if allowed is None else _rulings(room, f"reason = '{Why.ACTIVE}' AND id > {allowed}")
    yield tried("`darwin kill off` releases it", did, {"the run": "" if acted else "none acts"})
    yield tried("verify and replay agree", did, {"the run": room.disagrees()})


def _feed(room: Room, rehearsal: Rehearsal, *more: str) -> Child:
    """Start the run, fed at a speed that leaves time to do something in its middle."""
    markets = rehearsal.piece.feed.session.markets
    first_ms = min(int(bars.time[0]) for bars in markets)
    last_ms = max(int(bars.time[-1]) for bars in markets)
    speed = (last_ms - first_ms) / 1000 / _TAKES_S
    return room.start(*run_words(RUN), "--feed", "--speed", f"{speed:.0f}", *more)


def _flip(room: Room, child: Child, act: Callable[[], object]) -> str:
    """Kill in the middle, and see where the run heard of it; what was wrong about that."""
    if not room.wait(child, lambda: _rulings(room, f"reason = '{Why.ACTIVE}'") >= _AWAITED):
        return f"no agent acted before: {child.ended().ends()}"
    with room.held(child):
        act()
        decided = room.count("candidates")
    if not room.wait(child, lambda: _input(room, KILLED) is not None):
        return "the run never heard of it"
    late = room.count("candidates", RUN, f"id < {_input(room, KILLED)}") - decided
    # One candidate may have been under way while we did it, not yet on record.
    return "" if late <= 1 else f"{late:,} candidates were decided before it heard"


def _between(room: Room, until: int | None) -> str:
    """Which decision between the kill and its release was made by an agent."""
    killed = _input(room, KILLED)
    if killed is None:
        return "the run never heard of it"
    between = f"id > {killed}" + ("" if until is None else f" AND id < {until}")
    alive = _rulings(room, f"{between} AND reason <> '{Why.KILLED}'")
    dead = _rulings(room, f"{between} AND reason = '{Why.KILLED}'")
    return first(
        f"{alive:,} decisions were made by agents" if alive else "",
        "" if dead else "there was no decision after it",
    )


def _goes_on(room: Room, child: Child) -> str:
    """Wait for some more decisions; what was wrong where none came."""
    before = _last(room)
    if room.wait(child, lambda: _rulings(room, f"id > {before}") >= _AWAITED):
        return ""
    return f"no decision followed: {child.ended().ends()}"


def _rulings(room: Room, where: str) -> int:
    return room.count("agent_decisions", RUN, where)


def _last(room: Room) -> int:
    """The id of the last decision."""
    found = room.ask("SELECT MAX(id) FROM agent_decisions WHERE run_id = ?", RUN)
    return int(found[0][0] or 0) if found else 0


def _input(room: Room, kind: str) -> int | None:
    """The id of the first input of a kind; None without one."""
    found = room.ask("SELECT MIN(id) FROM inputs WHERE run_id = ? AND kind = ?", RUN, kind)
    return found[0][0] if found else None

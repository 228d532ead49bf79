"""Models that are missing, damaged, or made for something else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO, Why
from darwin.rl.agents.pages import PAGES
from darwin.rl.registry import files
from darwin.rl.serving import spec_file
from darwin.rl.serving.spec_file import Layer
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import Room, Seat, steady
from darwin.testing.models import make_model

REFUSED = 3
BROKEN = 4


def models(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse models that are no good, and models that are not there."""
    yield from _missing(rehearsal)
    room = with_a_model(rehearsal, "models")
    yield from _sound(room, rehearsal)
    yield from _damaged(room, rehearsal)
    yield from _wrong(room)


def with_a_model(rehearsal: Rehearsal, name: str) -> Room:
    """A room whose gate is served a deployed model, promoted, with all of the capital."""
    others = [steady(agent, "observe") for agent in (META_LEARNER, PORTFOLIO)]
    room = rehearsal.room(name, Seat(GATE), *others, promoted=False)
    deploy(room, GATE, make_model(GATE))
    room.promote()
    return room


def deploy(room: Room, agent: str, content: files.Files) -> int:
    """Deploy a model from a folder of its own; gives the exit code, whose refusal tells why."""
    folder = room.folder / "trained" / f"{len(list(room.folder.glob('trained/*')))}"
    folder.mkdir(parents=True)
    for name, some in content.items():
        (folder / name).write_bytes(some)
    ended = room.darwin("rl", "models", "deploy", agent, str(folder), "--by", "drill")
    return ended.code if not ended.ends(ended.code) else -1


def serving(room: Room) -> Path:
    """The folder of the version that serves as gate."""
    return (room.artifacts / "rl_models" / GATE / "current").resolve()


@contextmanager
def one_flipped_bit(file: Path) -> Iterator[None]:
    """Flip the lowest bit in the middle of a file, for a while."""
    sound = file.read_bytes()
    damaged = bytearray(sound)
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    try:
        yield
    finally:
        file.write_bytes(sound)


def _missing(rehearsal: Rehearsal) -> Iterator[Held]:
    seats = [Seat(agent, mode="observe") for agent in AGENTS]
    room = rehearsal.room("no-model", *seats, promoted=False)
    flaws = {
        "the run": first(
            room.run().ends(), room.rules(Why.NO_MODEL), room.differs(rehearsal.bare),
        )
    }  # fmt: skip
    did = "no model was ever deployed; observing"
    yield tried("the run goes on as without agents, rulings say 'no model'", did, flaws)


def _sound(room: Room, rehearsal: Rehearsal) -> Iterator[Held]:
    ended = room.run("sound").ends() or room.disagrees("sound")
    heard = room.reasons("sound", GATE).get(Why.ACTIVE, 0)
    flaws = {
        "the run": first(
            ended,
            "" if heard else "it was never heard",
            "" if room.differs(rehearsal.bare, "sound") else "no order is another",
        )
    }
    did = "a sound model is deployed and promoted; active with all of the capital"
    yield tried("it acts, so that what follows can tell a difference", did, flaws)


def _damaged(room: Room, rehearsal: Rehearsal) -> Iterator[Held]:
    observing, stopped = {}, {}
    for number, name in enumerate(files.LOADED):
        with one_flipped_bit(serving(room) / name):
            stopped[name] = room.run(f"stop-{number}").ends(REFUSED)
            observes = ("--set", "rl.gate_agent.mode=observe")
            observing[name] = _goes_on(room, rehearsal, f"observe-{number}", *observes)
    with one_flipped_bit(serving(room) / files.WEIGHTS):
        baseline = ("--set", "rl.on_model_error=baseline")
        going_on = {files.WEIGHTS: _goes_on(room, rehearsal, "baseline", *baseline)}
    with one_flipped_bit(serving(room) / files.ZIP):
        told = {
            "verify": room.darwin("rl", "models", "verify", GATE).ends(REFUSED),
            "fsck": room.darwin("rl", "models", "fsck").ends(BROKEN),
        }
    did = "one bit is flipped in each file of the deployed model that a run reads; "
    yield tried("refused; the run goes on as without agents", f"{did}observing", observing)
    yield tried("refused; the start stops with three lines", f"{did}active", stopped)
    did = "one bit is flipped in its weights; active, rl.on_model_error 'baseline'"
    yield tried("refused; the run goes on as without agents", did, going_on)
    did = "one bit is flipped in its model.zip, which no run reads"
    yield tried("`darwin rl models verify` and `fsck` tell", did, told)


def _goes_on(room: Room, rehearsal: Rehearsal, run_id: str, *words: str) -> str:
    return first(
        room.run(run_id, *words).ends(),
        room.rules(Why.NO_MODEL, run_id, GATE),
        room.differs(rehearsal.bare, run_id),
    )


def _wrong(room: Room) -> Iterator[Held]:
    width = len(PAGES[GATE].names)
    shorter = (Layer(width - 1, 2, spec_file.LINEAR),)
    sd = mean = tuple([1.0] * (width - 1))
    wrong = {
        "another page": make_model(META_LEARNER),
        "another schema": make_model(GATE, observation_schema="0" * 64),
        "another shape": make_model(GATE, layers=shorter, mean=mean, sd=sd),
    }
    flaws = {}
    before = serving(room)
    for name, content in wrong.items():
        code = deploy(room, GATE, content)
        flaws[name] = first(
            "" if code == REFUSED else f"exit {code} in place of {REFUSED}",
            "" if serving(room) == before else "it serves",
        )
    fsck = room.darwin("rl", "models", "fsck")
    flaws["the registry"] = fsck.ends()
    did = "a model of another page, schema or shape is offered as gate"
    yield tried("deploy refuses it, what served serves on", did, flaws)

"""What a page says of an act before it is done: what will happen, and what must be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from darwin.core.written import percent
from darwin.errors import ConfigError
from darwin.rl.graduation.record import read_record
from darwin.safety.stages import next_stage
from darwin.service.acts import known
from darwin.service.dashboard.render import Sight
from darwin.service.watching import stages
from darwin.store import jobs
from darwin.store.schedules import read_schedule

Given = Mapping[str, str]
"""The fields of a form, or of an address."""


class Field(NamedTuple):
    """Something that is asked for beside the reason."""

    name: str
    label: str
    kind: str = "text"  # text, check, choice
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()


class Ask(NamedTuple):
    """An act before it is done."""

    title: str
    says: str  # what will happen
    button: str
    grave: bool = False  # it stops something, or cannot simply be undone
    fields: tuple[Field, ...] = ()


def kill(sight: Sight, given: Given) -> Ask:
    """The switch."""
    return Ask(
        "Switch all agents off",
        "From the next decision on no agent acts or is asked, in any run of this deployment; on"
        " paper within a second. Trading goes on without them, under all its limits. It holds over"
        " restarts until somebody lets them go on.",
        "Switch all agents off", grave=True,
    )  # fmt: skip


def release(sight: Sight, given: Given) -> Ask:
    """Its release."""
    return Ask(
        "Let agents go on",
        "What was switched on by an act is released, and the file that the act made is removed."
        " A variable of the environment, or a file made by hand, holds until it is removed there.",
        "Let agents go on",
    )


def promote(sight: Sight, given: Given) -> Ask:
    """A promotion."""
    agent = known(given["agent"])
    serving = sight.registry().shelf(agent).serving
    version = serving.version if serving else "none"
    return Ask(
        f"Promote {agent}",
        f"Its model that serves ({version}) may act, with {percent(stages()[1])} of the capital, if"
        " all its conditions are passed; else this is refused, and names those that lack. A dossier"
        " is written of what it rested on.",
        f"Promote {agent}",
        fields=(Field("override", "override: without the evidence, on my word", "check"),),
    )


def demote(sight: Sight, given: Given) -> Ask:
    """A demotion."""
    agent = known(given["agent"])
    return Ask(
        f"Demote {agent}",
        f"No model of {agent} may act any more; it goes on watching. To act again it must be"
        " promoted anew, and begins with the first stage.",
        f"Demote {agent}", grave=True,
    )  # fmt: skip


def stage(sight: Sight, given: Given) -> Ask:
    """Another stage of the capital, and a cap."""
    agent = known(given["agent"])
    held = read_record(sight.registry().database, agent).promotion
    stage = held.stage if held else stages()[0]
    above = next_stage(stage)
    return Ask(
        f"Capital of {agent}",
        f"It holds {percent(stage)}. Down at any time; up one stage at a time, after its time there"
        " with green evidence: else this is refused, and says why.",
        "Set the stage",
        fields=(
            Field(
                "stage", "stage of the capital", "choice", f"{stage if above is None else above:g}",
                tuple((f"{one:g}", percent(one)) for one in stages()),
            ),
            Field("cap", "no position above, USD; empty: the cap that is in force stays"),
            Field("override", "override: without the stages, time or evidence", "check"),
        ),
    )  # fmt: skip


def rollback(sight: Sight, given: Given) -> Ask:
    """An earlier version."""
    agent = known(given["agent"])
    serving = sight.registry().shelf(agent).serving
    return Ask(
        f"Roll {agent} back",
        f"Version {given['version'][:40]} serves in the place of"
        f" {serving.version if serving else 'none'}; the next decision is asked of it. It acts only"
        " if it is promoted itself.",
        "Roll back", grave=True,
    )  # fmt: skip


def pin(sight: Sight, given: Given) -> Ask:
    """A version that is kept."""
    agent = known(given["agent"])
    return Ask(
        f"Pin version {given['version'][:40]} of {agent}", "It is kept until it is unpinned.", "Pin"
    )


def unpin(sight: Sight, given: Given) -> Ask:
    """One that is kept no longer."""
    agent = known(given["agent"])
    return Ask(
        f"Unpin version {given['version'][:40]} of {agent}",
        "It is kept by the usual rules again, and may be removed once it is old.", "Unpin",
    )  # fmt: skip


def cancel(sight: Sight, given: Given) -> Ask:
    """The end of a job."""
    job = jobs.find(sight.database(), whole(given, "job"))
    return Ask(
        f"Cancel job {job.id}: {job.kind} {job.agent or ''}".rstrip(),
        "One that waits is taken back; one that runs is asked to stop, and what it has learned is"
        " lost. The models that serve stay.",
        "Cancel the job", grave=True,
    )  # fmt: skip


def retrain(sight: Sight, given: Given) -> Ask:
    """A retraining at once."""
    agent = known(given["agent"])
    return Ask(
        f"Retrain {agent} now",
        "The version that serves is trained further by the terms of its schedule, as a job. It goes"
        " on serving meanwhile, and also afterwards unless the new one is better on rows that"
        " neither has seen.",
        "Retrain now",
    )


def schedule(sight: Sight, given: Given) -> Ask:
    """The terms of retraining."""
    agent = known(given["agent"])
    held = read_schedule(sight.database(), agent)
    return Ask(
        f"Schedule of {agent}",
        "When its model is trained further by itself, and on what. It holds from now on: nothing is"
        " due for the time before. Either days or a cron expression says when.",
        "Set the schedule",
        fields=(
            Field("enabled", "trained by itself", "check", "1" if held.enabled else ""),
            Field(
                "days", "every so many days, at 03:00",
                value="" if held.interval_days is None else str(held.interval_days),
            ),
            Field("cron", "or cron: minute hour day month weekday", value=held.cron or ""),
            Field("timezone", "by the wall clock of", value=held.timezone),
            Field("last_days", "days of market time to learn from", value=f"{held.last_days:g}"),
            Field("timesteps", "decisions to learn from", value=str(held.timesteps)),
        ),
    )  # fmt: skip


def train(sight: Sight, given: Given) -> Ask:
    """It has a form of its own."""
    raise ConfigError("a training is asked for on its page", mend="open /training")


def whole(given: Given, name: str) -> int:
    """A field that must be a whole number. Raises ConfigError."""
    text = given.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ConfigError(
            f"{ascii(text)[:40]} is no whole number", where=name, mend="write digits alone"
        )
    return int(text)

"""What a person may ask for on a page: what will happen, what must be said, and the act itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from darwin.core.agents import AGENTS
from darwin.core.schedule import Schedule
from darwin.core.written import percent
from darwin.errors import ConfigError
from darwin.rl.graduation.record import read_record
from darwin.safety.stages import next_stage
from darwin.service import acts, retrain, scheduler
from darwin.service.acts import Signed, known
from darwin.service.dashboard.render import Sight
from darwin.service.place import Place, now
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


class Act(NamedTuple):
    """An act by name: how the record calls it, what it asks, how it is done."""

    called: str
    about: tuple[str, ...]  # what it must be told: agent, version, job
    ask: Callable[[Sight, Given], Ask]
    do: Callable[[Place, Given, Signed], str | None]  # gives where to go on, if not back


def _kill(sight: Sight, given: Given) -> Ask:
    return Ask(
        "Switch all agents off",
        "From the next decision on no agent acts or is asked, in any run of this deployment; on"
        " paper within a second. Trading goes on without them, under all its limits. It holds over"
        " restarts until somebody lets them go on.",
        "Switch all agents off", grave=True,
    )  # fmt: skip


def _release(sight: Sight, given: Given) -> Ask:
    return Ask(
        "Let agents go on",
        "What was switched on by an act is released, and the file that the act made is removed."
        " A variable of the environment, or a file made by hand, holds until it is removed there.",
        "Let agents go on",
    )


def _promote(sight: Sight, given: Given) -> Ask:
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


def _demote(sight: Sight, given: Given) -> Ask:
    agent = known(given["agent"])
    return Ask(
        f"Demote {agent}",
        f"No model of {agent} may act any more; it goes on watching. To act again it must be"
        " promoted anew, and begins with the first stage.",
        f"Demote {agent}", grave=True,
    )  # fmt: skip


def _stage(sight: Sight, given: Given) -> Ask:
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


def _rollback(sight: Sight, given: Given) -> Ask:
    agent = known(given["agent"])
    serving = sight.registry().shelf(agent).serving
    return Ask(
        f"Roll {agent} back",
        f"Version {given['version'][:40]} serves in the place of"
        f" {serving.version if serving else 'none'}; the next decision is asked of it. It acts only"
        " if it is promoted itself.",
        "Roll back", grave=True,
    )  # fmt: skip


def _pin(sight: Sight, given: Given) -> Ask:
    agent = known(given["agent"])
    return Ask(
        f"Pin version {given['version'][:40]} of {agent}", "It is kept until it is unpinned.", "Pin"
    )


def _unpin(sight: Sight, given: Given) -> Ask:
    agent = known(given["agent"])
    return Ask(
        f"Unpin version {given['version'][:40]} of {agent}",
        "It is kept by the usual rules again, and may be removed once it is old.", "Unpin",
    )  # fmt: skip


def _cancel(sight: Sight, given: Given) -> Ask:
    job = jobs.find(sight.database(), _whole(given, "job"))
    return Ask(
        f"Cancel job {job.id}: {job.kind} {job.agent or ''}".rstrip(),
        "One that waits is taken back; one that runs is asked to stop, and what it has learned is"
        " lost. The models that serve stay.",
        "Cancel the job", grave=True,
    )  # fmt: skip


def _retrain(sight: Sight, given: Given) -> Ask:
    agent = known(given["agent"])
    return Ask(
        f"Retrain {agent} now",
        "The version that serves is trained further by the terms of its schedule, as a job. It goes"
        " on serving meanwhile, and also afterwards unless the new one is better on rows that"
        " neither has seen.",
        "Retrain now",
    )


def _schedule(sight: Sight, given: Given) -> Ask:
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


def _do_kill(place: Place, given: Given, signed: Signed) -> None:
    acts.kill(place, signed)


def _do_release(place: Place, given: Given, signed: Signed) -> None:
    acts.release(place, signed)


def _do_promote(place: Place, given: Given, signed: Signed) -> None:
    acts.promote(place, given["agent"], signed, override=bool(given.get("override")))


def _do_demote(place: Place, given: Given, signed: Signed) -> None:
    acts.demote(place, given["agent"], signed)


def _do_stage(place: Place, given: Given, signed: Signed) -> None:
    cap = _real(given, "cap") if given.get("cap", "").strip() else None
    acts.set_stage(
        place, given["agent"], _real(given, "stage"), signed,
        override=bool(given.get("override")), max_position_usd=cap,
    )  # fmt: skip


def _do_rollback(place: Place, given: Given, signed: Signed) -> None:
    acts.roll_back(place, given["agent"], given["version"], signed)


def _do_pin(place: Place, given: Given, signed: Signed) -> None:
    acts.set_pin(place, given["agent"], given["version"], signed, pinned=True)


def _do_unpin(place: Place, given: Given, signed: Signed) -> None:
    acts.set_pin(place, given["agent"], given["version"], signed, pinned=False)


def _do_cancel(place: Place, given: Given, signed: Signed) -> None:
    acts.cancel_job(place, _whole(given, "job"))


def _do_retrain(place: Place, given: Given, signed: Signed) -> str:
    job = retrain.ask(place, known(given["agent"]), by=signed.by, reason=signed.reason, at=now())
    return f"/jobs/{job.id}"


def _do_schedule(place: Place, given: Given, signed: Signed) -> None:
    days, cron = given.get("days", "").strip(), given.get("cron", "").strip()
    schedule = Schedule(
        enabled=bool(given.get("enabled")),
        cron=cron or None,
        interval_days=_whole(given, "days") if days else None,
        timezone=given.get("timezone", "").strip(),
        last_days=_real(given, "last_days"),
        timesteps=_whole(given, "timesteps"),
    )
    scheduler.set_schedule(
        place, known(given["agent"]), schedule, by=signed.by, reason=signed.reason, at=now()
    )


def _do_train(place: Place, given: Given, signed: Signed) -> str:
    """Put `darwin rl train` into the queue, on one finished run."""
    agent = given["agent"]
    if agent not in AGENTS:
        raise ConfigError(
            f"there is no agent called {ascii(agent)[:80]} that learns from candidates",
            where="agent", mend=f"one of {', '.join(AGENTS)}",
        )  # fmt: skip
    words = [
        "rl", "train", agent, "--run-ids", given["run"],
        "--total-timesteps", str(_between(given, "timesteps", 1_000_000_000)),
        "--eval-freq", str(max(1, min(10_000, _whole(given, "timesteps") // 2))),
        "--seeds", str(_between(given, "seeds", 32)),
        *(["--allow-small"] if given.get("small") else []),
        *(["--skip-canaries"] if given.get("quick") else []),
        "--by", signed.by, "--reason", signed.reason, *place.words,
    ]  # fmt: skip
    if place.models_dir is not None:
        words += ["--output-dir", f"{place.models_dir}/{agent}"]
    job = acts.start_job(place, "train", words, signed, lane=acts.TRAINING, agent=agent)
    return f"/jobs/{job.id}"


def _train(sight: Sight, given: Given) -> Ask:
    raise ConfigError("a training is asked for on its page", mend="open /training")


ACTS = {
    "kill": Act("kill on", (), _kill, _do_kill),
    "release": Act("kill off", (), _release, _do_release),
    "promote": Act("promote", ("agent",), _promote, _do_promote),
    "demote": Act("demote", ("agent",), _demote, _do_demote),
    "stage": Act("rollout", ("agent",), _stage, _do_stage),
    "rollback": Act("rollback", ("agent", "version"), _rollback, _do_rollback),
    "pin": Act("pin", ("agent", "version"), _pin, _do_pin),
    "unpin": Act("unpin", ("agent", "version"), _unpin, _do_unpin),
    "cancel": Act("cancel", ("job",), _cancel, _do_cancel),
    "retrain": Act("retrain", ("agent",), _retrain, _do_retrain),
    "schedule": Act("schedule", ("agent",), _schedule, _do_schedule),
    "train": Act("train", ("agent", "run"), _train, _do_train),
}
"""By the name that addresses have."""


def act_of(name: str, given: Given) -> Act:
    """The act of that name. Raises ConfigError for none, or one that lacks what it is about."""
    act = ACTS.get(name)
    if act is None:
        raise ConfigError(f"nothing is called {ascii(name)[:40]} here", mend="open the first page")
    for field in act.about:
        if not given.get(field):
            raise ConfigError(f"nothing says which {field} is meant", where=field)
    return act


def signed_by(name: str, given: Given) -> Signed:
    """Who asks and why, as it will stand in the record. Raises ConfigError for no plain line."""
    reason = given.get("reason", "").strip()
    if not reason or len(reason) > 200 or not reason.isprintable():
        raise ConfigError(
            "a reason is missing, or is no plain line",
            where="reason",
            mend="write one line of at most 200 characters, for whoever reads it later",
        )
    return Signed(name, reason)


def _between(given: Given, name: str, most: int) -> int:
    value = _whole(given, name)
    if not 1 <= value <= most:
        raise ConfigError(f"{value:,} is out of its range", where=name, mend=f"1 to {most:,}")
    return value


def _whole(given: Mapping[str, Any], name: str) -> int:
    text = str(given.get(name, "")).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ConfigError(
            f"{ascii(text)[:40]} is no whole number", where=name, mend="write digits alone"
        )
    return int(text)


def _real(given: Given, name: str) -> float:
    try:
        return float(given.get(name, ""))
    except ValueError:
        text = ascii(given.get(name, ""))[:40]
        raise ConfigError(f"{text} is no number", where=name, mend="write 0.05") from None

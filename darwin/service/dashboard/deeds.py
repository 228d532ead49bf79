"""The acts of pages: a form is read strictly, and what it asks for is done as by the commands."""

from __future__ import annotations

from darwin.core.agents import AGENTS
from darwin.core.schedule import Schedule
from darwin.errors import ConfigError
from darwin.service import acts, scheduler
from darwin.service import retrain as retraining
from darwin.service.acts import Signed, known
from darwin.service.dashboard.asks import Given, whole
from darwin.service.place import Place, now


def kill(place: Place, given: Given, signed: Signed) -> None:
    """Switch all agents off."""
    acts.kill(place, signed)


def release(place: Place, given: Given, signed: Signed) -> None:
    """Let agents go on."""
    acts.release(place, signed)


def promote(place: Place, given: Given, signed: Signed) -> None:
    """Let the model that serves act."""
    acts.promote(place, given["agent"], signed, override=bool(given.get("override")))


def demote(place: Place, given: Given, signed: Signed) -> None:
    """Let no model of the agent act."""
    acts.demote(place, given["agent"], signed)


def stage(place: Place, given: Given, signed: Signed) -> None:
    """Set the stage of capital, and a cap where one is named."""
    cap = _real(given, "cap") if given.get("cap", "").strip() else None
    acts.set_stage(
        place, given["agent"], _real(given, "stage"), signed,
        override=bool(given.get("override")), max_position_usd=cap,
    )  # fmt: skip


def rollback(place: Place, given: Given, signed: Signed) -> None:
    """Let an earlier version serve."""
    acts.roll_back(place, given["agent"], given["version"], signed)


def pin(place: Place, given: Given, signed: Signed) -> None:
    """Keep a version."""
    acts.set_pin(place, given["agent"], given["version"], signed, pinned=True)


def unpin(place: Place, given: Given, signed: Signed) -> None:
    """Keep it no longer."""
    acts.set_pin(place, given["agent"], given["version"], signed, pinned=False)


def cancel(place: Place, given: Given, signed: Signed) -> None:
    """Take a job back, or ask it to stop."""
    acts.cancel_job(place, whole(given, "job"))


def retrain(place: Place, given: Given, signed: Signed) -> str:
    """Put a retraining into the queue; gives the page of its job."""
    job = retraining.ask(place, known(given["agent"]), by=signed.by, reason=signed.reason, at=now())
    return f"/jobs/{job.id}"


def schedule(place: Place, given: Given, signed: Signed) -> None:
    """Set when an agent is trained anew."""
    days, cron = given.get("days", "").strip(), given.get("cron", "").strip()
    schedule = Schedule(
        enabled=bool(given.get("enabled")),
        cron=cron or None,
        interval_days=whole(given, "days") if days else None,
        timezone=given.get("timezone", "").strip(),
        last_days=_real(given, "last_days"),
        timesteps=whole(given, "timesteps"),
    )
    scheduler.set_schedule(
        place, known(given["agent"]), schedule, by=signed.by, reason=signed.reason, at=now()
    )


def train(place: Place, given: Given, signed: Signed) -> str:
    """Put `darwin rl train` on a finished run into the queue; gives the page of its job."""
    agent = given["agent"]
    if agent not in AGENTS:
        raise ConfigError(
            f"there is no agent called {ascii(agent)[:80]} that learns from candidates",
            where="agent", mend=f"one of {', '.join(AGENTS)}",
        )  # fmt: skip
    words = [
        "rl", "train", agent, "--run-ids", given["run"],
        "--total-timesteps", str(_between(given, "timesteps", 1_000_000_000)),
        "--eval-freq", str(max(1, min(10_000, whole(given, "timesteps") // 2))),
        "--seeds", str(_between(given, "seeds", 32)),
        *(["--allow-small"] if given.get("small") else []),
        *(["--skip-canaries"] if given.get("quick") else []),
        "--by", signed.by, "--reason", signed.reason, *place.words,
    ]  # fmt: skip
    if place.models_dir is not None:
        words += ["--output-dir", f"{place.models_dir}/{agent}"]
    job = acts.start_job(place, "train", words, signed, lane=acts.TRAINING, agent=agent)
    return f"/jobs/{job.id}"


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
    value = whole(given, name)
    if not 1 <= value <= most:
        raise ConfigError(f"{value:,} is out of its range", where=name, mend=f"1 to {most:,}")
    return value


def _real(given: Given, name: str) -> float:
    try:
        return float(given.get(name, ""))
    except ValueError:
        text = ascii(given.get(name, ""))[:40]
        raise ConfigError(f"{text} is no number", where=name, mend="write 0.05") from None

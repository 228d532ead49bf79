"""How a run was recorded: what metrics.json holds of it, and the one sentence it may be worth."""

from __future__ import annotations

from typing import Any

from darwin.core.account import BARS_LEFT_OUT
from darwin.core.provenance import Provenance, RunEvent
from darwin.engine.report_words import iso


def recording(run: Provenance | None) -> dict[str, Any] | None:
    """What the run was made of, and what happened while it was recorded; None if it was not.

    No wall clock: runs that nobody disturbed give the same.
    """
    if run is None:
        return None
    return {
        "mode": run.mode,
        "code_version": run.code_version,
        "config_digest": run.config_digest,
        "data_digest": run.data_digest,
        "facts": run.facts,
        "head": run.head,
        "resumes": [_event(event) for event in run.resumes],
        "storage_events": [_event(event) for event in run.storage_events],
        "bar_events": [_event(event) for event in run.bar_events],
    }


def _event(event: RunEvent) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "facts": event.facts,
        "reached": None if event.reached is None else iso(event.reached),
        "detail": event.detail,
    }


def disturbances(recorded: dict[str, Any]) -> list[dict[str, Any]]:
    """All that happened while the run was recorded, by how many facts were acknowledged then."""
    every = recorded["resumes"] + recorded["storage_events"] + recorded["bar_events"]
    return sorted(every, key=lambda event: event["facts"])


def bars_left_out(recorded: dict[str, Any] | None) -> str | None:
    """Say that the run did not see all that its venue gave; None if it did."""
    times = [e for e in recorded["bar_events"] if e["kind"] == BARS_LEFT_OUT] if recorded else []
    if not times:
        return None
    often = "once" if len(times) == 1 else f"{len(times):,} times"
    return f"Bars that came after their instant were left out {often}: nothing met them."


def taken_up_again(recorded: dict[str, Any] | None) -> str | None:
    """Say that the run was interrupted, and how often; None if it was made in one go."""
    resumes = recorded["resumes"] if recorded else []
    times = sum(event["kind"] == "resumed" for event in resumes)
    if not times:
        return None
    often = "once" if times == 1 else f"{times:,} times"
    kept = any(event["facts"] for event in resumes)
    what = "all that had been kept came out the same" if kept else "nothing had been kept by then"
    code = ", with other code accepted on the way" if len(resumes) > times else ""
    return f"The run was interrupted and taken up again {often}{code}; {what}."

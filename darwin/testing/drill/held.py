"""What a rehearsal finds: invariants that held, or what was seen instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """One invariant that was put to the test."""

    invariant: str  # what must hold
    did: str  # what was done to it
    seen: str  # what came of that
    ok: bool


def tried(invariant: str, did: str, flaws: Mapping[str, str], *, seen: str = "") -> Held:
    """An invariant over several trials; `flaws` says of each what was wrong, empty for nothing.

    `seen` is told where nothing was wrong. No trial at all proves nothing, so it does not hold.
    """
    wrong = {trial: flaw for trial, flaw in flaws.items() if flaw}
    if wrong:
        trial, flaw = next(iter(wrong.items()))
        more = f"; wrong in {len(wrong)} of {len(flaws)}" if len(flaws) > 1 else ""
        return Held(invariant, did, f"{trial}: {flaw}{more}", False)
    if not flaws:
        return Held(invariant, did, "nothing was tried", False)
    told = seen or (f"in all {len(flaws)}" if len(flaws) > 1 else "so it was")
    return Held(invariant, did, told, True)


def first(*flaws: str) -> str:
    """The first of several flaws, empty if there is none."""
    return next((flaw for flaw in flaws if flaw), "")

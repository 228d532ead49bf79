"""What an act of graduation rests on, as its event tells it."""

from __future__ import annotations

import math
from typing import Any

from darwin.rl.graduation.trial import Trial


def footing(
    trial: Trial | None, bar_time: int | None, run_id: str = "", candidate: str = ""
) -> dict[str, Any]:
    """The market time of an act, and the evidence as it stood; JSON, without NaN.

    One that a run came to by itself names the run and the candidate before whose decision it was:
    what the run had recorded up to there is what it knew.
    """
    told: dict[str, Any] = {} if bar_time is None else {"bar_time": bar_time}
    if run_id:
        told |= {"run": run_id, "candidate": candidate}
    if trial is None:
        return told
    contract = trial.contract
    return told | {
        "contract": contract.terms.digest,
        "scope": contract.scope,
        "number": contract.number,
        "blocks": len(trial.blocks),
        "decisions": trial.stream.decisions,
        "edge": _number(trial.edge),
        "edge_everyone": _number(trial.mean_of(lambda block: block.told.everyone)),
        "evidence": {
            name: {
                "log_e": _number(track.log_e),
                "log_needed": track.log_needed,
                "crossed_ms": track.crossed and track.crossed.end_ms,
            }
            for name, track in trial.tracks.items()
        },
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""The twins of a run that was wired: which expert they hear, and that they are made at all."""

from __future__ import annotations

from darwin.bootstrap import Wired
from darwin.core.ports import Progress
from darwin.engine.result import RunResult
from darwin.engine.twins import Twins, twins_of


def twins(result: RunResult, wired: Wired, progress: Progress | None = None) -> Twins | None:
    """The twins of a run that `wired` came to; None where no agent takes part.

    The expert is asked anew where it says of itself that it `asks_nobody`; who does not say so may
    cost money, or say another thing tomorrow.
    """
    terms, decider = wired.session.agents, wired.session.decider
    if terms is None:
        return None
    anew = bool(getattr(decider, "asks_nobody", False))
    return twins_of(wired.session, result, terms, asks_nobody=anew, progress=progress)

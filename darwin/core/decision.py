"""What is decided about a candidate: the expert's verdict, and the one reason it ends with."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Call(NamedTuple):
    """The question that a model was asked, as its answer tells of it."""

    prompt_sha256: str  # of the whole request, 64 hex digits
    input_tokens: int | None  # None: the model did not say
    output_tokens: int | None
    latency_us: int | None = None  # when it was first asked, by the wall clock; in no hash


NO_ANSWER = "no answer: "
"""How the one risk flag of a verdict begins that stands for an answer which did not come."""


class Verdict(NamedTuple):
    """The expert's answer."""

    take: bool
    confidence: float  # 0..1: how likely the expert holds the setup to end with R > 0
    quality: float  # 0..1: how well the setup fits its playbook
    risk_flags: tuple[str, ...]  # what the expert dislikes, in words of the decider
    cost_usd: float  # what asking cost
    call: Call | None = None  # None: no model was asked

    @property
    def failed(self) -> bool:
        """Whether it only stands for an answer that did not come."""
        return self.failure is not None

    @property
    def failure(self) -> str | None:
        """Why the answer did not come; None where it did."""
        if not (self.risk_flags and self.risk_flags[0].startswith(NO_ANSWER)):
            return None
        return self.risk_flags[0].removeprefix(NO_ANSWER)


class Reason(IntEnum):
    """The one reason with which a candidate ends. `STAGE` says where in the funnel that is."""

    TAKEN = 0
    POSITION_OPEN = 1
    EXPERT_SKIP = 2
    EXPOSURE = 3
    CASH = 4
    MINIMUM_ORDER = 5
    MAX_POSITIONS = 6
    MAX_POSITION_VALUE = 7
    ORDERS_PER_BAR = 8
    ORDERS_PER_DAY = 9
    DAILY_LOSS = 10
    DRAWDOWN = 11
    HALTED = 12
    PRICE_COLLAR = 13
    GAPPED = 14
    NO_NEXT_BAR = 15
    GATE_SKIP = 16
    OVERRIDE = 17  # the meta-learner set a take aside
    SIZED_TO_ZERO = 18  # the portfolio agent left nothing
    STALE = 19  # its bar came too late to act on
    REJECTED = 20  # the venue refused the order
    UNFILLED = 21  # the venue took the order, and none of it was filled in time
    NOT_SENT = 22  # it was too late, or nobody knew how things stood at the venue
    RISK_MANAGER = 23  # leverage and hedge left less than an order of a size that was enough

    @property
    def text(self) -> str:
        """As reports and tables write it."""
        return self.name.lower().replace("_", " ")

    @property
    def stage(self) -> str:
        """Where in the funnel it falls: one of `STAGES`."""
        return _STAGE[self]


_STAGE = {
    Reason.STALE: "data",
    Reason.POSITION_OPEN: "account",
    Reason.GATE_SKIP: "gate",
    Reason.EXPERT_SKIP: "expert",
    Reason.OVERRIDE: "meta_learner",
    Reason.EXPOSURE: "sizing",
    Reason.CASH: "sizing",
    Reason.MINIMUM_ORDER: "sizing",
    Reason.RISK_MANAGER: "sizing",
    Reason.SIZED_TO_ZERO: "portfolio",
    Reason.MAX_POSITIONS: "limits",
    Reason.MAX_POSITION_VALUE: "limits",
    Reason.ORDERS_PER_BAR: "limits",
    Reason.ORDERS_PER_DAY: "limits",
    Reason.DAILY_LOSS: "limits",
    Reason.DRAWDOWN: "limits",
    Reason.HALTED: "limits",
    Reason.PRICE_COLLAR: "entry",
    Reason.GAPPED: "entry",
    Reason.NO_NEXT_BAR: "entry",
    Reason.REJECTED: "entry",
    Reason.UNFILLED: "entry",
    Reason.NOT_SENT: "entry",
    Reason.TAKEN: "taken",
}

STAGES = (
    "data", "account", "gate", "expert", "meta_learner", "sizing", "portfolio", "limits", "entry",
    "taken",
)  # fmt: skip

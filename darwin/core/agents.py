"""Learned agents as the rest of the house sees them: what they advise, what stood, who they are."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import NamedTuple

GATE, META_LEARNER, PORTFOLIO = "gate", "meta_learner", "portfolio"
AGENTS = (GATE, META_LEARNER, PORTFOLIO)
"""Every agent, in the order in which a candidate meets them."""

SKIP, PASS = 0.0, 1.0
"""Actions of the gate."""
KEEP, TO_SKIP, TO_TAKE = 0.0, 1.0, 2.0
"""Actions of the meta-learner: what to make of the expert's verdict."""

STAGES = (0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 1.0)
"""The shares of capital that an agent may hold, one after the other."""

AGENT_CAP = "agent cap"
"""What clips a size, or a weight, in which an agent acts that may hold no larger position."""

FURTHEST_SD = 10.0
"""What lies further from the rows of training, in any column, is neither learned from nor judged.
"""

UNPROVEN = "without the evidence it wants"
"""How the basis of a promotion ends that rests on a person's word alone."""

NOT_DEPLOYED = "none was deployed"
"""The fault of an agent that never had a model."""


class Mode(StrEnum):
    """Whether an agent may act: the stricter of what the config wants and what is on record."""

    OBSERVE = "observe"
    ACTIVE = "active"


class Role(StrEnum):
    """Whether a model's advice may stand, or is only recorded beside the one that serves."""

    SERVING = "serving"
    CHALLENGER = "challenger"


class Why(StrEnum):
    """Why a ruling is what it is, in the order in which the door asks; only ACTIVE lets act."""

    KILLED = "killed"
    DISABLED = "disabled"
    NO_MODEL = "no model"
    BREAKER_OPEN = "breaker open"
    NOT_FINITE = "observation not finite"
    OUT_OF_RANGE = "out of range"
    RAISED = "inference raised"
    ADVICE_NOT_FINITE = "advice not finite"
    WRONG_SHAPE = "advice of wrong shape"
    ILLEGAL = "illegal action"
    TIMED_OUT = "inference timed out"
    OBSERVE = "observe"
    OVERRIDE_LIMIT = "override limit"
    STAGE_ZERO = "no capital"
    AUDIT = "audit"
    CHALLENGER = "challenger"
    ACTIVE = "active"

    @property
    def inferred(self) -> bool:
        """Whether inference gave sound advice, which is then recorded and is evidence."""
        return self in _INFERRED

    @property
    def is_failure(self) -> bool:
        """Whether it counts against the circuit breaker."""
        return self in _FAILURES


_INFERRED = frozenset(
    (Why.OBSERVE, Why.OVERRIDE_LIMIT, Why.STAGE_ZERO, Why.AUDIT, Why.CHALLENGER, Why.ACTIVE)
)
_FAILURES = frozenset(
    (
        Why.NOT_FINITE, Why.RAISED, Why.ADVICE_NOT_FINITE, Why.WRONG_SHAPE, Why.ILLEGAL,
        Why.TIMED_OUT,
    )
)  # fmt: skip


class Advice(NamedTuple):
    """What one agent would do; by itself it changes nothing."""

    action: float  # gate: SKIP or PASS; meta-learner: KEEP, TO_SKIP, TO_TAKE; portfolio: 0..1
    probability: float | None  # of that action, 0..1; None where actions are continuous


class Ruling(NamedTuple):
    """What stands after safety has spoken."""

    share: float  # effective fraction of the order that is left by this agent, 0..1
    followed: bool  # an active agent with capital was heard, and its advice entered the size
    why: Why
    most_usd: float = math.inf  # that a position may be worth in which this agent was followed


class Model(NamedTuple):
    """Which model: its version and the SHA-256 of its MANIFEST.json, 64 hex digits."""

    version: str
    sha256: str


class Decision(NamedTuple):
    """One consultation: a row of `agent_decisions`."""

    row: int  # of the candidate
    agent: str
    role: Role
    mode: Mode
    action: float | None  # in the agent's own unit; None: no sound advice
    probability: float | None
    baseline_action: float  # what stands without the agent, in the same unit
    final_action: float  # effective fraction, `Ruling.share`
    followed: bool
    why: Why
    model: Model | None
    feature_schema: str  # hash of the observation's names and order
    observation: bytes  # float32 little-endian; empty where none was made
    latency_us: int  # of the inference, by the wall clock; in no hash and no export


_UNTOLD = {"basis": "", "max_position_usd": None}
"""What standings of before did not tell."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run has been told of one agent: which models, and how far they may go.

    It is what comes from outside, so every change of it is a journaled input.
    """

    agent: str
    serving: Model | None = None
    fault: str = ""  # why there is no serving model, in a few words
    training_end_ms: int | None = None  # of the serving model; None: not trained on bars
    promoted: bool = False  # a promotion is on record for the serving version, in this scope
    stage: float = 0.0  # share of capital, one of STAGES
    challenger: Model | None = None
    basis: str = ""  # what the promotion rests on, in a few words; empty: there is none
    max_position_usd: float | None = None  # no position above it where it acts; None: no such cap

    @property
    def refused(self) -> bool:
        """Whether a model would serve, had it not been refused; `fault` says which and why."""
        return self.serving is None and self.fault not in ("", NOT_DEPLOYED)

    def text(self) -> str:
        """As an input records it: JSON with sorted keys; a cap is told only where there is one."""
        told = asdict(self)
        if self.max_position_usd is None:
            del told["max_position_usd"]  # as standings of before, which knew of none
        return json.dumps(told, sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Standing:
        """Read what `text` has written. Raises ValueError for anything else."""
        told = json.loads(text)
        if isinstance(told, dict):
            told = _UNTOLD | told
        if not isinstance(told, dict) or set(told) != set(cls.__dataclass_fields__):
            raise ValueError("this is no standing of an agent")
        models = {
            name: None if told[name] is None else Model(*told[name])
            for name in ("serving", "challenger")
        }
        return cls(**(told | models))

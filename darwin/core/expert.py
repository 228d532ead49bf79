"""What an expert that is a model is told, and what it told: its own record, and one answer."""

from __future__ import annotations

from typing import NamedTuple


class Judged(NamedTuple):
    """A verdict whose outcome is known by now."""

    take: bool
    confidence: float  # 0..1
    risk_flags: tuple[str, ...]
    r: float


class Tally(NamedTuple):
    """Verdicts of one kind whose outcome is known; verdicts that failed count nowhere."""

    asked: int = 0
    right: int = 0  # takes with R above zero, skips without
    takes: int = 0
    sum_r_of_takes: float = 0.0
    last: tuple[Judged, ...] = ()  # the latest few, oldest first
    sum_r_of_skips: float = 0.0  # what their brackets came to, though nobody traded them


class Record(NamedTuple):
    """How an expert has judged so far, as far as outcomes are known."""

    on_playbook: Tally = Tally()
    on_symbol: Tally = Tally()


class Asked(NamedTuple):
    """What came of putting one candidate to a model."""

    request_sha256: str  # of the request that was sent, or would have been
    answer: str | None  # the text; None: it failed
    failure: str  # why; empty where there is an answer
    sent: bool  # whether the model was ever asked
    input_tokens: int | None  # None, like those below: not known
    output_tokens: int | None
    usd: float  # what that cost when it was asked, failed attempts included
    latency_us: int | None


class Expense(NamedTuple):
    """What one run has spent on models, and how its questions ended."""

    sent: int = 0  # requests that left
    answered: int = 0  # by the model, for this run
    from_record: int = 0  # by what another question, or another run, was told
    failed: int = 0
    usd: float = 0.0  # at most: what became of some requests is not known

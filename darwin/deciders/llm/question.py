"""What a model is asked, and the two things that can come of it: a `Reply` or a `Failure`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from darwin.deciders.llm.strict_json import is_whole


class Request(NamedTuple):
    """One question."""

    system: str
    user: str
    model: str
    max_output_tokens: int  # thoughts of a model that thinks among them
    temperature: float | None = None  # None: not sent; newer models refuse it
    schema: Mapping[str, object] | None = None  # of the answer, for structured output

    @property
    def is_sound(self) -> bool:
        """Whether it can be sent."""
        warmth = self.temperature
        return (
            all(is_whole(text) for text in (self.system, self.user, self.model))
            and self.max_output_tokens >= 1
            and (warmth is None or 0.0 <= warmth <= 2.0)
        )


class Reply(NamedTuple):
    """A complete answer in text. What it means is `parse`'s business."""

    text: str  # not empty, and no half character in it
    input_tokens: int | None  # None: the server did not say, or said what cannot be
    output_tokens: int | None
    attempts: int = 1
    billable: int = 1  # requests, this one among them, that may have been billed


class Cause(StrEnum):
    """Why there is no reply. The list is closed, so that failures can be counted."""

    ODD_REQUEST = "odd request"  # nothing that may be sent: half a character, no limit
    BREAKER_OPEN = "breaker open"
    BUDGET_SPENT = "budget spent"  # whoever keeps the accounts did not let a request leave
    RATE_LIMIT = "rate limit"  # our own: no free slot before the deadline
    DEADLINE = "deadline"
    NO_CONNECTION = "no connection"
    NOT_TRUSTED = "not trusted"  # TLS: the server could not show that it is who it should be
    CONNECTION_LOST = "connection lost"
    SILENCE = "silence"  # no byte for longer than one may wait
    NOT_HTTP = "not http"
    REDIRECTED = "redirected"
    KEY_REFUSED = "key refused"  # 401, 403
    NOT_FOUND = "not found"  # 404: the address or the model
    TRY_AGAIN = "try again"  # 408, 409
    TOO_MANY_REQUESTS = "too many requests"  # 429
    REQUEST_REFUSED = "request refused"  # any other 4xx
    SERVER_ERROR = "server error"  # 5xx
    ODD_STATUS = "odd status"
    NOT_JSON = "not json"  # the envelope: its type, its encoding, its syntax
    TOO_LARGE = "too large"
    WRONG_ENVELOPE = "wrong envelope"  # JSON, but not what the protocol promises
    NO_ANSWER = "no answer"
    SEVERAL_ANSWERS = "several answers"
    TOOL_CALL = "tool call"
    REFUSED = "refused"
    FILTERED = "filtered"
    CUT_OFF = "cut off"  # by max_output_tokens, or by the model's own window
    HOLDS_THE_KEY = "holds the key"  # the reply repeats our secret; nobody is to store that


class Failure(NamedTuple):
    """There is no reply. Nothing that the server said is in here but numbers."""

    cause: Cause
    attempts: int = 0  # requests that were begun
    billable: int = 0  # of these, requests that may have been billed
    status: int | None = None  # of HTTP; None: there was none
    input_tokens: int | None = None  # of a reply that could not be used
    output_tokens: int | None = None

    @property
    def may_be_billed(self) -> bool:
        """Whether anybody may have to be paid for this."""
        return self.billable > 0

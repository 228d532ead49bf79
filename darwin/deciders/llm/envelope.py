"""What a server's JSON says, read field by field: nothing is taken to be what it should be.

The SDKs build objects of whatever comes, right or wrong, so their objects are not looked at. Fields
that a protocol has beyond those read here may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from darwin.deciders.llm.question import Cause
from darwin.deciders.llm.strict_json import FlawError, is_whole, read

MOST_TOKENS = 100_000_000  # in one request; more is no count


class Opened(NamedTuple):
    """What an envelope held: a text or the cause for which there is none, and token counts."""

    cause: Cause | None  # None: there is a text
    text: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


class _UnusableError(ValueError):
    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


def open_chat(body: bytes) -> Opened:
    """Read an answer of OpenAI's chat completions."""
    return _open(body, _chat_text, ("prompt_tokens",), "completion_tokens")


def open_message(body: bytes) -> Opened:
    """Read an answer of Anthropic's messages."""
    cached = ("cache_creation_input_tokens", "cache_read_input_tokens")
    return _open(body, _message_text, ("input_tokens", *cached), "output_tokens")


def _open(
    body: bytes, find: Callable[[dict[str, Any]], object], read_in: Sequence[str], written: str
) -> Opened:
    try:
        tree = read(body.decode("utf-8"))
    except (FlawError, UnicodeDecodeError):
        return Opened(Cause.NOT_JSON)
    if not isinstance(tree, dict):
        return Opened(Cause.WRONG_ENVELOPE)
    usage = tree.get("usage")
    counts = _sum_of(usage, read_in), _sum_of(usage, (written,))
    try:
        return Opened(None, _text(find(tree)), *counts)
    except _UnusableError as error:
        return Opened(error.cause, "", *counts)


def _sum_of(usage: object, names: Sequence[str]) -> int | None:
    """The first count and those of the others that are there; None if one is no count.

    Nothing was read or written for nothing: a sum of zero is no count either.
    """
    table = usage if isinstance(usage, dict) else {}
    counts = [table.get(names[0]), *(table.get(n) for n in names[1:] if table.get(n) is not None)]
    total = 0
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int):
            return None
        if not (0 <= count <= MOST_TOKENS):
            return None
        total += count
    return total or None


_ENDS_OF_CHAT = {
    "stop": None,
    "length": Cause.CUT_OFF,
    "content_filter": Cause.FILTERED,
    "tool_calls": Cause.TOOL_CALL,
    "function_call": Cause.TOOL_CALL,
}
_ENDS_OF_MESSAGE = {
    "end_turn": None,
    "max_tokens": Cause.CUT_OFF,
    "model_context_window_exceeded": Cause.CUT_OFF,
    "tool_use": Cause.TOOL_CALL,
    "refusal": Cause.REFUSED,
}
_THOUGHTS = ("thinking", "redacted_thinking")  # no part of the answer


def _chat_text(tree: dict[str, Any]) -> object:
    choice = _only(tree.get("choices"))
    message = choice.get("message")
    if not isinstance(message, dict) or message.get("role") != "assistant":
        raise _UnusableError(Cause.WRONG_ENVELOPE)
    _end(_ENDS_OF_CHAT, choice.get("finish_reason"))
    if message.get("refusal"):
        raise _UnusableError(Cause.REFUSED)
    if message.get("tool_calls") or message.get("function_call"):
        raise _UnusableError(Cause.TOOL_CALL)
    return message.get("content")


def _message_text(tree: dict[str, Any]) -> object:
    blocks = tree.get("content")
    if tree.get("type") != "message" or tree.get("role") != "assistant":
        raise _UnusableError(Cause.WRONG_ENVELOPE)
    _end(_ENDS_OF_MESSAGE, tree.get("stop_reason"))
    if isinstance(blocks, list):
        kinds = [block.get("type") if isinstance(block, dict) else None for block in blocks]
        if "tool_use" in kinds:
            raise _UnusableError(Cause.TOOL_CALL)
        blocks = [block for block, kind in zip(blocks, kinds, strict=True) if kind not in _THOUGHTS]
    block = _only(blocks)
    if block.get("type") != "text":
        raise _UnusableError(Cause.WRONG_ENVELOPE)
    return block.get("text")


def _only(items: object) -> dict[str, Any]:
    if not isinstance(items, list):
        raise _UnusableError(Cause.WRONG_ENVELOPE)
    if len(items) != 1:
        raise _UnusableError(Cause.SEVERAL_ANSWERS if items else Cause.NO_ANSWER)
    if not isinstance(items[0], dict):
        raise _UnusableError(Cause.WRONG_ENVELOPE)
    return items[0]


def _end(ends: Mapping[str, Cause | None], end: object) -> None:
    """Refuse an answer that did not end by itself."""
    cause = ends.get(end, Cause.WRONG_ENVELOPE) if isinstance(end, str) else Cause.WRONG_ENVELOPE
    if cause is not None:
        raise _UnusableError(cause)


def _text(content: object) -> str:
    if content is None or content == "":
        raise _UnusableError(Cause.NO_ANSWER)
    if not (isinstance(content, str) and is_whole(content)):
        raise _UnusableError(Cause.WRONG_ENVELOPE)
    return content

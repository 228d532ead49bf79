"""Answers in the two protocols, and the ways in which an envelope can say that there is none."""

from __future__ import annotations

from typing import Any

from darwin.testing.llm_answers import Asked
from darwin.testing.llm_faults import ServerFault, changed

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


def envelope(asked: Asked, text: str) -> dict[str, Any]:
    """The body of a good answer to `asked`; a token is four bytes, or what is left of them."""
    model = asked.body.get("model", "") if isinstance(asked.body, dict) else ""
    read_in, written = _tokens(asked.system + asked.user), _tokens(text)
    if asked.path == MESSAGES:
        return {
            "id": "msg_local",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": read_in, "output_tokens": written},
        }
    return {
        "id": "chatcmpl-local",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": read_in,
            "completion_tokens": written,
            "total_tokens": read_in + written,
        },
    }


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


def _answers(tree: dict[str, Any]) -> list[Any]:
    """Where an envelope of either protocol keeps its answers."""
    found: list[Any] = tree["content"] if "content" in tree else tree["choices"]
    return found


def _ended(tree: dict[str, Any], chat: str, message: str) -> None:
    if "content" in tree:
        tree["stop_reason"] = message
    else:
        tree["choices"][0]["finish_reason"] = chat


def _refuse(tree: dict[str, Any]) -> None:
    if "content" in tree:
        tree["stop_reason"] = "refusal"
    else:
        tree["choices"][0]["message"]["refusal"] = "I'd rather not."


def _call(tree: dict[str, Any]) -> None:
    if "content" in tree:
        tree["content"].append({"type": "tool_use", "id": "1", "name": "trade", "input": {}})
    else:
        call = {"id": "1", "type": "function", "function": {"name": "trade", "arguments": "{}"}}
        tree["choices"][0]["message"]["tool_calls"] = [call]


def _retype(tree: dict[str, Any]) -> None:
    """Let the text be a list that holds it."""
    if "content" in tree:
        tree["content"][0]["text"] = [tree["content"][0]["text"]]
    else:
        message = tree["choices"][0]["message"]
        message["content"] = [message["content"]]


EMPTY_CHOICES = changed("no answer in it", lambda tree: _answers(tree).clear())
TWO_CHOICES = changed(
    "two answers in it", lambda tree: _answers(tree).append(dict(_answers(tree)[0]))
)
LENGTH = changed("cut off", lambda tree: _ended(tree, "length", "max_tokens"))
CONTENT_FILTER = changed("filtered", lambda tree: _ended(tree, "content_filter", "refusal"))
REFUSAL = changed("refused", _refuse)
TOOL_CALL = changed("a tool call", _call)
WRONG_TYPES = changed("a wrong type", _retype)
ONLY_A_LIST = changed("a list", lambda tree: [tree])

IN_ENVELOPES: tuple[ServerFault, ...] = (
    EMPTY_CHOICES,
    TWO_CHOICES,
    LENGTH,
    CONTENT_FILTER,
    REFUSAL,
    TOOL_CALL,
    WRONG_TYPES,
    ONLY_A_LIST,
)
"""All of them; each a whole response of status 200."""

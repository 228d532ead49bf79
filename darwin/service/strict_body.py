"""The body of a request: so long at most, of the type that was agreed, and JSON that is strict."""

from __future__ import annotations

import asyncio
import json
import math
import re
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from darwin.service.refusals import Refusal

MOST_BYTES = 1 << 20
MOST_WAIT_S = 15.0
"""For how long the whole of a body is waited for."""
DEEPEST = 32
LONGEST_INTEGER = 18  # digits
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MOST_FIELDS = 100
_UTF8 = re.compile(r"""charset\s*=\s*"?utf-?8"?""", re.IGNORECASE)


async def whole_body(scope: Scope, receive: Receive) -> bytes:
    """Read the body as it comes. Raises Refusal for one that is too long or too slow."""
    declared = _header(scope, b"content-length")
    if declared.isdigit() and int(declared[:12]) > MOST_BYTES:
        raise _too_long()
    try:
        async with asyncio.timeout(MOST_WAIT_S):
            return await _collected(receive)
    except TimeoutError:
        raise Refusal(
            408, "the body did not come in time", mend=f"send it within {MOST_WAIT_S:g} s"
        ) from None


async def _collected(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise _too_long()
        if not message.get("more_body", False):
            return bytes(body)


def fields_of(scope: Scope, body: bytes, *, forms: bool) -> Any:
    """What the body says; None where it is empty. Raises Refusal for what is not agreed.

    A form, which only pages send (`forms`), comes as a dict of texts.
    """
    if not body:
        return None
    kind, _, rest = _header(scope, b"content-type").partition(";")
    kind = kind.strip().lower()
    if kind == JSON and (not rest.strip() or _UTF8.fullmatch(rest.strip())):
        return read(body)
    if forms and kind == FORM:
        return _form(body)
    raise Refusal(
        415, "the body is of a type that is not taken", where="Content-Type",
        mend=f"send {JSON}, in UTF-8",
    )  # fmt: skip


def read(body: bytes) -> Any:
    """Read the one JSON value in `body`. Raises Refusal.

    Refused are other encodings than UTF-8, half characters, NaN and infinities, numbers that no
    float holds, whole numbers beyond 64 bits, keys that stand twice and nesting beyond `DEEPEST`.
    """
    try:
        text = body.decode("utf-8")
        tree = _DECODER.decode(text)
    except UnicodeDecodeError:
        raise _refused("it is not UTF-8") from None
    except _FlawError as flaw:
        raise _refused(str(flaw)) from None
    except json.JSONDecodeError as fault:
        raise _refused(f"{fault.msg}, character {fault.pos}") from None
    except RecursionError:
        raise _refused("it is nested too deeply") from None
    _require_plain(tree, DEEPEST)
    return tree


def _require_plain(tree: Any, deep: int) -> None:
    if deep < 0:
        raise _refused(f"it is nested more than {DEEPEST} deep")
    if isinstance(tree, str):
        _require_whole(tree)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            _require_whole(key)
            _require_plain(value, deep - 1)
    elif isinstance(tree, list):
        for value in tree:
            _require_plain(value, deep - 1)


def _require_whole(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _refused("it holds half a character (a lone surrogate)") from None


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict",
            max_num_fields=MOST_FIELDS,
        )  # fmt: skip
    except (UnicodeDecodeError, ValueError):
        raise Refusal(
            400, "the form cannot be read", where="body", mend=f"send {FORM} in UTF-8"
        ) from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Refusal(400, "a field stands twice", where="body", mend="name each once")
    return fields


class _FlawError(ValueError):
    """Something that JSON readers let pass and this one does not."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise _FlawError("a key stands twice in it")
    return table


def _constant(text: str) -> NoReturn:
    raise _FlawError(f"{text} is no number")


def _fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _FlawError("a number in it is too large")
    return value


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > LONGEST_INTEGER:
        raise _FlawError("a number in it is too large")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_constant,
    parse_float=_fraction,
    parse_int=_integer,
)


def _refused(why: str) -> Refusal:
    return Refusal(
        400, f"the body is no JSON that is taken: {why}", where="body",
        mend="send one JSON object in UTF-8, of plain numbers and whole characters",
    )  # fmt: skip


def _too_long() -> Refusal:
    return Refusal(
        413, f"the body is longer than {MOST_BYTES:,} bytes", where="body",
        mend="no request needs so much", headers={"Connection": "close"},
    )  # fmt: skip


def _header(scope: Scope, name: bytes) -> str:
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""

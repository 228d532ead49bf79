"""An act as it was asked for, and as it is noted: without secrets, on one line."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from starlette.types import Scope

from darwin.service.shapes import TOKEN

_SECRETS = ("token", "secret", "password", "authorization")
_LONGEST = 200


class AskedAct(NamedTuple):
    """An act as it was asked for."""

    scope: Scope
    fields: dict[str, Any]

    @property
    def act(self) -> str:
        """What its route calls it."""
        return str(self.scope["state"]["act"])

    @property
    def reason(self) -> str:
        """Why, as far as it was said."""
        given = self.fields.get("reason")
        return plain_line(given) if isinstance(given, str) else ""

    @property
    def detail(self) -> dict[str, Any]:
        """What was asked, without secrets."""
        told: dict[str, Any] = {"path": plain_line(self.scope["path"])}
        if self.scope["query_string"]:
            told["query"] = plain_line(self.scope["query_string"].decode("latin-1"))
        told |= {
            name: "…" if any(word in name.lower() for word in _SECRETS) else value
            for name, value in self.fields.items()
        }
        plain: dict[str, Any] = json.loads(TOKEN.sub("…", json.dumps(told)))
        return plain


def plain_line(text: str) -> str:
    """A text on one line, shortened, without what looks like a token."""
    text = TOKEN.sub("…", text)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:_LONGEST]

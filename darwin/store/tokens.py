"""Tokens of the service: a secret that a person holds, of which the database keeps a digest.

A token is `darwin_` and 43 characters that hold 256 bits drawn by chance, so that a plain SHA-256
of it cannot be guessed at. It is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection

from darwin.errors import ConfigError
from darwin.store import logs
from darwin.store.db import Database
from darwin.store.runs import iso_time
from darwin.store.schema import tokens

PREFIX = "darwin_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Role(StrEnum):
    """What whoever holds a token may do."""

    VIEWER = "viewer"  # look
    OPERATOR = "operator"  # and act


class Token(NamedTuple):
    """What is known of a token that holds."""

    name: str  # of whoever it was given to
    role: Role
    sha256: str
    since: str  # wall clock, ISO 8601 UTC
    by: str


def create(database: Database, name: str, role: Role, *, by: str, at: datetime) -> str:
    """Make a token for `name`, and give it. Raises ConfigError for no name, or one that has one."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a token",
            where="the name of the token",
            mend="letters, digits and . _ @ -, at most 64 of them, a letter or digit first",
        )
    token = PREFIX + secrets.token_urlsafe(32)
    with database.write() as connection:
        if name in {one.name for one in in_force(connection)}:
            raise ConfigError(
                f"there is a token for '{name}' already",
                where="the name of the token",
                mend=f"`darwin token revoke {name}` first, or name the holder otherwise",
            )
        _append(connection, "created", Token(name, role, digest(token), iso_time(at), by))
    return token


def revoke(database: Database, name: str, *, by: str, at: datetime) -> Token:
    """Let the token of `name` hold no more. Raises ConfigError where there is none."""
    with database.write() as connection:
        held = {one.name: one for one in in_force(connection)}
        if name not in held:
            raise ConfigError(
                f"there is no token for '{name}'",
                where="the name of the token",
                mend="`darwin token list` names those that hold",
            )
        ended = held[name]
        _append(connection, "revoked", ended._replace(since=iso_time(at), by=by))
    return ended


def in_force(connection: Connection) -> list[Token]:
    """The tokens that hold, oldest first. Raises RecordError where the log was changed."""
    return fold(logs.sound_rows_in(connection, tokens))


def fold(rows: Iterable[Mapping[str, Any]]) -> list[Token]:
    """The tokens that hold after these rows of the log."""
    held: dict[str, Token] = {}
    for row in rows:
        if row["kind"] == "created":
            told = (row["name"], Role(row["role"]), row["sha256"], row["at"], row["by"])
            held[row["name"]] = Token(*told)
        else:
            held.pop(row["name"], None)
    return list(held.values())


def holder(held: Iterable[Token], token: str) -> Token | None:
    """Whose token this is; every one is compared, in time that tells nothing."""
    sha256, found = digest(token), None
    for one in held:
        if hmac.compare_digest(one.sha256, sha256):
            found = one
    return found


def digest(token: str) -> str:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _append(connection: Connection, kind: str, token: Token) -> None:
    logs.append(
        connection, tokens, kind=kind, name=token.name, role=str(token.role),
        sha256=token.sha256, by=token.by, at=token.since,
    )  # fmt: skip

"""Who asks: the holder of a token, by its header or, for pages, by a cookie."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple

from starlette.types import Scope

from darwin.errors import StorageError
from darwin.service.refusals import Refusal
from darwin.store import tokens
from darwin.store.faults import explain
from darwin.store.logs import Tail
from darwin.store.scan import as_text
from darwin.store.schema import tokens as table
from darwin.store.sealed import Source
from darwin.store.tokens import Role, Token

COOKIE = "darwin_token"
_LONGEST = 200
_MOST_ADDRESSES = 1_000


class Who(NamedTuple):
    """Whoever asks."""

    name: str = ""  # of the token; empty: none was shown
    role: str = ""
    by_cookie: bool = False

    @property
    def may_act(self) -> bool:
        """Whether it may change something."""
        return self.role == Role.OPERATOR


NOBODY = Who()


class Shown(NamedTuple):
    """The token that a request shows, if it shows one."""

    token: str | None
    by_cookie: bool


def shown(headers: Mapping[str, str]) -> Shown:
    """What a request shows: the header counts where there is one, else the cookie."""
    given = headers.get("authorization")
    if given is not None:
        scheme, _, token = given.partition(" ")
        return Shown(token.strip() if scheme.lower() == "bearer" else "", by_cookie=False)
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        found = None
    return Shown(None if found is None else found.value, by_cookie=True)


class Keys:
    """The tokens that hold, as the log has them at the moment of asking.

    An unchanged file costs some microseconds. Raises StorageError, and RecordError where the log
    was changed: then nobody is known.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path
        self._lock = threading.Lock()
        self._log: _Log | None = None

    def holder(self, token: str) -> Token | None:
        """Whose token this is; None: nobody's, or it was revoked."""
        if not token or len(token) > _LONGEST:
            return None
        with self._lock:
            try:
                held = tokens.fold(self._rows())
            except sqlite3.Error as fault:
                self._forget()
                raise explain(fault, self._path) from fault
        return tokens.holder(held, token)

    def _rows(self) -> list[Mapping[str, Any]]:
        try:
            stat = self._path.stat()
        except OSError:
            raise StorageError(
                "there is no database", where=str(self._path), mend="start `darwin serve` again"
            ) from None
        inode = (stat.st_dev, stat.st_ino)
        if self._log is not None and self._log.inode != inode:  # another was put in its place
            self._forget()
        if self._log is None:
            self._log = _Log(self._path, inode)
        return self._log.rows()

    def _forget(self) -> None:
        if self._log is not None:
            self._log.raw.close()
            self._log = None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._forget()


class _Log:
    """The log of tokens as it grows, through a connection of its own."""

    def __init__(self, path: Path, inode: tuple[int, int]) -> None:
        self.inode, self._path = inode, path
        address = path.absolute().as_uri() + "?mode=ro"
        self.raw = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        self.raw.text_factory = as_text
        self._version: int | None = None
        self._tail = Tail(table)
        self._rows: list[Mapping[str, Any]] = []

    def rows(self) -> list[Mapping[str, Any]]:
        """All of it. Raises RecordError where one was changed."""
        version: int = self.raw.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._rows += list(self._tail.newer(Source(self.raw, self._path)))
            self._version = version
        return self._rows


class Limiter:
    """Counts what each address has done wrong lately, of so many addresses at most."""

    def __init__(
        self, most: int = 20, per_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._per_s, self._clock = most, per_s, clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wrong(self, address: str) -> None:
        """It showed a token that is none, or wanted to act without one.

        Raises Refusal where that was too often of late: then it is not looked at any more.
        """
        wrong = self._wrong.setdefault(address, deque(maxlen=self._most))
        self._wrong.move_to_end(address)
        if len(wrong) == self._most:
            wait_s = wrong[0] + self._per_s - self._clock()
            if wait_s > 0:
                raise _too_often(wait_s)
        wrong.append(self._clock())
        while len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)


def address_of(scope: Scope) -> str:
    """Where a request comes from."""
    client = scope.get("client")
    return client[0] if client else ""


def _too_often(wait_s: float) -> Refusal:
    return Refusal(
        429, "too many tokens that do not hold came from this address", where="Authorization",
        mend=f"wait {wait_s:.0f} s", headers={"Retry-After": str(int(wait_s) + 1)},
    )  # fmt: skip

"""The ways out: a webhook that is signed, and whatever apprise knows to reach.

A way is tried with patience of seconds and says in a few words what came of it. Those words hold
no address: of a fault only its kind is told.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from darwin import __version__
from darwin.errors import ConfigError
from darwin.service.notices.addresses import URLS, Addresses
from darwin.service.notices.happenings import Severity

TIMEOUT_S = 5.0
PATIENCE_S = 20.0
"""With one notice on one way, all tries and all of the answer."""
_TRIES, _TRIES_WITHIN_S = 2, 8.0
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))


class Message(NamedTuple):
    """What goes out. `id` is the same whenever it is tried again."""

    id: str
    key: str
    severity: Severity
    text: str
    times: int
    at: datetime

    @property
    def tree(self) -> dict[str, Any]:
        """As JSON has it; `text` is where chat servers look for what to show."""
        return {
            "id": self.id, "key": self.key, "severity": str(self.severity),
            "text": f"[{self.severity}] {self.text}", "times": self.times,
            "at": self.at.isoformat().replace("+00:00", "Z"),
        }  # fmt: skip


class Answer(NamedTuple):
    """What came of it."""

    took: bool
    says: str  # in a few words, without any address


class Way(Protocol):
    """Somewhere to tell things."""

    @property
    def name(self) -> str:
        """What it is called in the record."""

    def tell(self, message: Message, now: datetime) -> Answer:
        """Tell it; takes seconds at most, and raises nothing for what a network can do."""


def ways_of(addresses: Addresses) -> list[Way]:
    """All ways that are set up.

    Raises ConfigError where a library is missing, or apprise knows no such place.
    """
    ways: list[Way] = []
    if addresses.webhook is not None:
        ways.append(Webhook(addresses.webhook, addresses.secret))
    names = ["apprise", *(f"apprise {number}" for number in range(2, len(addresses.urls) + 1))]
    ways += [Apprise(name, url) for name, url in zip(names, addresses.urls, strict=False)]
    return [Patient(way) for way in ways]


class Patient:
    """A way that is given so many seconds in all, for time-outs begin anew at each byte.

    Who drips an answer for longer has not taken the notice; until that has ended, nothing more
    is sent on that way, and others do not wait for it.
    """

    def __init__(self, way: Way, patience_s: float = PATIENCE_S) -> None:
        """Nobody is asked yet."""
        self.name = way.name
        self._way, self._patience_s = way, patience_s
        self._at_it: threading.Thread | None = None

    def tell(self, message: Message, now: datetime) -> Answer:
        """Tell it, and wait no longer than that."""
        if self._at_it is not None and self._at_it.is_alive():
            return Answer(False, "an earlier answer has no end")
        said: list[Answer] = []
        self._at_it = threading.Thread(
            target=lambda: said.append(self._way.tell(message, now)), name="notice", daemon=True
        )  # fmt: skip
        self._at_it.start()
        self._at_it.join(self._patience_s)
        return said[0] if said else Answer(False, "no answer in time")


class _BusyError(Exception):
    """An answer that may be another one in a moment."""


class Webhook:
    """POSTs a notice as JSON, signed where there is a secret; follows no redirect.

    `X-Darwin-Signature` is `sha256=` and the hex HMAC-SHA256, under the secret, of
    `X-Darwin-Timestamp`, a dot and the body.
    """

    name = "webhook"

    def __init__(self, address: str, secret: str | None) -> None:
        """Look for the libraries; no connection is made yet. Raises ConfigError."""
        self._http, self._stamina = _library("httpx2"), _library("stamina")
        self._address, self._secret = address, secret

    def tell(self, message: Message, now: datetime) -> Answer:
        """Send it, once more where that may help."""
        body = json.dumps(message.tree, ensure_ascii=True).encode()
        headers = self._headers(message, body, now)
        passing = (_BusyError, self._http.TransportError)
        try:
            for attempt in self._stamina.retry_context(
                on=passing,
                attempts=_TRIES,
                timeout=_TRIES_WITHIN_S,
                wait_initial=0.1,
                wait_max=0.5,
                wait_jitter=0.1,
            ):
                with attempt:
                    return self._send(body, headers)
        except _BusyError as fault:
            return Answer(False, str(fault))
        except (self._http.HTTPError, self._http.InvalidURL, OSError, ValueError) as fault:
            return Answer(False, type(fault).__name__)
        raise AssertionError("the tries end with an answer or a fault")

    def _send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        with (
            self._http.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", self._address, content=body, headers=headers) as response,
        ):
            status = int(response.status_code)  # the body of the answer is left where it is
        if status in _AGAIN:
            raise _BusyError(f"HTTP {status}")
        return Answer(200 <= status < 300, f"HTTP {status}")

    def _headers(self, message: Message, body: bytes, now: datetime) -> dict[str, str]:
        stamp = str(int(now.timestamp()))
        headers = {
            "Content-Type": "application/json", "User-Agent": f"darwin/{__version__}",
            "X-Darwin-Notice": message.id, "X-Darwin-Timestamp": stamp,
        }  # fmt: skip
        if self._secret is not None:
            headers["X-Darwin-Signature"] = signature(self._secret, stamp, body)
        return headers


def signature(secret: str, stamp: str, body: bytes) -> str:
    """What a receiver reckons again, and compares in constant time."""
    signed = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


class Apprise:
    """One place that apprise knows to reach: mail, chat, telephone."""

    def __init__(self, name: str, url: str) -> None:
        """Raises ConfigError where apprise is missing or knows no such place."""
        self.name = name
        self._library = _library("apprise")
        self._place = self._library.Apprise()
        if not self._place.add(url):
            raise ConfigError(
                f"apprise does not know where '{name}' would be",
                where=f"{URLS}, which lists addresses with a space between them",
                mend="see apprise's list of services; what is set now is not shown",
            )

    def tell(self, message: Message, now: datetime) -> Answer:
        """Send it."""
        kinds = self._library.NotifyType
        kind = {Severity.INFO: kinds.INFO, Severity.WARNING: kinds.WARNING}
        took = self._place.notify(
            title=f"Darwin: {message.severity}", body=message.text,
            notify_type=kind.get(message.severity, kinds.FAILURE),
            body_format=self._library.NotifyFormat.TEXT,
        )  # fmt: skip
        return Answer(bool(took), "taken" if took else "not taken")


def _library(name: str) -> ModuleType:
    try:
        found = importlib.import_module(name)
    except ImportError as fault:
        raise ConfigError(
            f"telling people needs the extra 'notify', but {fault.name or name} is missing",
            mend='install it: pip install -e ".[notify]"',
        ) from fault
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # their lines tell addresses
    return found

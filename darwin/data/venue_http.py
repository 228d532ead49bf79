"""JSON of a venue over HTTP: paced, asked again while that may help, never larger than fits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from darwin.config.values import base_url_objection
from darwin.data.patience import BusyError, Patience, library, printable
from darwin.data.throttle import Window
from darwin.errors import ConfigError, DataError, RefusedError

if TYPE_CHECKING:
    import httpx2

LARGEST_ANSWER = 16 * 2**20
"""Bytes, unpacked."""
_BANNED = 418  # how venues say that an address went on too long after 429

_MENDS = {
    HTTPStatus.BAD_REQUEST: "check symbol and timeframe: the venue may not know them",
    HTTPStatus.FORBIDDEN: "ask another base URL: this one serves no data to you",
    HTTPStatus.NOT_FOUND: "check the base URL: no klines are served there",
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: "ask another base URL: this one may not serve you",
    _BANNED: "wait until the ban is over, and send fewer requests",
}


class VenueHttp:
    """JSON below one base URL. Opens its connections when it is first asked.

    At most `requests_per_minute`, whatever they are for. A connection that fails, a time-out, 429
    and 5xx are tried again until `deadline_s` after the first try; Retry-After is obeyed, up to
    30 s; waiting for the pace does not count. No redirect is followed, no answer over 16 MiB is
    read. Raises ConfigError for a bad URL and where the extra `live` is missing.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 10.0,
        deadline_s: float = 60.0,
        requests_per_minute: int = 1200,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        objection = base_url_objection(base_url)
        if objection is not None:
            raise ConfigError(f"the base URL {objection[0]}", mend=objection[1])
        self._library = library("httpx2")
        self._base = base_url.rstrip("/")
        self._timeout_s, self._clock = timeout_s, clock
        window = Window(requests_per_minute, clock, sleep)
        self._patience = Patience(deadline_s, clock, sleep, window.wait)
        self._open: httpx2.Client | None = None
        self.host = urlsplit(self._base).netloc
        """Whom it asks, for messages and manifests."""

    def get(self, path: str, params: Mapping[str, str | int]) -> object:
        """Return the decoded answer.

        Raises UnreachableError when time is up, RefusedError, and DataError for what is no JSON.
        """
        url = f"{self._base}{path}"
        passing = (self._library.TransportError,)
        try:
            return self._patience.answer(
                lambda until: self._once(path, params, until), passing, self.host, url
            )
        except self._library.DecodingError as fault:
            raise self._unreadable(path, "is packed in a way that cannot be read") from fault

    def close(self) -> None:
        """Let go of the connections; asking again opens new ones."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _once(self, path: str, params: Mapping[str, str | int], until: float) -> object:
        if self._open is None:
            self._open = self._library.Client(follow_redirects=False)
        left_s = max(until - self._clock(), 0.001)
        with self._open.stream(
            "GET", f"{self._base}{path}", params=params, timeout=min(self._timeout_s, left_s)
        ) as response:
            raw = self._body(response, path, until)
        if response.status_code == HTTPStatus.OK:
            return self._decoded(raw, path)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error:
            told_s = _told_s(response.headers.get("retry-after", ""))
            raise BusyError(f"HTTP {response.status_code}", told_s)
        raise self._refusal(response, raw, path)

    def _body(self, response: httpx2.Response, path: str, until: float) -> bytes:
        """All of it, in time: a trickle counts as no answer."""
        raw = bytearray()
        for chunk in response.iter_bytes():
            raw += chunk
            if len(raw) > LARGEST_ANSWER:
                raise self._unreadable(path, f"is larger than {LARGEST_ANSWER // 2**20} MiB")
            if self._clock() >= until:
                raise self._library.ReadTimeout("the answer came too slowly")
        return bytes(raw)

    def _decoded(self, raw: bytes, path: str) -> object:
        try:
            tree: object = json.loads(raw)
        except (ValueError, RecursionError) as fault:
            raise self._unreadable(path, f"is no JSON ({printable(str(fault))})") from fault
        return tree

    def _unreadable(self, path: str, what: str) -> DataError:
        return DataError(
            f"the answer of {self.host} {what}",
            where=f"{self._base}{path}",
            mend="check that the base URL is that of a venue, or try again later",
        )

    def _refusal(self, response: httpx2.Response, raw: bytes, path: str) -> RefusedError:
        status = response.status_code
        said = _message(raw)
        refusal = RefusedError(
            f"{self.host} refused with HTTP {status}" + (f": {said}" if said else ""),
            where=f"{self._base}{path}?{response.url.query.decode('ascii')}",
            mend=_MENDS.get(status, "check the base URL"),
        )
        refusal.of_symbol = status == HTTPStatus.BAD_REQUEST
        refusal.wait_s = _told_s(response.headers.get("retry-after", ""))
        return refusal


def _told_s(header: str) -> float | None:
    """Seconds of a Retry-After header; None for a date and for anything else."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 10 else None


def _message(raw: bytes) -> str:
    """What a venue said with its refusal, if it was said as venues do: `{"code": …, "msg": …}`."""
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    said = tree.get("msg") if isinstance(tree, dict) else None
    return printable(said) if isinstance(said, str) else ""

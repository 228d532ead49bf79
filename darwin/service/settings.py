"""How a deployment is served: where, to whom, and where it gets its bars from."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from darwin.service.place import Place

PORT = 8000
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104  addresses that are no names


@dataclass(frozen=True, slots=True)
class Settings:
    """What `darwin serve` was told."""

    place: Place
    host: str = "127.0.0.1"
    port: int = PORT
    private: bool = False  # reading wants a token too
    allow_hosts: tuple[str, ...] = ()  # names by which it may be asked, beside those of loopback
    klines_url: str | None = None  # bars for trainings are fetched there; None: the usual venue
    data: str | None = None  # or are read from this folder
    runs_jobs: bool = True
    schedules: bool = True
    benchmark_wait_s: float = 60.0  # for how long an answer is kept waiting for a benchmark

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which it may be asked."""
        named = {name.lower().strip("[]") for name in (*self.allow_hosts, self.host)}
        return LOOPBACK_NAMES | (named - _ANY)

    @property
    def reading_needs_token(self) -> bool:
        """Whether those who only look must show a token."""
        return self.private or not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a service bound to `host` is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

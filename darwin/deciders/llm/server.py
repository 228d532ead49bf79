"""The server that is asked: where it stands, which protocol it speaks, how patient we are."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com"
KEY_VARIABLE = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach a model; a ValueError names the field that cannot be meant.

    `base_url` is what the SDK of `kind` takes, with `/v1` for `openai` and without for `anthropic`;
    None is the provider's own. Plain http is for this machine alone, unless `plain_http` says that
    the network between may be trusted with the key and the answers. `structured` says what the
    server is told of the answer's form: `schema` (both kinds), `json` (any object; `openai` alone)
    or `off`. `limit_key` is the word for the most output tokens in chat completions; None: the
    new one for OpenAI itself, the old one, which all others know, elsewhere.
    """

    kind: Literal["openai", "anthropic"] = "openai"
    base_url: str | None = None
    structured: Literal["schema", "json", "off"] = "schema"
    attempts: int = 3  # requests for one question, the first included
    connect_s: float = 10.0  # the most that connecting may take,
    silence_s: float = 60.0  # and that no byte may come; both within the deadline
    limit_key: Literal["max_completion_tokens", "max_tokens"] | None = None
    plain_http: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KEY_VARIABLE:
            raise ValueError(f"kind must be 'openai' or 'anthropic', not '{self.kind}'")
        if self.structured not in ("schema", "json", "off"):
            raise ValueError("structured must be 'schema', 'json' or 'off'")
        if self.kind == "anthropic" and self.structured == "json":
            raise ValueError("structured must be 'schema' or 'off' where kind is 'anthropic'")
        if not (1 <= self.attempts <= 10):
            raise ValueError(f"attempts must lie between 1 and 10, not {self.attempts}")
        for name in ("connect_s", "silence_s"):
            if not (0.0 < getattr(self, name) <= 3600.0):
                raise ValueError(f"{name} must lie above 0, to 3600")
        self._check_url()

    def _check_url(self) -> None:
        """Refuse what is no base URL; the message repeats nothing of it, for it may hold a key."""
        try:
            url = urlsplit(self.url)
            known = url.port is None or url.port > 0
        except ValueError:
            raise ValueError("base_url is no URL") from None
        visible = self.url.isascii() and self.url.isprintable() and " " not in self.url
        if not (visible and url.scheme in ("http", "https") and url.hostname and known):
            raise ValueError("base_url must be like 'https://host/v1'")
        if url.username is not None or url.password is not None:
            raise ValueError("base_url must hold no name and no password; keys are never in it")
        if url.query or url.fragment or "?" in self.url or "#" in self.url:
            raise ValueError("base_url must end with its path, without '?' or '#'")
        if url.scheme == "http" and not (_is_here(url) or self.plain_http):
            raise ValueError(
                "base_url must be https, but for a server on this machine; or set plain_http"
            )

    @property
    def url(self) -> str:
        """The base URL in use."""
        return self.base_url or (OPENAI if self.kind == "openai" else ANTHROPIC)

    @property
    def wants_a_key(self) -> bool:
        """Whether it is not asked without: not on this machine, and not on a trusted network."""
        url = urlsplit(self.url)
        return not (_is_here(url) or url.scheme == "http")

    @property
    def output_limit_key(self) -> str:
        """What chat completions call the most output tokens."""
        own = urlsplit(self.url).hostname == urlsplit(OPENAI).hostname
        return self.limit_key or ("max_completion_tokens" if own else "max_tokens")


def _is_here(url: SplitResult) -> bool:
    host = url.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

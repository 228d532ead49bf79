"""Where notices go: from the environment or a file that it names, never from a config.

An address is a secret, for whoever has it can write to it. So no error, log line or row holds one:
they name the variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from darwin.errors import ConfigError
from darwin.service.notices.happenings import Severity

WEBHOOK, SECRET = "DARWIN_WEBHOOK_URL", "DARWIN_WEBHOOK_SECRET"
URLS, LEAST = "DARWIN_NOTIFY_URLS", "DARWIN_NOTIFY_LEAST"
_LARGEST = 64 << 10


@dataclass(frozen=True, slots=True)
class Addresses:
    """What was found; printed it tells nothing."""

    webhook: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)  # that signs what the webhook gets
    urls: tuple[str, ...] = field(default=(), repr=False)  # of apprise
    least: Severity = Severity.WARNING

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Addresses:
        """Read them. Raises ConfigError, which names the variable and never its value."""
        webhook, secret = _value(environment, WEBHOOK), _value(environment, SECRET)
        if webhook is not None:
            _require_web(webhook)
        elif secret is not None:
            raise ConfigError(
                "there is a secret to sign with, and no webhook that would get it",
                where=SECRET,
                mend=f"set {WEBHOOK} or {WEBHOOK}_FILE, or unset it",
            )
        urls = tuple((_value(environment, URLS) or "").split())
        return cls(webhook, secret, urls, _least(environment))


def _value(environment: Mapping[str, str], name: str) -> str | None:
    """The value of a variable, or of the file that its sibling names; None: neither is set."""
    direct, file = environment.get(name, "").strip(), environment.get(f"{name}_FILE", "").strip()
    if direct and file:
        raise ConfigError(
            f"both {name} and {name}_FILE are set", where="the environment", mend="unset one"
        )
    if not file:
        return direct or None
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_LARGEST + 1).decode("utf-8").strip()
    except OSError as fault:
        raise ConfigError(
            f"the file that {name}_FILE names cannot be read ({fault.strerror})",
            where=file,
            mend="let the user that Darwin runs as read it",
        ) from fault
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _LARGEST:
        raise ConfigError(
            f"the file that {name}_FILE names holds no text that could be meant",
            where=file,
            mend="write the value alone into it",
        )
    return text


def _require_web(address: str) -> None:
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not address.isascii() or any(mark.isspace() for mark in address):
        raise ConfigError(
            "this is no address of the web",
            where=WEBHOOK,
            mend="https://HOST/PATH; what is set now is not shown, for it may be a secret",
        )


def _least(environment: Mapping[str, str]) -> Severity:
    told = environment.get(LEAST, "").strip().lower() or Severity.WARNING
    try:
        return Severity(told)
    except ValueError:
        raise ConfigError(
            f"'{told[:40]}' is no severity", where=LEAST, mend=f"one of {', '.join(Severity)}"
        ) from None

"""A fault of the config, and how any number of them is said on three lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from darwin.errors import ConfigError

Path = tuple[str | int, ...]

_PLAIN = re.compile(r"[A-Za-z0-9_/:+-]+")
PART = re.compile(r"[^.\[\]]+")
SHOWN = 5  # faults named one by one; the others are counted
LONGEST_KEY = 48
NOT_FINITE = ("must be a finite number", "write a number, or null where allowed")


class Fault(NamedTuple):
    """`what` continues the key's path into a sentence; `mend` is the way out."""

    path: Path
    what: str
    mend: str


def key_path(path: Path) -> str:
    """Write a path as people do: `playbooks[0].exits.stop_atr`; odd keys quoted and shortened."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part) and len(part) <= LONGEST_KEY:
            text += f".{part}" if text else part
        else:
            cut = part if len(part) <= LONGEST_KEY else part[:LONGEST_KEY] + "…"
            text += f"[{json.dumps(cut, ensure_ascii=not cut.isprintable())}]"
    return text


def parse_path(text: str) -> Path:
    """Read what `key_path` writes, of plain keys; a number is a place in a list."""
    return tuple(int(part) if part.isdecimal() else part for part in PART.findall(text))


def refusal(faults: Sequence[Fault], source: str, origins: Mapping[Path, str]) -> ConfigError:
    """Put all `faults` into one error of three lines.

    `origins` says which paths were set by something else than the file `source`, and by what.
    """
    first = faults[0]
    if len(faults) == 1:
        what = f"{key_path(first.path)} {first.what}"
        place = origin_of(first.path, origins) or source
        return ConfigError(what, where=f"{key_path(first.path)}, from {place}", mend=first.mend)
    more = f" +{len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    shown = faults[:SHOWN]
    where = ", ".join(_placed(fault.path, origins) for fault in shown)
    return ConfigError(
        f"{len(faults)} faults; the first: {key_path(first.path)} {first.what}",
        where=f"{where}{more}, from {source}",
        mend="; ".join(f"{key_path(fault.path)}: {fault.mend}" for fault in shown) + more,
    )


def _placed(path: Path, origins: Mapping[Path, str]) -> str:
    place = origin_of(path, origins)
    return f"{key_path(path)} ({place})" if place else key_path(path)


def origin_of(path: Path, origins: Mapping[Path, str]) -> str | None:
    """The origin of the nearest marked path at or above `path`, else of the first below it."""
    for length in range(len(path), -1, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    return next((by for marked, by in origins.items() if marked[: len(path)] == path), None)

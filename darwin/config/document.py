"""A JSON document as a tree of plain values, with everything that plain JSON readers let pass."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from darwin.config.faults import NOT_FINITE, Fault
from darwin.config.faults import Path as KeyPath
from darwin.errors import ConfigError

LARGEST_FILE = 1 << 20
DEEPEST = 32
LONGEST_INTEGER = 19  # digits that a 64-bit integer can have
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SECRET = re.compile(
    r"(^|.*_)((api|access|private|secret)_?key|secret|token|password|passphrase|credentials?)"
)


class Table(dict[str, Any]):
    """A JSON object that remembers which of its keys were written twice."""

    duplicates: tuple[str, ...] = ()


def _table(pairs: list[tuple[str, Any]]) -> Table:
    table = Table(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        table.duplicates = tuple(
            dict.fromkeys(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        )
    return table


def _integer(text: str) -> int | float:
    return int(text) if len(text.lstrip("-")) <= LONGEST_INTEGER else float(text)


def parse(text: str) -> Any:
    """Read JSON; raises JSONDecodeError, or RecursionError where it is nested too deeply.

    NaN, infinities and duplicate keys survive, for `flaws` to name.
    """
    return json.loads(text, object_pairs_hook=_table, parse_int=_integer)


def read(path: Path) -> Table:
    """Read the object in the file at `path`. Raises ConfigError naming line and column."""
    where = str(path)
    try:
        tree = parse(_text(path))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"the config is not valid JSON: {error.msg}",
            where=f"{where}, line {error.lineno}, column {error.colno}",
            mend="mend it there; JSON knows no comments and no trailing commas",
        ) from error
    except RecursionError as error:
        raise _too_deep(where) from error
    if not isinstance(tree, Table):
        raise ConfigError("the config is not a JSON object", where=where, mend="begin it with '{'")
    return tree


def _text(path: Path) -> str:
    where = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError("no such config file", where=where, mend=_nearby(path)) from error
    except IsADirectoryError as error:
        raise ConfigError(
            "the config is a folder", where=where, mend="name the JSON file inside it"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"the config cannot be read: {reason}", where=where, mend="check path and permissions"
        ) from error
    if len(raw) > LARGEST_FILE:
        raise ConfigError(
            "the config is larger than 1 MiB", where=where, mend="is this the right file?"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the config is not UTF-8 (byte {error.start})", where=where, mend="save it as UTF-8"
        ) from error
    if not text.strip():
        raise ConfigError("the config is empty", where=where, mend="begin from configs/demo.json")
    return text


def _nearby(path: Path) -> str:
    try:
        names = [found.name for found in path.parent.glob("*.json")]
    except OSError:
        names = []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean '{path.parent / close[0]}'?" if close else "check the path"


def _too_deep(where: str) -> ConfigError:
    return ConfigError(
        f"the config is nested deeper than {DEEPEST} levels", where=where, mend="flatten it"
    )


def flaws(tree: Table, where: str) -> list[Fault]:
    """Find what no value of a config may be: duplicates, NaN, infinities, odd text, secrets.

    Raises ConfigError where the tree is nested too deeply to be walked.
    """
    return list(_walk(tree, (), where))


def _walk(node: Any, path: KeyPath, where: str) -> Iterator[Fault]:
    if len(path) > DEEPEST:
        raise _too_deep(where)
    if isinstance(node, dict):
        yield from _keys(node, path)
        for key, value in node.items():
            yield from _walk(value, (*path, key), where)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _walk(value, (*path, i), where)
    elif isinstance(node, float) and not math.isfinite(node):
        yield Fault(path, *NOT_FINITE)
    elif isinstance(node, str) and not _clean(node):
        yield Fault(path, "holds a NUL or half a character", "write plain Unicode text")


def _keys(table: dict[str, Any], path: KeyPath) -> Iterator[Fault]:
    for key in getattr(table, "duplicates", ()):
        yield Fault((*path, key), "is written twice", "keep one of them")
    for key in table:
        if not _clean(key):
            yield Fault((*path, key), "is no key", "write plain Unicode text")
        elif _names_a_secret(key):
            yield Fault(
                (*path, key), "is a secret by its name", "keep secrets in the environment alone"
            )


def _names_a_secret(key: str) -> bool:
    return _SECRET.fullmatch(_HUMP.sub("_", key).lower().replace("-", "_")) is not None


def _clean(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)

"""Lay environment variables and `--set` over the tree of a config file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from darwin.config.document import Table, parse
from darwin.config.faults import PART, Path, key_path
from darwin.errors import ConfigError

PREFIX = "DARWIN__"
_KEY = re.compile(r"[^.\[\]]+(\[\d+\])*(\.[^.\[\]]+(\[\d+\])*)*")
_INDEX = re.compile(r"[0-9]{1,6}")


class Override(NamedTuple):
    """One value from outside the file, and what it came by: a variable's name, or `--set`."""

    parts: tuple[str, ...]
    text: str
    by: str


def from_environment(environ: Mapping[str, str]) -> Iterator[Override]:
    """Read `DARWIN__A__B=value` as a.b, in order of the names; parts of any case."""
    seen: dict[str, str] = {}
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        parts = tuple(name.removeprefix(PREFIX).split("__"))
        if not all(parts):
            raise ConfigError(
                f"the variable {name} names no config key",
                where="environment",
                mend=f"write for example {PREFIX}MARKET__EDGE=0.1, or unset it",
            )
        twin = seen.setdefault(name.casefold(), name)
        if twin != name:
            raise ConfigError(
                f"the variables {twin} and {name} name the same key",
                where="environment",
                mend="unset one of them",
            )
        yield Override(parts, environ[name], name)


def from_options(options: Sequence[str]) -> Iterator[Override]:
    """Read `a.b=value` and `a[0].b=value`. A malformed one is never echoed: it may be a secret."""
    for i, option in enumerate(options, 1):
        key, equals, text = option.partition("=")
        if not equals or _KEY.fullmatch(key) is None:
            raise ConfigError(
                "--set wants key=value",
                where=f"--set number {i}",
                mend="write for example --set market.edge=0.1 or --set playbooks[0].name=breakout",
            )
        yield Override(tuple(PART.findall(key)), text, "--set")


def lay(tree: Table, override: Override, texts: frozenset[Path]) -> Path:
    """Set one value in `tree`, making the objects on the way, and return its path.

    `texts` are the paths of keys that hold text: there, a number is taken as it is written.
    """
    node: Any = tree
    path: Path = ()
    for part, following in zip(override.parts, (*override.parts[1:], None), strict=True):
        key = _key(node, path, part, override.by)
        path = (*path, key)
        if following is None:
            _put(node, key, _value(override, path in texts))
        else:
            if _get(node, key) is None:
                _put(node, key, [] if _INDEX.fullmatch(following) else Table())
            node = node[key]
    return path


def _key(node: Any, path: Path, part: str, by: str) -> str | int:
    if isinstance(node, dict):
        if by == "--set":
            return part
        return next((key for key in node if key.casefold() == part.casefold()), part.lower())
    if isinstance(node, list):
        if _INDEX.fullmatch(part) and int(part) <= len(node):
            return int(part)
        what, mend = f"has {len(node)} items, none at '{part[:20]}'", "number them from 0"
    else:
        what, mend = "holds no keys that could be set", "set it as a whole"
    raise ConfigError(f"{key_path(path)} {what}", where=f"{key_path(path)}, from {by}", mend=mend)


def _get(node: Any, key: str | int) -> Any:
    if isinstance(node, list):
        return node[key] if isinstance(key, int) and key < len(node) else None
    return node.get(key)


def _put(node: Any, key: str | int, value: Any) -> None:
    if isinstance(node, list) and key == len(node):
        node.append(value)
    else:
        node[key] = value


def _value(override: Override, is_text: bool) -> Any:
    try:
        value = parse(override.text)
    except json.JSONDecodeError:
        return override.text
    except RecursionError as error:
        raise ConfigError(
            "a value is nested too deeply", where=f"{override.by}", mend="flatten it"
        ) from error
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return override.text if is_text and number else value

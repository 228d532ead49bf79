"""Resolved configs as plain trees: their leaves, their digest, where two of them differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from darwin.config.faults import Path, key_path

NAMES = ("run_id", "artifacts_dir")
"""Keys that say what a run is called and where it lies, not what it does."""


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value with its path, in order; a list of plain values is one of them."""
    if isinstance(node, Mapping) and (node or not path):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list) and any(isinstance(item, Mapping) for item in node):
        for i, item in enumerate(node):
            yield from leaves(item, (*path, i))
    else:
        yield path, node


def canonical(value: Any) -> str:
    """Write `value` as the one JSON text that equal values share."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(resolved: Mapping[str, Any]) -> str:
    """SHA-256 of what a run does: of all resolved values but `run_id` and `artifacts_dir`."""
    meant = {key: value for key, value in resolved.items() if key not in NAMES}
    return hashlib.sha256(canonical(meant).encode()).hexdigest()


class Change(NamedTuple):
    """A key whose value differs; the values as JSON, None where there is no such key."""

    key: str
    a: str | None
    b: str | None


def changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Change]:
    """The keys whose values differ, with both; empty exactly where the digests agree."""
    left, right = _meant(a), _meant(b)
    return [
        Change(key_path(path), left.get(path), right.get(path))
        for path in left | right
        if left.get(path) != right.get(path)
    ]


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Name the keys whose values differ; empty exactly where the digests agree."""
    return [change.key for change in changes(a, b)]


def _meant(resolved: Mapping[str, Any]) -> dict[Path, str]:
    return {path: canonical(value) for path, value in leaves(resolved) if path[0] not in NAMES}

"""A dossier as somebody hands it in: its JSON or its page, of which nothing is trusted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

from darwin.core.agents import AGENTS
from darwin.errors import ConfigError, IntegrityError

MEND = "put it aside and write it again with `darwin rl dossier write`, or look who changed it"
_ISLAND = re.compile(r'<script type="application/json" id="dossier">(.*?)</script>', re.S)
_MOST_BYTES = 256 << 20


def read_dossier(file: Path) -> tuple[dict[str, Any], str | None]:
    """The tree of a dossier, and the text of its page where `file` is one.

    Raises ConfigError for what is none, IntegrityError for one that is about no act.
    """
    from darwin.rl.graduation.dossier import KIND

    try:
        if file.stat().st_size > _MOST_BYTES:
            raise _no_dossier(file, "it is too large")
        text = file.read_text("utf-8")
    except UnicodeDecodeError as fault:
        raise _no_dossier(file, "it is no text") from fault
    except OSError as fault:
        raise _no_dossier(file, f"it cannot be read ({fault.strerror})") from fault
    island = _ISLAND.search(text)
    try:
        tree = json.loads(island.group(1) if island else text, parse_constant=_refuse,
                          object_pairs_hook=_each_once)  # fmt: skip
    except (ValueError, RecursionError) as fault:
        raise _no_dossier(file, "it holds no JSON") from fault
    if not isinstance(tree, dict) or tree.get("kind") != KIND:
        raise _no_dossier(file, f"it does not say that it is a {KIND!r}")
    if tree.get("agent") not in AGENTS or type(tree.get("number")) is not int:
        raise IntegrityError("agent and number are those of no act", where=str(file), mend=MEND)
    return tree, text if island else None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _no_dossier(file: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{file.name} is no dossier: {why}",
        where=str(file),
        mend="`darwin rl dossier list` names those that are there",
    )

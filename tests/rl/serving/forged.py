"""Model files with something done to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.card import ModelCard
from darwin.rl.serving.validation import validate
from darwin.testing.models import make_model

SPEC, WEIGHTS = "spec.json", "weights.safetensors"
Files = dict[str, bytes]


def check(files: Files, agent: str = "gate") -> ModelCard:
    return validate(PAGES[agent], files[SPEC], files[WEIGHTS])


def edited(files: Files, edit: Callable[[dict[str, Any]], object]) -> Files:
    """With its spec changed by `edit`."""
    tree = json.loads(files[SPEC])
    edit(tree)
    return files | {SPEC: json.dumps(tree).encode()}


def with_keys(files: Files, **values: Any) -> Files:
    """With keys of its spec set."""
    return edited(files, lambda tree: tree.update(values))


def taken_apart(weights: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensors."""
    size = int.from_bytes(weights[:8], "little")
    return json.loads(weights[8 : 8 + size]), weights[8 + size :]


def put_together(header: dict[str, Any] | bytes, tensors: bytes) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + tensors


def reheaded(files: Files, edit: Callable[[dict[str, Any]], object]) -> Files:
    """With the header of its weights changed by `edit`."""
    header, tensors = taken_apart(files[WEIGHTS])
    edit(header)
    return files | {WEIGHTS: put_together(header, tensors)}


def patched(files: Files, tensor: str, place: int, value: bytes) -> Files:
    """With one 32-bit number of a tensor replaced."""
    header, tensors = taken_apart(files[WEIGHTS])
    at = header[tensor]["data_offsets"][0] + 4 * place
    return files | {
        WEIGHTS: put_together(header, tensors[:at] + value + tensors[at + len(value) :])
    }


SMALL = make_model("gate", hidden=(4,), probes=16)

"""Answers as JSON: finite numbers alone, whatever the tree holds."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.responses import JSONResponse


class Answer(JSONResponse):
    """A tree as JSON, in which NaN and infinity, which JSON does not know, are null."""

    def render(self, content: Any) -> bytes:
        """Write it; the look for what is not finite is made only where there is some."""
        try:
            return _text(content)
        except ValueError:
            return _text(finite(content))


def _text(tree: Any) -> bytes:
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def finite(tree: Any) -> Any:
    """A tree in which NaN and infinity, which JSON does not know, are None."""
    if isinstance(tree, float):
        return tree if math.isfinite(tree) else None
    if isinstance(tree, dict):
        return {name: finite(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [finite(value) for value in tree]
    return tree

"""What counts as inside the artifacts: nothing of a deployment is read or written elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from darwin.config.values import SEGMENT
from darwin.errors import ConfigError

ARTIFACTS = "artifacts"
"""The first segment that stands for `artifacts_dir`, wherever that lies."""


def inside_artifacts(text: str, artifacts_dir: str) -> Path:
    """Resolve a path of the config that must lie below the artifacts.

    `artifacts/…` means `<artifacts_dir>/…`; any other relative path starts at the working
    directory. Raises ConfigError for `..`, for segments that are no plain name, and for whatever
    ends outside, be it by name or through a symbolic link.
    """
    root = Path(artifacts_dir)
    first, _, rest = text.partition("/")
    path = root / rest if first == ARTIFACTS else Path(text)
    if {"", ".", ".."}.isdisjoint(text.removeprefix("/").split("/")):
        below = _below(Path(os.path.abspath(path)), Path(os.path.abspath(root)))  # noqa: PTH100
        if below and all(map(SEGMENT.fullmatch, below)) and _below(path.resolve(), root.resolve()):
            return path
    raise ConfigError(
        "leads outside the artifacts or has a segment that is no plain name",
        mend=f"write a path below {ARTIFACTS}/, without '..' and without links that leave it",
    )


def _below(path: Path, root: Path) -> tuple[str, ...]:
    return path.relative_to(root).parts if path.is_relative_to(root) else ()

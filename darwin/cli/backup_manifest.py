"""What a backup says of itself: which files it holds, how far each run and log had come."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from darwin.cli.backup_tar import Member, is_plain, refused

FILE, DIGEST = "MANIFEST.json", "MANIFEST.sha256"
"""The last two members: the manifest, and the SHA-256 of it in hex."""
FORMAT = 1
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class RunHead:
    """How far a run was kept when the backup was made."""

    run_id: str
    mode: str  # replay or feed
    finished: bool
    facts: int
    head: str  # hash of the last of them; 64 hex digits


@dataclass(frozen=True, slots=True)
class Manifest:
    """The table of contents; all names are below the artifacts."""

    format: int
    made_at: str  # ISO 8601 UTC
    code_version: str
    schema: str  # of the database
    database: str  # where it lies
    models: str  # where the models lie; empty: they were left out
    killed: bool  # agents were switched off, by the record or by the file KILL
    runs: tuple[RunHead, ...]
    logs: dict[str, tuple[int, str]]  # rows, and the seal of the newest in hex
    missing_models: tuple[str, ...]  # `agent version`: known to the database, no longer whole
    left_out: tuple[str, ...]  # files that are no plain ones, or have odd names
    files: tuple[Member, ...]

    def text(self) -> bytes:
        """As it is written down: JSON with sorted keys."""
        tree = asdict(self) | {"files": [list(one) for one in self.files]}
        return json.dumps(tree, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def read(cls, text: bytes) -> Manifest:
        """Read what `text` has written. Raises IntegrityError for anything else."""
        try:
            made = cls._of(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise refused(f"has a {FILE} that is none") from fault
        if made.format != FORMAT:
            raise refused(f"is of format {made.format!r}, this Darwin reads {FORMAT}")
        if made.text() != text or not made._makes_sense():
            raise refused(f"has a {FILE} that was changed")
        return made

    def _makes_sense(self) -> bool:
        """Whether names lead below the artifacts, and each word is one."""
        words = (self.made_at, self.code_version, self.schema, self.database, self.models)
        return (
            all(isinstance(word, str) for word in words)
            and isinstance(self.killed, bool)
            and is_plain(self.database)
            and (not self.models or is_plain(self.models))
        )

    @classmethod
    def _of(cls, tree: dict[str, Any]) -> Manifest:
        plain = {name: tree[name] for name in cls.__dataclass_fields__}
        return cls(**plain | {
            "runs": tuple(RunHead(**one) for one in tree["runs"]),
            "logs": {name: (int(rows), str(seal)) for name, (rows, seal) in tree["logs"].items()},
            "missing_models": tuple(map(str, tree["missing_models"])),
            "left_out": tuple(map(str, tree["left_out"])),
            "files": tuple(Member(str(n), int(b), str(s)) for n, b, s in tree["files"]),
        })  # fmt: skip


def too_large(size: int) -> bool:
    """Whether a member of that size can be no manifest."""
    return size > _MOST_BYTES


def digest_line(text: bytes) -> bytes:
    """The content of the last member."""
    return hashlib.sha256(text).hexdigest().encode() + b"\n"

"""How far a life has come: one file, written whole after each phase."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from darwin.errors import ConfigError, IntegrityError

FILE = "lifecycle.json"
ASKED, COLLECTED, TRAINED, LIVED = "asked", "collected", "trained", "lived"
_PHASES = {ASKED, COLLECTED, TRAINED, LIVED}


class LifeRecord:
    """The phases that are finished, in the folder of the life's run."""

    def __init__(self, folder: Path, tree: dict[str, Any]) -> None:
        """Take up what `tree` says is done."""
        self.path = folder / FILE
        self.tree = tree

    @property
    def finished(self) -> bool:
        """Whether the last phase is on record."""
        return LIVED in self.tree

    @classmethod
    def begin(cls, folder: Path, run_id: str, asked: dict[str, Any], *, resume: bool) -> LifeRecord:
        """The record of a life that begins, goes on, or is finished.

        Raises ConfigError for one that was begun as another, naming what differs, and for an
        unfinished one without `resume`; IntegrityError for a file that is none.
        """
        known = _read(folder / FILE)
        if known is None:
            fresh = cls(folder, {ASKED: asked})
            fresh._write()
            return fresh
        record = cls(folder, known)
        if not (record.finished or resume):
            raise ConfigError(
                f"the life of '{run_id}' was begun and is not finished",
                where=str(record.path),
                mend="go on with --resume, or give this one another run_id",
            )
        if what := _differing(known[ASKED], asked):
            raise ConfigError(
                f"the life of '{run_id}' was begun with another {', another '.join(what)}",
                where=str(record.path),
                mend="ask for the same again, or give this one another run_id",
            )
        return record

    def note(self, phase: str, told: Any) -> None:
        """Write down that a phase is finished. Raises StorageError."""
        self.tree = self.tree | {phase: told}
        self._write()

    def _write(self) -> None:
        from darwin.report.files import json_text, write_text

        write_text(self.path, json_text(self.tree))


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        tree = json.loads(path.read_text("utf-8"))
    except ValueError:
        tree = None
    if not isinstance(tree, dict) or ASKED not in tree or not set(tree) <= _PHASES:
        raise IntegrityError(
            "this is no record of a life",
            where=str(path),
            mend="put a backup of it in its place, or begin under another run_id",
        )
    return tree


def _differing(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What was asked otherwise, each with what it was and is."""
    from darwin.config.compare import differences

    found = []
    for name, value in now.items():
        if name == "config":
            keys = differences(then.get(name, {}), value)
            found += [f"config ({', '.join(keys)})"] if keys else []
        elif then.get(name) != value:
            short = [str(one)[:24] for one in (then.get(name), value)]
            found.append(f"{name.replace('_', '-')} ({short[0]} then, {short[1]} now)")
    return found

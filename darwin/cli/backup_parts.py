"""What a backup copies of a deployment, part by part: models, database, kill switch, folders.

What a run that is unfinished in the snapshot writes into its folder at its end is left out, for it
may be from after the snapshot; resuming writes it anew. In its place stands the config that the
database has of it, with which it can be resumed.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from darwin.cli.backup_tar import Packing, is_plain
from darwin.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from darwin.store.snapshot import Kept

DATABASE, MODELS = "rl_state/agent_state.sqlite", "rl_models"
"""Where they lie in a backup of a deployment that keeps them outside its artifacts."""
_BESIDE_THE_STATE = ("rl_state/dossiers", "rl_state/rollbacks", "rl_training")
_LIVE = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal")
"""Databases of others, which a copy of their bytes would tear."""


class Where(NamedTuple):
    """The deployment that is copied."""

    artifacts: Path
    db: Path
    models_dir: Path

    def name_of(self, path: Path, usual: str) -> str:
        """What `path` is called in a backup; `usual` where it lies outside the artifacts."""
        try:
            return path.resolve().relative_to(self.artifacts.resolve()).as_posix()
        except ValueError:
            return usual


class Parts:
    """One backup as it grows."""

    def __init__(self, where: Where, packing: Packing) -> None:
        """Nothing is copied yet."""
        self._where, self._packing = where, packing
        self.missing: list[str] = []  # `agent version`, of models that are no longer whole
        self.left_out: list[str] = []

    def models(self, seen: Connection, kept: Sequence[Kept]) -> None:
        """Copy the versions that the snapshot knows, from wherever runs look for them."""
        from darwin.core.rebalance import ALL_AGENTS
        from darwin.rl.registry.registry import shelf_in

        folders = list(self._models_folders(kept))
        for agent in ALL_AGENTS:
            for one in shelf_in(seen, agent).kept:
                copied = [self._version(*folder, agent, one.name) for folder in folders]
                if not any(copied):
                    self.missing.append(f"{agent} {one.name}")

    def database(self, seen: Connection, beside: Path) -> str:
        """Copy the database as the snapshot sees it; gives its name in the backup."""
        from darwin.store.snapshot import copy_to

        name = self._where.name_of(self._where.db, DATABASE)
        with tempfile.TemporaryDirectory(prefix=".darwin-backup-", dir=beside) as folder:
            copy = Path(folder) / "copy.sqlite"
            copy_to(seen, copy)
            self._file_of(name, copy)
        return name

    def kill_file(self) -> bool:
        """Copy the file KILL, whatever stands there; whether it does."""
        from darwin.rl.serving.kill_file import KILL_FILE, ours, stands

        if not stands(self._where.artifacts):
            return False
        said = ours(self._where.artifacts)
        self.add(KILL_FILE, said or b"switched off when the backup was made\n")
        return True

    def runs(self, kept: Sequence[Kept]) -> None:
        """Copy the folders of all runs, as far as they belong to what the snapshot knows."""
        from darwin.report.files import json_text

        home = self._where.artifacts / "runs"
        finished = {run.run_id for run in kept if run.finished}
        for folder in sorted(home.iterdir()) if home.is_dir() else ():
            skip = set() if folder.name in finished else _written_at_the_end()
            self._folder(folder, f"runs/{folder.name}", skip)
        for run in kept:
            if not run.finished:
                config = json_text(json.loads(run.config_json))
                self.add(f"runs/{run.run_id}/config.json", config.encode())

    def beside(self) -> None:
        """Copy dossiers, reports of rollbacks and trainings."""
        for name in _BESIDE_THE_STATE:
            self._folder(self._where.artifacts / name, name, set())

    def add(self, name: str, content: bytes) -> None:
        """Add a file of that content."""
        self._packing.add(name, io.BytesIO(content), len(content))

    def _models_folders(self, kept: Sequence[Kept]) -> Iterator[tuple[Path, str]]:
        """The folder of the models and those that configs of runs name, with their names here."""
        usual = self._where.name_of(self._where.models_dir, MODELS)
        yield self._where.models_dir, usual
        seen = {usual}
        for path in {path for run in kept for path in _model_paths(json.loads(run.config_json))}:
            folder = _inside(path, self._where.artifacts)
            name = "" if folder is None else self._where.name_of(folder, "")
            if folder is not None and name and name not in seen:
                seen.add(name)
                yield folder, name

    def _version(self, folder: Path, name: str, agent: str, version: str) -> bool:
        """Copy one version from a folder of models; False: it is not there, or not whole."""
        from darwin.rl.registry.files import MOST_BYTES, read
        from darwin.rl.registry.folders import Home

        try:
            content = read(Home.of(folder, agent).folder(version), MOST_BYTES)
        except ModelError:
            return False
        for part, text in content.items():
            self.add(f"{name}/{agent}/versions/{version}/{part}", text)
        return True

    def _folder(self, folder: Path, name: str, skip: set[str]) -> None:
        """Copy all plain files of a folder and below; hidden ones are locks, or half written."""
        if folder.is_symlink() or not folder.is_dir():
            return
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda one: one.name)
        for entry in entries:
            inside = f"{name}/{entry.name}"
            if entry.name.startswith(".") or entry.name in skip or entry.name.endswith(_LIVE):
                continue
            if entry.is_dir(follow_symlinks=False):
                self._folder(Path(entry.path), inside, set())
            elif entry.is_file(follow_symlinks=False) and is_plain(inside):
                with suppress(FileNotFoundError):  # written anew just now, or removed
                    self._file_of(inside, Path(entry.path))
            else:
                self.left_out.append(ascii(inside)[1:-1])

    def _file_of(self, name: str, path: Path) -> None:
        """Copy as much of a file as there is now: what grows meanwhile is a log."""
        with path.open("rb") as file:
            self._packing.add(name, file, os.fstat(file.fileno()).st_size)


def _model_paths(config: object) -> Iterable[str]:
    """Every `model_path` of a config as it was recorded."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "model_path" and isinstance(value, str):
                yield value
            else:
                yield from _model_paths(value)


def _inside(model_path: str, artifacts: Path) -> Path | None:
    """The folder of models that a `model_path` leads into; None where it leads elsewhere."""
    from darwin.config.places import CURRENT
    from darwin.config.roots import inside_artifacts

    try:
        return inside_artifacts(model_path.removesuffix(f"/{CURRENT}"), str(artifacts)).parent
    except ConfigError:
        return None


def _written_at_the_end() -> set[str]:
    """What a run writes into its folder once it is finished."""
    from darwin.cli.report_files import names

    return {*names(agents=True), "config.json", "manifest.json"}

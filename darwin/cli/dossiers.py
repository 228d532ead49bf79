"""After a run: the dossiers of promotions and demotions that have none yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from darwin.errors import IntegrityError, StorageError

if TYPE_CHECKING:
    from logging import Logger

    from darwin.config.model import RunConfig
    from darwin.rl.registry.registry import Registry
    from darwin.store.db import Database


def write_dossiers(config: RunConfig, database: Database | None, log: Logger) -> None:
    """Write those that lack, of whatever run; without an act nothing more is imported.

    The run is done and kept by then: a disk that refuses, or a damaged log, is told and no more.
    The database is opened where none is given.
    """
    from darwin.cli.progress import say

    try:
        if database is not None:
            _write(config, database, log)
            return
        from darwin.config.places import state_db_path
        from darwin.store.db import connect

        with connect(state_db_path(config)) as opened:
            _write(config, opened, log)
    except (StorageError, IntegrityError) as fault:
        log.warning("RL dossiers lack: %s", fault)
        say(f"warning: dossiers lack: {fault.what}; `darwin rl dossier write` writes them")


def _write(config: RunConfig, database: Database, log: Logger) -> None:
    from darwin.cli.progress import say
    from darwin.config.places import models_dir
    from darwin.rl.cli.dossier_files import FOLDER, has_acts, write_missing

    def registry_of(agent: str) -> Registry:
        from darwin.rl.registry.registry import Registry

        return Registry(models_dir(config, agent), database)

    if not has_acts(database):
        return
    made = write_missing(database, registry_of, Path(config.artifacts_dir) / FOLDER)
    for path in made.written:
        log.info("RL dossier written: %s", path)
        say(f"dossier: {path.with_suffix('.html')}")

"""How commands write down each network that they train."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darwin.rl.training.noted import Note
    from darwin.rl.training.trials import Trial


def ledger(db: Path, by: str, *, resume: bool) -> Note:
    """What writes trials into the ledger; one that is there is not written again by a `resume`.

    Raises StorageError where nothing can be written.
    """
    from darwin.rl.training import trials
    from darwin.store.db import connect

    def note(trial: Trial) -> None:
        with connect(db) as database:
            trials.record(database, trial, by=by, at=datetime.now(UTC), resumed=resume)

    with connect(db) as database:
        trials.require_ready(database)
    return note

"""Where a search is kept: an Optuna study in SQLite, or in a database that a URL names."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SAWarning, SQLAlchemyError

from darwin.errors import ConfigError, LockedError, StorageError

BEAT_S, GRACE_S = 10, 60
"""On a server: how often a search says that it lives, and after how long without it is dead."""

SILENT = timedelta(hours=1)
_HEARTBEAT = r"(?i).*(heartbeat|fail_stale_trials)"
"""Optuna calls it experimental, and made for its own loop, which a search is without."""


class Kept(NamedTuple):
    """A study that is open."""

    study: Study
    place: str  # its URL without a password
    beat: Callable[[list[Trial]], None]


@contextmanager
def kept_study(url: str, name: str, terms: Mapping[str, str]) -> Iterator[Kept]:
    """Open the study `name` at `url`, begun on these very `terms`, or begin it.

    An SQLite file is held against other processes, so trials that stand there as under way are
    those of a search that was killed: they are failed. On a server several may search at a time;
    there a trial fails whose search has said nothing for a minute.

    Raises ConfigError for a URL that cannot be meant and for other terms, LockedError where
    another process holds the file, StorageError where the database refuses.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    where = _url(url)
    place, file = where.render_as_string(hide_password=True), _file(where)
    held = nullcontext() if file is None else _alone(file)
    with warnings.catch_warnings(), held, _storage_faults(place):
        warnings.filterwarnings("ignore", message=_HEARTBEAT)
        warnings.filterwarnings("ignore", category=SAWarning)  # what is wrong is said as an error
        storage = _storage(url, place, is_shared=file is None)
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        _check(study, terms)
        try:
            _fail_dead(study, is_shared=file is None)
            yield Kept(study, place, Beat(study, storage) if file is None else lambda trials: None)
        finally:
            if file is not None:
                _fail_dead(study, is_shared=False)
            storage.remove_session()
            storage.engine.dispose()


def _fail_dead(study: Study, *, is_shared: bool) -> None:
    """Fail what stands as under way though nobody is at it any more.

    On a server also what was drawn and never spoke, after an hour: its search died as it began it.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if is_shared:
        fail_stale_trials(study)
        long_ago = datetime.now() - SILENT  # Optuna writes local time
        running = [one for one in running if not one.user_attrs and _begun(one) < long_ago]
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def _begun(trial: FrozenTrial) -> datetime:
    return trial.datetime_start or datetime.now()


def _url(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as fault:
        raise ConfigError(
            "the storage is no URL of a database",
            where="--storage",
            mend="write sqlite:///search.sqlite, or postgresql://USER@HOST/DATABASE",
        ) from fault


def _file(url: URL) -> Path | None:
    """The file of an SQLite URL; None for a server."""
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise ConfigError(
            "a search in memory cannot be taken up again",
            where="--storage",
            mend="write sqlite:///search.sqlite",
        )
    return Path(url.database)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    lock = FileLock(file.with_name(f".{file.name}.lock"), timeout=0)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise LockedError(
            "another process searches there",
            where=str(file),
            mend="wait for it, or name another --storage",
        ) from None
    except OSError as fault:
        raise StorageError(
            f"cannot use the file of the search: {fault.strerror or fault}",
            where=str(file),
            mend="check that its folder may be written, or name another --storage",
        ) from fault
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _storage_faults(place: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OptunaError) as fault:
        told = str(fault.__cause__ or fault).splitlines()[0]
        raise StorageError(
            f"the database of the search refused: {told}",
            where=place,
            mend="mend it or name another --storage; trials that finished are kept",
        ) from fault


def _storage(url: str, place: str, *, is_shared: bool) -> RDBStorage:
    try:
        if is_shared:
            return RDBStorage(url, heartbeat_interval=BEAT_S, grace_period=GRACE_S)
        return RDBStorage(url)
    except ValueError as fault:
        raise ConfigError(
            f"the storage cannot be opened as it is written: {fault}",
            where="--storage",
            mend="write sqlite:///search.sqlite, or postgresql://USER@HOST/DATABASE",
        ) from fault
    except (ImportError, NoSuchModuleError) as fault:
        raise ConfigError(
            f"there is no driver for this database: {fault.__cause__ or fault}",
            where=place,
            mend="install its driver, such as psycopg[binary] for postgresql",
        ) from fault


def _check(study: Study, terms: Mapping[str, str]) -> None:
    """Hold `terms` against those the study was begun on; a new one is begun on these."""
    begun = study.user_attrs.get("terms")
    if begun is None:
        study.set_user_attr("terms", dict(terms))
        return
    other = [what for what, digest in terms.items() if begun.get(what) != digest]
    if other:
        raise ConfigError(
            f"study '{study.study_name}' was begun on another {', another '.join(other)}",
            where="--study",
            mend="name another study, or search on what it was begun on",
        )


class Beat:
    """Says on a server that trials are under way, and fails those whose search is dead."""

    def __init__(self, study: Study, storage: RDBStorage, every_s: float = BEAT_S) -> None:
        self._study, self._storage, self._every_s = study, storage, every_s
        self._known: set[int] = set()
        self._next = time.monotonic() + every_s

    def __call__(self, trials: list[Trial]) -> None:
        """Tell it of `trials`, which are under way; does little where it was done just now."""
        due = time.monotonic() >= self._next
        for trial in trials:
            if due or trial.number not in self._known:  # one that never spoke is never found dead
                self._known.add(trial.number)
                self._storage.record_heartbeat(trial._trial_id)
        if due:
            self._next = time.monotonic() + self._every_s
            fail_stale_trials(self._study)

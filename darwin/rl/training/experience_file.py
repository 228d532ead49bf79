"""Experiences as a file: arrays of numbers in one .npz, read without running anything."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from darwin.allocation.experiences import Experiences
from darwin.errors import DataError, StorageError

_ARRAYS = {"observations": 2, "earned": 2, "ends": 1, "time": 1}


def write_experiences(path: Path, told: Experiences) -> None:
    """Write them, whole or not at all. Raises StorageError."""
    aside = path.with_name(f".{path.name}.tmp")
    try:
        with aside.open("wb") as file:
            np.savez(
                file, schema=np.frombuffer(told.schema.encode(), dtype=np.uint8),
                observations=told.observations, earned=told.earned, ends=told.ends, time=told.time,
            )  # fmt: skip
        aside.replace(path)
    except OSError as fault:
        raise StorageError(
            f"the file cannot be written: {fault.strerror}", where=str(path),
            mend="see that its folder is there and the disk has room",
        ) from fault  # fmt: skip


def read_experiences(path: Path) -> Experiences:
    """Read what `write_experiences` has written. Raises DataError for anything else."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in ("schema", *_ARRAYS)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as fault:
        raise DataError(
            "this is no file of experiences", where=str(path), mend="record them again"
        ) from fault
    for name, axes in _ARRAYS.items():
        if arrays[name].ndim != axes or arrays[name].dtype.kind not in "fib":
            raise DataError(
                f"its {name} are no array of {axes} axes of numbers", where=str(path),
                mend="record them again",
            )  # fmt: skip
    return Experiences(
        arrays["schema"].tobytes().decode("ascii", "replace"),
        arrays["observations"].astype(np.float32),
        arrays["earned"].astype(np.float64),
        arrays["ends"].astype(np.bool_),
        arrays["time"].astype(np.int64),
    )

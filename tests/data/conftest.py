"""A good little market in every file format, and the command line as a function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from darwin.cli.main import main

HEADER = "timestamp,open,high,low,close,volume"
GOOD_ROWS = (
    "2024-01-01T00:00:00Z,100.1,101.5,99.25,100.7,12.5",
    "2024-01-01T01:00:00Z,100.7,102.0,100.5,101.9,0.0",
    "2024-01-01T02:00:00Z,101.9,103.0,0.1,0.30000000000000004,1e-7",
    "2024-01-01T03:00:00Z,0.3,123456789.123456789,0.1,5e3,7",
)


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def darwin(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Call `darwin` with these words, in this process."""

    def call(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["darwin", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capfd.readouterr()
        return Ended(exit_.value.code, out, err)

    return call


@pytest.fixture
def good_rows() -> list[str]:
    return list(GOOD_ROWS)


@pytest.fixture
def good_csv() -> str:
    return "\n".join((HEADER, *GOOD_ROWS)) + "\n"

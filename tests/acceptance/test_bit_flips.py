"""Every single flipped bit that changes a row of a finished run is found, and its row named."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.run.command import Desk
from tests.store.conftest import darwin as darwin  # noqa: PLC0414  a fixture

pytestmark = pytest.mark.slow

Call = Callable[..., tuple[int, str, str]]
TABLES = (
    "runs", "run_events", "checkpoints", "acts", "inputs", "candidates", "verdicts", "orders",
    "fills", "outcomes", "safety_events", "equity_marks",
)  # fmt: skip
PARTS, EACH = 10, 100  # a thousand flips
PROCESSES = 2  # of each part, that a process of its own looks at
UNSEEN = 20  # of each part, that change no row


@dataclass(frozen=True)
class Kept:
    """A finished run: its file as bytes, its manifest, and all it says."""

    file: bytes
    manifest: bytes
    rows: str


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    desk = Desk(tmp_path_factory.mktemp("kept"))
    done = desk.darwin("run", desk.config(market={"bars": 1200}))
    assert done.returncode == 0, done.stderr
    state = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    assert [file.name for file in state.parent.iterdir()] == [state.name], "all is in one file"
    assert desk.ask("SELECT count(*) FROM candidates")[0][0] > 200
    said = dump(state)
    assert isinstance(said, str)
    return Kept(state.read_bytes(), (desk.run_dir() / "manifest.json").read_bytes(), said)


@pytest.fixture
def desk(kept: Kept, tmp_path: Path) -> Desk:
    """A deployment of which the file is still to be put in its place."""
    desk = Desk(tmp_path)
    desk.run_dir().mkdir(parents=True)
    (desk.run_dir() / "manifest.json").write_bytes(kept.manifest)
    (tmp_path / "artifacts" / "rl_state").mkdir()
    return desk


def dump(path: Path) -> str | None:
    """All that the tables say, types included; None where that cannot be read.

    Read as a reader does: what would only refuse to write (a CHECK, for one) changes no row.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as raw:
            raw.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            return repr([raw.execute(f"SELECT * FROM {t} NOT INDEXED").fetchall() for t in TABLES])
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def flips(kept: Kept, desk: Desk, seed: int) -> Iterator[tuple[int, bool]]:
    """Flip one bit after the other, each in a fresh copy; tell which, and whether a row changed."""
    chance = random.Random(seed)
    folder = desk.folder / "artifacts" / "rl_state"
    while True:
        bit = chance.randrange(len(kept.file) * 8)
        damaged = bytearray(kept.file)
        damaged[bit // 8] ^= 1 << bit % 8
        for file in folder.iterdir():
            file.unlink()
        path = folder / "agent_state.sqlite"
        path.write_bytes(damaged)
        changed = dump(path) != kept.rows
        path.write_bytes(damaged)  # as if nobody had looked
        yield bit, changed


def assert_named(bit: int, code: int, out: str, err: str) -> None:
    """A row is named, by its table and place, in three lines."""
    assert code == 4, (bit, code, err)
    lines = err.splitlines()
    assert len(lines) == 3, (bit, err)
    assert lines[0].startswith("error: "), (bit, err)
    assert "internal error" not in err, (bit, err)
    told = json.loads(out)
    assert told["table"] in TABLES, (bit, err)
    assert (told["seq"] is None) == (told["table"] == "runs"), (bit, err)


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.sweep) for part in range(1, PARTS))]
)
def test_every_flipped_bit_that_changes_a_row_is_found(
    part: int, kept: Kept, desk: Desk, darwin: Call
) -> None:
    seen = unseen = 0
    for bit, changed in flips(kept, desk, seed=part):
        if changed and seen < PROCESSES:
            done = desk.darwin("verify", "small", "--json")
            assert_named(bit, done.returncode, done.stdout, done.stderr)
        elif changed:
            assert_named(bit, *darwin("verify", "small", "--json"))
        elif unseen < UNSEEN:  # an index, an unused byte, the schema: no traceback, whatever it is
            code, _, err = darwin("verify", "small")
            assert code in {0, 4}, (bit, err)
            assert code == 0 or (err.startswith("error: ") and len(err.splitlines()) <= 3), err
            unseen += 1
        seen += changed
        if seen == EACH:
            return


def test_the_file_as_it_was_left_is_sound(kept: Kept, desk: Desk, darwin: Call) -> None:
    path = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    path.write_bytes(kept.file)
    assert dump(path) == kept.rows
    assert darwin("verify", "small")[0] == 0

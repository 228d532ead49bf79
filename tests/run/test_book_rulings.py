"""A rebalance that does not follow is named, though the whole chain was made anew around it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from darwin.core.agents import Model
from tests.run import books
from tests.run.command import Desk
from tests.run.forger import forge

ROOT = str(Path(__file__).resolve().parents[2])
AT = "WHERE seq = 10"  # the fifth rebalance


def weights(*values: float) -> str:
    return f"x'{np.array(values, '<f8').tobytes().hex()}'"


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A finished run whose agent holds a quarter of the capital."""
    desk = Desk(tmp_path_factory.mktemp("acted"))
    books.run(desk, books.config(desk, "first.json", run_id="first", market={"bars": 1000}))
    row = books.rows(desk, "first")[0]
    books.promote(desk, "allocator", Model(row["model_version"], row["model_sha256"]), 0.25)
    books.run(desk, books.config(desk, market={"bars": 1000}, allocation={"mode": "active"}))
    (desk.run_dir("book") / "manifest.json").unlink()
    return desk


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (f"final_weights = {weights(0.5, 0.3, 0.2)} {AT}", "let other weights stand"),
        (f"final_weights = baseline_weights {AT}", "let other weights stand"),
        (f"followed = 0 {AT}", "does not say truly whether its advice was followed"),
        (
            f"action = {weights(0.5, 0.3, 0.1, 0.1)},"
            f" advised_weights = {weights(0.5, 0.3, 0.1)} {AT}",
            "does not follow from its observation and model",
        ),
        (f"advised_weights = {weights(0.5, 0.3, 0.1)} {AT}", "other weights than its action"),
        (
            f"action = {weights(2.0, -1.0, 0.0, 0.0)},"
            f" advised_weights = {weights(2.0, -1.0, 0.0)} {AT}",
            "advice that its agent may not give",
        ),
        (f"baseline_weights = {weights(0.3, 0.3, 0.4)} {AT}", "other weights as the baseline"),
        (f"reason = 'observe', followed = 0 {AT}", "gives the reason 'observe'"),
        (f"mode = 'observe' {AT}", "was made as 'observe' where 'active' was due"),
        (f"model_sha256 = '{'e' * 64}' {AT}", "names another model than stood there"),
        (f"reason = 'killed' {AT}", "has advice, which 'killed' does not go with"),
        (f"action = x'00' {AT}", "is no fact of its kind"),
    ],
)  # fmt: skip
def test_what_does_not_follow_is_named(
    acted: Desk, tmp_path: Path, change: str, found: str
) -> None:
    desk = Desk(Path(shutil.copytree(acted.folder, tmp_path / "copy", symlinks=True)))
    forge(desk, f"UPDATE rebalances SET {change} AND run_id = 'book'", "book")
    done = desk.darwin("verify", "book", PYTHONPATH=ROOT)
    assert done.returncode == 4, done.stdout
    assert found in done.stderr
    assert "of rebalances" in done.stderr


def test_a_forged_return_is_found_by_making_the_run_again(acted: Desk, tmp_path: Path) -> None:
    desk = Desk(Path(shutil.copytree(acted.folder, tmp_path / "copy", symlinks=True)))
    forge(
        desk, "UPDATE holdings SET advised_return = 0.5 WHERE seq = 9 AND run_id = 'book'", "book"
    )
    assert desk.darwin("verify", "book", PYTHONPATH=ROOT).returncode == 0  # it knows no bars
    done = desk.darwin("replay", "book", PYTHONPATH=ROOT)
    assert done.returncode == 4
    assert "fact 9" in done.stderr or "holdings" in done.stderr

"""`darwin rl train --from VERSION`: what was learned goes on, judged by what it has not seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from darwin.core.agents import Model
from darwin.rl.training.rows import Normaliser
from tests.rl.training.test_train_command import QUICK, ROOM
from tests.run.agents import rules
from tests.run.command import Desk
from tests.store.conftest import darwin as darwin  # noqa: PLC0414  a fixture

pytest.importorskip("stable_baselines3")
pytestmark = [pytest.mark.slow, pytest.mark.sweep]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The same market twice, up to one day and half a year longer."""
    desk = Desk(tmp_path_factory.mktemp("continued"))
    for run_id, bars in (("early", 9_000), ("later", 14_000)):
        desk.config(run_id=run_id, market={"bars": bars, "edge": 0.5}, rl=rules(), **ROOM)
        done = desk.darwin("run", "config.json")
        assert done.returncode == 0, done.stderr
    return desk


@pytest.fixture(scope="module")
def version(desk: Desk) -> str:
    """What the gate learned from the first of them."""
    told = trained(desk, "early")
    name: str = told["version"]
    assert name
    return name


def trained(desk: Desk, run_id: str, *more: str) -> dict[str, Any]:
    words = ("rl", "train", "gate", "--run-ids", run_id, *QUICK, "--json", *more)
    done = desk.darwin(*words)
    assert done.returncode in (0, 10), done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_version_learns_on_and_is_judged_by_what_is_new_to_it(desk: Desk, version: str) -> None:
    before = desk.ask("SELECT count(*) FROM trials")[0][0]
    told = trained(desk, "later", "--from", version, "--last-days", "500")
    shown = json.loads(desk.darwin("rl", "models", "show", "gate", version, "--json").stdout)
    ended = datetime.fromisoformat(shown["spec"]["training_end"])
    cuts = {name: datetime.fromisoformat(told["cuts"][name]) for name in ("validation_from",
                                                                         "test_from")}  # fmt: skip
    assert ended <= cuts["validation_from"] < cuts["test_from"]
    assert told["rows"]["left_out"]["more than 500 days before the last"] > 0
    curve = told["curves"]["0"]
    assert curve[0]["steps"] == 0, "the first look is at the version as it was"
    assert max(one["learned_gain"] for one in curve) >= curve[0]["learned_gain"] > 0.0
    assert told["before"]["learned_gain_r"]["value"] > 0.0
    assert (told["stays"] is None) == (max(one["learned_gain"] for one in curve[1:])
                                       > curve[0]["learned_gain"])  # fmt: skip
    asked = f"SELECT DISTINCT manifest_sha256 FROM model_events WHERE version = '{version}'"
    assert desk.ask(asked) == [(told["continues"],)]
    assert desk.ask("SELECT count(*) FROM trials")[0][0] == before + 1


def test_where_nothing_does_better_the_version_stays_and_nothing_is_handed_over(
    desk: Desk, version: str
) -> None:
    known = desk.ask("SELECT count(*) FROM model_events")
    still = {"agent": "gate", "algo": "ppo", "learning_rate": 1e-12}
    (desk.folder / "still.json").write_text(json.dumps(still))
    words = ("rl", "train", "gate", "--run-ids", "later", *QUICK, "--from", version, "--seeds", "2",
             "--recipe", "still.json")  # fmt: skip
    done = desk.darwin(*words)
    assert done.returncode == 10, done.stderr
    assert f"Version {version} stays: no look at validation did better than it." in done.stdout
    assert "No model was handed over; the registry is as it was." in done.stdout
    page = desk.folder / done.stdout.split("report: ")[1].split(",")[0]
    told = json.loads(page.with_name("report.json").read_text())
    assert told["stays"] == version and not told["learned"]
    assert told["test"]["learned_gain_99_r"]["low"] > 0.0, "by the interval alone it would go over"
    for said in (told["verdict"].split(".")[0], "No model is handed over"):
        assert said in page.read_text()
    assert desk.ask("SELECT count(*) FROM model_events") == known


def test_standardised_otherwise_the_network_says_the_same() -> None:
    from darwin.rl.training.continued import Origin
    from darwin.rl.training.network import Network

    rng = np.random.default_rng(0)
    layers = tuple(
        (rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32))
        for shape in ((16, 5), (2, 16))
    )
    rows = rng.normal(3.0, 2.0, (200, 5)).astype(np.float32)
    old, new = (
        Normaliser(some.mean(axis=0), some.std(axis=0)) for some in (rows[:50], rows * 1.5 + 1.0)
    )
    origin = Origin(Model("v", "0" * 64), Network(layers, "tanh", "categorical"), old, 0)
    moved = origin.network_on(new)
    assert not np.allclose(moved.layers[0][0], layers[0][0])
    np.testing.assert_allclose(
        moved.outputs(new(rows)), origin.network.outputs(old(rows)), atol=1e-4
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("early", "--from", "VERSION"), "the version has seen all of these rows"),
        (("later", "--from", "20200101_000000"), "gate has no version called '20200101_000000'"),
        (("later", "--from", "VERSION", "--algo", "dqn"), "no network that dqn can go on with"),
        (("later", "--last-days", "0"), "0.0 is not in the range 0<x"),
        (("later", "--last-days", "0.01"), "cannot be cut in three"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused_in_three_lines(
    words: tuple[str, ...],
    said: str,
    desk: Desk,
    version: str,
    darwin: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(desk.folder)
    named = [version if word == "VERSION" else word for word in words]
    code, _, err = darwin("rl", "train", "gate", "--run-ids", *named, "--allow-small")
    assert code == 2, err
    assert said in err
    assert len(err.splitlines()) <= 3

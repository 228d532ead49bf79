"""A ruling that does not follow is named, though the whole chain was made anew around it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.agents import deploy, models, promote, rules
from tests.run.command import Desk
from tests.run.forger import forge

SKIP = (
    "id = (SELECT max(id) FROM agent_decisions WHERE agent_name = 'gate' AND action = 0"
    " AND reason = 'active')"
)


def ran(folder: Path, rl: object, stage: float | None = None) -> Desk:
    desk = Desk(folder)
    desk.config(market={"bars": 1200}, rl=rl)
    if stage is not None:
        promote(desk, "gate", "meta_learner", stage=stage)
    done = desk.darwin("run", "config.json")
    assert done.returncode == 0, done.stderr
    (desk.run_dir() / "manifest.json").unlink()
    return desk


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    block = rules("active", agents=["gate", "meta_learner"])
    return ran(tmp_path_factory.mktemp("acted"), block, 1.0)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return ran(tmp_path_factory.mktemp("watched"), rules("observe", agents=["gate"]))


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[object]:
    def copy(desk: Desk) -> Desk:
        return Desk(Path(shutil.copytree(desk.folder, tmp_path / "copy", symlinks=True)))

    yield copy


def told(desk: Desk) -> str:
    """What verify finds, which names table and row; empty: nothing."""
    done = desk.darwin("verify", "small")
    if done.returncode == 0:
        return ""
    assert done.returncode == 4, done.stderr
    assert "of agent_decisions" in done.stderr
    return done.stderr


def unheard(reason: str, action: str = "action") -> str:
    """Someone hides that a decision acted."""
    return (
        f"UPDATE agent_decisions SET reason = '{reason}', followed = 0, final_action = 1.0,"
        f" action = {action}, probability = CASE WHEN {action} IS NULL THEN NULL ELSE probability"
        f" END WHERE {SKIP}"
    )


def test_sound_runs_pass(acted: Desk, watched: Desk) -> None:
    assert told(acted) == told(watched) == ""
    assert acted.ask(f"SELECT count(*) FROM agent_decisions WHERE {SKIP}") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        unheard("observe"),
        unheard("observe").replace("SET reason", "SET mode = 'observe', reason"),
        unheard("no capital"),
        unheard("audit"),
        unheard("override limit"),
        unheard("challenger"),
        *[
            unheard(reason, "NULL")
            for reason in (
                "breaker open", "out of range", "observation not finite", "inference raised",
                "advice not finite", "advice of wrong shape", "illegal action",
                "inference timed out", "disabled", "no model", "killed",
            )
        ],
        f"UPDATE agent_decisions SET baseline_action = 0 WHERE {SKIP}",
        f"UPDATE agent_decisions SET feature_schema = '{'e' * 64}' WHERE {SKIP}",
        f"UPDATE agent_decisions SET bar_time = bar_time + 3600000 WHERE {SKIP}",
        f"UPDATE agent_decisions SET mode = 'observe' WHERE {SKIP}",
    ],
)  # fmt: skip
def test_a_relabelled_decision_is_named(sql: str, acted: Desk, copied) -> None:
    desk = copied(acted)
    forge(desk, sql)
    assert told(desk)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE agent_decisions SET mode = 'active'",
        "UPDATE agent_decisions SET mode = 'active', reason = 'active', followed = 1",
        "UPDATE agent_decisions SET reason = 'no capital'",
        "UPDATE agent_decisions SET reason = 'audit'",
    ],
)
def test_an_observing_one_that_seems_to_act_is_named(sql: str, watched: Desk, copied) -> None:
    desk = copied(watched)
    forge(desk, f"{sql} WHERE id = (SELECT max(id) FROM agent_decisions WHERE action = 1)")
    assert told(desk)


@pytest.mark.parametrize("reason", ["breaker open", "inference raised", "illegal action"])
def test_a_misbehaving_model_is_ruled_as_it_misbehaved(reason: str, tmp_path: Path) -> None:
    """What the breaker did before says which rows it shut out, and which it let through."""
    block = rules("observe", agents=["gate"])
    block["gate_agent"]["policy"] = "darwin.testing.policies:Raising"
    desk = ran(tmp_path, block)
    assert told(desk) == ""
    other = "inference raised" if reason == "breaker open" else "breaker open"
    found = {row[0] for row in desk.ask("SELECT reason FROM agent_decisions")}
    assert found == {"inference raised", "breaker open"}
    if reason == "illegal action":
        other = "inference raised"
    forge(
        desk,
        f"UPDATE agent_decisions SET reason = '{reason}' WHERE id = (SELECT max(id) FROM"
        f" agent_decisions WHERE reason = '{other}')",
    )
    assert "the reason" in told(desk)


def test_an_override_that_was_too_many_cannot_be_made_to_stand(tmp_path: Path) -> None:
    block = rules("active", agents=["meta_learner"])
    block["meta_learner_agent"] |= {
        "policy": "darwin.testing.policies:Contrary", "params": {"one_in": 3},
    }  # fmt: skip
    desk = Desk(tmp_path)
    desk.config(market={"bars": 2500}, rl=block)
    from darwin.bootstrap.agents import agents_of
    from darwin.config.load import load_config

    agents = agents_of(load_config(desk.folder / "config.json").config)
    assert agents is not None
    rule = agents.policies.stand_in("meta_learner")
    assert rule is not None
    promote(desk, "meta_learner", stage=1.0, model=rule.model)
    assert desk.darwin("run", "config.json").returncode == 0
    (desk.run_dir() / "manifest.json").unlink()
    assert told(desk) == ""
    limited = "reason = 'override limit'"
    assert desk.ask(f"SELECT count(*) FROM agent_decisions WHERE {limited}")[0][0] > 5
    forge(
        desk,
        "UPDATE agent_decisions SET reason = 'active', followed = 1,"
        " final_action = CASE action WHEN 2 THEN 1.0 ELSE 0.0 END"
        f" WHERE id = (SELECT max(id) FROM agent_decisions WHERE {limited})",
    )
    assert "'override limit' was due" in told(desk)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("served"))
    desk.config(market={"bars": 1200}, rl=models("observe", agents=["gate"]))
    deploy(desk, "gate")
    assert desk.darwin("run", "config.json").returncode == 0
    return desk


def version_folder(desk: Desk) -> Path:
    [folder] = (desk.folder / "artifacts" / "rl_models" / "gate" / "versions").iterdir()
    return folder


def test_a_model_that_is_gone_is_counted_and_an_altered_one_is_named(served: Desk, copied) -> None:
    assert told(served) == ""
    desk = copied(served)
    folder = version_folder(desk)
    for name in ("spec.json", "weights.safetensors", "MANIFEST.json"):
        before = (folder / name).read_bytes()
        (folder / name).chmod(0o644)
        (folder / name).write_bytes(before[:-9] + bytes([before[-9] ^ 1]) + before[-8:])
        found = told(desk)
        assert folder.name in found
        assert name in found
        (folder / name).write_bytes(before)
    (folder / "spec.json").rename(desk.folder / "spec.json")
    assert "spec.json" in told(desk)
    (desk.folder / "spec.json").rename(folder / "spec.json")
    assert told(desk) == ""
    folder.rename(desk.folder / "elsewhere")
    tree = json.loads(desk.darwin("verify", "small", "--json").stdout)
    assert (tree["recomputed"], tree["sound"]) == (0, True)
    assert tree["without_model"] > 50
    folder.symlink_to(desk.folder / "elsewhere")
    assert folder.name in told(desk)


def test_out_of_range_is_held_against_the_model(served: Desk, copied) -> None:
    desk = copied(served)
    (desk.run_dir() / "manifest.json").unlink()
    forge(
        desk,
        "UPDATE agent_decisions SET reason = 'out of range', action = NULL, probability = NULL"
        " WHERE id = (SELECT max(id) FROM agent_decisions WHERE action IS NOT NULL)",
    )
    assert "'out of range'" in told(desk)


def test_columns_of_an_older_darwin_are_counted_where_no_model_speaks_against_them(
    served: Desk, copied
) -> None:
    desk = copied(served)
    (desk.run_dir() / "manifest.json").unlink()
    forge(desk, f"UPDATE agent_decisions SET feature_schema = '{'e' * 64}'")
    assert "other columns" in told(desk)
    version_folder(desk).rename(desk.folder / "elsewhere")
    tree = json.loads(desk.darwin("verify", "small", "--json").stdout)
    assert (tree["older_schema"] > 50, tree["without_model"]) == (True, 0)

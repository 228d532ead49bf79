"""Dossiers from outside: runs and persons leave them, `verify` holds them to the record."""

from __future__ import annotations

import copy
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from darwin.core.agents import GATE
from darwin.rl.graduation.dossier_check import first_difference
from tests.rl.lives import dossiers, read
from tests.run.command import Desk, checkpoint, clean_environment
from tests.run.graduating import AUTO, ROOM

pytestmark = pytest.mark.slow

Call = Callable[..., tuple[int, str, str]]
WHO = ("--by", "Ada", "--reason", "a <b>test</b> & more")
DATABASE = Path("artifacts/rl_state/agent_state.sqlite")


@pytest.fixture
def at(darwin: Call, monkeypatch: pytest.MonkeyPatch) -> Callable[[Desk], Call]:
    """Call commands in the folder of a desk, in this process."""

    def there(desk: Desk) -> Call:
        monkeypatch.chdir(desk.folder)
        return darwin

    return there


def change(desk: Desk, sql: str) -> None:
    """Change the database behind Darwin's back."""
    with closing(sqlite3.connect(desk.folder / DATABASE)) as raw, raw:
        assert raw.execute(sql).rowcount == 1


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all that is no table and no list."""
    if isinstance(tree, (dict, list)):
        for key, inner in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def changed(tree: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """A copy in which one leaf says something else, if only in its last digit."""
    other = copy.deepcopy(tree)
    exchange(other, path, another(reach(tree, path)))
    return other


def another(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + 1
    return value * (1 + 1e-9) + 1e-300 if isinstance(value, float) else value + "x"


def reach(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def exchange(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    reach(tree, path[:-1])[path[-1]] = value


def spelled(path: tuple[Any, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]


def test_a_run_leaves_a_dossier_of_each_promotion_and_demotion(lived: Desk) -> None:
    events = lived.ask("SELECT agent_name || '-' || id, kind FROM graduation_events ORDER BY id")
    assert {kind for _, kind in events} == {"promoted", "demoted"}
    found = dossiers(lived)
    assert [path.stem for path in found] == [name for name, _ in events]
    assert [read(path)["act"]["kind"] for path in found] == [kind for _, kind in events]
    said = (lived.folder / "said.txt").read_text()
    for path in found:
        assert path.with_suffix(".html").is_file()
        assert f"{path.stem}.html" in said


def test_each_verifies_as_json_and_as_page(lived: Desk, at: Callable[[Desk], Call]) -> None:
    for path in dossiers(lived):
        code, out, err = at(lived)("rl", "dossier", "verify", str(path))
        assert (code, err) == (0, "")
        assert "numbers made again" in out
    page = path.with_suffix(".html")
    code, out, _ = at(lived)("rl", "dossier", "verify", str(page), "--json")
    assert code == 0
    told = json.loads(out)
    assert told["sound"]
    assert told["page"]
    assert told["runs"] == ["small"]


def test_what_a_dossier_says_is_what_the_act_said_and_the_database_counts(lived: Desk) -> None:
    for path in dossiers(lived):
        tree = read(path)
        written, act = tree["as_written"], tree["act"]
        assert tree["agrees"]
        assert len(tree["blocks"]) == written["blocks"]
        for test in tree["tests"]:
            told = written["evidence"][test["name"]]
            assert test["log_e"] == pytest.approx(told["log_e"])
            assert test["crossed_ms"] == told["crossed_ms"]
        ((decisions,),) = lived.ask(
            f"SELECT count(*) FROM agent_decisions WHERE agent_name = '{tree['agent']}'"
            f" AND action IS NOT NULL AND seq <= {tree['runs'][0]['facts']}"
            f" AND bar_time >= {tree['contract']['counts_from_ms']}"
        )
        assert tree["runs"][0]["decisions"] == decisions == written["decisions"]
        assert tree["runs"][0]["to_ms"] <= act["bar_time_ms"]
        curve = tree["shadow"]["curve"]
        total = {name: one["value"] for name, one in tree["shadow"]["total_r"].items()}
        for name, value in total.items():
            assert curve[-1][f"{name}_r"] == pytest.approx(value)
        assert total["difference"] == pytest.approx(total["obeyed"] - total["baseline"])


def test_a_promotion_stands_on_passed_conditions_and_a_demotion_on_its_detector(
    lived: Desk,
) -> None:
    for tree in map(read, dossiers(lived)):
        if tree["act"]["kind"] == "promoted":
            assert tree["overall"] == "passed"
            assert tree["detectors"] is None
            assert (tree["act"]["capital_before"], tree["act"]["capital_after"]) == (0.0, 0.01)
        else:
            assert tree["detectors"]["verdict"] in tree["act"]["reason"]
            assert any(alarm["sounded_ms"] for alarm in tree["detectors"]["alarms"])
            curve = tree["detectors"]["blocks"]
            assert f"({len(curve)} blocks" in tree["act"]["reason"]
            assert curve[0]["end_ms"] > tree["detectors"]["since_ms"]
            for alarm in tree["detectors"]["alarms"]:
                assert curve[-1]["log_m"][alarm["name"]] == alarm["log_m"]
            assert tree["act"]["capital_before"] > tree["act"]["capital_after"] == 0.0


def test_the_same_bytes_are_written_again_whatever_came_after(
    life: Desk, at: Callable[[Desk], Call]
) -> None:
    darwin = at(life)
    before = {path: path.read_bytes() for path in dossiers(life)}
    before |= {path.with_suffix(".html"): path.with_suffix(".html").read_bytes() for path in before}
    assert darwin("rl", "demote", "meta_learner", *WHO, "--scope", "run:small")[0] == 0
    assert darwin("rl", "promote", "gate", *WHO, "--override")[0] == 0
    market = {"provider": "files", "path": "data", "symbols": ["BTC/USDT"], "timeframe": "1h"}
    more = {"end": "2022-04-01"}
    config = life.config("more.json", run_id="more", market=market | more, rl=AUTO, **ROOM)
    (life.folder / config).write_text(
        json.dumps(json.loads((life.folder / config).read_text()) | {"market": market | more})
    )
    assert darwin("run", config)[0] == 0
    for path in before:
        path.unlink()
    code, out, _ = darwin("rl", "dossier", "write")
    assert code == 0
    assert out.count("wrote") == len(before) // 2
    assert {path: path.read_bytes() for path in before} == before
    assert len(dossiers(life)) == len(before) // 2 + 2
    code, out, _ = darwin("rl", "dossier", "write")
    assert (code, out.count("wrote")) == (0, 0)


def test_no_leaf_can_be_changed_without_being_named(lived: Desk) -> None:
    for path in dossiers(lived):
        tree, forged = read(path), read(path)
        every = list(leaves(tree))
        assert len(every) > 500
        for leaf in every[:: len(every) // 500]:
            value = reach(tree, leaf)
            exchange(forged, leaf, another(value))
            found = first_difference(forged, tree)
            assert found is not None
            assert found.path == spelled(leaf)
            exchange(forged, leaf, value)


@pytest.mark.parametrize(
    "leaf",
    [
        ("act", "by"),
        ("act", "bar_time_ms"),
        ("as_written", "blocks"),
        ("contract", "terms", "block_ms"),
        ("tests", 0, "log_e"),
        ("blocks", 3, "skill_r"),
        ("blocks", 7, "log_e", "utility"),
        ("conditions", 0, "value"),
        ("shadow", "total_r", "difference", "low"),
        ("shadow", "trials", "sharpe_per_day"),
        ("runs", 0, "head"),
        ("model", "zip_sha256"),
        ("model_files", "drift", "columns", 0, "psi"),
    ],
    ids=spelled,
)
def test_a_changed_leaf_is_exit_4_and_named(
    leaf: tuple[Any, ...], lived: Desk, at: Callable[[Desk], Call], tmp_path: Path
) -> None:
    other = tmp_path / "forged.json"
    other.write_text(json.dumps(changed(read(dossiers(lived)[0]), leaf)))
    code, _, err = at(lived)("rl", "dossier", "verify", str(other))
    assert code == 4
    assert f"error: {spelled(leaf)} is " in err
    assert "the record says" in err


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE outcomes SET r = r + 1e-6 WHERE seq = (SELECT min(seq) FROM outcomes"
         " WHERE status = 'resolved')", "outcomes"),
        ("UPDATE agent_decisions SET action = 1 - action WHERE seq = (SELECT min(seq) FROM"
         " agent_decisions WHERE agent_name = 'gate' AND action = 1)", "agent_decisions"),
        ("UPDATE graduation_events SET reason = 'luck' WHERE id = 2", "row 2 of graduation_events"),
        ("UPDATE contracts SET number = 7 WHERE id = 1", "row 1 of contracts"),
        ("DELETE FROM rollout_events WHERE id = 1", "row 1 of rollout_events"),
    ],
    ids=["outcome", "decision", "act", "contract", "stage"],
)  # fmt: skip
def test_a_changed_fact_is_exit_4_and_named(
    sql: str, named: str, life: Desk, at: Callable[[Desk], Call]
) -> None:
    change(life, sql)
    code, _, err = at(life)("rl", "dossier", "verify", str(dossiers(life)[0]))
    assert code == 4
    assert named in err


def test_a_changed_page_is_exit_4(life: Desk, at: Callable[[Desk], Call]) -> None:
    page = dossiers(life)[0].with_suffix(".html")
    page.write_text(page.read_text().replace("Gate promoted", "Gate promoted for good"))
    code, _, err = at(life)("rl", "dossier", "verify", str(page))
    assert code == 4
    assert "the page says something else" in err


@pytest.mark.parametrize(
    "text",
    ["{}", "[1]", "", "hello", '{"kind": "darwin dossier 1", "a": NaN}', "\0", '{"kind": 1}',
     '{"kind": "darwin dossier 1", "kind": "darwin dossier 1"}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_dossier_is_exit_2(
    text: str, lived: Desk, at: Callable[[Desk], Call], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text(text)
    code, _, err = at(lived)("rl", "dossier", "verify", str(other))
    assert code == 2
    assert "is no dossier" in err
    assert len(err.splitlines()) <= 3


def test_a_file_that_is_not_there_is_exit_2(lived: Desk, at: Callable[[Desk], Call]) -> None:
    assert at(lived)("rl", "dossier", "verify", "nowhere.json")[0] == 2


def test_a_dossier_of_another_database_is_told_as_such_and_kept_when_in_the_way(
    life: Desk, at: Callable[[Desk], Call]
) -> None:
    darwin, first = at(life), dossiers(life)[0]
    text = first.read_text()
    shutil.move(life.folder / DATABASE, life.folder / "elsewhere.sqlite")
    for rest in ("-wal", "-shm"):
        (life.folder / f"{DATABASE}{rest}").unlink(missing_ok=True)
    model = life.folder / "artifacts/rl_models" / GATE / "current"
    assert darwin("rl", "models", "deploy", GATE, str(model.resolve()), "--by", "Ada")[0] == 0
    assert darwin("rl", "promote", GATE, *WHO, "--override")[0] == 0
    assert read(first)["act"]["by"] == "Ada"
    kept = [path for path in dossiers_aside(life) if path.read_text() == text]
    assert len(kept) == 1
    code, _, err = darwin("rl", "dossier", "verify", str(kept[0]))
    assert code == 4
    assert "of another database" in err
    code, _, _ = darwin("rl", "dossier", "verify", str(kept[0]), "--db", "elsewhere.sqlite")
    assert code == 0


def dossiers_aside(desk: Desk) -> list[Path]:
    return list((desk.folder / "artifacts/rl_state/dossiers").glob("*-of-*.json"))


def test_a_person_s_override_is_shown_and_what_it_says_is_escaped(
    life: Desk, at: Callable[[Desk], Call]
) -> None:
    darwin = at(life)
    code, _, err = darwin("rl", "promote", "gate", *WHO, "--override")
    assert code == 0
    assert "dossier: " in err
    path = dossiers(life)[-1]
    tree, page = read(path), path.with_suffix(".html").read_text()
    assert tree["act"]["by"] == "Ada"
    assert tree["act"]["scope"] == "deployment"
    assert tree["act"]["override"] == ("without the evidence" in page)
    assert "<b>test" not in page
    assert "a &lt;b&gt;test" in page
    assert darwin("rl", "dossier", "verify", str(path.with_suffix(".html")))[0] == 0


def test_a_page_asks_for_nothing_outside_and_reads_in_light_dark_and_print(lived: Desk) -> None:
    for path in dossiers(lived):
        page = path.with_suffix(".html").read_text()
        assert not re.search(r'(?:src|href)="(?!#|data:)', page)
        assert "default-src 'none'" in page
        assert "prefers-color-scheme: dark" in page
        assert "@media print" in page
        for told in ("R net of costs", "95 %", "SHA-256", "How to read it"):
            assert told in page


def test_without_the_files_of_its_model_the_rest_still_verifies(
    life: Desk, at: Callable[[Desk], Call], tmp_path: Path
) -> None:
    path = dossiers(life)[0]
    tree = read(path)
    versions = life.folder / "artifacts/rl_models" / tree["agent"] / "versions"
    shutil.rmtree(versions / tree["model"]["version"])
    code, out, _ = at(life)("rl", "dossier", "verify", str(path))
    assert code == 0
    assert "taken as written" in out
    other = tmp_path / "forged.json"
    other.write_text(json.dumps(changed(tree, ("blocks", 0, "skill_r"))))
    assert at(life)("rl", "dossier", "verify", str(other))[0] == 4


def test_a_disk_that_refuses_dossiers_does_not_break_a_run(
    life: Desk, at: Callable[[Desk], Call]
) -> None:
    darwin = at(life)
    folder = life.folder / "artifacts/rl_state/dossiers"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    folder.write_text("in the way")
    code, out, err = darwin("run", "config.json")
    assert code == 0
    assert "is finished already" in out
    assert "warning: dossiers lack" in err
    code, _, err = darwin("rl", "demote", "meta_learner", *WHO, "--scope", "run:small")
    assert code == 0
    assert "warning: dossiers lack" in err
    assert darwin("rl", "dossier", "write")[0] == 4
    folder.unlink()
    assert darwin("run", "config.json")[0] == 0
    assert before.items() <= {path.name: path.read_bytes() for path in folder.iterdir()}.items()


@pytest.mark.sweep
def test_killed_between_act_and_dossier_the_next_command_writes_it(
    life: Desk, at: Callable[[Desk], Call]
) -> None:
    darwin = at(life)
    config = life.config(
        "again.json", run_id="again", rl=AUTO, **ROOM,
    )  # fmt: skip
    tree = json.loads((life.folder / config).read_text())
    tree["market"] = json.loads((life.folder / "config.json").read_text())["market"]
    (life.folder / config).write_text(json.dumps(tree))
    kill_after_an_act(life, config)
    assert not any(read(path)["act"]["scope"] == "run:again" for path in dossiers(life))
    code, out, _ = darwin("rl", "dossier", "write")
    assert code == 0
    assert "waits" in out or "wrote" in out
    assert darwin("run", config, "--resume")[0] == 0
    first = [read(path) for path in dossiers(life)[:5]]
    again = [path for path in dossiers(life) if read(path)["act"]["scope"] == "run:again"]
    assert len(again) == len(first)
    for before, path in zip(first, again, strict=True):
        after = read(path)
        assert after["agrees"]
        for key in ("agent", "blocks", "tests", "conditions", "shadow", "detectors", "model_files"):
            assert after[key] == before[key]
        assert darwin("rl", "dossier", "verify", str(path))[0] == 0


def kill_after_an_act(desk: Desk, config: str) -> None:
    """Kill a run outright once it has promoted somebody, or at its last checkpoint."""
    process = subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "run", config],
        cwd=desk.folder, env=clean_environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    acts = "SELECT count(*) FROM graduation_events WHERE scope = 'run:again'"
    with process.stderr as said:
        next(n for n in map(checkpoint, said) if n is not None)
        while desk.ask(acts) == [(0,)]:
            assert process.poll() is None
        process.kill()
    assert process.wait() == -signal.SIGKILL


def test_the_list_tells_which_are_there(life: Desk, at: Callable[[Desk], Call]) -> None:
    darwin = at(life)
    dossiers(life)[1].unlink()
    code, out, _ = darwin("rl", "dossier", "list", "--json")
    assert code == 0
    assert [one["state"] for one in json.loads(out)] == [
        "written", "missing", "written", "written", "written",
    ]  # fmt: skip
    code, out, _ = darwin("rl", "dossier", "list", "gate")
    assert code == 0
    assert "gate-1.json" in out
    assert "portfolio" not in out


def test_where_nobody_was_promoted_there_is_nothing_to_write(
    desk: Any, darwin: Call, deploy: Any
) -> None:
    deploy()
    assert darwin("rl", "dossier", "write") == (
        0, "nothing lacks: every promotion and demotion on record has its dossier\n", "",
    )  # fmt: skip
    assert darwin("rl", "dossier", "list")[1] == "no agent was ever promoted or demoted here\n"

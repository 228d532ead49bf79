"""`darwin verify`, `replay`, `release` and `ledger export`, as their user runs them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.run.command import Desk, clean_environment
from tests.store.verified import sound, tampering

pytestmark = pytest.mark.slow

STATE = Path("artifacts") / "rl_state" / "agent_state.sqlite"
KINDS = ("inputs", "candidates", "verdicts", "orders", "fills", "outcomes", "safety_events")


@pytest.fixture
def copied(finished: Desk, tmp_path: Path) -> Desk:
    """The finished run, to be changed."""
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
    return Desk(tmp_path)


@pytest.fixture
def fed(tmp_path: Path) -> Desk:
    """A feed that has begun, is not finished, and was released once."""
    sound(tmp_path / STATE, "one", finished=False)
    return Desk(tmp_path)


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a refused command says: an error on at most three lines."""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: "), done.stderr
    assert len(lines) <= 3, done.stderr
    assert "Traceback" not in done.stderr
    return lines


def contents(desk: Desk) -> dict[Path, bytes]:
    """Every file of a desk, but for what SQLite lays beside an open database."""
    files = {file: file.read_bytes() for file in desk.folder.rglob("*") if file.is_file()}
    return {
        file: content
        for file, content in files.items()
        if not file.name.endswith("-shm") and (content or not file.name.endswith("-wal"))
    }


@pytest.mark.parametrize("command", ["verify", "replay", "release", "ledger export"])
def test_its_help_shows_an_example(command: str, desk: Desk) -> None:
    done = desk.darwin(*command.split(), "--help")
    assert done.returncode == 0
    assert f"  darwin {command} " in done.stdout.partition("Example")[2]


@pytest.mark.parametrize("command", ["verify", "replay", "ledger export"])
def test_an_unknown_run_is_refused_with_the_closest_name(command: str, finished: Desk) -> None:
    done = finished.darwin(*command.split(), "smal")
    assert (done.returncode, done.stdout) == (2, "")
    assert told(done)[0] == "error: no run called 'smal'"
    assert told(done)[-1] == "  mend: did you mean 'small'?"


# -- verify


def test_a_finished_run_is_verified_with_its_manifest(finished: Desk) -> None:
    before = (finished.folder / STATE).read_bytes()
    done = finished.darwin("verify", "small", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    manifest = json.loads((finished.run_dir() / "manifest.json").read_text())
    assert said["sound"] is said["finished"] is said["manifest"] is True
    assert (said["facts"], said["head"]) == (manifest["facts"], manifest["head"])
    assert said["facts"] == len(finished.export().splitlines())
    assert finished.darwin("verify", "small").stdout == finished.darwin("verify", "small").stdout
    assert (finished.folder / STATE).read_bytes() == before


def test_a_run_that_was_killed_and_taken_up_again_is_verified_at_every_step(desk: Desk) -> None:
    config = desk.config(market={"bars": 20_000})
    acknowledged = desk.killed(config)
    killed = desk.darwin("verify", "small", "--json")
    assert killed.returncode == 0, killed.stderr
    assert json.loads(killed.stdout)["finished"] is False
    assert json.loads(killed.stdout)["facts"] >= acknowledged
    assert desk.darwin("run", config, "--resume").returncode == 0
    resumed = json.loads(desk.darwin("verify", "small", "--json").stdout)
    assert resumed["sound"] is resumed["finished"] is resumed["manifest"] is True


def test_a_changed_row_is_named_with_its_candidate(copied: Desk) -> None:
    with tampering(copied.folder / STATE) as raw:
        (seq, candidate), *_ = raw.execute("SELECT seq, candidate_id FROM fills LIMIT 1")
        raw.execute("UPDATE fills SET price = price * 1.0001 WHERE seq = ?", (seq,))
    done = copied.darwin("verify", "small")
    assert (done.returncode, done.stdout) == (4, "")
    assert told(done)[0] == f"error: row {seq:,} of fills, candidate {candidate}, was changed"


# -- replay


def test_a_trigger_that_nobody_of_ours_made_is_found(copied: Desk) -> None:
    with closing(sqlite3.connect(copied.folder / STATE)) as raw:
        raw.execute("CREATE TRIGGER quiet BEFORE INSERT ON fills BEGIN SELECT raise(ignore); END")
        raw.commit()
    done = copied.darwin("verify", "small")
    assert done.returncode == 4
    assert "a trigger called quiet" in told(done)[0]


@pytest.mark.parametrize("command", ["verify", "replay", "release", "ledger export", "report"])
def test_a_database_that_nobody_came_to_make_is_called_empty(desk: Desk, command: str) -> None:
    (desk.folder / STATE).parent.mkdir(parents=True)
    (desk.folder / STATE).touch()
    more = ["--by", "Ada", "--reason", "none"] if command == "release" else []
    done = desk.darwin(*command.split(), "small", *more)
    assert done.returncode == 4
    assert "the database is empty" in told(done)[0]
    assert "--resume" in told(done)[2]


def test_a_replay_of_a_recorded_run_is_identical_and_writes_nothing(finished: Desk) -> None:
    before = contents(finished)
    manifest = json.loads((finished.run_dir() / "manifest.json").read_text())
    done = finished.darwin("replay", "small")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"identical: {manifest['facts']:,} facts, head {manifest['head']}\n"
    said = json.loads(finished.darwin("replay", "small", "--json").stdout)
    assert said["identical"] is True
    assert said["code_then"] == said["code_now"] == manifest["code_version"]
    assert contents(finished) == before


def test_a_replay_names_the_first_fact_that_comes_out_otherwise(copied: Desk) -> None:
    with tampering(copied.folder / STATE) as raw:
        (seq,), *_ = raw.execute("SELECT seq FROM outcomes WHERE r IS NOT NULL LIMIT 1 OFFSET 5")
        raw.execute("UPDATE outcomes SET r = r + 1 WHERE seq >= ?", (seq,))
    done = copied.darwin("replay", "small", "--json")
    assert done.returncode == 4
    assert f"fact {seq:,} is a row of outcomes" in told(done)[0]
    said = json.loads(done.stdout)
    assert said["identical"] is False
    assert f"fact {seq:,} is" in said["what"]


def test_a_replay_with_other_code_says_which_and_that_it_decides_alike(copied: Desk) -> None:
    package = copied.folder / "newer" / "darwin"
    shutil.copytree(Path(sys.modules["darwin"].__path__[0]), package)
    with (package / "core" / "trade.py").open("a") as file:
        file.write("\n# a remark\n")
    done = copied.darwin("replay", "small", PYTHONPATH=str(package.parent))
    assert done.returncode == 0, done.stderr
    then = json.loads((copied.run_dir() / "manifest.json").read_text())["code_version"]
    first, second = done.stdout.splitlines()
    assert first.startswith("identical: ")
    assert second.startswith(f"made by code {then}, this is ")
    assert second.endswith(": it decides alike")
    with tampering(copied.folder / STATE) as raw:
        raw.execute("UPDATE outcomes SET r = r + 1 WHERE r IS NOT NULL")
    differs = copied.darwin("replay", "small", PYTHONPATH=str(package.parent))
    assert differs.returncode == 4
    assert f"made by code {then}, this is " in told(differs)[-1]


def test_a_replay_from_other_bars_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    made = ("data", "synth", "--bars", "2000", "--symbols", "BTC/USDT", "--timeframe", "1h")
    assert desk.darwin(*made, "--seed", "1", "-o", "data").returncode == 0
    market = {"provider": "files", "path": "data", "symbols": ["BTC/USDT:SYNTH"]}
    config = desk.config(market=market)
    tree = json.loads((tmp_path / config).read_text())
    for key in ("bars", "seed", "edge"):
        del tree["market"][key]
    (tmp_path / config).write_text(json.dumps(tree))
    done = desk.darwin("run", config)
    assert done.returncode == 0, done.stderr
    assert desk.darwin("replay", "small").returncode == 0
    shutil.rmtree(tmp_path / "data")
    assert desk.darwin(*made, "--seed", "2", "-o", "data").returncode == 0
    other = desk.darwin("replay", "small")
    assert other.returncode == 3
    assert told(other)[0] == "error: the bars of run 'small' are not the ones it saw"


def test_an_unfinished_run_is_not_replayed(fed: Desk) -> None:
    done = fed.darwin("replay", "one")
    assert done.returncode == 2
    assert told(done)[0] == "error: run 'one' is not finished"


def test_a_replay_of_a_run_whose_config_was_changed_is_no_bug_of_darwins(copied: Desk) -> None:
    with tampering(copied.folder / STATE) as raw:
        raw.execute("UPDATE runs SET config_json = substr(config_json, 2)")
    done = copied.darwin("replay", "small")
    assert done.returncode == 4
    assert "was changed" in told(done)[0]


# -- release


def test_a_release_is_written_down_for_a_run_that_is_fed(fed: Desk) -> None:
    words = ("release", "one", "--by", " Ada ", "--reason", "the exchange is back: \u00e9\u2713")
    done = fed.darwin(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "run 'one'" in done.stdout
    said = fed.darwin(*words, "--json")
    assert json.loads(said.stdout)["by"] == "Ada"
    asked = fed.ask('SELECT kind, "by", reason FROM acts ORDER BY id')
    assert asked[1:] == [("release", "Ada", "the exchange is back: \u00e9\u2713")] * 2
    assert fed.darwin("verify", "one").returncode == 0


@pytest.mark.parametrize("option", ["--by", "--reason"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("x" * 201, "has 201 characters, 200 at most"),
        ("two\nlines", "holds a character that cannot be printed"),
        ("a\x1b[31mred", "holds a character that cannot be printed"),
        (os.fsdecode(b"\xff"), "holds a character that cannot be printed"),
    ],
)
def test_a_release_wants_a_name_and_a_reason_that_can_be_read(
    option: str, text: str, why: str, fed: Desk
) -> None:
    given = {"--by": "Ada", "--reason": "all is well"} | {option: text}
    done = fed.darwin("release", "one", *(word for pair in given.items() for word in pair))
    assert done.returncode == 2
    assert why in told(done)[0]
    assert option in told(done)[0]
    assert len(fed.ask("SELECT * FROM acts")) == 1


def test_a_release_without_a_name_or_reason_is_refused(fed: Desk) -> None:
    done = fed.darwin("release", "one", "--by", "Ada")
    assert done.returncode == 2
    assert "--reason" in told(done)[0]


def test_a_text_of_200_characters_is_recorded(fed: Desk) -> None:
    assert fed.darwin("release", "one", "--by", "A" * 200, "--reason", "x").returncode == 0


def test_who_hears_nobody_is_not_asked(finished: Desk) -> None:
    done = finished.darwin("release", "small", "--by", "Ada", "--reason", "x")
    assert done.returncode == 2
    assert told(done)[0] == "error: run 'small' is finished, nothing can take effect in it"


def test_a_release_makes_no_database(desk: Desk) -> None:
    done = desk.darwin("release", "one", "--by", "Ada", "--reason", "x")
    assert done.returncode == 4
    assert told(done)[0] == "error: there is no database yet"
    assert not (desk.folder / "artifacts").exists()


def test_a_release_waits_for_no_more_than_a_while_on_a_locked_database(fed: Desk) -> None:
    with closing(sqlite3.connect(fed.folder / STATE, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        done = fed.darwin("release", "one", "--by", "Ada", "--reason", "x")
    assert done.returncode == 4
    assert told(done)[0] == "error: another process keeps the database locked"


# -- ledger export


def kinds(lines: str) -> list[str]:
    return [json.loads(line)["fact"] for line in lines.splitlines()]


def test_an_export_has_all_facts_in_their_order_and_only_those_asked_for(finished: Desk) -> None:
    whole = finished.export()
    assert set(kinds(whole)) <= set(KINDS)
    wanted = finished.darwin("ledger", "export", "small", "--only", "outcomes, fills,orders,fills")
    assert wanted.returncode == 0
    chosen = [line for line, kind in zip(whole.splitlines(), kinds(whole), strict=True)
              if kind in {"outcomes", "fills", "orders"}]  # fmt: skip
    assert wanted.stdout.splitlines() == chosen
    none = finished.darwin("ledger", "export", "small", "--only", "inputs")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("fillz", "no facts called 'fillz'; did you mean 'fills'?"),
        ("fills,nothing", "no facts called 'nothing'; known: inputs, candidates"),
        ("", "no facts called ''; known: "),
        ("fills,,orders", "no facts called ''; known: "),
    ],
)
def test_a_kind_that_does_not_exist_is_refused(only: str, words: str, finished: Desk) -> None:
    done = finished.darwin("ledger", "export", "small", "--only", only)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in told(done)[0]


def test_an_export_of_an_unfinished_run_says_so_beside_its_facts(fed: Desk) -> None:
    done = fed.darwin("ledger", "export", "one")
    assert done.returncode == 0
    assert done.stderr == "note: run 'one' is not finished; these are its 33 facts\n"
    assert len(done.stdout.splitlines()) == 33


def test_an_export_into_a_file_is_whole_and_the_same(finished: Desk, tmp_path: Path) -> None:
    target = tmp_path / "new" / "facts.jsonl"
    done = finished.darwin("ledger", "export", "small", "-o", str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert target.read_text() == finished.export()
    assert [file.name for file in target.parent.iterdir()] == ["facts.jsonl"]


def test_an_export_that_meets_damage_leaves_the_old_file_and_no_other(
    copied: Desk, tmp_path: Path
) -> None:
    with tampering(copied.folder / STATE) as raw:
        raw.execute("UPDATE outcomes SET status = CAST(x'ff' AS TEXT) WHERE rowid % 7 = 0")
    target = tmp_path / "exported" / "facts.jsonl"
    target.parent.mkdir()
    target.write_text("of yesterday")
    done = copied.darwin("ledger", "export", "small", "-o", str(target))
    assert done.returncode == 4
    told(done)
    assert target.read_text() == "of yesterday"
    assert [file.name for file in target.parent.iterdir()] == ["facts.jsonl"]


def piped(desk: Desk, tail: str) -> subprocess.CompletedProcess[str]:
    """Export through a shell; the exit code is that of `darwin`."""
    command = f"'{sys.executable}' -m darwin.cli.main ledger export small {tail}"
    return subprocess.run(
        ["bash", "-c", command + "; exit ${PIPESTATUS[0]}"],
        cwd=desk.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_whoever_reads_the_head_alone_may_close_the_pipe(finished: Desk) -> None:
    done = piped(finished, "| head -n 1")
    assert (done.returncode, done.stderr) == (141, "")
    assert done.stdout == finished.export().splitlines()[0] + "\n"


@pytest.mark.parametrize("tail", ["> /dev/full", "-o /dev/full"])
def test_a_full_disk_under_an_export_is_a_storage_fault(tail: str, finished: Desk) -> None:
    done = piped(finished, tail)
    assert done.returncode == 4, done.stderr
    assert "No space left on device" in told(done)[0]
    assert Path("/dev/full").is_char_device()


def test_an_export_goes_through_links_and_pipes_and_replaces_neither(
    finished: Desk, tmp_path: Path
) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "link").symlink_to("real")
    assert piped(finished, f"-o '{tmp_path / 'link'}'").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == finished.export()
    assert piped(finished, "-o /dev/stdout").stdout == finished.export()
    assert Path("/dev/stdout").is_symlink()


@pytest.mark.parametrize("name", ["agent_state.sqlite", "agent_state.sqlite-wal", "link"])
def test_an_export_over_the_database_itself_is_refused(copied: Desk, name: str) -> None:
    output = STATE.with_name(name)
    if name == "link":
        (copied.folder / output).symlink_to("agent_state.sqlite")
    before = (copied.folder / STATE).read_bytes()
    done = copied.darwin("ledger", "export", "small", "-o", str(output))
    assert done.returncode == 2
    assert "is the database itself" in told(done)[0]
    assert (copied.folder / STATE).read_bytes() == before


def test_an_export_into_a_folder_or_nowhere_is_refused(finished: Desk, tmp_path: Path) -> None:
    done = piped(finished, f"-o '{tmp_path}'")
    assert done.returncode == 4
    assert "Is a directory" in told(done)[0]
    closed = piped(finished, ">&-")
    assert closed.returncode == 2
    assert "standard output is closed" in told(closed)[0]

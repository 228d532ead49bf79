"""`darwin run --feed`: bars one by one, the same facts; stopped, taken up again, paced, heard."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import polars
import pytest

from tests.run.command import Desk, checkpoint, clean_environment

pytestmark = pytest.mark.slow

BARS = {"bars": 800}


def fed(desk: Desk, config: str, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "run", config, "--feed", *more],
        cwd=desk.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_checkpoint(process: subprocess.Popen[str], least: int) -> int:
    """Read stderr until so many facts are acknowledged."""
    assert process.stderr is not None
    for line in process.stderr:
        if (checkpoint(line) or 0) >= least:
            return checkpoint(line) or 0
    raise AssertionError("it ended before")


def test_fed_bar_by_bar_and_replayed_at_once_the_exports_are_the_same_bytes(desk):
    config = desk.config(market=BARS)
    assert desk.darwin("run", config).returncode == 0
    done = desk.darwin("run", config, "--set", "run_id=fed", "--feed")
    assert done.returncode == 0, done.stderr
    assert desk.export("fed") == desk.export("small") != ""
    for run_id in ("small", "fed"):
        assert desk.darwin("verify", run_id).returncode == 0
    assert desk.darwin("replay", "fed").returncode == 0
    assert desk.trades("fed") == desk.trades("small")
    assert desk.metrics("fed")["run"]["mode"] == "feed"
    decided = [line for line in done.stderr.splitlines() if line.startswith("checkpoint")]
    assert len(decided) > desk.metrics("fed")["candidates"]  # one for each decision, and fills


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.sweep)]
)
def test_a_feed_that_is_stopped_goes_on_where_it_was(desk, number):
    config = desk.config(market=BARS)
    assert desk.darwin("run", config).returncode == 0
    whole = desk.export("small")
    resume: list[str] = []
    for least in (40, 300):
        process = fed(desk, config, "--set", "run_id=fed", *resume)
        acknowledged = wait_for_checkpoint(process, least)
        process.send_signal(number)
        process.communicate()
        assert process.returncode == (-9 if number == signal.SIGKILL else 143)
        kept = desk.export("fed")
        assert len(kept.splitlines()) >= acknowledged
        assert whole.startswith(kept)
        resume = ["--resume"]
    assert desk.darwin("run", config, "--set", "run_id=fed", "--feed").returncode == 2
    done = desk.darwin("run", config, "--set", "run_id=fed", "--feed", "--resume")
    assert done.returncode == 0, done.stderr
    assert desk.export("fed") == whole
    assert [event["kind"] for event in desk.metrics("fed")["run"]["resumes"]] == ["resumed"] * 2
    assert desk.darwin("verify", "fed").returncode == 0


def test_a_feed_goes_on_with_other_bars_only_under_another_name(desk):
    config = desk.config(market=BARS)
    process = fed(desk, config)
    wait_for_checkpoint(process, 40)
    process.kill()
    process.communicate()
    other = desk.config("other.json", market=BARS | {"seed": 4})
    done = desk.darwin("run", other, "--feed", "--resume")
    assert done.returncode == 2
    assert "market.seed" in done.stderr
    done = desk.darwin("run", config, "--resume")
    assert done.returncode == 2
    assert "mode (feed then, replay now)" in done.stderr


def write_bars(desk: Desk, changed_from: int | None) -> None:
    """Bars of one symbol as a file; from one bar on, if given, volumes are others."""
    folder = desk.folder / "data"
    done = desk.darwin("data", "synth", "--bars", "1200", "--seed", "5", "--symbols", "BTC/USDT",
                       "-o", "data", "--force")  # fmt: skip
    assert done.returncode == 0, done.stderr
    if changed_from is not None:
        [path] = folder.glob("*.parquet")
        bars = polars.read_parquet(path)
        late = polars.int_range(polars.len()) >= changed_from
        polars.DataFrame(bars.with_columns(polars.col("volume") + late)).write_parquet(path)


@pytest.mark.sweep
def test_bars_that_come_after_what_was_fed_may_be_new_but_not_those_before(desk):
    market = {"provider": "files", "path": "data", "symbols": ["BTC/USDT:SYNTH"],
              "timeframe": "1h"}  # fmt: skip
    tree = {"run_id": "fed", "market": market, "playbooks": [{"name": "breakout"}],
            "decider": {"provider": "rules"}}  # fmt: skip
    (desk.folder / "fed.json").write_text(json.dumps(tree))
    write_bars(desk, None)
    process = fed(desk, "fed.json")
    wait_for_checkpoint(process, 30)
    process.kill()
    process.communicate()
    write_bars(desk, 10)
    done = desk.darwin("run", "fed.json", "--feed", "--resume")
    assert done.returncode == 2
    assert "another data" in done.stderr
    write_bars(desk, 1190)  # what it had not seen
    done = desk.darwin("run", "fed.json", "--feed", "--resume")
    assert done.returncode == 0, done.stderr
    assert desk.darwin("replay", "fed").returncode == 0


FILES = {"provider": "files", "path": "data", "symbols": ["BTC/USDT:SYNTH"], "timeframe": "1h"}


def feed_of_files(desk: Desk) -> None:
    """Feed 1,200 bars of a file to a run called `fed`, to its end."""
    tree = {"run_id": "fed", "market": FILES, "playbooks": [{"name": "breakout"}],
            "decider": {"provider": "rules"}}  # fmt: skip
    (desk.folder / "fed.json").write_text(json.dumps(tree))
    write_bars(desk, None)
    done = desk.darwin("run", "fed.json", "--feed")
    assert done.returncode == 0, done.stderr


def keep_bars(desk: Desk, count: int) -> None:
    """Leave the first bars of the file."""
    [path] = (desk.folder / "data").glob("*.parquet")
    polars.DataFrame(polars.read_parquet(path).head(count)).write_parquet(path)


@pytest.mark.parametrize("lost", [None, pytest.param("report.html", marks=pytest.mark.sweep)])
def test_a_finished_feed_refuses_other_bars_by_the_name_of_the_data(desk, lost):
    feed_of_files(desk)
    if lost:
        (desk.run_dir("fed") / lost).unlink()
    for change in (lambda: write_bars(desk, 600), lambda: keep_bars(desk, 1000)):
        write_bars(desk, None)
        change()
        refused = desk.darwin("run", "fed.json", "--feed")
        assert refused.returncode == 2, refused.stderr
        assert "was finished with another data" in refused.stderr
    write_bars(desk, None)
    assert desk.darwin("run", "fed.json", "--feed").returncode == 0
    assert (desk.run_dir("fed") / "report.html").exists()


@pytest.mark.sweep
def test_a_finished_feed_does_not_mind_bars_that_came_later(desk):
    (desk.folder / "data").mkdir()
    feed_of_files(desk)
    (desk.folder / "longer").mkdir()
    done = desk.darwin("data", "synth", "--bars", "1500", "--seed", "5", "--symbols", "BTC/USDT",
                       "-o", "longer")  # fmt: skip
    assert done.returncode == 0, done.stderr
    [longer], [file] = ((desk.folder / name).glob("*.parquet") for name in ("longer", "data"))
    grown = polars.read_parquet(longer)
    assert grown.head(1200).equals(polars.read_parquet(file))
    polars.DataFrame(grown).write_parquet(file)
    (desk.run_dir("fed") / "report.html").unlink()
    metrics = desk.metrics("fed")
    done = desk.darwin("run", "fed.json", "--feed")
    assert done.returncode == 0, done.stderr
    remade = desk.metrics("fed")
    assert {name for name in metrics if remade[name] != metrics[name]} == {"data"}  # its file grew
    assert (desk.run_dir("fed") / "report.html").exists()


@pytest.mark.sweep
def test_a_feed_stopped_after_its_last_bar_and_before_its_end_goes_on(desk):
    """Without a fact there is no checkpoint, but the days that are over are marked."""
    killer = "import os, signal; from darwin.store.journal import Journal; " + (
        "Journal.finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "from darwin.cli.main import main; main()"
    )
    never = [{"name": "breakout", "params": {"buffer_atr": 100}}]
    config = desk.config(playbooks=never, market={"bars": 800})
    words = [sys.executable, "-c", killer, "run", config, "--feed"]
    killed = subprocess.run(words, cwd=desk.folder, env=clean_environment(), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert desk.ask("SELECT count(*) FROM equity_marks")[0][0] > 10
    assert desk.ask("SELECT count(*) FROM candidates") == [(0,)]
    done = desk.darwin("run", config, "--feed", "--resume")
    assert done.returncode == 0, done.stderr
    assert desk.darwin("verify", "small").returncode == 0


def test_who_forgets_feed_on_resume_is_told_that_alone(desk):
    config = desk.config(market=BARS)
    process = fed(desk, config)
    wait_for_checkpoint(process, 40)
    process.kill()
    process.communicate()
    refused = desk.darwin("run", config, "--resume")
    assert refused.returncode == 2
    assert "add --feed" in refused.stderr
    assert "data" not in refused.stderr


def test_speed_paces_the_bars_and_what_was_seen_is_not_waited_for(desk):
    """At 3,600 times real time an hour takes a second."""
    config = desk.config(market=BARS)
    process = fed(desk, config, "--speed", "3600")  # one bar a second
    began = time.monotonic()
    time.sleep(3)
    process.terminate()
    _, said = process.communicate()
    assert process.returncode == 143
    assert time.monotonic() - began < 60
    assert "checkpoint" not in said  # warming up takes 400 bars
    done = desk.darwin("run", config, "--feed", "--speed", "36000000", "--resume")
    assert done.returncode == 0, done.stderr


def test_a_person_releases_a_feed_and_the_replay_hears_it_again(desk):
    config = desk.config(
        market={"bars": 1500},
        portfolio={"risk_per_trade": 0.05},
        limits={"max_drawdown_fraction": 0.02, "max_daily_loss_fraction": None},
    )
    process = fed(desk, config, "--speed", "360000")
    seen = ""
    assert process.stderr is not None
    while "reducing" not in seen:
        assert process.poll() is None
        time.sleep(0.2)
        seen = desk.darwin("runs", "show", "small").stdout
    asked = desk.darwin("release", "small", "--by", "Ada", "--reason", "seen and accepted")
    assert asked.returncode == 0, asked.stderr
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    events = desk.darwin("runs", "show", "small").stdout
    assert "released by Ada: seen and accepted" in events
    assert '"by":"Ada"' in desk.export("small")
    assert desk.darwin("verify", "small").returncode == 0
    assert desk.darwin("replay", "small").returncode == 0


@pytest.mark.sweep
def test_a_feed_without_candidates_or_with_a_quiet_end_verifies(desk):
    for run_id, bars in (("none", 402), ("short", 450)):
        config = desk.config(run_id=run_id, market={"bars": bars})
        done = desk.darwin("run", config, "--feed")
        assert done.returncode == 0, done.stderr
        done = desk.darwin("verify", run_id)
        assert done.returncode == 0, done.stderr
        assert desk.darwin("replay", run_id).returncode == 0

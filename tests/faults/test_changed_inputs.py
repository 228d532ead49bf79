"""A stopped run goes on with what it was begun with, or says what has become another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import darwin
from tests.faults.desk import RESUME, RUN, assert_refused, assert_whole

pytestmark = pytest.mark.slow


@pytest.fixture
def stopped(desk):
    """A desk whose run was killed in the middle."""
    return _stopped(desk)


def _stopped(desk):
    process = desk.start_until_it_waits(*RUN)
    process.kill()
    process.communicate()
    desk.go()
    return desk


def _another_code(folder, file, addition):
    """A copy of the package with `addition` at the end of one file; gives where to find it."""
    source = Path(darwin.__file__).parent
    shutil.copytree(source, folder / "darwin", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "darwin" / file).open("a") as changed:
        changed.write(addition)
    return {"PYTHONPATH": str(folder)}


def test_another_config_is_refused_by_the_name_of_its_key(stopped, run):
    for change in ("costs.taker_bps=9", "market.seed=4", "decider.min_confidence=0.6"):
        refused = stopped.darwin(*RESUME, "--set", change)
        assert_refused(refused, 2)
        assert change.split("=")[0] in refused.stderr
    assert stopped.darwin(*RESUME).returncode == 0
    assert_whole(stopped, run)


def test_other_data_is_refused(desk):
    made = desk.darwin("data", "synth", "--bars", "4000", "--symbols", "BTC/USDT", "-o", ".")
    assert made.returncode == 0, made.stderr
    desk.darwin("data", "convert", "BTCUSDT_SYNTH-1h.parquet", "BTCUSDT_SYNTH-1h.csv")
    (desk.folder / "BTCUSDT_SYNTH-1h.parquet").unlink()
    market = {"provider": "files", "path": ".", "symbols": ["BTCUSDT_SYNTH"], "timeframe": "1h"}
    desk.config(market=market, decider={"provider": "patient:Patient"})
    (desk.folder / "patient-row").write_text("20")
    _stopped(desk)
    bars = desk.folder / "BTCUSDT_SYNTH-1h.csv"
    whole = bars.read_text()
    bars.write_text("\n".join(whole.splitlines()[:-1]) + "\n")
    refused = desk.darwin(*RESUME)
    assert_refused(refused, 2)
    assert "another data" in refused.stderr
    bars.write_text(whole)
    assert desk.darwin(*RESUME).returncode == 0


def test_other_code_is_refused_unless_it_is_accepted_and_that_is_kept(stopped, run, tmp_path):
    code = _another_code(tmp_path / "other", "trading/costs.py", "\n# a word\n")
    refused = stopped.darwin(*RESUME, **code)
    assert_refused(refused, 2)
    assert "another code" in refused.stderr
    assert "--accept-code" in refused.stderr
    kept = len(stopped.export())
    done = stopped.darwin(*RESUME, "--accept-code", **code)
    assert done.returncode == 0, done.stderr
    assert_whole(stopped, run)
    events = stopped.ask("SELECT kind, facts, detail FROM run_events ORDER BY id")
    code_version = run.metrics["run"]["code_version"]
    assert ("code accepted", kept, f"in place of {code_version}") in events
    told = [event["kind"] for event in stopped.metrics()["run"]["resumes"]]
    assert "code accepted" in told


def test_accepted_code_that_decides_otherwise_is_stopped_at_the_first_other_fact(
    stopped, run, tmp_path
):
    milder = """
_decide = RulesDecider.decide
RulesDecider.decide = lambda self, *seen: _decide(self, *seen)._replace(quality=0.25)
"""
    kept = len(stopped.export())
    code = _another_code(tmp_path / "other", "deciders/rules.py", milder)
    refused = stopped.darwin(*RESUME, "--accept-code", **code)
    assert_refused(refused)
    first = next(i for i, line in enumerate(run.lines, start=1) if b'"fact":"verdicts"' in line)
    assert f"fact {first:,} is a row of verdicts" in refused.stderr
    assert '"quality":0.25' in refused.stderr
    assert stopped.export() == run.lines[:kept]

"""The checklist of the deployment: a newcomer follows it line by line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from darwin.core.agents import AGENTS
from tests.conftest import ROOT
from tests.run.agents import deploy
from tests.run.command import Desk, clean_environment
from tests.test_docs import DOCS, fences

PAGE = DOCS / "deployment.md"
SMALLER = {  # what takes minutes is done with less of it
    r"--total-timesteps \d+": "--total-timesteps 2048 --seeds 1 --skip-canaries",
    r"--eval-freq \d+": "--eval-freq 1024",
}
ANSWERS = {  # commands of which another exit code is an answer
    "darwin rl train": (0, 10), "python -m darwin.rl.cli.train_agent": (0, 10),
    "darwin rl plan": (0, 10, 11), "darwin rl status": (0, 10, 11),
    "python -m darwin.rl.cli.graduation_status": (0, 10, 11), "darwin rl promote": (10,),
    "darwin rl rollout set gate 5%": (2,),  # nor has it been there for its days
}  # fmt: skip
OVERRIDE = ' --override --by Ada --reason "a test of the page"'


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Configs, bars as if they were fetched, and two versions of each agent's model."""
    one = Desk(tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    words = ("--bars", "26000", "--seed", "1", "--edge", "0.3", "--start", "2022-01-01")
    assert one.darwin("data", "synth", *words, "-o", "data").returncode == 0
    (tmp_path / "data" / "BTCUSDT_SYNTH-1h.parquet").rename(tmp_path / "data/BTCUSDT-1h.parquet")
    return one


def follow(desk: Desk, command: str) -> None:
    """Run one line of the page as a shell does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    imported = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=desk.folder, env=clean_environment(PATH=path, PYTHONPATH=imported),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    codes = next((ANSWERS[one] for one in ANSWERS if command.startswith(one)), (0,))
    if "--override" in command:
        codes = (0,)
    assert done.returncode in codes, f"$ {command}\n{done.stdout}{done.stderr}"


@pytest.mark.sweep
@pytest.mark.slow
def test_the_checklist_can_be_followed_line_by_line(desk: Desk) -> None:
    pytest.importorskip("torch")
    if not shutil.which("sqlite3"):
        pytest.skip("the page asks sqlite3")
    first = ""
    for fence in fences(PAGE):
        for command in fence.commands if fence.language == "console" else []:
            if "rl models list gate" in command and not first:  # training may have learned nothing
                first = deploy(desk, "gate")
                deploy(desk, "gate", seed=1)
                for agent in AGENTS[1:]:
                    deploy(desk, agent)
            line = re.sub(r"\b20260101_000000\b", first, command)
            for long, short in SMALLER.items():
                line = re.sub(long, short, line)
            follow(desk, line)
            if command.startswith("darwin rl promote"):  # it lacks evidence; somebody overrides
                follow(desk, f"darwin rl promote gate{OVERRIDE}")
            if command.startswith("darwin rl rollout set gate 5%"):
                follow(desk, f"darwin rl rollout set gate 5%{OVERRIDE}")
    assert not (desk.folder / "artifacts" / "KILL").exists()


def test_the_page_has_each_part_of_the_checklist() -> None:
    heads = re.findall(r"^## (.+)$", PAGE.read_text("utf-8"), re.M)
    assert heads == [
        "Prerequisites", "Initial training", "Observe mode", "Validation", "Active mode",
        "Monitoring", "Rollback", "Troubleshooting", "Success metrics",
        "Departures from the checklist",
    ]  # fmt: skip


def test_every_departure_has_its_reason() -> None:
    text = PAGE.read_text("utf-8").partition("## Departures")[2]
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    assert all(cell.strip() for cells in rows for cell in cells)
    assert {len(cells) for cells in rows} == {3}

"""What the planted world promises of the rows of a training is what they earn on average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from darwin.rl.agents.pages import PAGES
from darwin.rl.training.dataset import Source, read_rows
from darwin.store.db import connect_readonly
from darwin.testing.planted import expected_r
from tests.rl.training.test_train_command import ROOM
from tests.run.agents import rules
from tests.run.command import Desk

pytest.importorskip("stable_baselines3")
pytestmark = pytest.mark.slow


def test_rows_that_promise_more_earn_more_by_as_much_as_they_promise(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    plain = {"stop_atr": 1.2, "target_atr": 2.4, "time_stop_bars": 32, "trailing": None}
    playbooks = [{"name": name, "exits": plain} for name in ("breakout", "mean_reversion")]
    room = ROOM | {"playbooks": playbooks}
    desk.config(market={"bars": 6000, "edge": 0.5}, rl=rules(agents=["gate"]), **room)
    done = desk.darwin("run", "config.json")
    assert done.returncode == 0, done.stderr
    state = tmp_path / "artifacts" / "rl_state" / "agent_state.sqlite"
    with connect_readonly(state) as database:
        rows = read_rows(PAGES["gate"], [Source(database, ("small",))], allow_small=True)
        ranks, auc = expected_r(rows, database, "small", pairs=8)
        expected, _ = expected_r(rows, database, "small", pairs=8, seed=1)
    assert len(rows) > 700
    assert 0.6 < auc < 0.85
    better = ranks > np.median(ranks)
    promised = expected[better].mean() - expected[~better].mean()
    earned = rows.r[better].mean() - rows.r[~better].mean()
    noise = rows.r.std() * 2.0 / np.sqrt(len(rows))
    assert promised > 4.0 * noise
    assert abs(earned - promised) < 4.0 * noise

"""What a run never loads, and what the pure rooms never know."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

HEAVY = ("torch", "stable_baselines3", "gymnasium", "pandas", "matplotlib")


@pytest.mark.parametrize("module", ["darwin.bootstrap", "darwin.cli.run", "darwin.engine.session"])
def test_trading_leaves_training_out(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_a_synthetic_run_loads_neither_polars_nor_alembic_once_the_database_stands(finished):
    code = (
        "import sys; sys.argv = ['darwin', 'run', 'config.json', '--set', 'run_id=lean'];"
        "from darwin.cli.main import darwin; from darwin.rl.cli.door import come_through;"
        "code = come_through(darwin); print(code, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=finished.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.splitlines()[-1].split()
    assert words[0] == "0"
    assert not {"polars", "alembic", *HEAVY} & set(words)

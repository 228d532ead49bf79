from __future__ import annotations

import pytest

from tests.rl.training.lab import Lab


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A working directory with a deployment, and zips from elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DARWIN__ARTIFACTS_DIR", raising=False)
    return Lab(tmp_path, monkeypatch)

"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("busy machine", deadline=None)  # nothing here is timed
settings.load_profile("busy machine")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def market_dir() -> Path:
    """The folder of real market data; tests that need it skip where it is missing."""
    folder = ROOT.parent / "shared" / "market"
    if not folder.is_dir():
        pytest.skip("no real market data beside the checkout")
    return folder

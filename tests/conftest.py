"""What all tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("busy machine", deadline=None)  # nothing here is timed
settings.load_profile("busy machine")

# A command that is started in the background or by nohup ignores some signals, as does all that it
# starts. Those that are to be stopped here would then run for ever.
for _asked_to_stop in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_asked_to_stop) is signal.SIG_IGN:
        signal.signal(_asked_to_stop, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def market_dir() -> Path:
    """The folder of real market data; tests that need it skip where it is missing."""
    folder = ROOT.parent / "shared" / "market"
    if not folder.is_dir():
        pytest.skip("no real market data beside the checkout")
    return folder

"""Contract suites: what every playbook, provider, decider and broker keeps, built in or not.

A test class inherits the suite of its kind and provides the fixtures named there; each broken
promise is explained with its mend:

    class TestBreakout(PlaybookContract):
        @pytest.fixture
        def playbook(self) -> Playbook:
            return Breakout(lookback=20)
"""

from __future__ import annotations

from darwin.testing.contract_broker import BrokerContract, OpenBroker
from darwin.testing.contract_decider import DeciderContract
from darwin.testing.contract_playbook import PlaybookContract
from darwin.testing.contract_provider import ProviderContract
from darwin.testing.contract_samples import Case, questions, sample_markets

__all__ = [
    "BrokerContract",
    "Case",
    "DeciderContract",
    "OpenBroker",
    "PlaybookContract",
    "ProviderContract",
    "questions",
    "sample_markets",
]

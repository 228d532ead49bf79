"""The venue of a run on paper: what its provider says of bars as they close."""

from __future__ import annotations

from typing import Any

from darwin.bootstrap import provider_of
from darwin.config.model import RunConfig
from darwin.core.ports import Venue
from darwin.errors import ConfigError


def venue_of(config: RunConfig) -> Venue:
    """Open it. Raises ConfigError where the provider of the config brings no new bars."""
    provider: Any = provider_of(config.market)
    if not callable(getattr(provider, "venue", None)):
        raise ConfigError(
            f"the provider '{config.market.provider}' brings no new bars, as mode 'paper' needs",
            where="market.provider",
            mend="write 'klines', or replay it: mode 'replay'",
        )
    venue: Venue = provider.venue()
    return venue

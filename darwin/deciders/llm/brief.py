"""What a model is shown of one candidate: the scene of the run, and the numbers of the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from darwin.core.account import Account
from darwin.core.candidate import Candidate, Exits
from darwin.core.expert import Record
from darwin.core.market import SYMBOL
from darwin.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Scene:
    """What all candidates of a run have in common. Raises ConfigError for an odd symbol.

    A name that could be read as something else than a name is no symbol for a model, masked or not.
    """

    symbols: tuple[str, ...] = ()
    playbooks: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()  # per playbook, in words; empty: they are not told
    exits: tuple[Exits, ...] = ()  # per playbook
    timeframe: str = "1h"
    round_trip_bps: float = 0.0  # fees, half-spread and slippage of an entry and a stopped exit
    starting_equity_usd: float = 1.0
    max_positions: int | None = None
    max_exposure_fraction: float | None = None

    def __post_init__(self) -> None:
        for symbol in self.symbols:
            if SYMBOL.fullmatch(symbol) is None:
                raise ConfigError(
                    f"the symbol {symbol[:40]!r} may not be shown to a model",
                    where="market.symbols",
                    mend="name it like BTC/USDT, BTC-USD or BTC/USDT:USDT, or choose another"
                    " decider",
                )


class Brief(NamedTuple):
    """One candidate, and all that a model may know of it."""

    scene: Scene
    candidate: Candidate
    features: Mapping[str, float]  # by key; NaN where one is not known
    account: Account
    record: Record

"""From a config to a session: the only file that knows every name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from darwin import __version__, plugins
from darwin.bootstrap.notes import (
    funding_notes,
    gap_notes,
    idle_notes,
    memory_notes,
    unused_risk_notes,
)
from darwin.brokers.paper import PaperBroker
from darwin.brokers.simulated import SimulatedBroker
from darwin.config import options
from darwin.config.load import Loaded
from darwin.config.model import ExitsConfig, MarketConfig, PortfolioConfig, RunConfig
from darwin.config.places import state_db_path
from darwin.core.candidate import Candidate, Exits, Trailing
from darwin.core.clock import Clock
from darwin.core.market import Bars
from darwin.core.ports import (
    Decider,
    Inputs,
    Journal,
    Progress,
    Provider,
    Witness,
)
from darwin.core.stake import RiskRule
from darwin.engine.live import Live
from darwin.engine.proposals import Quiet, Setup
from darwin.engine.session import Session
from darwin.engine.step import Rules
from darwin.errors import DataError
from darwin.features.catalog import NAMES
from darwin.features.pipeline import Frame, Stream
from darwin.trading.costs import Costs
from darwin.trading.limits import Limits
from darwin.trading.sizing import Sizing

if TYPE_CHECKING:
    from darwin.bootstrap.agents import Agents

RECORDED, LLM = "recorded", "llm"
"""Deciders that are handed something: the verdicts of an earlier run, a scene and a desk."""


@dataclass(frozen=True, slots=True)
class Wired:
    """A session and what identifies its inputs."""

    session: Session
    agents: Agents | None  # None: no learned agent takes part
    data_digests: Mapping[str, str]  # per symbol, SHA-256
    sources: Mapping[str, str]  # per symbol, where its bars come from
    notes: tuple[str, ...]  # what a careful reader of the report must know about the inputs

    @property
    def playbooks(self) -> tuple[str, ...]:
        """Their names, in the order of their codes."""
        return tuple(setup.name for setup in self.session.setups)

    @property
    def data_digest(self) -> str:
        """One digest over all symbols, in their order."""
        text = "\n".join(f"{name} {digest}" for name, digest in self.data_digests.items())
        return hashlib.sha256(text.encode()).hexdigest()


def wire(
    loaded: Loaded, *, record_features: bool = True, provider: Provider | None = None
) -> Wired:
    """Build all that a run needs, and load its bars, from `provider` where one is handed in.

    Raises ConfigError for all faults in plug-ins' options together, DataError for bad bars.
    """
    refuse_bad_options(loaded)
    config = loaded.config
    handed_in = provider is not None
    provider = provider or provider_of(config.market)
    markets = tuple(provider.bars(symbol) for symbol in config.market.symbols)
    if not handed_in:
        _require_bars(markets, config.market)
    rules, setups = rules_of(config), setups_of(config)
    agents = _agents(config)
    session = Session(
        markets=markets,
        setups=setups,
        decider=_decider(config, setups, rules),
        rules=rules,
        open_broker=lambda foresight, clock: SimulatedBroker(
            foresight, clock, rules.costs, rules.limits.price_collar_fraction
        ),
        frame_of=Frame,
        quiet=Quiet(
            config.market.warmup_bars,
            config.market.max_gap_bars,
            sessions=config.market.calendar == "sessions",
        ),
        tick_size=_per_symbol(config.market.tick_size, config.market.symbols),
        recorded_features=NAMES if record_features else (),
        agents=None if agents is None else agents.terms,
    )
    return Wired(
        session=session,
        agents=agents,
        data_digests={
            bars.symbol: provider.digest(symbol)
            for bars, symbol in zip(markets, config.market.symbols, strict=True)
        },
        sources={
            bars.symbol: provider.source(symbol)
            for bars, symbol in zip(markets, config.market.symbols, strict=True)
        },
        notes=(
            *idle_notes(config.market),
            *unused_risk_notes(config.portfolio),
            *funding_notes(provider, config.market),
            *gap_notes(markets, session.quiet),
            *memory_notes(session.decider, markets),
        ),
    )


def provider_of(market: MarketConfig) -> Provider:
    """The source of bars that a config names; nothing is loaded yet."""
    provider: Provider = plugins.factory("provider", market.provider)(market)
    return provider


def live(
    wired: Wired,
    journal: Journal,
    inputs: Inputs | None = None,
    progress: Progress | None = None,
    caught_up: Callable[[], bool] = lambda: True,
    witness: Witness | None = None,
    too_late: Callable[[Candidate], bool] | None = None,
) -> Live:
    """The session of `wired` as a run that is fed its bars, on paper.

    Inference counts as too slow only once the run has `caught_up` with what is on record. `witness`
    sees what agents decide; `too_late` says that an order would leave too late.
    """
    session = wired.session
    broker = PaperBroker(session.rules.costs, session.rules.limits.price_collar_fraction)
    expected = len(Clock.of(session.markets)) if progress is not None else 0
    too_slow = None if wired.agents is None else wired.agents.overdue(caught_up)
    return Live(
        session, Stream, broker, journal, inputs, progress, expected, too_slow, witness, too_late
    )  # fmt: skip


def _agents(config: RunConfig) -> Agents | None:
    """The learned agents of a run; without any, nothing that they need is imported."""
    if config.rl is None or not config.rl.enabled:
        return None
    from darwin.bootstrap.agents import agents_of

    return agents_of(config)


def refuse_bad_options(loaded: Loaded) -> None:
    """Raise one ConfigError for all that the plug-ins of a config refuse; no bars are read."""
    handed: dict[str, object] = {}
    if loaded.config.decider.provider == RECORDED:
        handed["verdicts"] = {}
    elif loaded.config.decider.provider == LLM:
        from darwin.bootstrap import experts

        handed |= experts.handed(loaded.config, (), rules_of(loaded.config))
    faults = options.option_faults(loaded.config, plugins.factory, handed)
    if faults:
        raise loaded.refuse(faults)


def rules_of(config: RunConfig) -> Rules:
    """The account's terms as the engine knows them."""
    portfolio, limits = config.portfolio, config.limits
    return Rules(
        starting_equity_usd=portfolio.starting_equity_usd,
        sizing=Sizing(
            method=portfolio.sizing,
            risk_per_trade=portfolio.risk_per_trade,
            units=portfolio.units,
            max_positions=portfolio.max_positions,
            max_exposure_fraction=portfolio.max_exposure_fraction,
            min_order_usd=portfolio.min_order_usd,
            max_order_usd=portfolio.max_order_usd,
            max_position_usd=limits.max_position_usd,
        ),
        limits=Limits(
            max_positions=portfolio.max_positions,
            max_exposure_fraction=portfolio.max_exposure_fraction,
            max_position_usd=limits.max_position_usd,
            max_orders_per_bar=limits.max_orders_per_bar,
            max_orders_per_day=limits.max_orders_per_day,
            max_daily_loss_fraction=limits.max_daily_loss_fraction,
            max_drawdown_fraction=limits.max_drawdown_fraction,
            price_collar_fraction=limits.price_collar_fraction,
            max_refusals_per_bar=limits.max_refusals_per_bar,
            reducing_resume_days=(
                limits.reducing_resume if isinstance(limits.reducing_resume, int) else None
            ),
        ),
        costs=Costs(
            config.costs.maker_bps,
            config.costs.taker_bps,
            config.costs.half_spread_bps,
            config.costs.slippage_bps,
        ),
        positions_per_symbol=portfolio.positions_per_symbol,
        lot_size=_per_symbol(config.market.lot_size, config.market.symbols),
        risk=_risk_rule(portfolio),
    )


def _risk_rule(portfolio: PortfolioConfig) -> RiskRule | None:
    """The risk manager that sizes entries; None where another method does."""
    if portfolio.sizing != "risk_manager":
        return None
    from darwin.allocation.atr_sizing import PositionSizer
    from darwin.allocation.hedging import HedgingStrategy
    from darwin.allocation.leverage import VolatilityTarget
    from darwin.allocation.sizing_stage import SizingStage

    risk = portfolio.risk_manager
    return SizingStage(
        PositionSizer(portfolio.risk_per_trade),
        VolatilityTarget(risk.target_volatility, risk.min_leverage, risk.max_leverage),
        HedgingStrategy(risk.hedge_threshold, risk.hedge_part_of_excess),
        risk.volatility_bars,
    )


def setups_of(config: RunConfig) -> tuple[Setup, ...]:
    """The playbooks with their exits; a name that comes again gets `#2`, `#3`."""
    seen: dict[str, int] = {}
    setups = []
    for i, entry in enumerate(config.playbooks):
        seen[entry.name] = seen.get(entry.name, 0) + 1
        times = seen[entry.name]
        factory = plugins.factory("playbook", entry.name)
        playbook = options.build(factory, entry.params, f"playbooks[{i}].params")
        name = entry.name if times == 1 else f"{entry.name}#{times}"
        setups.append(Setup(name, playbook, _exits(entry.exits)))
    return tuple(setups)


def code_version() -> str:
    """The package's version and a digest of its sources, so that a changed rule shows."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _exits(exits: ExitsConfig) -> Exits:
    trailing = exits.trailing
    return Exits(
        stop_atr=exits.stop_atr,
        target_atr=exits.target_atr,
        time_stop_bars=exits.time_stop_bars,
        trailing=None
        if trailing is None
        else Trailing(trailing.activation_r, trailing.distance_atr),
        anchor=exits.anchor,
        atr_period=exits.atr_period,
    )


def _decider(config: RunConfig, setups: Sequence[Setup], rules: Rules) -> Decider:
    factory = plugins.factory("decider", config.decider.provider)
    given = config.decider.options
    extra: dict[str, object] = {}
    if config.decider.provider == RECORDED:
        from darwin.store.db import connect_readonly
        from darwin.store.queries import verdicts_of

        with connect_readonly(state_db_path(config)) as database:
            extra["verdicts"] = verdicts_of(database, str(given["run_id"]))
    elif config.decider.provider == LLM:
        from darwin.bootstrap import experts

        extra |= experts.handed(config, setups, rules)
    decider: Decider = options.build(factory, given, "decider", extra)
    return decider


def _require_bars(markets: tuple[Bars, ...], market: MarketConfig) -> None:
    short = [bars for bars in markets if len(bars) <= market.warmup_bars]
    if len(short) == len(markets):
        longest = max(len(bars) for bars in markets)
        raise DataError(
            f"no symbol has more than its {market.warmup_bars} warm-up bars (at most {longest})",
            where="market.warmup_bars",
            mend="choose a longer range or fewer warm-up bars",
        )


def _per_symbol(
    step: float | Mapping[str, float] | None, symbols: tuple[str, ...]
) -> tuple[float | None, ...]:
    if isinstance(step, Mapping):
        return tuple(step.get(symbol) for symbol in symbols)
    return (step,) * len(symbols)

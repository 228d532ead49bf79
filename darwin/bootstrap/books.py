"""From the config of a book to its walk: bars, page, terms of the door, limits, baselines."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darwin import plugins
from darwin.allocation.allocator import allocator_page
from darwin.allocation.market import MARKET_PAGE
from darwin.bootstrap import provider_of
from darwin.config import options
from darwin.config.book import BASELINES, BUY_AND_HOLD, EQUAL_WEIGHT, BookConfig
from darwin.config.document import Table
from darwin.config.load import LoadedBook, load_resolved_book
from darwin.config.places import models_dir
from darwin.core.agents import Model
from darwin.core.market import FloatArray, Timeframe
from darwin.core.panel import Panel
from darwin.core.rebalance import ALLOCATOR, BookPage, BookPolicy, BookState
from darwin.engine.book_run import BookPlan, BookRules
from darwin.engine.consult import TermsOfBook
from darwin.engine.seat import BookTerms
from darwin.errors import ConfigError, DataError
from darwin.rl.serving.audit import Audit
from darwin.rl.serving.book_audit import BookAudit
from darwin.rl.serving.book_policies import BookPolicies, BookStandIn
from darwin.rl.serving.history import Charter, Charters
from darwin.store.runs import Begun, Standing
from darwin.trading.book_limits import BookLimits
from darwin.trading.limits import Limits


@dataclass(frozen=True, slots=True)
class WiredBook:
    """A run of a book, wired, and what identifies its inputs."""

    config: BookConfig
    plan: BookPlan
    policies: BookPolicies
    data_digests: Mapping[str, str]  # per symbol, SHA-256
    sources: Mapping[str, str]  # per symbol, where its bars come from

    @property
    def agent(self) -> str:
        """Who decides about it."""
        return self.config.allocation.agent

    @property
    def data_digest(self) -> str:
        """One digest over all symbols, in their order."""
        text = "\n".join(f"{name} {digest}" for name, digest in self.data_digests.items())
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Plain:
    """A baseline that holds the same whatever happens. Implements `engine.book_run.Baseline`."""

    name: str
    weights: tuple[float, ...]

    def target(self, book: BookState) -> FloatArray:
        """Always these weights."""
        return np.array(self.weights)


def wire_book(loaded: LoadedBook) -> WiredBook:
    """Build all that a run of a book needs, and load its bars. Raises ConfigError, DataError."""
    config = loaded.config
    told, market = config.allocation, config.market
    page = page_of(config)
    policies = policies_of(config, page)
    provider = provider_of(market)
    markets = [provider.bars(symbol) for symbol in market.symbols]
    panel = Panel.of(markets)
    plan = BookPlan(
        panel=panel,
        page=page,
        terms=TermsOfBook(
            (BookTerms(page, told.enabled, told.mode != "observe"),),
            policies,
            stopwatch_ns=time.perf_counter_ns,
        ),
        rules=_rules_of(config),
        baselines=tuple(_baseline(name, page.assets) for name in BASELINES[told.agent]),
        stands=_stands(config, page),
        every=told.every,
        warmup_bars=market.warmup_bars or 0,
    )
    if not len(plan.rows):
        raise DataError(
            f"{', '.join(panel.symbols)} have {len(panel)} bars in common, of which none comes"
            f" after the warm-up of {max(plan.warmup_bars, page.warmup)}",
            where="market.warmup_bars",
            mend="choose a longer range",
        )
    return WiredBook(
        config, plan, policies,
        {bars.symbol: provider.digest(symbol) for bars, symbol in zip(
            markets, market.symbols, strict=True)},
        {bars.symbol: provider.source(symbol) for bars, symbol in zip(
            markets, market.symbols, strict=True)},
    )  # fmt: skip


def rewire_book(run: Begun, artifacts_dir: str) -> WiredBook:
    """A recorded run of a book, wired again. Raises DataError when its bars are not what they were.

    Raises ConfigError for a run that is not finished.
    """
    if run.standing is not Standing.FINISHED:
        raise ConfigError(
            f"run '{run.run_id}' is not finished",
            where=f"{run.place.facts:,} facts are kept",
            mend="finish it: `darwin allocation run CONFIG --resume`",
        )
    tree = json.loads(run.identity.config_json) | {"artifacts_dir": artifacts_dir}
    wired = wire_book(load_resolved_book(tree, f"the recorded config of run '{run.run_id}'"))
    if wired.data_digest != run.identity.data_digest:
        raise DataError(
            f"the bars of run '{run.run_id}' are not the ones it saw",
            where=", ".join(wired.data_digests),
            mend="bring the old files back, or run again under another run_id",
        )
    return wired


def audit_of_book(tree: Table, source: str) -> Audit:
    """An audit of the rebalances of a run, by its recorded config.

    Where this version no longer takes that config, only what hangs on no config is audited; where
    it cannot have the rule in the place of a model, no advice is made again.
    """
    try:
        config = load_resolved_book(tree, source).config
    except ConfigError:
        return Audit(None)
    told, page = config.allocation, page_of(config)
    charters = Charters(
        {told.agent: Charter(told.enabled, told.mode != "observe")},
        Timeframe.parse(config.market.timeframe).ms,
        1.0,
    )
    stands = _stands(config, page).target(BookState.start(page.assets))
    try:
        return BookAudit(page, stands, policies_of(config, page), charters)
    except ConfigError:
        return BookAudit(page, stands, None, charters)


def refuse_bad_book(loaded: LoadedBook) -> None:
    """Raise ConfigError for what the plug-ins of a book refuse; no bars are read."""
    policies_of(loaded.config, page_of(loaded.config))
    provider_of(loaded.config.market)


def page_of(config: BookConfig) -> BookPage:
    """The page of the agent of a book."""
    if config.allocation.agent == ALLOCATOR:
        return allocator_page(len(config.market.symbols))
    return MARKET_PAGE


def policies_of(config: BookConfig, page: BookPage) -> BookPolicies:
    """Where the models of a book come from. Reads none. Raises ConfigError for a rule refused."""
    told = config.allocation
    stand_in = None if told.policy is None else _stand_in(config, page)
    return BookPolicies(
        page, models_dir(config, told.agent), stand_in,
        tuple(config.market.symbols), config.market.timeframe, told.every,
    )  # fmt: skip


def _rules_of(config: BookConfig) -> BookRules:
    limits = config.limits
    resume = limits.reducing_resume
    return BookRules(
        config.portfolio.starting_equity_usd,
        config.cost_rate,
        Limits(
            max_daily_loss_fraction=limits.max_daily_loss_fraction,
            max_drawdown_fraction=limits.max_drawdown_fraction,
            reducing_resume_days=resume if isinstance(resume, int) else None,
        ),
        BookLimits(limits.max_weight, limits.max_exposure_fraction, limits.max_position_usd),
    )


def _stands(config: BookConfig, page: BookPage) -> Plain:
    told = config.allocation
    return _baseline(told.baseline or BASELINES[told.agent][0], page.assets)


def _baseline(name: str, assets: int) -> Plain:
    if name == EQUAL_WEIGHT:
        return Plain(name, (1.0 / assets,) * assets)
    return Plain(name, ((1.0 if name == BUY_AND_HOLD else 0.0),) * assets)


def _stand_in(config: BookConfig, page: BookPage) -> BookStandIn:
    """The rule that a config puts in the place of a model. Raises ConfigError."""
    told = config.allocation
    factory = plugins.factory("policy", told.policy or "")
    rule: BookPolicy = options.build(factory, told.params, "allocation.params")
    kind = type(rule)
    text = f"{kind.__module__}:{kind.__qualname__} {json.dumps(told.params, sort_keys=True)}"
    digest = hashlib.sha256(f"{text} on {page.schema}".encode() + b"\0" + _source(kind))
    return BookStandIn(Model(f"rule.{kind.__name__}", digest.hexdigest()), rule)


def _source(kind: type[Any]) -> bytes:
    """The file in which a class is defined; nothing where there is none."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return Path(file).read_bytes() if file is not None and Path(file).is_file() else b""

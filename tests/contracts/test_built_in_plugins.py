"""Every plug-in that ships keeps the contract of its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import ccxt
import numpy as np
import pytest

from darwin.brokers.simulated import SimulatedBroker
from darwin.core.candidate import Exits, Trailing
from darwin.core.decision import Verdict
from darwin.core.expert import Asked
from darwin.core.market import Bars, Funding, Timeframe
from darwin.core.ports import Decider, Playbook, Provider
from darwin.data.ccxt_bars import CcxtClient
from darwin.data.files import FilesProvider
from darwin.data.klines import KlinesProvider
from darwin.data.synthetic import SyntheticProvider
from darwin.data.venue import VenueProvider
from darwin.deciders.llm.brief import Scene
from darwin.deciders.llm.decider import LlmDecider
from darwin.deciders.llm.prompt import Prompt
from darwin.deciders.recorded import RecordedDecider
from darwin.deciders.rules import RulesDecider
from darwin.playbooks.breakout import Breakout
from darwin.playbooks.mean_reversion import MeanReversion
from darwin.playbooks.pullback import Pullback
from darwin.plugins import BUILT_IN, factory
from darwin.testing.builders import make_bars
from darwin.testing.contracts import (
    BrokerContract,
    Case,
    DeciderContract,
    OpenBroker,
    PlaybookContract,
    ProviderContract,
    questions,
)
from darwin.testing.klines_server import KlinesServer
from darwin.testing.llm_answers import answer_text
from darwin.trading.costs import Costs

HOUR = Timeframe.parse("1h")
BEGIN = make_bars(1).time[0]

PLAYBOOKS = (
    Breakout(),
    Breakout(lookback=20, buffer_atr=0.0, min_adx=0.0, min_volume_ratio=0.0),
    Breakout(lookback=8, trend_ema=50, min_volume_ratio=1.2, sides=("short",)),
    Pullback(),
    Pullback(fast_ema=5, slow_ema=30, touch_atr=0.2, min_adx=None, min_separation_atr=None),
    Pullback(min_volume_ratio=0.8, sides=("long",)),
    MeanReversion(),
    MeanReversion(entry_z=1.5, rsi_extreme=None, max_adx=None),
    MeanReversion(lookback=40, max_adx=0.0, min_volume_ratio=1.1),
)


class TestPlaybooks(PlaybookContract):
    @pytest.fixture(params=PLAYBOOKS, ids=lambda each: type(each).__name__)
    def playbook(self, request) -> Playbook:
        return request.param


class TestSyntheticProvider(ProviderContract):
    @pytest.fixture
    def symbol(self) -> str:
        return "BTC/USDT"

    @pytest.fixture
    def provider(self) -> Provider:
        return made_market(seed=3)

    @pytest.fixture
    def twin(self) -> Provider:
        return made_market(seed=3)

    @pytest.fixture
    def other(self) -> Provider:
        return made_market(seed=4)


class TestFilesProvider(ProviderContract):
    """Reads CSV with prices and volume; the twin reads the same numbers from Parquet."""

    @pytest.fixture
    def symbol(self) -> str:
        return "BTC/USDT"

    @pytest.fixture
    def bars(self) -> Bars:
        return make_bars(200, seed=6)

    @pytest.fixture
    def provider(self, tmp_path, bars) -> Provider:
        return FilesProvider(written(tmp_path / "one", bars, ".csv"), HOUR)

    @pytest.fixture
    def twin(self, tmp_path, bars) -> Provider:
        return FilesProvider(written(tmp_path / "two", bars, ".parquet"), HOUR)

    @pytest.fixture
    def other(self, tmp_path, bars) -> Provider:
        volume = bars.volume.copy()
        volume[-1] = np.nextafter(volume[-1], np.inf)
        changed = replace(bars, volume=volume)
        return FilesProvider(written(tmp_path / "other", changed, ".csv"), HOUR)


class TestFilesProviderWithFunding(TestFilesProvider):
    """The other one differs in a single funding rate."""

    @pytest.fixture
    def bars(self) -> Bars:
        return make_bars(200, seed=6, symbol="BTCUSDT_PERP", funding_rate=1e-4)

    @pytest.fixture
    def symbol(self) -> str:
        return "BTCUSDT_PERP"

    @pytest.fixture
    def provider(self, tmp_path, bars) -> Provider:
        return FilesProvider(written(tmp_path / "one", bars, ".csv"), HOUR, funding=True)

    @pytest.fixture
    def twin(self, tmp_path, bars) -> Provider:
        return FilesProvider(written(tmp_path / "two", bars, ".parquet"), HOUR, funding=True)

    @pytest.fixture
    def other(self, tmp_path, bars) -> Provider:
        rate = bars.funding.rate.copy()
        rate[3] = 2e-4
        changed = replace(bars, funding=Funding(bars.funding.time, rate))
        return FilesProvider(written(tmp_path / "other", changed, ".csv"), HOUR, funding=True)


class TestKlinesProvider(ProviderContract):
    """The other venue serves bars of which a single volume differs."""

    @pytest.fixture
    def symbol(self) -> str:
        return "BTC/USDT"

    @pytest.fixture
    def venue(self) -> Iterator[KlinesServer]:
        with KlinesServer([make_bars(1200, seed=6)]) as server:
            yield server

    @pytest.fixture
    def provider(self, venue) -> Provider:
        return KlinesProvider(venue.url, HOUR)

    @pytest.fixture
    def twin(self, venue) -> Provider:
        return KlinesProvider(venue.url, HOUR)

    @pytest.fixture
    def other(self) -> Iterator[Provider]:
        bars = make_bars(1200, seed=6)
        volume = bars.volume.copy()
        volume[-1] = np.nextafter(volume[-1], np.inf)
        with KlinesServer([replace(bars, volume=volume)]) as server:
            yield KlinesProvider(server.url, HOUR)


class TestCcxtProvider(TestKlinesProvider):
    """By ccxt's binance class, which is told to ask the local venue."""

    @pytest.fixture
    def provider(self, venue) -> Provider:
        return by_ccxt(venue)

    @pytest.fixture
    def twin(self, venue) -> Provider:
        return by_ccxt(venue)


class TestRulesDecider(DeciderContract):
    @pytest.fixture(
        params=[
            RulesDecider(),
            RulesDecider(cost_usd_per_call=0.0, min_confidence=0.7, bias=-0.4),
            RulesDecider(take_all=True),
        ],
        ids=["default", "strict", "take all"],
    )
    def decider(self, request) -> Decider:
        return request.param


class TestRecordedDecider(DeciderContract):
    """Knows every second candidate, and skips or refuses the others."""

    @pytest.fixture(params=["refuse", "skip"])
    def decider(self, request) -> Decider:
        verdicts = {
            case.candidate.id: Verdict(case.candidate.row % 4 == 0, 0.6, 0.5, ("seen",), 0.02)
            for case in questions(())[::2]
        }
        return RecordedDecider("earlier", request.param, verdicts)

    def cases(self, decider: Decider) -> list[Case]:
        known = questions(decider.needs)
        return known if decider.unknown == "skip" else known[::2]


class AnsweringDesk:
    """Answers by the question's hash; one of four fails in one way or another."""

    def told(self, candidate_id: int, prompt: Prompt) -> Asked:
        luck = int(prompt.sha256[:8], 16)
        known = Asked(prompt.sha256, None, "deadline", luck % 8 == 0, None, None, 0.001, 70)
        if luck % 4 == 0:
            return known
        sure, action = round(luck % 997 / 997, 3), "take" if luck % 3 else "skip"
        return known._replace(answer=answer_text(action, sure), failure="", sent=True)


class TestLlmDecider(DeciderContract):
    @pytest.fixture(
        params=[{}, {"mask_symbols": True, "notes": "mind the gap"}, {"min_confidence": 1.0}],
        ids=["default", "masked", "strict"],
    )
    def decider(self, request) -> Decider:
        exits = Exits(trailing=Trailing(1.0, 1.2))
        scene = Scene(symbols=("ETH/USDT",), playbooks=("breakout",), exits=(exits,))
        return LlmDecider("gpt-5-mini", scene=scene, desk=AnsweringDesk(), **request.param)


class TestSimulatedBroker(BrokerContract):
    @pytest.fixture(params=[None, 0.01], ids=["without collar", "with collar"])
    def open_broker(self, request) -> OpenBroker:
        return lambda foresight, clock: SimulatedBroker(foresight, clock, Costs(), request.param)


def test_every_plugin_that_ships_is_under_contract():
    tried: Mapping[str, set[type]] = {
        "playbook": {type(playbook) for playbook in PLAYBOOKS},
        "decider": {RulesDecider, RecordedDecider, LlmDecider},
    }
    for kind, types in tried.items():
        assert {factory(kind, name) for name in BUILT_IN[kind]} == types
    assert set(BUILT_IN["provider"]) == {"ccxt", "files", "klines", "synthetic"}


def made_market(seed: int) -> SyntheticProvider:
    return SyntheticProvider(
        bars=500, seed=seed, edge=0.1, start_ms=0, timeframe=HOUR, symbols=("BTC/USDT",)
    )


def by_ccxt(venue: KlinesServer) -> VenueProvider:
    exchange = ccxt.binance({"rateLimit": 1, "options": {"fetchMarkets": {"types": ["spot"]}}})
    exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], f"{venue.url}/api/v3")
    return VenueProvider(CcxtClient(exchange), "binance by ccxt", HOUR, int(BEGIN))


def written(folder, bars: Bars, ending: str):
    """Write `bars` and their funding as files of the market layout."""
    import polars as pl

    folder.mkdir()
    columns = {key: getattr(bars, key) for key in ("open", "high", "low", "close", "volume")}
    frames = {f"{bars.symbol.replace('/', '')}-1h": ({"timestamp": bars.time} | columns)}
    if bars.funding is not None:
        funding = {"timestamp": bars.funding.time, "funding_rate": bars.funding.rate}
        frames[f"{bars.symbol}-8h-funding"] = funding
    for name, data in frames.items():
        frame = pl.DataFrame(data)
        path = folder / (name + ending)
        if ending == ".csv":
            frame.write_csv(path)
        else:
            as_time = pl.from_epoch("timestamp", time_unit="ms").dt.replace_time_zone("UTC")
            frame.with_columns(as_time).write_parquet(path)
    return folder

"""Contracts: written once, voided by other terms, counted within their budget period."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from darwin.core.agents import Model
from darwin.core.market import DAY_MS
from darwin.errors import IntegrityError
from darwin.rl.graduation import acts
from darwin.rl.graduation.contract import contract_in, contracts_in, enter, terms_of
from darwin.rl.graduation.record import DEPLOYMENT
from darwin.store import logs
from darwin.store.db import connect
from darwin.store.schema import contracts
from tests.rl.graduation.trials import START, contract

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = contract().terms
CONFIG = {
    "playbooks": [
        {"name": "breakout", "params": {},
         "exits": {"stop_atr": 1.2, "target_atr": 2.4, "time_stop_bars": 32}},
        {"name": "breakout", "params": {},
         "exits": {"stop_atr": 1.0, "target_atr": None, "time_stop_bars": 60}},
    ],
    "costs": {"taker_bps": 5},
    "decider": {"provider": "rules"},
    "market": {"timeframe": "1h", "symbols": ["BTC/USDT"], "start": "2024-01-01"},
    "portfolio": {"sizing": "risk", "risk_per_trade": 0.01, "starting_equity_usd": 10_000.0},
    "run_id": "one",
}  # fmt: skip


@pytest.fixture
def database(tmp_path):
    with connect(tmp_path / "state.sqlite") as database:
        yield database


def entered(database, terms=TERMS, scope=DEPLOYMENT, day=0.0):
    with database.write() as connection:
        return enter(connection, terms, scope, START + round(day * DAY_MS), by="darwin", at=NOW)


def version(name):
    return replace(TERMS, version=name, manifest_sha256=name[-1] * 64)


def test_the_same_terms_are_entered_into_once(database):
    first = entered(database)
    assert entered(database, day=30) == first
    with database.read() as connection:
        assert len(contracts_in(connection, "gate")) == 1


def test_changed_terms_void_the_evidence_and_are_another_version(database):
    first = entered(database)
    changed = entered(database, replace(TERMS, world="x" * 64), day=30)
    assert (first.number, changed.number) == (1, 2)
    assert changed.since_ms == START + 30 * DAY_MS > first.since_ms
    assert changed.alpha_v < first.alpha_v
    with database.read() as connection:
        held = contract_in(connection, "gate", TERMS.model, DEPLOYMENT)
    assert held is not None and held.terms.world == "x" * 64


def test_versions_count_within_their_budget_period(database):
    numbers = [entered(database, version(f"v{i}"), day=30 * i).number for i in range(9)]
    assert numbers == [1, 2, 3, 4, 5, 6, 6, 6, 6]


def test_other_replays_of_the_same_version_are_the_same_trial_and_other_versions_are_not(database):
    assert entered(database, scope="run:one").number == 1
    assert entered(database, scope="run:two").number == 1
    assert entered(database, version("v2"), scope="run:three").number == 2
    assert entered(database).number == 1, "replays cost the deployment nothing"


def test_after_a_demotion_a_new_trial_begins_at_its_bar(database):
    entered(database)
    acts.promote(
        database, "gate", TERMS.model, by="Ada", reason="a test", at=NOW, override=True,
        detail={"bar_time": START + DAY_MS},
    )  # fmt: skip
    demoted = START + 50 * DAY_MS
    acts.demote(database, "gate", by="Ada", reason="a test", at=NOW, detail={"bar_time": demoted})
    assert entered(database, day=49).number == 1, "what came before is still the first trial"
    again = entered(database, day=51)
    assert (again.number, again.since_ms) == (2, START + 51 * DAY_MS)
    assert entered(database, day=60) == again


def test_terms_are_what_the_run_is_and_not_what_it_is_called():
    model = Model("v1", "a" * 64)
    terms = terms_of(CONFIG, "gate", model, feature_schema="s", cost_usd_per_call=0.5)
    assert terms.take_profit_r == {"breakout": 2.0, "breakout#2": 10.0}
    assert terms.life_ms == 60 * 3_600_000
    assert terms.block_ms == 2 * terms.life_ms
    assert terms.call_cost_r == pytest.approx(0.005)
    named = terms_of(CONFIG | {"run_id": "two"}, "gate", model, feature_schema="s")
    other = terms_of(CONFIG | {"costs": {"taker_bps": 6}}, "gate", model, feature_schema="s")
    assert named.world == terms.world != other.world


def test_terms_that_nobody_agreed_to_are_no_contract(database):
    with database.write() as connection:
        logs.append(
            connection, contracts, agent_name="gate", version="v1", manifest_sha256="a" * 64,
            scope=DEPLOYMENT, number=1, entered=START, terms=TERMS.text(), digest="0" * 64,
            by="Eve", reason="", at="2026-01-01T00:00:00Z",
        )  # fmt: skip
    with database.read() as connection, pytest.raises(IntegrityError, match="other terms"):
        contracts_in(connection, "gate")

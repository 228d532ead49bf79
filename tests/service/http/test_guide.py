"""Every curl of the guide, asked of a service that runs, returns the fields named there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from darwin.testing.builders import make_bars
from darwin.testing.klines_server import KlinesServer
from tests.conftest import ROOT
from tests.run.command import Desk
from tests.run.waiting import until
from tests.service.http.serving import Curl, Service, copied, curls, give_tokens, serving

PAGE = ROOT / "docs" / "http.md"
GUIDES = ROOT.parent / "shared" / "guides"
FIGURES = {"total_return", "sharpe_ratio", "max_drawdown", "win_rate", "avg_return", "intervals"}
CONFIG = {
    "capital_percentage", "max_position_size", "enable_risk_guard", "configured_at", "stage",
}  # fmt: skip
V3 = "/api/v1/rl/v3"
FIELDS: dict[str, dict[str, Any]] = {
    "GET /api/rl-agent/status": {
        "success": None,
        "status": {
            "model_loaded": None,
            "model_info": {"current_version", "current_path", "total_models", "retention_days"},
            "scheduler": {
                "enabled", "is_training", "last_retrain_time", "next_retrain_time",
                "interval_days",
            },
        },
    },
    "POST /api/rl-agent/retrain": {"success": None},
    f"GET {V3}/status": dict.fromkeys(("active", "shadow_mode", "experiences_collected")),
    f"POST {V3}/train_production": dict.fromkeys(("status", "message")),
    f"GET {V3}/training_progress": {
        "active": None, "progress": None, "message": None, "started_at": None,
        "metrics": {"current_reward", "avg_reward", "policy_loss", "value_loss"},
    },
    f"POST {V3}/benchmark": {
        "rl_v3_metrics": FIGURES, "buy_hold_metrics": FIGURES, "moving_avg_metrics": FIGURES,
        "random_metrics": FIGURES, "winner": None,
    },
    f"POST {V3}/rollout": {"status": None, "message": None, "config": CONFIG},
    f"GET {V3}/rollout/status": {"configured": None, "config": CONFIG},
    f"GET {V3}/experiences": {"experiences": None},
    "POST /api/v1/kill": {"killed": None},
    "GET /api/v1/agents/gate": dict.fromkeys(("agent", "mode", "stage", "conditions")),
    "GET /api/v1/agents/market/decisions": dict.fromkeys(("decisions", "next")),
    "GET /health": {"status": None},
}  # fmt: skip


@pytest.fixture(scope="module")
def served(settled: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service as people start it, with a venue of this machine."""
    desk = copied(settled, tmp_path_factory.mktemp("guide") / "desk")
    tokens = give_tokens(desk)
    bars = make_bars(6_000, start="2023-09-01")
    with (
        KlinesServer([bars]) as venue,
        serving(desk, "--klines-url", venue.url, "--no-jobs", "--no-scheduler") as service,
    ):
        service.tokens = tokens
        yield service


def test_every_curl_returns_the_fields_of_the_guide(served: Service) -> None:
    asked = curls(PAGE)
    assert {name(one) for one in asked} == set(FIELDS)
    found = {}
    for one in asked:
        worker = None
        if one.path == f"{V3}/benchmark":
            worker = threading.Thread(target=work_on_the_benchmark, args=(served,))
            worker.start()
        body = {} if one.body is None else {"json": one.body}
        answer = served.ask(one.method, one.path, who="ada" if one.needs_token else None, **body)
        if worker is not None:
            worker.join()
        assert answer.status_code == 200, (one, answer.text)
        found[name(one)] = answer.json()
        assert_fields(answer.json(), FIELDS[name(one)])
    figures = found[f"POST {V3}/benchmark"]
    assert figures["winner"] in (None, "RL v3", "buy_and_hold", "ma_crossover", "random")
    assert isinstance(figures["rl_v3_metrics"]["total_return"], float)
    low, high = figures["rl_v3_metrics"]["intervals"]["total_return"]
    assert low < figures["rl_v3_metrics"]["total_return"] < high
    config = found[f"POST {V3}/rollout"]["config"]
    assert config == found[f"GET {V3}/rollout/status"]["config"]
    assert config["stage"] == "Stage 1: Initial Testing (1%)"
    assert config["max_position_size"] == 10_000
    [(cap,)] = served.desk.ask("SELECT max_position_usd FROM rollout_events")
    assert cap == 10_000
    assert len(found[f"GET {V3}/experiences"]["experiences"]) == 10
    assert found[f"POST {V3}/train_production"]["status"] == "started"
    assert found[f"GET {V3}/training_progress"]["active"] is True
    queued = served.desk.ask("SELECT kind, agent_name, lane FROM jobs ORDER BY id")
    assert queued == [
        ("retrain", "gate", "training"), ("train", "market", "training"),
        ("benchmark", "market", "benchmark"),
    ]  # fmt: skip


def work_on_the_benchmark(served: Service) -> None:
    """What the service does itself where it is not told --no-jobs."""
    waiting = "SELECT id FROM jobs WHERE kind = 'benchmark' AND state = 'queued'"
    while not (found := served.desk.ask(waiting)):
        threading.Event().wait(0.05)
    served.desk.darwin("jobs", "work", str(found[0][0]))


def name(one: Curl) -> str:
    return f"{one.method} {one.path.partition('?')[0]}"


def assert_fields(tree: Any, named: Any) -> None:
    for field in named:
        assert field in tree
        if isinstance(named, dict) and named[field] is not None:
            assert_fields(tree[field], named[field])


@pytest.mark.skipif(not GUIDES.is_dir(), reason="the guides are not beside the checkout")
def test_the_page_shows_every_curl_of_the_guides() -> None:
    shown = {name(one) for one in curls(PAGE)}
    for guide in ("rl_v3_deployment.md", "mlops_strategy.md"):
        text = (GUIDES / guide).read_text("utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if "curl " in line and "http://localhost" in line:
                method = "POST" if "-X POST" in line else "GET"
                path = line.partition("http://localhost")[2].partition("/")[2].split()[0]
                assert f"{method} /{path.partition('?')[0]}" in shown


def test_what_is_asked_for_twice_is_queued_once(served: Service) -> None:
    body = {"symbol": "BTC/USDT", "num_episodes": 3}
    first, second = (served.post(f"{V3}/train_production", body).json() for _ in range(2))
    assert first["job"]["id"] == second["job"]["id"]
    assert "already" in second["message"]
    job = f"/api/v1/jobs/{first['job']['id']}"
    served.post(f"{job}/cancel")
    until(lambda: served.get(job).json()["state"] == "cancelled", what="its end")
    assert served.post(f"{job}/cancel").json()["state"] == "cancelled"
    assert served.get(f"{V3}/training_progress").json()["active"] is False


def test_what_an_agent_has_not_earned_is_refused_with_what_it_lacks(served: Service) -> None:
    too_early = served.post(f"{V3}/rollout", {"capital_percentage": 5.0})
    assert too_early.status_code == 409, too_early.text
    assert served.get(f"{V3}/rollout/status").json()["config"]["capital_percentage"] == 1.0
    of_gate = served.post(f"{V3}/rollout?agent=gate", {"capital_percentage": 1.0})
    assert of_gate.status_code == 409
    assert "promotes none" in of_gate.json()["error"]
    promoted = served.post("/api/v1/agents/gate/promote", {"reason": "I like it"})
    assert promoted.status_code == 409
    assert {"name", "state", "bound"} <= set(promoted.json()["lacking"][0])
    none = served.post(f"{V3}/benchmark?agent=allocator", {"symbol": "BTC/USDT,ETH/USDT"})
    assert none.status_code == 409
    assert "no model of allocator serves" in none.json()["error"]


def test_a_rollout_of_what_holds_changes_nothing(served: Service) -> None:
    body = {"capital_percentage": 1.0, "max_position_size": 10_000}
    served.post(f"{V3}/rollout", body)
    before = served.counts()
    assert served.post(f"{V3}/rollout", body).status_code == 200
    assert served.counts() == before

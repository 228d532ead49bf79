"""What the OpenAPI document promises, the service does: every address, every way to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.run.command import Desk
from tests.service.http.serving import Service, copied, give_tokens, hosted

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip
ENDLESS = "/api/v1/events"
WHY = {"reason": "a test"}


@pytest.fixture(scope="module")
def asked(settled: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that waits for no job, with a document to hold it to."""
    desk = copied(settled, tmp_path_factory.mktemp("asked") / "desk")
    tokens = give_tokens(desk)
    with hosted(desk, benchmark_wait_s=0.0) as service:
        service.tokens = tokens
        yield service


@pytest.fixture(scope="module")
def document(asked: Service) -> Any:
    return schemathesis.openapi.from_dict(asked.get("/openapi.json").json())


def operations(document: Any) -> list[Any]:
    found = [one.ok() for one in document.get_all_operations()]
    return [one for one in found if one.path != ENDLESS]


def known(desk: Desk) -> dict[str, str]:
    """Values for the parameters of addresses, of which each leads to something."""
    [[candidate]] = desk.ask("SELECT candidate_id FROM candidates LIMIT 1")
    [[version]] = desk.ask("SELECT version FROM model_events WHERE agent_name = 'gate' LIMIT 1")
    return {
        "run_id": "small", "candidate_id": candidate, "agent": "gate", "version": version,
        "job_id": "1", "file": "gate-1.json",
    }  # fmt: skip


def bodies(desk: Desk) -> dict[str, Any]:
    """What is sent to each address that changes something, in the order in which it is."""
    train = {"symbol": "BTC/USDT", "timeframe": "1h", "lookback_hours": 720}
    version = known(desk)["version"]
    return {
        "/api/rl-agent/retrain": {"async": False},
        "/api/v1/rl/v3/train_production": train | {"num_episodes": 100},
        "/api/v1/rl/v3/benchmark": train | {"num_episodes": 10},
        "/api/v1/rl/v3/rollout": {"capital_percentage": 1.0, "max_position_size": 10_000},
        "/api/v1/agents/{agent}/promote": WHY | {"override": True},
        "/api/v1/agents/{agent}/stage": WHY | {"stage": 0.0},
        "/api/v1/agents/{agent}/demote": WHY,
        "/api/v1/agents/{agent}/pin": WHY | {"version": version},
        "/api/v1/agents/{agent}/rollback": WHY | {"version": version},
        "/api/v1/kill": {"state": "on"},
        "/api/v1/jobs/{job_id}/cancel": {},
        "/api/v1/schedule/{agent}": WHY | {"interval_days": 3, "timezone": "Europe/Berlin"},
    }


def test_every_act_is_done_and_answered_as_the_document_says(asked: Service, document: Any) -> None:
    acts = [one for one in operations(document) if one.method == "post"]
    sent, named = bodies(asked.desk), known(asked.desk)
    assert {one.path for one in acts} == set(sent)
    for operation in sorted(acts, key=lambda one: list(sent).index(one.path)):
        given = {name: named[name] for name in named if f"{{{name}}}" in operation.path}
        case = operation.Case(path_parameters=given, body=sent[operation.path])
        answer = asked.post(operation.path.format(**given), sent[operation.path])
        assert answer.status_code in (200, 202), answer.text
        case.validate_response(answer, checks=CHECKS)
    # in that order, and each once
    assert [act for act, _, _, status in asked.acts() if status < 300] == [
        "retrain", "train", "benchmark", "rollout", "promote", "stage", "demote", "pin",
        "rollback", "kill", "cancel", "schedule",
    ]  # fmt: skip


def test_every_look_is_answered_as_the_document_says(asked: Service, document: Any) -> None:
    named, missing = known(asked.desk), set()
    for operation in operations(document):
        if operation.method != "get":
            continue
        given = {name: named[name] for name in named if f"{{{name}}}" in operation.path}
        of = "?agent=gate" if operation.path == "/api/v1/models/{version}" else ""
        answer = asked.get(operation.path.format(**given) + of)
        if answer.status_code != 200:
            missing.add((operation.path, answer.status_code))
        case = operation.Case(path_parameters=given)
        case.validate_response(answer, checks=CHECKS)
    assert missing <= {
        ("/api/v1/jobs/{job_id}/result", 404), ("/api/v1/dossiers/{file}", 404),
    }  # fmt: skip


def test_what_is_asked_by_chance_finds_no_fault(asked: Service, document: Any) -> None:
    chance(asked, document, 3)


@pytest.mark.sweep
def test_what_is_asked_long_by_chance_finds_no_fault(asked: Service, document: Any) -> None:
    chance(asked, document, 40)


def chance(asked: Service, document: Any, examples: int) -> None:
    for operation in operations(document):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            cases = operation.as_strategy(generation_mode=mode)
            with suppress(Unsatisfiable):  # nothing about it can be wrong
                one_address(asked, cases, examples)


def one_address(asked: Service, cases: Any, examples: int) -> None:
    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases, st.booleans())
    def ask(case: Any, bare: bool) -> None:
        who = None if bare and case.method == "get" else "ada"
        answer = asked.ask(case.method.upper(), address(case), who=who, **body_of(case))
        case.validate_response(answer, checks=CHECKS)

    ask()


def address(case: Any) -> str:
    path = case.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    query = [
        f"{quote(str(name), safe='')}={quote(str(one), safe='')}"
        for name, value in (case.query or {}).items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return path + (f"?{'&'.join(query)}" if query else "")


def body_of(case: Any) -> dict[str, Any]:
    from schemathesis.core import NotSet

    if isinstance(case.body, NotSet):
        return {}
    content = json.dumps(case.body, default=str).encode()
    return {"content": content, "headers": {"Content-Type": "application/json"}}

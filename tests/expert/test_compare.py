"""`darwin runs compare` on runs whose experts are models: it says who was asked, and with what."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from darwin.testing.llm_server import LlmServer
from tests.expert.asking import config, named, run
from tests.run.command import Desk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk with `one`, `other` of another model, `noted` of other words, and one that repeats."""
    desk = Desk(tmp_path_factory.mktemp("compared"))
    with LlmServer() as server:
        config(desk, server, run_id="one")
        run(desk)
        run(desk, "config.json", *named("again"))
        run(desk, "config.json", *named("other"), "--set", "decider.model=practice")
        run(desk, "config.json", *named("noted"), "--set", "decider.notes=calm")
        server.answer = lambda one: "I would take it"
        run(desk, "config.json", *named("mute"), "--set", "decider.notes=x", code=3)
        recorded = '{"provider": "recorded", "run_id": "one"}'
        run(desk, "config.json", *named("told"), "--set", f"decider={recorded}")
        rules = '{"provider": "rules"}'
        run(desk, "config.json", *named("rules"), "--set", f"decider={rules}")
    return desk


def compared(desk: Desk, a: str, b: str) -> tuple[dict[str, Any], str]:
    """The comparison as JSON and as a page."""
    told = desk.darwin("runs", "compare", a, b, "--json")
    page = desk.darwin("runs", "compare", a, b)
    assert (told.returncode, page.returncode) == (0, 0), told.stderr + page.stderr
    return json.loads(told.stdout), " ".join(page.stdout.split())


@pytest.mark.sweep
def test_another_model_is_named_and_what_it_says_otherwise_is_signal(desk: Desk) -> None:
    tree, page = compared(desk, "one", "other")
    assert tree["expert"] == {"differs_by": ["model"], "cause": "signal"}
    assert tree["a"]["expert"] == {
        "provider": "llm", "kind": "openai", "model": "rehearsal", "prompt_versions": ["2"],
    }  # fmt: skip
    assert tree["b"]["expert"]["model"] == "practice"
    assert "expert: not the same (model)" in page
    assert "llm, rehearsal by openai, prompt 2" in page
    assert "llm, practice by openai, prompt 2" in page


def test_another_version_of_the_prompt_is_named_though_no_config_has_it(desk: Desk) -> None:
    path = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    older = "UPDATE llm_calls SET text = json_set(text, '$.prompt_version', '1')"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"{older} WHERE run_id = 'noted' AND kind = 'charged'")
        database.commit()
    tree, page = compared(desk, "one", "noted")
    assert tree["expert"]["differs_by"] == ["prompt versions"]
    assert "expert: not the same (prompt versions)" in page


def test_another_provider_is_named(desk: Desk) -> None:
    tree, page = compared(desk, "one", "rules")
    assert tree["expert"] == {"differs_by": ["provider"], "cause": "signal"}
    assert "expert: not the same (provider)" in page


def test_who_repeats_a_model_is_known_by_it(desk: Desk) -> None:
    tree, _ = compared(desk, "one", "told")
    assert tree["expert"]["differs_by"] == ["provider"]
    assert tree["b"]["expert"] == tree["a"]["expert"] | {"provider": "recorded"}
    assert tree["no_difference"]


def test_a_skip_for_want_of_an_answer_is_named_as_one(desk: Desk) -> None:
    tree, page = compared(desk, "one", "mute")
    silent = {way["b"] for way in tree["ways"] if way["what"] == "expert"}
    assert silent == {"expert: no answer: malformed: not json"}
    assert "no answer: malformed" in page


def test_of_one_expert_nothing_is_said(desk: Desk) -> None:
    tree, page = compared(desk, "one", "again")
    assert tree["expert"] == {"differs_by": [], "cause": None}
    assert "expert: not" not in page

"""What a person does in front of the dashboard, step by step, in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.service.dashboard.served import Served
from tests.service.dashboard.visiting import Visitor

pytestmark = pytest.mark.slow


def test_the_first_page_shows_three_agents(ada: Visitor) -> None:
    ada.open("/")
    cards = ada.page.locator("[data-agent]").evaluate_all(
        "all => all.map(one => one.dataset.agent)"
    )
    assert cards == ["gate", "meta_learner", "portfolio"]


def test_a_kill_takes_one_click_and_a_reason_and_is_released_the_same_way(
    ada: Visitor, served: Served
) -> None:
    page = ada.open("/runs")
    page.locator("#kill-button").click()
    assert "no agent acts or is asked" in ada.text("#ask[open] .says")
    ada.confirm("it looks odd", "Switch all agents off")
    page.wait_for_selector("#kill.on")
    assert served.tree("kill", "status")["killed"] is True
    assert served.desk.ask("SELECT kind, by, reason FROM kill_events ORDER BY id DESC LIMIT 1") == [
        ("on", "ada", "it looks odd")
    ]
    page.keyboard.press("k")
    page.wait_for_selector("#ask[open]")
    ada.confirm("it was the clock", "Let agents go on")
    page.wait_for_selector("#kill:not(.on)")
    assert served.tree("kill", "status")["killed"] is False
    ada.open("/acts")
    assert [row[1:3] for row in ada.rows("#acts")[:2]] == [["kill off", "ada"], ["kill on", "ada"]]


def test_a_stage_that_is_too_early_is_refused_in_place_with_the_reason(
    ada: Visitor, served: Served
) -> None:
    page = ada.open("/agents/meta_learner")
    page.get_by_role("link", name="Set capital").click()
    page.wait_for_selector("#ask[open] select[name=stage]")
    assert page.locator("#ask select[name=stage]").input_value() == "0.05"
    ada.confirm("a week went well", "Set the stage")
    refused = page.locator("#ask[open] .refused")
    refused.wait_for()
    assert "days" in refused.inner_text()
    assert page.locator("#ask input[name=reason]").input_value() == "a week went well"
    assert served.desk.ask("SELECT count(*) FROM rollout_events WHERE stage > 0.01") == [(0,)]


def test_a_model_is_rolled_back_to_the_version_before(ada: Visitor, served: Served) -> None:
    versions = [one["version"] for one in served.tree("rl", "models", "list", "gate")]
    old, new = sorted(versions)
    page = ada.open("/agents/gate")
    for version in (old, new):  # and back again, for those who come after
        page.locator(f"[data-version='{version}']").get_by_role("link", name="Roll back").click()
        page.wait_for_selector("#ask[open]")
        assert version in ada.text("#ask[open] .says")
        ada.confirm("it was the better one", "Roll back")
        page.wait_for_selector(f"[data-version='{version}'] .state-serving")
        assert ada.text("p.done") == "The version you chose serves."
        serving = [
            one["version"] for one in served.tree("rl", "models", "list", "gate")
            if one["place"] == "serving"
        ]  # fmt: skip
        assert serving == [version]


def test_the_why_of_a_candidate_is_that_of_the_command(ada: Visitor, served: Served) -> None:
    page = ada.open("/candidates?ending=taken%3A%20taken")
    first = page.locator("#candidates tbody tr a").first
    name = first.inner_text()
    first.click()
    page.wait_for_selector("#stages")
    lines = served.text("why", name).splitlines()
    assert [ada.text("#about"), ada.text("#signal")] == lines[:2]
    said = [" ".join(" ".join(row).split()) for row in ada.rows("#stages")]
    printed = [" ".join(line.split()) for line in lines[3:]]
    assert said == printed[1 : 1 + len(said)]
    assert ada.text("#outcome") in lines


def test_a_training_is_started_watched_and_cancelled(ada: Visitor, served: Served) -> None:
    page = ada.open("/training")
    page.locator("select[name=agent]").select_option("gate")
    page.locator("input[name=timesteps]").fill("20000000")
    page.locator("input[name=small]").check()
    page.locator("input[name=reason]").fill("to try it")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/jobs/\d+"))
    page.wait_for_selector("#job .state-running")
    command = page.locator("details pre").text_content()
    assert command.startswith("darwin rl train gate --run-ids small --total-timesteps 20000000")
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_selector("#ask[open]")
    ada.confirm("seen enough", "Cancel the job")
    page.wait_for_selector("#job .state-cancelled")
    assert served.desk.ask("SELECT kind, agent_name, by, state FROM jobs ORDER BY id DESC") == [
        ("train", "gate", "ada", "cancelled")
    ]


@pytest.mark.sweep
def test_a_training_is_watched_to_its_end(ada: Visitor, served: Served) -> None:
    page = ada.open("/training?agent=gate")
    page.locator("input[name=timesteps]").fill("4000")
    for name in ("small", "quick"):
        page.locator(f"input[name={name}]").check()
    page.locator("input[name=reason]").fill("to the end")
    page.keyboard.press("Enter")
    page.wait_for_selector("#job .state-done", timeout=120_000)
    assert ada.text("#percent") == "100"
    assert "learned gain" in ada.text("#log")
    assert all(figure != "not known" for figure in page.locator("#job dd").all_inner_texts())
    [[kind, state, by]] = served.desk.ask(
        "SELECT kind, state, by FROM jobs WHERE reason = 'to the end'"
    )
    assert (kind, state, by) == ("train", "done", "ada")


def test_who_is_not_signed_in_is_led_to_where_one_signs_in(chromium: Any, served: Served) -> None:
    nobody = Visitor(chromium, served.url)
    page = nobody.open("/agents/gate")
    page.get_by_role("link", name="Promote").click()
    page.locator("#ask[open]").get_by_role("link", name="sign in").click()
    page.locator("input[name=token]").fill("darwin_" + "x" * 43)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#login .refused")
    assert "this token does not hold" in nobody.text("#login .refused")
    page.locator("input[name=token]").fill(served.viewer)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector(".signed")
    assert nobody.text(".signed") == "vic"
    assert page.url.startswith(f"{served.url}/ask/promote")
    page.locator("input[name=reason]").fill("I may not")
    page.get_by_role("button", name="Promote gate").click()
    page.wait_for_selector(".refused")
    assert "may look" in nobody.text(".refused")
    nobody.leave()
    assert nobody.complaints == []

"""Pages as they are sent: what an empty one says, what it keeps out, whom it obeys."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.run.command import Desk
from tests.service.dashboard.served import Served
from tests.service.http.serving import Service, give_tokens, hosted

NEXT_STEPS = {
    "/": "darwin run configs/demo.json",
    "/agents/gate": "darwin rl models deploy gate FOLDER",
    "/agents/market": "never promoted",
    "/runs": "darwin run configs/demo.json",
    "/candidates": "darwin run configs/demo.json",
    "/training": "no finished run to learn from",
    "/schedule": "no model serves",
    "/acts": "Nobody has asked the service",
    "/alerts": "No alert is on record",
    "/dossiers": "no dossier",
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with hosted(Desk(tmp_path_factory.mktemp("empty"))) as service:
        yield service


@pytest.fixture
def service(served: Served) -> Service:
    return Service(served.desk, served.url, {"ada": served.operator, "vera": served.viewer})


def test_an_empty_deployment_says_on_every_page_what_to_do_next(empty: Service) -> None:
    for path, said in NEXT_STEPS.items():
        answer = empty.get(path)
        assert answer.status_code == 200, path
        assert said in answer.text, path


def test_a_service_that_wants_a_token_tells_nothing_before_one_is_shown(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with hosted(desk, private=True) as service:
        service.tokens = give_tokens(desk)
        asked = {"headers": {"Accept": "text/html"}}
        answer = service.get("/agents/gate", **asked, follow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (
            303, "/login?next=%2Fagents%2Fgate",
        )  # fmt: skip
        page = service.get("/login").text
        assert "kill switch" not in page.lower().partition("<dialog")[0]
        assert "kill-button" in service.get("/", who="vera").text


def test_a_run_on_paper_shows_its_heartbeat_and_when_it_has_fallen_silent(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with hosted(desk) as service:
        _on_paper(desk, "papers")
        assert "it has written no heartbeat" in service.get("/").text
        folder = desk.run_dir("papers")
        folder.mkdir(parents=True)
        for age_s, said in ((2, " s ago"), (600, "silent for 60")):
            at = datetime.now(UTC) - timedelta(seconds=age_s)
            beat = {"at": at.isoformat(), "state": "waits", "last_bar": "2026-11-29T10:00:00Z",
                    "bars": 1234, "trades": 5, "waits_for": ["ETH/USDT"]}  # fmt: skip
            (folder / "heartbeat.json").write_text(json.dumps(beat))
            page = service.get("/").text
            assert said in page
            assert '<td class="num">1,234</td>' in page
            assert "ETH/USDT" in page
        (folder / "heartbeat.json").write_text("{")
        assert "it has written no heartbeat" in service.get("/").text


def _on_paper(desk: Desk, run_id: str) -> None:
    """A run on paper that was begun and is not finished."""
    path = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO runs VALUES (?, 1, 'feed', '{\"mode\": \"paper\"}', 'c', NULL, 'v', '[]',"
            " '[]', '2026-11-29T09:00:00.000Z', zeroblob(32))",
            (run_id,),
        )


def test_what_is_not_there_is_a_page_with_its_mend(empty: Service) -> None:
    for path in ("/runs/nobody", "/candidates/9f3c21ab", "/jobs/7", "/ask/nothing", "/agents/x",
                 f"/jobs/{10**30}", f"/part/jobs/{10**30}"):  # fmt: skip
        answer = empty.get(path)
        assert answer.status_code == 404, path
        assert "Refused:" in answer.text, path
        assert "Traceback" not in answer.text
        assert str(empty.desk.folder) not in answer.text, path


def test_no_page_holds_script_or_style_of_its_own_or_leads_elsewhere(service: Service) -> None:
    for path in ("/", "/agents/meta_learner", "/runs/small", "/training", "/ask/kill", "/login"):
        answer = service.get(path)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?! src=)|<style| style=| on[a-z]+=", answer.text), path
        links = re.findall(r"(?:href|src|action)=\"([^\"#]+)", answer.text)
        assert links
        assert all(link.startswith("/") and not link.startswith("//") for link in links), path


def test_what_pages_load_is_kept_by_browsers_and_nothing_else_is_to_be_had(
    service: Service,
) -> None:
    for path in re.findall(r"\"(/static/[^\"]+)\"", service.get("/runs").text):
        answer = service.get(path)
        assert answer.status_code == 200
        assert "max-age" in answer.headers["Cache-Control"]
    for path in ("/static/pages.py", "/static/..%2Fpages.py", "/static/%2e%2e/pages.py"):
        assert service.get(path).status_code == 404


def test_a_report_is_shown_in_a_room_of_its_own(service: Service) -> None:
    answer = service.get("/runs/small/report")
    assert answer.content == (service.desk.run_dir() / "report.html").read_bytes()
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy


def test_words_of_people_are_shown_and_never_obeyed(service: Service) -> None:
    evil = "<img src=x onerror=alert(1)> {{ 7*7 }}"
    form = {"agent": "gate", "version": "20200101_000000<b>", "reason": evil, "back": "//evil.io"}
    answer = service.ask("POST", "/do/rollback", who="ada", data=form)
    assert answer.status_code == 409
    assert "&lt;img src=x onerror=alert(1)&gt; {{ 7*7 }}" in answer.text
    assert "<img" not in answer.text
    assert 'href="/evil.io"' in answer.text  # a place of this service, whatever was given
    assert "&lt;img" in service.get("/acts").text


def test_who_has_an_answer_finds_the_act_on_record(service: Service) -> None:
    path = service.desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    before = service.noted()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as database:
        database.execute("BEGIN IMMEDIATE")  # the record has to wait, and so has the answer
        threading.Timer(0.5, database.execute, ("ROLLBACK",)).start()
        assert service.ask("POST", "/do/nothing", who="ada").status_code == 404
        assert service.acts(before) == [("POST /do/nothing", "ada", "operator", 404)]


def test_an_act_without_a_reason_is_refused_and_changes_nothing(service: Service) -> None:
    before = service.counts()
    for form in ({}, {"reason": " "}, {"reason": "two\nlines"}, {"reason": "x" * 201}):
        answer = service.ask("POST", "/do/kill", who="ada", data=form | {"back": "/"})
        assert answer.status_code == 409
        assert "a reason is missing, or is no plain line" in answer.text
    for form in ({"stage": "0.3"}, {"stage": "nan"}, {"stage": "1e999"}, {"stage": "x"}, {}):
        told = {"agent": "meta_learner", "reason": "to see"} | form
        assert service.ask("POST", "/do/stage", who="ada", data=told).status_code == 409
    assert service.counts() == before


def test_a_form_that_lacks_what_it_is_about_is_refused_with_a_mend(service: Service) -> None:
    for name in ("train", "retrain", "stage", "rollback", "pin", "cancel", "schedule"):
        answer = service.ask("POST", f"/do/{name}", who="ada", data={"reason": "a test"})
        assert answer.status_code in (404, 409), name
        assert "is meant" in answer.text, name


def test_who_may_only_look_is_refused_and_so_is_a_form_of_elsewhere(service: Service) -> None:
    before, form = service.counts(), {"reason": "to see", "back": "/"}
    assert service.ask("POST", "/do/kill", data=form).status_code == 401
    assert service.ask("POST", "/do/kill", who="vera", data=form).status_code == 403
    foreign = {"Origin": "https://evil.example", "Cookie": f"darwin_token={service.tokens['ada']}"}
    assert service.ask("POST", "/do/kill", headers=foreign, data=form).status_code == 403
    assert service.counts() == before

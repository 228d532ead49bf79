"""Who may look, who may act, and that every act that was asked is on record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from darwin.service.addresses import LOOKS, addresses_of
from darwin.service.app import ROUTES
from darwin.service.entry import OPEN
from tests.run.command import Desk
from tests.service.http.serving import PEOPLE, Service, give_tokens, here, hosted

KILL = "/api/v1/kill"
ON = {"state": "on", "reason": "odd"}


def test_an_operator_acts_and_the_record_says_who(service: Service) -> None:
    before = service.counts()
    done = service.post(KILL, ON | {"by": "Ada L."})
    assert (done.status_code, done.json()["killed"]) == (200, True)
    assert service.counts() == before | {"kill_events": before["kill_events"] + 1}
    assert service.desk.ask("SELECT kind, by, reason FROM kill_events") == [
        ("on", "Ada L. (token of ada)", "odd")
    ]
    row = service.desk.ask("SELECT act, by, role, reason, detail, status FROM service_acts")[0]
    assert row[:4] == ("kill", "ada", "operator", "odd")
    assert json.loads(row[4]) == {"path": KILL, **ON, "by": "Ada L."}
    assert row[5] == 200
    assert (service.desk.folder / "artifacts" / "KILL").exists()


@pytest.mark.parametrize(
    ("who", "status", "noted"),
    [
        (None, 401, ("kill", "", "", 401)),
        ("wrong", 401, ("kill", "", "", 401)),
        ("vera", 403, ("kill", "vera", "viewer", 403)),
        ("gone", 401, ("kill", "", "", 401)),
    ],
)
def test_nobody_else_acts_and_each_try_is_on_record(
    service: Service, who: str | None, status: int, noted: tuple[object, ...]
) -> None:
    service.tokens |= {"wrong": "darwin_" + "a" * 43, "gone": give_tokens_to(service.desk, "gone")}
    revoke(service.desk, "gone")
    before = service.counts()
    done = service.post(KILL, ON, who=who)
    assert done.status_code == status, done.text
    assert set(done.json()) == {"error", "where", "mend"}
    assert service.counts() == before
    assert service.acts() == [noted]
    assert not (service.desk.folder / "artifacts" / "KILL").exists()


def give_tokens_to(desk: Desk, name: str) -> str:
    return here_with(desk, "token", "create", name, "--role", "operator").strip()


def revoke(desk: Desk, name: str) -> None:
    here_with(desk, "token", "revoke", name)


def here_with(desk: Desk, *words: str) -> str:
    return here(*words, "--artifacts-dir", str(desk.folder / "artifacts"))


def test_a_token_holds_until_the_request_after_it_was_revoked(service: Service) -> None:
    service.tokens["eve"] = give_tokens_to(service.desk, "eve")
    assert service.post(KILL, ON, who="eve").status_code == 200
    revoke(service.desk, "eve")
    assert service.post(KILL, ON, who="eve").status_code == 401
    assert service.post(KILL, ON, who="ada").status_code == 200


def test_every_address_that_changes_something_wants_an_operator(service: Service) -> None:
    routed = addresses_of(*(routes.router for routes in ROUTES))
    asked = {(method, one.pattern) for one in routed for method in one.methods - LOOKS}
    asked = {(method, path) for method, path in asked if path not in OPEN}
    paths = service.get("/openapi.json").json()["paths"]
    told = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {one for one in asked if one[1].startswith("/api/")} == {
        one for one in told if one[0] not in LOOKS
    }
    assert len(asked) >= 12
    before = service.counts()
    for count, (method, named) in enumerate(sorted(asked)):
        path = named.replace("{agent}", "gate").replace("{job_id}", "1")
        answer = service.ask(method, path, who="vera", json={})
        assert answer.status_code == 403, path
        if count < 15:  # more are refused for some time, whoever they are of
            answer = service.ask(method, path, json={})
            assert answer.status_code == 401, path
    assert service.counts() == before
    assert all("/" not in act for act, *_ in service.acts())


def test_a_cookie_acts_only_for_a_page_of_the_service_itself(service: Service) -> None:
    token = service.tokens["ada"]
    done = service.post("/login", {"token": token}, who=None)
    assert done.status_code == 200
    cookie = done.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    held = {"Cookie": f"darwin_token={token}"}
    elsewhere = service.post(KILL, ON, who=None, headers=held)
    assert elsewhere.status_code == 403
    foreign = service.post(KILL, ON, who=None, headers=held | {"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert not (service.desk.folder / "artifacts" / "KILL").exists()
    own = service.post(KILL, ON, who=None, headers=held | {"Origin": "http://localhost"})
    assert own.status_code == 200
    assert [row[0] for row in service.acts()] == ["kill", "kill"]
    left = service.post("/logout", who=None, headers=held)
    assert 'darwin_token=""' in left.headers["set-cookie"]


def test_a_form_signs_in_and_is_led_to_a_page_of_the_service_alone(service: Service) -> None:
    for wanted, led in (("/runs", "/runs"), ("//evil.example", "/"), ("/\\evil.example", "/")):
        done = service.ask(
            "POST", "/login", data={"token": service.tokens["vera"], "next": wanted},
            follow_redirects=False,
        )  # fmt: skip
        assert (done.status_code, done.headers["location"]) == (303, led)


def test_reading_wants_a_token_where_the_service_is_private(desk: Desk) -> None:
    tokens = give_tokens(desk)
    for settings in ({"private": True}, {"host": "0.0.0.0"}):
        with hosted(desk, **settings) as service:
            service.tokens = tokens
            assert service.get("/api/v1/runs").status_code == 401
            assert service.get("/api/v1/runs", who="vera").status_code == 200
            assert service.get("/health").status_code == 200
            page = service.get("/runs", headers={"Accept": "text/html"}, follow_redirects=False)
            assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fruns")


def test_who_shows_many_wrong_tokens_has_to_wait_and_others_need_not(service: Service) -> None:
    service.tokens["wrong"] = "darwin_no"
    for _ in range(20):
        assert service.get("/api/v1/runs", who="wrong").status_code == 401
    for _ in range(3):
        late = service.post(KILL, ON, who="wrong")
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) > 0
    assert service.acts() == []  # nobody fills the record by asking in vain
    assert service.post(KILL, ON, who="ada").status_code == 200


def test_no_secret_stands_in_the_database_or_a_log(service: Service, tmp_path: Path) -> None:
    service.post("/login", {"token": service.tokens["ada"]}, who=None)
    service.post(KILL, ON | {"token": service.tokens["ada"]})
    service.post(KILL, ON | {"reason": f"by {service.tokens['vera']}"})
    service.post(f"{KILL}?key={service.tokens['vera']}", [service.tokens["vera"]])
    noted = [json.loads(row[0]) for row in service.desk.ask("SELECT detail FROM service_acts")]
    assert [one.get("token") for one in noted] == ["…", None, None]
    assert [one.get("reason") for one in noted] == ["odd", "by …", None]
    assert noted[2]["query"] == "key=…"
    assert service.counts()["kill_events"] == 0
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [name for name in PEOPLE if service.tokens[name].encode() in content], path

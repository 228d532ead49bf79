"""Requests that mean harm: no answer is a fault of ours, and nothing is changed by them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darwin.service.addresses import addresses_of
from darwin.service.app import ROUTES, create_app
from darwin.service.entry import ENDLESS
from darwin.service.place import Place
from darwin.service.settings import Settings
from darwin.service.strict_body import MOST_BYTES
from tests.run.command import Desk
from tests.service.http.serving import Service, hosted

JSON = {"Content-Type": "application/json"}
ROLLOUT, TRAIN, KILL = "/api/v1/rl/v3/rollout", "/api/v1/rl/v3/train_production", "/api/v1/kill"
STAGE, ROLLBACK = "/api/v1/agents/gate/stage", "/api/v1/agents/gate/rollback"


def deep(levels: int) -> bytes:
    return b'{"state": ' + b"[" * levels + b"]" * levels + b"}"


def raw(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


BODIES: list[tuple[str, bytes, set[int]]] = [
    (ROLLOUT, b'{"capital_percentage": NaN}', {400}),
    (ROLLOUT, b'{"capital_percentage": Infinity}', {400}),
    (ROLLOUT, b'{"capital_percentage": -Infinity}', {400}),
    (ROLLOUT, b'{"capital_percentage": 1e999}', {400}),
    (ROLLOUT, b'{"capital_percentage": -1e999}', {400}),
    (ROLLOUT, b'{"capital_percentage": 1' + b"0" * 400 + b"}", {400}),
    (ROLLOUT, b'{"capital_percentage": 0.5}', {422}),
    (ROLLOUT, b'{"capital_percentage": -1}', {422}),
    (ROLLOUT, b'{"capital_percentage": 101}', {422}),
    (ROLLOUT, b'{"capital_percentage": true}', {422}),
    (ROLLOUT, b'{"capital_percentage": "1"}', {422}),
    (ROLLOUT, b'{"capital_percentage": null}', {422}),
    (ROLLOUT, b'{"capital_percentage": [1]}', {422}),
    (ROLLOUT, raw(capital_percentage=1, max_position_size=0), {422}),
    (ROLLOUT, raw(capital_percentage=1, max_position_size=-5), {422}),
    (ROLLOUT, raw(capital_percentage=1, max_position_size="5"), {422}),
    (ROLLOUT, raw(capital_percentage=1, max_position_size=True), {422}),
    (ROLLOUT, raw(capital_percentage=1, enable_risk_guard=False), {422}),
    (ROLLOUT, raw(capital_percentage=1, enable_risk_guard="yes"), {422}),
    (ROLLOUT, raw(capital_percentage=1, override=True), {422}),
    (ROLLOUT, b'{"capital_percentage": 0, "capital_percentage": 5}', {400}),
    (KILL, b'{"state": "off", "state": "on"}', {400}),
    (KILL, b'{"state": "on", "reason": "\\ud800"}', {400}),
    (KILL, b'{"state": "on", "\\udfff": 1}', {400}),
    (KILL, b'{"state": "on", "reason": "\\u0000"}', {422}),
    (KILL, b'{"state": "on", "reason": "a\\nb"}', {422}),
    (KILL, b'{"state": "on", "reason": ""}', {422}),
    (KILL, b'{"state": "on", "by": "\\u202e evil"}', {422}),
    (KILL, raw(state="on", reason="x" * 161), {422}),
    (KILL, raw(state="on", by="x" * 900_000), {422}),
    (KILL, b'{"state": "on"} {"state": "off"}', {400}),
    (KILL, b'\xef\xbb\xbf{"state": "on"}', {400}),
    (KILL, b'\xff\xfe{\x00"\x00', {400}),
    (KILL, b"\x00", {400}),
    (KILL, b'{"state": "on"\x00}', {400}),
    (KILL, b"{'state': 'on'}", {400}),
    (KILL, b"{state: on}", {400}),
    (KILL, b'{"state": "on",}', {400}),
    (KILL, b"// no\n{}", {400}),
    (KILL, b"", {422}),
    (KILL, b"null", {422}),
    (KILL, b"[]", {422}),
    (KILL, b'"on"', {422}),
    (KILL, b"1e5", {422}),
    (KILL, raw(state="ON"), {422}),
    (KILL, raw(state=["on"]), {422}),
    (KILL, raw(state="off"), {422}),
    (KILL, deep(30), {422}),
    (KILL, deep(40), {400}),
    (KILL, deep(200_000), {400}),
    (KILL, b'{"a":' * 100_000, {400}),
    (TRAIN, raw(symbol="../../etc/passwd"), {422}),
    (TRAIN, raw(symbol="BTC/USDT --db x"), {422}),
    (TRAIN, raw(symbol="BTC/USDT", timeframe="1h;rm"), {422}),
    (TRAIN, raw(symbol="BTC/USDT", timeframe="0h"), {422}),
    (TRAIN, raw(symbol="BTC/USDT", lookback_hours=10**17), {422}),
    (TRAIN, raw(symbol="BTC/USDT", lookback_hours=10**30), {400}),
    (TRAIN, raw(symbol="BTC/USDT", lookback_hours=7.5), {422}),
    (TRAIN, raw(symbol="BTC/USDT", num_episodes=True), {422}),
    (TRAIN, raw(symbol="BTC/USDT", num_episodes=0), {422}),
    (TRAIN, raw(symbol="--help"), {422}),
    (STAGE, raw(stage=0.5, reason="x"), {409}),
    (STAGE, raw(stage=0.30000000000000004, reason="x"), {409}),
    (ROLLBACK, raw(version="../../../etc", reason="x"), {404}),
    (ROLLBACK, raw(version="current", reason="x"), {404}),
    (ROLLBACK, raw(version="20200101_000000\x00", reason="x"), {404}),
    ("/api/v1/schedule/gate", raw(cron="* * * * *", interval_days=7, reason="x"), {422}),
    ("/api/v1/schedule/gate", raw(cron="61 25 * * *", reason="x"), {422}),
    ("/api/v1/schedule/gate", raw(cron="0 0 31 2 *", reason="x"), {422}),
    ("/api/v1/schedule/gate", raw(interval_days=7, timezone="../../etc/passwd", reason="x"), {422}),
]  # fmt: skip


@pytest.fixture(scope="module")
def calm(shown: Service) -> Service:
    return shown


def assert_refused(answer: Any, codes: set[int]) -> None:
    assert answer.status_code in codes, answer.text
    told = answer.json()
    assert {"error", "where", "mend"} <= set(told)
    text = answer.text.lower()
    for word in ("traceback", "sqlite", "select ", "/tmp", "/usr", "site-packages", "pydantic"):
        assert word not in text


@pytest.mark.parametrize(
    "number", range(len(BODIES)), ids=lambda at: f"{at} {BODIES[at][1][:40]!r}"
)
def test_a_hostile_body_is_refused_and_changes_nothing(calm: Service, number: int) -> None:
    path, body, codes = BODIES[number]
    before, noted = calm.counts(), calm.noted()
    answer = calm.post(path, content=body, headers=JSON)
    assert_refused(answer, codes)
    assert calm.counts() == before
    assert [row[1:] for row in calm.acts(noted)] == [("ada", "operator", answer.status_code)]


@pytest.mark.parametrize(
    ("headers", "codes"),
    [
        ({"Content-Type": "text/plain"}, {415}),
        ({"Content-Type": "application/x-www-form-urlencoded"}, {415}),
        ({"Content-Type": "multipart/form-data; boundary=x"}, {415}),
        ({"Content-Type": "application/json; charset=utf-16"}, {415}),
        ({"Content-Type": "application/jsonp"}, {415}),
        (JSON | {"Origin": "http://evil.example"}, {403}),
        (JSON | {"Origin": "null"}, {403}),
        (JSON | {"Origin": "http://localhost:9"}, {403}),
        (JSON | {"Origin": "file://localhost"}, {403}),
        (JSON | {"Origin": "http://localhost@evil.example"}, {403}),
        (JSON | {"Host": "evil.example"}, {421}),
        (JSON | {"Host": "localhost.evil.example"}, {421}),
        (JSON | {"Host": "127.0.0.1.evil.example:80"}, {421}),
        (JSON | {"Host": "127.0.0.2"}, {421}),
        (JSON | {"Host": "localhost, evil.example"}, {421}),
        (JSON | {"Host": "[::1"}, {421}),
        (JSON | {"Host": ""}, {421}),
        (JSON | {"Authorization": "Basic YWRhOmFkYQ=="}, {401}),
        (JSON | {"Authorization": "Bearer"}, {401}),
        (JSON | {"Authorization": "Bearer " + "a" * 9_000}, {401}),
        (JSON | {"Content-Length": "99999999999999999999"}, {413}),
    ],
)
def test_a_hostile_head_is_refused_and_changes_nothing(
    calm: Service, headers: dict[str, str], codes: set[int]
) -> None:
    before = calm.counts()
    given = {"Authorization": f"Bearer {calm.tokens['ada']}"} | headers
    answer = calm.post(KILL, who=None, content=b'{"state": "on"}', headers=given)
    assert_refused(answer, codes)
    assert calm.counts() == before


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs/..%2f..%2fetc%2fpasswd", "/api/v1/runs/../../etc/passwd",
        "/api/v1/runs/%2e%2e/report", "/api/v1/runs/small%00/report", "/api/v1/runs/nobody/report",
        "/api/v1/dossiers/..%2f..%2fdarwin.log", "/api/v1/dossiers/gate-1.json",
        "/api/v1/dossiers/gate-999999999.html", "/api/v1/dossiers/%2fetc%2fpasswd",
        "/api/v1/jobs/0", "/api/v1/jobs/-1", "/api/v1/jobs/1e3", "/api/v1/jobs/9999999999999999999",
        "/api/v1/jobs/7/log", "/api/v1/jobs/7/result", "/api/v1/candidates/zz",
        "/api/v1/candidates/%27%20OR%201=1", "/api/v1/candidates/0000",
        "/api/v1/agents/nobody", "/api/v1/agents/gate%00", "/api/v1/agents/..",
        "/api/v1/agents/gate/models/..%2f..", "/api/v1/models/nobody", "/api/v1/models/%ff",
        "/api/v1/agents/gate/decisions?limit=0", "/api/v1/agents/gate/decisions?limit=501",
        "/api/v1/agents/gate/decisions?before=-1", "/api/v1/agents/gate/decisions?before=1e400",
        "/api/v1/agents/gate/decisions?limit=NaN", "/api/v1/agents/gate/decisions?run=" + "x" * 65,
        "/api/v1/rl/v3/status?agent=nobody", "/api/v1/rl/v3/experiences?limit=99999999999999999999",
        "/api/v1/runs/small/candidates?before=99999999999999999999", "/static/../../etc/passwd",
        "/nothing", "/%00", "/api/v1/runs/" + "x" * 5_000,
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_said_to(calm: Service, path: str) -> None:
    assert_refused(calm.get(path), {404, 422})


ODD = ("%00", "-1", "99999999999999999999", "..%2f..%2fetc", "%ff", "nobody", "__proto__")
VALUES = ("", "\x00", "-1", "nan", "1e400", "9" * 5_000, "../../etc", "--help", "\u202e", "nobody")
FIELDS = {
    "agent": "gate", "version": "x", "run": "small", "job": "1", "stage": "0.05", "cap": "",
    "reason": "why", "cron": "", "days": "7", "timezone": "UTC", "last_days": "30",
    "timesteps": "1000", "seeds": "1", "back": "/",
}  # fmt: skip


def test_no_page_of_an_odd_address_is_a_fault_of_ours(shown: Service) -> None:
    faults = []
    for one in addresses_of(*(routes.router for routes in ROUTES)):
        if "GET" not in one.methods or one.pattern in ENDLESS:
            continue
        for odd in ODD if "{" in one.pattern else ODD[:1]:
            path = re.sub(r"\{[^}]*\}", odd, one.pattern)
            for query in ("", f"?agent={odd}&run={odd}&before={odd}&limit={odd}&next=//{odd}"):
                answer = shown.get(path + query, follow_redirects=False)
                if answer.status_code >= 500 or "Traceback" in answer.text:
                    faults.append((path, query, answer.status_code))
    assert faults == []


def lacking(*names: str) -> list[dict[str, str]]:
    return [{key: one for key, one in FIELDS.items() if key != name} for name in names]


def test_no_form_that_lacks_what_it_is_about_is_a_fault_of_ours(service: Service) -> None:
    assert faults_of_forms(service, [{}, *lacking("agent", "run")]) == []


@pytest.mark.sweep
def test_no_form_that_lacks_a_field_or_holds_an_odd_one_is_a_fault_of_ours(
    service: Service,
) -> None:
    odd = [FIELDS | {name: value} for name in FIELDS for value in VALUES]
    assert faults_of_forms(service, lacking(*FIELDS) + odd) == []


def faults_of_forms(service: Service, forms: list[dict[str, str]]) -> list[Any]:
    faults = []
    for one in addresses_of(*(routes.router for routes in ROUTES)):
        if "POST" not in one.methods or one.pattern.startswith("/api/"):
            continue
        for form in forms:
            answer = service.ask("POST", one.pattern, who="ada", data=form, follow_redirects=False)
            if answer.status_code >= 500 or "Traceback" in answer.text:
                faults.append((one.pattern, form, answer.status_code))
    return faults


def test_methods_that_no_address_takes_are_refused(calm: Service) -> None:
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"):
        answer = calm.ask(method, KILL, who="ada")
        assert answer.status_code == 405, method


def test_a_name_that_was_allowed_is_answered(desk: Desk) -> None:
    with hosted(desk, allow_hosts=("darwin.example.org",), host="192.0.2.7") as service:
        for host in (
            "darwin.example.org", "DARWIN.example.org:8443", "localhost:1", "[::1]:80",
            "192.0.2.7:8000",
        ):  # fmt: skip
            assert service.get("/health", headers={"Host": host}).status_code == 200
        answer = service.get("/health", headers={"Host": "evil.example"})
        assert answer.status_code == 421
    with hosted(desk, host="0.0.0.0") as service:
        assert service.get("/health", headers={"Host": "0.0.0.0"}).status_code == 421


class Streamed:
    """A request whose body comes as it likes, straight to the application."""

    def __init__(self, desk: Desk, token: str, pieces: Iterator[bytes]) -> None:
        place = Place(str(desk.folder / "artifacts"))
        self.app = create_app(Settings(place, runs_jobs=False, schedules=False))
        self.pieces, self.read, self.answer = pieces, 0, []
        self.headers = [
            (b"host", b"localhost"), (b"content-type", b"application/json"),
            (b"authorization", f"Bearer {token}".encode()),
        ]  # fmt: skip

    async def receive(self) -> dict[str, Any]:
        piece = next(self.pieces)
        self.read += len(piece)
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(self, message: Any) -> None:
        self.answer.append(message)

    def run(self) -> int:
        scope = {
            "type": "http", "method": "POST", "path": KILL, "raw_path": KILL.encode(),
            "query_string": b"", "headers": self.headers, "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1", "root_path": "",
        }  # fmt: skip
        asyncio.run(self.app(scope, self.receive, self.send))
        return self.answer[0]["status"]


def forever(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


@pytest.mark.parametrize("piece", [b" " * 65_536, b'{"a":' * 9_999])
def test_a_body_without_end_is_cut_off_at_a_mebibyte(shown: Service, piece: bytes) -> None:
    stream = Streamed(shown.desk, shown.tokens["ada"], forever(piece))
    assert stream.run() == 413
    assert stream.read <= MOST_BYTES + len(piece)


def test_a_body_of_50_mb_is_refused_before_it_is_read(calm: Service) -> None:
    assert calm.post(KILL, content=b" " * 50_000_000, headers=JSON).status_code == 413


def test_a_body_of_nobody_is_not_read_at_all(desk: Desk, tmp_path: Path) -> None:
    stream = Streamed(desk, "darwin_no", forever(b" "))
    assert stream.run() == 401
    assert stream.read == 0


def test_every_answer_tells_browsers_what_it_may_not_do(calm: Service) -> None:
    for path in ("/health", "/api/v1/runs", "/nothing", "/api/v1/runs/small/report"):
        headers = calm.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors" in headers["content-security-policy"]
        assert "x-powered-by" not in headers
    assert "'unsafe-inline'" not in calm.get("/health").headers["content-security-policy"]
    page = calm.get("/api/v1/runs/small/report").headers["content-security-policy"]
    assert page.startswith("sandbox")
    assert "allow-same-origin" not in page


def test_a_bug_is_told_by_a_number_alone(desk: Desk) -> None:
    def broken() -> None:
        raise RuntimeError("a secret of the machine")

    with hosted(desk) as service:
        service.client.app.add_api_route("/broken", broken)
        answer = service.get("/broken")
    assert answer.status_code == 500
    assert "internal error" in answer.json()["error"]
    assert "secret" not in answer.text

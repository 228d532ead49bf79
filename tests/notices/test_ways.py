"""How a notice leaves the house: signed, without redirects, by addresses that nobody reads."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from darwin.errors import ConfigError
from darwin.service.notices.addresses import Addresses
from darwin.service.notices.happenings import Severity
from darwin.service.notices.ways import Apprise, Message, Patient, Webhook, ways_of
from tests.notices.receiver import Receiver

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # of apprise

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
MESSAGE = Message("7-ab", "kill:on:1", Severity.CRITICAL, "agents are off", 1, AT)


def test_a_receiver_can_prove_who_wrote(hook: Receiver) -> None:
    assert Webhook(hook.url, "k3y").tell(MESSAGE, AT).took
    (got,) = hook.got
    signed = got.headers["X-Darwin-Timestamp"].encode() + b"." + got.body
    expected = hmac.new(b"k3y", signed, hashlib.sha256).hexdigest()
    assert got.headers["X-Darwin-Signature"] == f"sha256={expected}"
    assert got.headers["X-Darwin-Timestamp"] == str(int(AT.timestamp()))
    assert got.tree == {
        "id": "7-ab", "key": "kill:on:1", "severity": "critical", "times": 1,
        "text": "[critical] agents are off", "at": "2026-03-02T09:00:00Z",
    }  # fmt: skip


def test_without_a_secret_nothing_is_signed(hook: Receiver) -> None:
    Webhook(hook.url, None).tell(MESSAGE, AT)
    assert "X-Darwin-Signature" not in hook.got[0].headers


@pytest.mark.parametrize(
    ("script", "took", "says", "requests"),
    [
        ([200], True, "HTTP 200", 1),
        ([302], False, "HTTP 302", 1),  # nor is the other place asked
        ([404], False, "HTTP 404", 1),
        ([503, 200], True, "HTTP 200", 2),
        ([500, 500, 200], False, "HTTP 500", 2),
    ],
)
def test_what_a_receiver_answers_decides(
    script: list[int], took: bool, says: str, requests: int, hook: Receiver
) -> None:
    hook.script.extend(script)
    assert Webhook(hook.url, None).tell(MESSAGE, AT) == (took, says)
    assert [one.path for one in hook.got] == ["/hook/s3cret-path"] * requests


def test_who_drips_an_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        way = Patient(Webhook(url, None), 0.3)
        drips = threading.Thread(target=drip, args=(server,))
        drips.start()
        assert way.tell(MESSAGE, AT) == (False, "no answer in time")
        assert way.tell(MESSAGE, AT) == (False, "an earlier answer has no end")
        drips.join()


def drip(server: socket.socket) -> None:
    """Answer one request, byte by byte, for longer than anybody has patience."""
    with server.accept()[0] as line:
        line.recv(1 << 16)
        line.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        for _ in range(20):
            time.sleep(0.1)
            line.sendall(b"x")
        line.sendall(b"\r\nContent-Length: 0\r\n\r\n")


def test_every_way_is_given_an_end() -> None:
    found = ways_of(
        Addresses.of(
            {"DARWIN_WEBHOOK_URL": "http://127.0.0.1:1/", "DARWIN_NOTIFY_URLS": "json://x"}
        )
    )
    assert [type(way) for way in found] == [Patient, Patient]


def test_apprise_reaches_its_places(hook: Receiver) -> None:
    way = Apprise("apprise", hook.url.replace("http://", "json://"))
    assert way.tell(MESSAGE, AT) == (True, "taken")
    assert hook.got[0].tree["message"] == "agents are off"
    hook.script.append(500)
    assert way.tell(MESSAGE, AT) == (False, "not taken")


def test_each_address_of_apprise_is_a_way_of_its_own() -> None:
    addresses = Addresses.of({"DARWIN_NOTIFY_URLS": "json://localhost/a\n json://localhost/b"})
    assert [way.name for way in ways_of(addresses)] == ["apprise", "apprise 2"]


def test_an_address_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text("https://hooks.example/abc\n")
    found = Addresses.of(
        {"DARWIN_WEBHOOK_URL_FILE": str(file), "DARWIN_NOTIFY_LEAST": " Critical "}
    )
    assert found.webhook == "https://hooks.example/abc"
    assert found.least is Severity.CRITICAL
    assert "abc" not in repr(found)


@pytest.mark.parametrize(
    "environment",
    [
        {"DARWIN_WEBHOOK_URL": "ftp://s3cret.example/"},
        {"DARWIN_WEBHOOK_URL": "http://[s3cret/"},
        {"DARWIN_WEBHOOK_URL": "https://s3cret.example:99999/"},
        {"DARWIN_WEBHOOK_URL": "s3cret"},
        {"DARWIN_WEBHOOK_URL": "https://s3cret.example/a b"},
        {"DARWIN_WEBHOOK_SECRET": "s3cret"},
        {"DARWIN_WEBHOOK_URL_FILE": "no/such/file"},
        {"DARWIN_NOTIFY_URLS": "s3cret://nothing-known"},
        {"DARWIN_NOTIFY_LEAST": "loud"},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_one_error_that_shows_no_address(
    environment: dict[str, str],
) -> None:
    with pytest.raises(ConfigError) as caught:
        ways_of(Addresses.of(environment))
    assert "s3cret" not in str(caught.value)
    assert "DARWIN" in str(caught.value)


def test_an_address_is_told_in_one_place(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text("https://hooks.example/abc\n")
    told = {"DARWIN_WEBHOOK_URL": "https://x.example", "DARWIN_WEBHOOK_URL_FILE": str(file)}
    with pytest.raises(ConfigError, match="both DARWIN_WEBHOOK_URL and DARWIN_WEBHOOK_URL_FILE"):
        Addresses.of(told)

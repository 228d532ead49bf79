"""`darwin serve` and `darwin token` as their users run them."""

from __future__ import annotations

import json
import signal
import socket
import threading

import httpx2
import pytest

from darwin.errors import ConfigError, StorageError
from tests.run.command import Desk
from tests.service.http.serving import Service, give_tokens, here, serving


def test_it_tells_what_happens_and_leaves_when_it_is_asked_to(desk: Desk) -> None:
    tokens = give_tokens(desk)
    with serving(desk, "--no-jobs", "--no-scheduler") as service:
        service.tokens = tokens
        heard: list[str] = []
        listening = threading.Event()
        listener = threading.Thread(target=listen, args=(service, heard, listening))
        listener.start()
        assert listening.wait(30)
        service.post("/api/v1/kill", {"state": "on", "reason": "odd"})
        body = {"symbol": "BTC/USDT", "num_episodes": 3}
        service.post("/api/v1/rl/v3/train_production", body)
        while not {"kill", "job"} <= set(heard[1:]):
            assert listener.is_alive()
            threading.Event().wait(0.05)
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
        listener.join(30)
        assert not listener.is_alive()
    assert heard[0] == "kill"  # what holds comes first


def listen(service: Service, heard: list[str], listening: threading.Event) -> None:
    address = f"{service.url}/api/v1/events"
    with httpx2.Client(timeout=30.0) as client, client.stream("GET", address) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                heard.append(line.removeprefix("event: "))
                listening.set()


def test_a_port_that_is_taken_is_said_in_three_lines(tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(StorageError) as caught:
            here("serve", "--port", port, "--artifacts-dir", str(tmp_path))
    lines = caught.value.lines()
    assert [line.split(":")[0].strip() for line in lines] == ["error", "at", "mend"]
    assert port in lines[0]
    assert list(tmp_path.iterdir()) == []  # nothing was made


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--host", "no such host"), "--host"),
        (("--klines-url", "http://x", "--data", "y"), "not both"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(tmp_path, words, says) -> None:
    with pytest.raises(ConfigError) as caught:
        here("serve", *words, "--artifacts-dir", str(tmp_path))
    assert says in str(caught.value)


def test_a_token_is_shown_once_and_listed_without_its_secret(tmp_path) -> None:
    where = ("--artifacts-dir", str(tmp_path), "--json")
    made = json.loads(here("create", "ada", "--role", "operator", *where, of="token"))
    assert made["token"].startswith("darwin_")
    assert (made["name"], made["role"]) == ("ada", "operator")
    listed = here("list", *where, of="token")
    assert [(one["name"], one["role"]) for one in json.loads(listed)] == [("ada", "operator")]
    assert made["token"] not in listed
    assert json.loads(here("revoke", "ada", *where, of="token"))["revoked"] is True
    assert json.loads(here("list", *where, of="token")) == []

"""A model's server on this machine, for tests and for users offline: no key, no network, no cost.

It speaks OpenAI's chat completions and Anthropic's messages, without streaming, and answers by a
rule (`darwin.testing.llm_answers`), so that the same text has the same answer:

    $ python -m darwin.testing.llm_server --port 0 --seed 7
    http://127.0.0.1:40123

Clients of OpenAI's protocol take that address with `/v1` behind it, Anthropic's without.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import click

from darwin.testing.llm_answers import Answerer, Asked, obedient, steady
from darwin.testing.llm_envelopes import CHAT, MESSAGES, envelope
from darwin.testing.llm_faults import ServerFault, good, status

_LARGEST_REQUEST = 8 << 20
_PATIENCE_S = 60.0  # with a client that does not finish its request
_NOT_HERE = status("404 Not Found")
_BAD_REQUEST = status("400 Bad Request")


class LlmServer:
    """Answers requests until it is closed, each in a thread of its own.

        with LlmServer(faults=[status("503 Service Unavailable"), None]) as server:
            ...  # the first request fails, all later ones are answered

    `answer` says what a request gets: a text, or a fault to be played. `faults` is a script that
    comes first: each request takes the next of it, and where that is a fault, it is played with the
    text that the answer would have had. `requests` holds what has come, in order.
    """

    def __init__(
        self,
        answer: Callable[[Asked], str | ServerFault] | None = None,
        *,
        faults: Iterable[ServerFault | None] = (),
        port: int = 0,
    ) -> None:
        """Listen at once, on 127.0.0.1; port 0 is any that is free. Raises OSError."""
        self.answer = answer or steady()
        self.requests: list[Asked] = []
        self.closing = threading.Event()
        self._faults = deque(faults)
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", port), self)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address: the base URL for Anthropic's protocol."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI's protocol."""
        return f"{self.url}/v1"

    def script(self, *faults: ServerFault | None) -> None:
        """Let these come next, in the place of what is left of the script."""
        with self._lock:
            self._faults = deque(faults)

    def take(self, asked: Asked) -> ServerFault | None:
        """Note what came, and say what the script has for it."""
        with self._lock:
            self.requests.append(asked)
            return self._faults.popleft() if self._faults else None

    def close(self) -> None:
        """Hang up on everybody and stop listening."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> LlmServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # `server_close` waits for them; `closing` wakes those that wait
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: LlmServer) -> None:
        self.owner = owner
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request. Implements `llm_faults.Exchange`."""

    server: _Http
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S

    @property
    def socket(self) -> Any:
        """The connection."""
        return self.connection

    @property
    def closing(self) -> threading.Event:
        """Set when the server stops."""
        return self.server.owner.closing

    def envelope(self, text: str) -> dict[str, Any]:
        """The body of a good answer that says `text`."""
        return envelope(self._asked, text)

    def do_POST(self) -> None:
        """Answer, or play what the script has."""
        self.close_connection = True
        self._asked = self._read()
        fault = self.server.owner.take(self._asked)
        refusal = self._refusal()
        if fault is None and refusal is not None:
            refusal.play(self, "")
            return
        said = self.server.owner.answer(self._asked)
        if isinstance(said, ServerFault):
            fault, said = fault or said, steady()(self._asked)
        with contextlib.suppress(OSError):  # the client has gone
            (fault.play if fault is not None else good)(self, said)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _read(self) -> Asked:
        length = int(self.headers.get("content-length", "0"))
        raw = self.rfile.read(min(max(length, 0), _LARGEST_REQUEST))
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Asked(self.path, headers, body, time.monotonic())

    def _refusal(self) -> ServerFault | None:
        if self.path not in (CHAT, MESSAGES):
            return _NOT_HERE
        body = self._asked.body
        sound = isinstance(body, dict) and isinstance(body.get("messages"), list)
        return None if sound and not body.get("stream") else _BAD_REQUEST


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any that is free.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of the rule it answers by.")
@click.option(
    "--takes",
    type=click.FloatRange(0.0, 1.0),
    default=0.5,
    show_default=True,
    help="Share of takes among its answers.",
)
@click.option("--obedient", "gullible", is_flag=True, help="Obey whatever stands in the text.")
def main(port: int, seed: int, takes: float, gullible: bool) -> None:
    """Answer like a model, by a rule, until stopped; the first line says where.

    \b
    Examples:
      python -m darwin.testing.llm_server --port 8399 --seed 7
      python -m darwin.testing.llm_server --port 0 --takes 0.2
    """
    answer: Answerer = steady(seed, takes)
    try:
        server = LlmServer(obedient(answer) if gullible else answer, port=port)
    except OSError as error:
        raise click.UsageError(f"port {port} cannot be had: {error.strerror}") from error
    with server:
        click.echo(server.url)
        threading.Event().wait()


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(main)

"""The key goes to one host and nowhere else."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from darwin.deciders.llm.keys import find_key
from darwin.deciders.llm.transport import Cause, Failure, Model, Reply, Server
from darwin.errors import ConfigError
from darwin.testing.llm_answers import answer_text
from darwin.testing.llm_faults import HANG, RESET, TRUNCATED, status
from darwin.testing.llm_server import LlmServer
from tests.llm.conftest import ENVIRON, KEY, KINDS, QUESTION, model_of

VARIABLE = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
REMOTE = {kind: Server(kind=kind, base_url="https://model.invalid") for kind in KINDS}  # type: ignore[arg-type]


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Every line that anybody logs, tracebacks among them."""
    lines: list[str] = []
    form = logging.Formatter("%(name)s %(message)s")

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(form.format(record) + repr(record.args))

    ear, root = Ear(), logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(ear)
    root.setLevel(level)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_shows_the_key(server: LlmServer, heard: list[str], kind: str) -> None:
    faults = [None, status("401 Unauthorized"), status("500 Oops"), RESET, TRUNCATED, HANG]
    model = model_of(server, kind, attempts=1)
    shown = [repr(model), repr(vars(model))]
    for fault in faults:
        server.script(fault)
        shown.append(repr(model.ask(QUESTION, 0.5 if fault is HANG else 30)))
    assert all(asked.headers["authorization"].endswith(KEY) for asked in server.requests)
    assert len(server.requests) == len(faults)
    assert any(line.startswith("httpcore2") for line in heard)  # somebody was listening
    assert any(line.startswith(kind) for line in heard)
    assert KEY not in "".join(shown + heard)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_that_repeats_the_key_is_none(kind: str) -> None:
    with LlmServer(lambda asked: answer_text("skip", reason=f"saw {KEY}")) as server:
        failure = model_of(server, kind).ask(QUESTION, 5)
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.HOLDS_THE_KEY
    assert KEY not in repr(failure)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_nobody_is_followed_to_another_host(server: LlmServer, kind: str, code: str) -> None:
    with LlmServer() as other:
        server.script(status(code, location=f"{other.url}/v1/chat/completions"))
        failure = model_of(server, kind).ask(QUESTION, 5)
        assert failure == Failure(Cause.REDIRECTED, 1, 0, int(code[:3]))
        assert other.requests == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_environment_sends_nothing_along_and_nobody_between(
    server: LlmServer, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc-secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_CUSTOM_HEADERS", "Authorization: Bearer other\nX-Mine: other")
        monkeypatch.setenv(f"{name}_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-other")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-other")
    with LlmServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert isinstance(model_of(server, kind).ask(QUESTION, 5), Reply)
        assert proxy.requests == []
    headers = server.requests[-1].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "other" not in repr(headers)
    assert "netrc" not in repr(headers)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_key_the_mend_names_the_variable(kind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Model(REMOTE[kind], environ={})
    assert caught.value.exit_code == 2
    assert VARIABLE[kind] in caught.value.mend
    assert f"{VARIABLE[kind]}_FILE" in caught.value.mend


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_on_this_machine_needs_none(server: LlmServer, kind: str) -> None:
    assert isinstance(model_of(server, kind, environ={}).ask(QUESTION, 5), Reply)
    assert "authorization" not in server.requests[-1].headers


def test_the_key_may_stand_in_a_file(server: LlmServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    environ = {"OPENAI_API_KEY_FILE": str(tmp_path / "key")}
    assert isinstance(model_of(server, environ=environ).ask(QUESTION, 5), Reply)
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", f"{KEY}\nsecond {KEY}".encode(), f"{KEY}\r\nX: y".encode(),
     f"{KEY} {KEY}".encode(), KEY.encode() + b"\xff", f"{KEY}é".encode(),
     KEY.encode() + b"\0", KEY.encode() * 2000],
)  # fmt: skip
def test_what_is_no_key_is_refused_without_being_shown(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    environ = {"OPENAI_API_KEY_FILE": str(tmp_path / "key")}
    with pytest.raises(ConfigError) as caught:
        find_key("OPENAI_API_KEY", environ, required=False)
    assert caught.value.what.startswith("the key is none")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert len(caught.value.lines()) == 3


def test_a_key_file_that_cannot_be_read_is_named_by_its_variable(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", "a\0b"):
        with pytest.raises(ConfigError) as caught:
            find_key("OPENAI_API_KEY", {"OPENAI_API_KEY_FILE": str(path)}, required=False)
        assert "OPENAI_API_KEY_FILE" in caught.value.where


def test_two_places_for_one_key_are_one_too_many() -> None:
    both = {"OPENAI_API_KEY": KEY, "OPENAI_API_KEY_FILE": "/key"}
    with pytest.raises(ConfigError, match="both set"):
        find_key("OPENAI_API_KEY", both, required=True)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"https://me:{KEY}@host/v1", "no password"),
        (f"https://{KEY}@host/v1", "no password"),
        (f"https://host/v1?key={KEY}", "without"),
        (f"https://host/v1#{KEY}", "without"),
        ("http://host/v1", "https"),
        ("http://localhost.host/v1", "https"),
        ("http://127.0.0.1.host/v1", "https"),
        ("ftp://host", "like"),
        ("host/v1", "like"),
        ("https://", "like"),
        ("https://host:99999/v1", "no URL"),
        ("https://[::1/v1", "no URL"),
        ("https://host/\nv1", "like"),
        ("https://hóst/v1", "like"),
    ],
)
def test_a_base_url_that_cannot_be_meant_is_refused_without_being_shown(
    url: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        Server(base_url=url)
    assert str(caught.value).startswith("base_url ")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/v1", "http://127.0.0.9/v1", "http://[::1]:8000", "https://host/v1/"],
)
def test_a_base_url_may_be_any_that_can_be_trusted(url: str) -> None:
    assert Server(base_url=url).wants_a_key == url.startswith("https")
    assert not Server(base_url="http://models:8000/v1", plain_http=True).wants_a_key


@pytest.mark.parametrize(
    "options",
    [{"kind": "other"}, {"structured": "yes"}, {"kind": "anthropic", "structured": "json"},
     {"attempts": 0}, {"connect_s": float("nan")}, {"silence_s": 0.0}],
)  # fmt: skip
def test_other_options_that_cannot_be_meant_are_named(options: dict[str, object]) -> None:
    with pytest.raises(ValueError) as caught:
        Server(**options)  # type: ignore[arg-type]
    assert str(caught.value).split()[0] in options


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
def test_a_certificate_that_nobody_signed_is_not_trusted(tmp_path: Path) -> None:
    made, key = tmp_path / "made.pem", tmp_path / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*words.split(), *names, "-keyout", str(key), "-out", str(made)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    read: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        plug, _ = listener.accept()
        with plug:
            try:
                with context.wrap_socket(plug, server_side=True) as line:
                    read.append(line.recv(99))
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        where = Server(base_url=f"https://localhost:{listener.getsockname()[1]}/v1")
        failure = Model(where, environ=ENVIRON).ask(QUESTION, 10)
        thread.join()
    assert failure == Failure(Cause.NOT_TRUSTED, 1, 0)
    assert KEY.encode() not in b"".join(read)


@pytest.mark.slow
@pytest.mark.parametrize("missing", [*KINDS, "httpx2"])
def test_a_missing_extra_is_named_with_its_mend(missing: str) -> None:
    kind = missing if missing in KINDS else "openai"
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from darwin.deciders.llm.transport import Model, Server\n"
        "from darwin.errors import ConfigError\n"
        f"try: Model(Server(kind={kind!r}), environ={ENVIRON!r})\n"
        "except ConfigError as error: print(error.exit_code, *error.lines(), sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert done.splitlines()[0] == "2"
    assert missing in done
    assert 'pip install -e ".[llm]"' in done


@pytest.mark.slow
def test_the_sdks_are_loaded_when_asked_for_and_without_a_warning() -> None:
    code = (
        "import sys, darwin.deciders.llm.transport as llm\n"
        "heavy = {'openai', 'anthropic', 'httpx2', 'httpcore2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        f"llm.Model(llm.Server(), environ={ENVIRON!r})\n"
        "assert 'anthropic' not in sys.modules\n"
        f"llm.Model(llm.Server(kind='anthropic'), environ={ENVIRON!r})\n"
    )
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environ, check=True)

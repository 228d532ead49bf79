"""Whatever goes wrong on the wire or in the text, nothing of it becomes a take."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from darwin.deciders.llm.envelope import MOST_TOKENS, open_chat, open_message
from darwin.deciders.llm.parse import Answer, Fault, parse_answer
from darwin.deciders.llm.question import Cause
from darwin.deciders.llm.transport import Failure, Model, Reply, Server
from darwin.testing.llm_answers import Asked
from darwin.testing.llm_envelopes import CHAT, IN_ENVELOPES, MESSAGES, envelope
from darwin.testing.llm_faults import (
    CLAIMS_GZIP,
    GZIP_BOMB,
    HANG,
    HUGE,
    HUNG_UP_MIDWAY,
    NOT_HTTP,
    NOT_UTF8,
    RESET,
    RESET_MIDWAY,
    TRUNCATED,
    TWICE,
    WRONG_CONTENT_TYPE,
    ServerFault,
    drip,
    drip_body,
    nobody_listens,
    status,
)
from darwin.testing.llm_server import LlmServer
from tests.llm.answers import MALFORMED, TAKE
from tests.llm.conftest import ENVIRON, KINDS, QUESTION, model_of

ON_THE_WIRE = {
    RESET: Cause.CONNECTION_LOST,
    RESET_MIDWAY: Cause.CONNECTION_LOST,
    HUNG_UP_MIDWAY: Cause.CONNECTION_LOST,
    HANG: Cause.SILENCE,
    drip(1.0): Cause.SILENCE,
    drip_body(1.0): Cause.SILENCE,
    NOT_HTTP: Cause.CONNECTION_LOST,  # it hangs up in what may have been a first line
    TRUNCATED: Cause.NOT_JSON,
    TWICE: Cause.NOT_JSON,
    NOT_UTF8: Cause.NOT_JSON,
    HUGE: Cause.TOO_LARGE,
    WRONG_CONTENT_TYPE: Cause.NOT_JSON,
    CLAIMS_GZIP: Cause.NOT_JSON,
    GZIP_BOMB: Cause.NOT_JSON,
    status("401 Unauthorized"): Cause.KEY_REFUSED,
    status("404 Not Found"): Cause.NOT_FOUND,
    status("429 Too Many Requests", "0"): Cause.TOO_MANY_REQUESTS,
    status("429 Too Many Requests", "86400"): Cause.TOO_MANY_REQUESTS,
    status("500 Internal Server Error"): Cause.SERVER_ERROR,
    status("503 Service Unavailable"): Cause.SERVER_ERROR,
    status("201 Created"): Cause.ODD_STATUS,
    status("307 Temporary Redirect", location="/v1/chat/completions"): Cause.REDIRECTED,
}
IN_THE_ENVELOPE = dict(
    zip(
        IN_ENVELOPES,
        (
            Cause.NO_ANSWER,
            Cause.SEVERAL_ANSWERS,
            Cause.CUT_OFF,
            Cause.FILTERED,  # Anthropic knows no other word for it than refused
            Cause.REFUSED,
            Cause.TOOL_CALL,
            Cause.WRONG_ENVELOPE,
            Cause.WRONG_ENVELOPE,
        ),
        strict=True,
    )
)
FAULTS = ON_THE_WIRE | IN_THE_ENVELOPE
TEXTS = [text for text, _ in MALFORMED.values()]


@pytest.fixture(scope="module")
def server() -> Iterator[LlmServer]:
    with LlmServer() as server:
        yield server


def asking(server: LlmServer, kind: str, fault: ServerFault | None = None) -> Model:
    """A model that asks twice, and is impatient with those faults alone that are slow."""
    silence_s = 0.02 if FAULTS.get(fault) is Cause.SILENCE else 30.0  # type: ignore[arg-type]
    return model_of(server, kind, attempts=2, silence_s=silence_s, sleep=lambda s: None)


def understood(came: Reply | Failure) -> Answer | Fault | Cause:
    return came.cause if isinstance(came, Failure) else parse_answer(came.text)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_take_that_came_through_a_fault_is_not_heard(
    server: LlmServer, kind: str, fault: ServerFault
) -> None:
    server.answer = lambda asked: TAKE
    server.script(*[fault] * 2)
    came = asking(server, kind, fault).ask(QUESTION, 30)
    due = FAULTS[fault]
    if kind == "anthropic" and due is Cause.FILTERED:
        due = Cause.REFUSED
    assert isinstance(came, Failure)
    assert came.cause is due
    server.script()
    heard = understood(asking(server, kind).ask(QUESTION, 30))
    assert isinstance(heard, Answer)
    assert heard.take


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_no_malformed_answer_gets_through_with_a_fault_before_it(
    server: LlmServer, fault: ServerFault
) -> None:
    models = [asking(server, kind, fault) for kind in KINDS]
    server.answer = lambda asked: said
    for i, said in enumerate(TEXTS):
        server.script(fault)
        heard = understood(models[i % 2].ask(QUESTION, 30))
        assert not isinstance(heard, Answer), said


def test_no_malformed_answer_gets_through_where_nobody_listens_or_all_is_well(
    server: LlmServer,
) -> None:
    server.script()
    server.answer = lambda asked: said
    faults = set()
    with nobody_listens() as url:
        nobody = Model(Server(base_url=f"{url}/v1", attempts=1), environ=ENVIRON)
        models = [asking(server, kind) for kind in KINDS]
        for said in TEXTS:
            assert isinstance(understood(nobody.ask(QUESTION, 30)), Cause)
            heard = {understood(model.ask(QUESTION, 30)) for model in models}
            assert not any(isinstance(one, Answer) for one in heard), said
            faults |= heard
    assert set(Fault) - {Fault.EMPTY} <= faults  # those are heard; an empty one is no answer


def test_there_are_twelve_faults_and_sixty_answers_at_least() -> None:
    assert len(ON_THE_WIRE) >= 12
    assert len(TEXTS) >= 60


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_of_a_fuzzed_envelope_comes_a_text_or_a_cause(path: str) -> None:
    asked = Asked(path, {}, {"model": "m", "messages": []}, 0.0)
    read = open_chat if path == CHAT else open_message
    whole = json.dumps(envelope(asked, TAKE))
    chance, heard = random.Random(11), 0
    for _ in range(4000):
        came = read(json.dumps(_mutated(chance, json.loads(whole))).encode())
        heard += came.cause is None
        assert isinstance(came.text, str)
        assert (came.text == "") == (came.cause is not None)
        for count in came[2:]:
            assert count is None or (type(count) is int and 0 <= count <= 3 * MOST_TOKENS)
    assert 400 < heard < 3600


def _mutated(chance: random.Random, tree: Any) -> Any:
    """Change one to three places of a tree: gone, twice, or something else in its stead."""
    for _ in range(chance.randint(1, 3)):
        places = list(_places(tree))
        holder, key = chance.choice(places) if places else ([tree], 0)
        match chance.randint(0, 3):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.append(holder[key])
            case _:
                odd = [None, True, 0, -1, 1.5, 10**17, "", "stop", [], {}, ["x"], {"type": "text"}]
                holder[key] = chance.choice(odd)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree))
    for key in list(keys):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


@pytest.mark.parametrize("read", [open_chat, open_message])
@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"1", b"\xff", b"{", b"{}{}", b"[" * 500_000, b'{"a":1,"a":2}',
     b'{"usage":{"prompt_tokens":NaN}}', b'{"choices":' + b"9" * 9999 + b"}"],
)  # fmt: skip
def test_what_is_no_envelope_has_no_text(read: Any, body: bytes) -> None:
    came = read(body)
    assert came.cause in (Cause.NOT_JSON, Cause.WRONG_ENVELOPE)
    assert came[1:] == ("", None, None)

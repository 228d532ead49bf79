"""Which failures are the config's fault, or the key's: those that asking on will not mend.

What passes by itself (408, 409, 429, 5xx, silence, a broken connection) is no refusal. The rest is
told from the cause and from whether this server has ever answered: before it has, whatever speaks
another language at the address is not the server that was meant.
"""

from __future__ import annotations

from typing import NamedTuple

from darwin.deciders.llm.question import Cause, Failure, Reply
from darwin.deciders.llm.server import KEY_VARIABLE, Server
from darwin.errors import ExpertAwayError, ExpertError

ALWAYS = frozenset((Cause.KEY_REFUSED, Cause.NOT_FOUND))
"""Refusals of the key, the address or the model at whatever question they come."""

AT_FIRST = ALWAYS | {
    Cause.NO_CONNECTION,
    Cause.NOT_TRUSTED,
    Cause.NOT_HTTP,
    Cause.NOT_JSON,
    Cause.REDIRECTED,
    Cause.REQUEST_REFUSED,
    Cause.ODD_STATUS,
}
"""Refusals as long as the server has not answered; after that they may be of one question alone."""


_OF_THE_MODEL = frozenset(
    (
        Cause.NO_ANSWER,
        Cause.SEVERAL_ANSWERS,
        Cause.TOOL_CALL,
        Cause.REFUSED,
        Cause.FILTERED,
        Cause.CUT_OFF,
        Cause.HOLDS_THE_KEY,
    )
)


def is_from_the_model(came: Reply | Failure) -> bool:
    """Whether it shows that the server is the one that was meant, useful or not."""
    return isinstance(came, Reply) or came.cause in _OF_THE_MODEL


def may_pass(failure: Failure) -> bool:
    """Whether the same question may have an answer once its server is well again."""
    ours = (Cause.BUDGET_SPENT, Cause.ODD_REQUEST)
    return failure.cause not in ours and not is_from_the_model(failure)


def away(cause: str, waited_s: float, model: str) -> ExpertAwayError:
    """The error that an outage is which went on for longer than a replay waits."""
    return ExpertAwayError(
        f"the server of the model '{model}' has only failed for {waited_s:.0f} s of waiting;"
        f" the last time: {cause}",
        where="decider.base_url",
        mend="wait until it is well again",
    )


class _Told(NamedTuple):
    what: str
    where: str
    mend: str


def refusal(
    failure: Failure, server: Server, model: str, *, answered: bool, holds: bool
) -> ExpertError | None:
    """The error that a failure is, if it is the config's; None: it is a skip like any other.

    `answered`: this server has answered before. `holds`: the run trades as time goes by and may
    have positions open; then nothing stops it. No text in it is the server's, or the key's.
    """
    if holds or failure.cause not in (ALWAYS if answered else AT_FIRST):
        return None
    status = "" if failure.status is None else f" (HTTP {failure.status})"
    told = _told(failure.cause, server, model)
    kind = ExpertAwayError if failure.cause is Cause.NO_CONNECTION else ExpertError
    return kind(f"{told.what}{status}", where=told.where, mend=told.mend)


def _told(cause: Cause, server: Server, model: str) -> _Told:
    if cause is Cause.KEY_REFUSED:
        variable = KEY_VARIABLE[server.kind]
        return _Told(
            f"the server of the model '{model}' refuses the key",
            f"the environment: {variable} or {variable}_FILE",
            "export a key that it takes and that may use this model",
        )
    if cause is Cause.NOT_FOUND:
        return _Told(
            f"there is no such address at the server, or it has no model '{model}'",
            "decider.base_url, decider.model",
            f"{_ending(server)}; name a model that the server has",
        )
    if cause is Cause.REQUEST_REFUSED:
        return _Told(
            f"the server of the model '{model}' refuses what it is asked",
            "decider",
            "it may know no temperature (null), no structured answers ('json', 'off') or fewer"
            " max_output_tokens; or the account there is empty",
        )
    if cause is Cause.NO_CONNECTION:
        return _Told(
            f"nobody answers where the model '{model}' should be",
            "decider.base_url",
            "start the server there, or name its host and port",
        )
    if cause is Cause.NOT_TRUSTED:
        return _Told(
            f"the server of the model '{model}' cannot show that it is who it should be",
            "decider.base_url",
            "name the host that its certificate names, and let this machine trust who signed it",
        )
    return _Told(
        f"what answers where the model '{model}' should be does not speak its protocol",
        "decider.base_url, decider.kind",
        _ending(server),
    )


def _ending(server: Server) -> str:
    """What a base URL of this protocol ends with."""
    if server.kind == "anthropic":
        return "a base_url of kind 'anthropic' ends before /v1/messages"
    return "a base_url of kind 'openai' mostly ends in /v1"

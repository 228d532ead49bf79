"""What the OpenAPI document says of answers: their fields, an example, and every refusal."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_LACKING = "it has not earned it: `lacking` names the conditions"
_REFUSALS = {
    400: "the body cannot be read",
    401: "a token is needed, or the one that was sent does not hold",
    403: "the token may only look, or a page of another origin asks",
    404: "there is no such thing",
    408: "the body did not come in time",
    409: f"as things stand it is refused, or {_LACKING}",
    413: "the body is longer than 1 MiB",
    415: "the body is no JSON",
    421: "the service does not answer to that name",
    422: "a parameter or the body cannot be meant",
    429: "too many jobs wait, or too many tokens that do not hold were sent",
    503: "the database cannot be read or written at the moment",
}
LOOKING = (401, 403, 404, 421, 422, 429, 503)
ACTING = (400, 401, 403, 404, 408, 409, 413, 415, 421, 422, 429, 503)


class Told(BaseModel):
    """An answer; it may hold more than is named here."""

    model_config = ConfigDict(extra="allow")


class Refused(Told):
    """Why not, where, and what to do about it."""

    error: str = Field(examples=["there is no job 7"])
    where: str = Field(examples=["jobs"])
    mend: str = Field(examples=["`darwin jobs` lists them"])


def looking(model: Any, example: Any = None, says: str = "What is.") -> dict[int | str, Any]:
    """The answers of a route that only looks."""
    return {200: _good(says, model, example)} | _refused(LOOKING)


def acting(
    model: Any, example: Any = None, says: str = "It is done.", later: Any = None
) -> dict[int | str, Any]:
    """The answers of a route that changes something; `later` is what 202 is answered with."""
    told = {200: _good(says, model, example)} | _refused(ACTING)
    return told | ({202: _good("It goes on.", later, None)} if later is not None else {})


def _good(says: str, model: Any, example: Any) -> dict[str, Any]:
    shown = {} if example is None else {"content": {"application/json": {"example": example}}}
    return {"description": says, "model": model} | shown


def _refused(codes: tuple[int, ...]) -> dict[int | str, Any]:
    return {code: {"description": _REFUSALS[code], "model": Refused} for code in codes}

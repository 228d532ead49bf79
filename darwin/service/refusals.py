"""How the service says no: one shape for every error, of which nothing inside can be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from darwin.errors import (
    ConfigError,
    DarwinError,
    DataError,
    IntegrityError,
    LockedError,
    LostJobError,
    ModelError,
    StorageError,
)
from darwin.service.acts import NotPassedError
from darwin.service.answers import Answer
from darwin.service.place import Place

QUEUE = "the queue of jobs"
"""Where a job is refused because too many wait."""


class Refusal(Exception):  # noqa: N818  a refusal is an answer, no error of ours
    """An answer other than what was asked for."""

    def __init__(
        self,
        status: int,
        what: str,
        *,
        where: str = "",
        mend: str = "",
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Say `what` is refused, `where` it stands and how to `mend` it."""
        super().__init__(what)
        self.status, self.what, self.where, self.mend = status, what, where, mend
        self.headers, self.more = dict(headers or {}), dict(more or {})

    def answer(self) -> Answer:
        """It as JSON."""
        told = {"error": self.what, "where": self.where, "mend": self.mend} | self.more
        return Answer(told, status_code=self.status, headers=self.headers)


_STATUS: tuple[tuple[type[DarwinError], int], ...] = (
    (NotPassedError, 409), (StorageError, 503), (IntegrityError, 503), (LockedError, 409),
    (LostJobError, 409), (ModelError, 409), (DataError, 422),
)  # fmt: skip


def refusal_of(error: DarwinError, place: Place, *, changes: bool) -> Refusal:
    """What a DarwinError is by HTTP; `changes`: it met a request that would change something.

    What cannot be meant is 409 there, and 404 for who only looks.
    """
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 0)
    if not status:
        status = 409 if changes else 404
    if isinstance(error, ConfigError) and error.where == QUEUE:
        status = 429
    more = {"lacking": error.lacking} if isinstance(error, NotPassedError) else {}
    headers = {"Retry-After": "5"} if status in (429, 503) else {}
    texts = (public(text, place) for text in (error.what, error.where, error.mend))
    what, where, mend = texts
    return Refusal(status, what, where=where, mend=mend, headers=headers, more=more)


def of_fields(fault: RequestValidationError) -> Refusal:
    """What is wrong with parameters or body: of the path 404, else 422."""
    faults = fault.errors()
    first = faults[0]
    places = [str(part) for part in first["loc"] if part != "body"] or ["body"]
    status = 404 if all(one["loc"][:1] == ("path",) for one in faults) else 422
    others = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Refusal(
        status, _plain(f"{first['msg']}{others}"), where=_plain(".".join(places)),
        mend="/openapi.json says what is taken",
    )  # fmt: skip


def of_http(fault: HTTPException) -> Refusal:
    """What the router says of a path or a method that it does not know."""
    words = {
        404: ("there is nothing at this address", "/openapi.json lists all addresses"),
        405: ("this address does not take this method", "/openapi.json says which it takes"),
    }
    what, mend = words.get(fault.status_code, ("it is refused", ""))
    return Refusal(fault.status_code, what, mend=mend, headers=fault.headers)


_PATH = re.compile(r"(?<![\w.~:/])/(?!api/)(?:[\w.@+~-]+/)*[\w.@+~-]+")


def public(text: str, place: Place) -> str:
    """A message without the folders of this machine."""
    for folder, name in _folders(place):
        text = text.replace(folder, name)
    return _PATH.sub(lambda found: found[0].rpartition("/")[2], text)


def _folders(place: Place) -> list[tuple[str, str]]:
    deployment = place.deployment
    named = [
        (deployment.db, "the database"), (deployment.models_dir, "the models"),
        (place.artifacts, "the artifacts"),
    ]  # fmt: skip
    found = []
    for path, name in named:
        found += [(str(Path(path).absolute()), name), (str(path), name)]
    return [(path, name) for path, name in found if len(path) > 1 and "/" in path]


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:300]

"""What every route is given: the deployment as it is served, who asks, and what they sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from darwin.errors import DarwinError
from darwin.service.acts import Signed
from darwin.service.auth import Keys, Limiter, Who
from darwin.service.background import Background
from darwin.service.events import Hub
from darwin.service.place import Place
from darwin.service.reader import Reader
from darwin.service.refusals import refusal_of
from darwin.service.settings import Settings
from darwin.service.shapes import AgentName, MaySign, MustSign


@dataclass(frozen=True, slots=True)
class Served:
    """One service: what it was told, and what it keeps open."""

    settings: Settings
    reader: Reader
    keys: Keys
    limiter: Limiter
    hub: Hub
    background: Background

    @property
    def place(self) -> Place:
        """The deployment."""
        return self.settings.place


def _served(request: Request) -> Served:
    served: Served = request.app.state.served
    return served


def _who(request: Request) -> Who:
    who: Who = request.scope["state"]["who"]
    return who


TheService = Annotated[Served, Depends(_served)]
TheAsker = Annotated[Who, Depends(_who)]
AnAgent = Annotated[AgentName, Path(description="The agent.", examples=["gate"])]
_AGENT = Query(alias="agent", description="The agent.")
OfAgent = Annotated[AgentName | None, Query(description="Of this agent alone.")]
GateByDefault = Annotated[AgentName, _AGENT]
MarketByDefault = Annotated[AgentName, _AGENT]
ON_MARKET: AgentName = "market"
Few = Annotated[int, Query(ge=1, le=500, description="Rows of a page.")]
Before = Annotated[
    int | None, Query(ge=1, le=2**53, description="The `next` of the page before this one.")
]
AJob = Annotated[int, Path(ge=1, le=2**53, examples=[7])]
ARun = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["demo"])]


def signed(who: Who, body: MaySign | MustSign | None, default: str = "by HTTP") -> Signed:
    """Who says so and why: the name in the body stands beside that of the token."""
    by, reason = (None, None) if body is None else (body.by, body.reason)
    name = who.name if by in (None, who.name) else f"{by} (token of {who.name})"
    return Signed(name, reason or default)


def found(served: Served, error: DarwinError) -> Exception:
    """An error of looking something up, within a request that changes something: 404."""
    return refusal_of(error, served.place, changes=False)

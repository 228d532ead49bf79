"""Acts on pages: each asks first, names what will happen, wants a reason, and says what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from darwin.errors import DarwinError
from darwin.service.dashboard.asks import Given
from darwin.service.dashboard.deeds import signed_by
from darwin.service.dashboard.offered import ACTS, act_of
from darwin.service.dashboard.page_route import PageRoute, told
from darwin.service.dashboard.render import by_script, local, page, who
from darwin.service.dashboard.work_pages import FIRST, train_form
from darwin.service.reader import Reader
from darwin.service.refusals import refusal_of
from darwin.service.served import Served, TheService

router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a form; the body has been found to be one before."""
    body = await request.body()
    return dict(
        parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
    )


TheForm = Annotated[dict[str, str], Depends(_fields)]


@router.get("/login")
def sign_in(
    request: Request, served: TheService, next: Annotated[str, Query(max_length=500)] = "/"
) -> Response:
    """Where one signs in with a token."""
    return page(request, served.reader, "login.html.j2", next=local(next), refused=None)


@router.get("/ask/{name}")
def ask(name: str, request: Request, served: TheService) -> Response:
    """What an act would do, and the form that asks for it: a page, or a part for a dialog."""
    return _ask(name, request, served.reader, dict(request.query_params))


def _do(name: str) -> Callable[[Request, Served, dict[str, str]], Response]:
    """Do what was asked for, and go back; where it is refused, say why in its place."""

    def do(request: Request, served: TheService, given: TheForm) -> Response:
        try:
            act = act_of(name, given)
            went = act.do(served.place, given, signed_by(who(request).name, given))
        except DarwinError as fault:
            refused = refusal_of(fault, served.place, changes=True)
            return _ask(
                name, request, served.reader, given, status=refused.status, refused=told(refused)
            )
        address = _with(local(went or given.get("back", "/")), "done", name)
        if by_script(request):
            return Response(status_code=204, headers={"HX-Redirect": address})
        return RedirectResponse(address, status_code=303)

    return do


for _name, _act in ACTS.items():
    router.add_api_route(f"/do/{_name}", _do(_name), methods=["POST"], name=_act.called)


def _with(address: str, name: str, value: str) -> str:
    """An address that says one thing more, in the place of what it said of that before."""
    place = urlsplit(address)
    query = [pair for pair in parse_qsl(place.query) if pair[0] != name]
    return f"{place.path}?{urlencode([*query, (name, value)])}"


def _ask(
    name: str,
    request: Request,
    sight: Reader,
    given: Given,
    *,
    status: int = 200,
    refused: dict[str, Any] | None = None,
) -> Response:
    if name == "train":
        return page(
            request, sight, "train.html.j2", here="Training", part="train_form.html.j2",
            status=status, refused=refused, **train_form(sight, FIRST | dict(given)),
        )  # fmt: skip
    act = act_of(name, given)
    back = local(given.get("back", "/"))
    hidden = {field: given[field] for field in act.about} | {"back": back}
    return page(
        request, sight, "ask.html.j2", part="ask_part.html.j2", status=status, act=name,
        ask=act.ask(sight, given), hidden=hidden, given=given if refused else {}, back=back,
        refused=refused, self_path=f"/ask/{name}?{urlencode(hidden)}",
    )  # fmt: skip

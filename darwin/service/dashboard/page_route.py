"""A route that answers with a page, also where it must say no."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from darwin.errors import DarwinError
from darwin.service.dashboard.render import page
from darwin.service.refusals import Refusal, of_fields, refusal_of
from darwin.service.served import Served


class PageRoute(APIRoute):
    """Shows an error of Darwin, or of an address, as a page with its mend."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors answered."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            served: Served = request.app.state.served
            try:
                return await handle(request)
            except DarwinError as fault:
                refused = refusal_of(fault, served.place, changes=False)
            except RequestValidationError as fault:
                refused = of_fields(fault)
            except Refusal as fault:
                refused = fault
            return await run_in_threadpool(
                lambda: page(
                    request, served.reader, "fault.html.j2", status=refused.status,
                    part="refused.html.j2", refused=told(refused),
                )
            )  # fmt: skip

        return answered


def told(refused: Refusal) -> dict[str, Any]:
    """A refusal as templates show it."""
    return {
        "what": refused.what, "where": refused.where, "mend": refused.mend,
        "lacking": refused.more.get("lacking", ()),
    }  # fmt: skip

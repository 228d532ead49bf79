"""`/login` and `/logout`: a page's token goes into a cookie that no script can read."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from darwin.service.answers import Answer
from darwin.service.auth import COOKIE, address_of
from darwin.service.entry import LOGIN, LOGOUT
from darwin.service.refusals import Refusal
from darwin.service.served import TheService
from darwin.service.strict_body import FORM, fields_of

router = APIRouter(include_in_schema=False)
FOR_S = 12 * 3600
"""A cookie is forgotten after half a day."""


@router.post(LOGIN)
async def sign_in(request: Request, served: TheService) -> Response:
    """Keep a token in a cookie; a form is led to the page that it came for, JSON is answered."""
    fields = fields_of(request.scope, await request.body(), forms=True)
    fields = fields if isinstance(fields, dict) else {}
    given = fields.get("token")
    token = given.strip() if isinstance(given, str) else ""
    held = await run_in_threadpool(served.keys.holder, token)
    if held is None:
        served.limiter.wrong(address_of(request.scope))
        raise Refusal(
            401, "this token does not hold", where="token",
            mend="`darwin token create NAME --role operator|viewer` makes one",
        )  # fmt: skip
    answer: Response = Answer({"name": held.name, "role": str(held.role)})
    if request.headers.get("content-type", "").startswith(FORM):
        answer = RedirectResponse(_own(fields.get("next", "/")), status_code=303)
    answer.set_cookie(
        COOKIE, token, max_age=FOR_S, httponly=True, samesite="strict", path="/",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


@router.post(LOGOUT)
async def sign_out(request: Request) -> Response:
    """Forget the cookie; the token holds on until `darwin token revoke NAME`."""
    answer: Response = Answer({"signed_out": True})
    if request.headers.get("content-type", "").startswith(FORM):
        answer = RedirectResponse(LOGIN, status_code=303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _own(address: str) -> str:
    """An address of this service; the first page for any other."""
    is_own = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_own and address.isprintable() else "/"

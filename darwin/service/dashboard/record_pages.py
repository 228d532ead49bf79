"""Pages about what is on record: acts, alerts, dossiers; and what pages load."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import FileResponse, Response

from darwin.service import reading
from darwin.service.browsing import dossier_page
from darwin.service.dashboard.page_route import PageRoute
from darwin.service.dashboard.render import STATIC, page
from darwin.service.dashboard.run_pages import REPORT_CSP
from darwin.service.refusals import Refusal
from darwin.service.served import AnAgent, Before, TheService

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/acts")
def acts(request: Request, served: TheService, before: Before = None) -> Response:
    """What was asked of the service, by whom, and what it came to."""
    found = reading.acts(served.reader.database(), before=before)
    return page(request, served.reader, "acts.html.j2", here="Acts", **found)


@router.get("/alerts")
def alerts(request: Request, served: TheService, before: Before = None) -> Response:
    """All alerts, a page at a time."""
    found = reading.alerts(served.reader.database(), before=before)
    return page(request, served.reader, "alerts.html.j2", **found)


@router.get("/dossiers")
def dossiers(request: Request, served: TheService) -> Response:
    """Every promotion and demotion, with its dossier."""
    found = reading.dossiers(served.place, served.reader.database())
    return page(request, served.reader, "dossiers.html.j2", here="Dossiers", dossiers=found[::-1])


@router.get("/dossiers/{agent}/{number}")
def dossier(
    agent: AnAgent, number: Annotated[int, Path(ge=1, le=2**53)], served: TheService
) -> Response:
    """The page of one dossier, as it was written."""
    file = dossier_page(served.place, served.reader.database(), agent, number)
    return FileResponse(
        file, media_type="text/html", headers={"Content-Security-Policy": REPORT_CSP}
    )


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A script, style or mark of this package."""
    if name not in STATIC:
        raise Refusal(404, "there is nothing at this address", mend="open the first page")
    return FileResponse(STATIC[name], headers={"Cache-Control": "public, max-age=31536000"})

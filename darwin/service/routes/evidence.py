"""What is on record beside runs: dossiers, alerts, and what was asked of the service."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import FileResponse, Response

from darwin.rl.cli.dossier_files import FOLDER
from darwin.service import reading
from darwin.service.answers import Answer
from darwin.service.refusals import Refusal
from darwin.service.routes.answers_told import looking
from darwin.service.routes.runs import SANDBOX
from darwin.service.routes.trees import Acts, Alerts, Dossiers
from darwin.service.served import Before, Few, OfAgent, TheService

router = APIRouter(prefix="/api/v1", tags=["safety"])
_FILE: dict[int | str, Any] = {
    200: {
        "description": "The dossier.",
        "content": {"application/json": {}, "text/html": {"schema": {"type": "string"}}},
    }
}


@router.get("/dossiers", summary="What each promotion rested on", responses=looking(Dossiers))
def dossiers(served: TheService) -> Answer:
    """Every promotion and demotion, and whether its dossier is written."""
    return Answer({"dossiers": reading.dossiers(served.place, served.reader.database())})


@router.get(
    "/dossiers/{file}", summary="One dossier", response_class=Response,
    responses=looking(None) | _FILE,
)  # fmt: skip
def dossier(
    served: TheService,
    file: Annotated[
        str, Path(pattern=r"^[a-z_]{1,20}-\d{1,9}\.(json|html)$", examples=["gate-1.json"])
    ],
) -> Response:
    """As JSON or as a page, which may draw itself and do nothing else."""
    stem, _, ending = file.partition(".")
    known = {one["file"] for one in reading.dossiers(served.place, served.reader.database())}
    path = served.place.artifacts / FOLDER / file
    if f"{stem}.json" not in known or not path.is_file():
        raise Refusal(
            404, "there is no such dossier", where="file",
            mend="GET /api/v1/dossiers lists them; `darwin rl dossier write` writes what lacks",
        )  # fmt: skip
    if ending == "json":
        return FileResponse(path, media_type="application/json")
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": SANDBOX})


@router.get("/alerts", summary="Alerts of all runs", responses=looking(Alerts))
def alerts(
    served: TheService, agent: OfAgent = None, before: Before = None, limit: Few = 50
) -> Answer:
    """A page, the newest first."""
    return Answer(reading.alerts(served.reader.database(), agent=agent, before=before, limit=limit))


@router.get("/acts", summary="What was asked of the service, and by whom", responses=looking(Acts))
def acts(served: TheService, before: Before = None, limit: Few = 50) -> Answer:
    """A page, the newest first: each act with the status that it was answered with."""
    return Answer(reading.acts(served.reader.database(), before=before, limit=limit))

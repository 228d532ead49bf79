"""`/api/v1/runs` and `/api/v1/candidates`: what was run, and why each candidate ended as it did."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import FileResponse, Response

from darwin.service import reading
from darwin.service.answers import Answer
from darwin.service.refusals import Refusal
from darwin.service.routes.answers_told import looking
from darwin.service.routes.trees import AnyTree, Candidates, Run, Runs
from darwin.service.served import ARun, Before, Few, TheService

router = APIRouter(prefix="/api/v1", tags=["runs"])
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
"""What a page that lies on the disk may do: draw itself, and nothing else."""
_PAGE: dict[int | str, Any] = {
    200: {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}}
}
MostRuns = Annotated[int, Query(ge=1, le=10_000, description="How many.")]


@router.get("/runs", summary="The recorded runs", responses=looking(Runs))
def runs(served: TheService, limit: MostRuns = 100) -> Answer:
    """The latest begun first."""
    return Answer({"runs": reading.runs(served.reader.database())[:limit]})


@router.get("/runs/{run_id}", summary="One run", responses=looking(Run))
def run(served: TheService, run_id: ARun) -> Answer:
    """Its inputs, funnel, rulings and safety events, as `darwin runs show --json`."""
    return Answer(reading.run(served.reader.database(), run_id))


@router.get(
    "/runs/{run_id}/report", summary="The report of a run", response_class=Response,
    responses=looking(None) | _PAGE,
)  # fmt: skip
def report(served: TheService, run_id: ARun) -> Response:
    """The page that `darwin report` writes; it may draw itself, and do nothing else."""
    reading.run(served.reader.database(), run_id)
    path = served.place.artifacts / "runs" / run_id / "report.html"
    if not path.is_file():
        raise Refusal(
            404, f"run '{run_id}' has no report yet", where="report.html",
            mend=f"`darwin report {run_id}` writes it",
        )  # fmt: skip
    return FileResponse(
        path, media_type="text/html",
        headers={"Content-Security-Policy": SANDBOX, "X-Frame-Options": "SAMEORIGIN"},
    )  # fmt: skip


@router.get(
    "/runs/{run_id}/candidates", summary="The candidates of a run", responses=looking(Candidates)
)
def candidates(served: TheService, run_id: ARun, before: Before = None, limit: Few = 50) -> Answer:
    """A page, the newest first, each with the stage and the reason that it ended with."""
    database = served.reader.database()
    reading.run(database, run_id)
    return Answer(reading.candidates(database, run_id, before=before, limit=limit))


@router.get(
    "/candidates/{candidate_id}", summary="Why a candidate ended as it did",
    responses=looking(AnyTree),
)  # fmt: skip
def why(
    served: TheService,
    candidate_id: Annotated[
        str, Path(pattern=r"^[0-9a-f]{4,16}$", description="Its first digits are enough.")
    ],
    run: Annotated[str | None, Query(max_length=64, description="Where several hold it.")] = None,
) -> Answer:
    """Each stage of the funnel with what was decided, as `darwin why --json`."""
    return Answer(reading.why(served.reader.database(), candidate_id, run))

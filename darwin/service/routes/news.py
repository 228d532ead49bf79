"""`/api/v1/events`: what happens, as it happens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from darwin.service.routes.answers_told import looking
from darwin.service.served import TheService

router = APIRouter(prefix="/api/v1/events", tags=["service"])
_STREAM: dict[int | str, Any] = {
    200: {
        "description": "Events `job`, `alert` and `kill`, each with a tree as its data.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "", summary="Progress of jobs, alerts and the kill switch, as they change",
    response_class=Response, responses=looking(None) | _STREAM,
)  # fmt: skip
async def events(served: TheService) -> Response:
    """What holds first, then what is new, looked for once a second for all who listen."""
    served.hub.admit()
    return StreamingResponse(served.hub.listen(), media_type="text/event-stream")

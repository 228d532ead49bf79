"""`/health`: whether the service can do its work; `/metrics`: figures for Prometheus."""

from __future__ import annotations

import shutil

from fastapi import APIRouter
from sqlalchemy import select
from starlette.responses import Response

from darwin.errors import DarwinError
from darwin.service import reading
from darwin.service.answers import Answer
from darwin.service.metrics import CONTENT_TYPE, exposition
from darwin.service.refusals import public
from darwin.service.routes.answers_told import looking
from darwin.service.routes.trees import Health
from darwin.service.served import Served, TheService
from darwin.store.schema import jobs

router = APIRouter(tags=["service"])
LEAST_FREE_BYTES = 64 << 20
_WELL = {"status": "ok", "database": "ok", "disk": "ok", "killed": False, "chores": []}


@router.get(
    "/health",
    summary="Whether the service can do its work",
    responses={200: {"description": "It can.", "model": Health,
                     "content": {"application/json": {"example": _WELL}}},
               503: {"description": "It cannot; the fields say why.", "model": Health}},
)  # fmt: skip
def health(served: TheService) -> Answer:
    """Look at database and disk. A kill switch that is on is no illness, and is told."""
    database, disk, killed = _database(served), _disk(served), True
    try:
        killed = bool(reading.kill_status(served.place)["killed"])
    except DarwinError as fault:
        database = public(fault.what, served.place)
    well = database == disk == "ok"
    chores = [
        {"name": one.name, "ticks": one.ticks, "faults": one.faults}
        for one in served.background.chores
    ]
    told = {"status": "ok" if well else "ill", "database": database, "disk": disk}
    return Answer(told | {"killed": killed, "chores": chores}, 200 if well else 503)


def _database(served: Served) -> str:
    try:
        with served.reader.database().read() as connection:
            connection.execute(select(jobs.c.id).limit(1)).all()
    except DarwinError as fault:
        return public(fault.what, served.place)
    return "ok"


def _disk(served: Served) -> str:
    try:
        free = shutil.disk_usage(served.place.deployment.db.parent).free
    except OSError as fault:
        return f"cannot be asked ({fault.strerror})"
    return "ok" if free >= LEAST_FREE_BYTES else f"{free / (1 << 20):.0f} MiB are free"


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses=looking(None) | {200: {"description": "Text of Prometheus.",
                                     "content": {"text/plain": {"schema": {"type": "string"}}}}},
)  # fmt: skip
def metrics(served: TheService) -> Response:
    """Count what is on record."""
    return Response(exposition(served.place), media_type=CONTENT_TYPE)

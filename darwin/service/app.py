"""The service as one application: its addresses, and what stands before each of them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from darwin import __version__
from darwin.errors import DarwinError
from darwin.service import refusals
from darwin.service.addresses import LOOKS, addresses_of
from darwin.service.auth import Keys, Limiter
from darwin.service.background import Background, Chore
from darwin.service.dashboard import pages
from darwin.service.document import TAGS, describe
from darwin.service.entry import Entry
from darwin.service.events import Hub
from darwin.service.guard import Guard
from darwin.service.reader import THREADS, Reader
from darwin.service.routes import (
    agents,
    evidence,
    health,
    jobs,
    kill,
    models,
    news,
    rl_agent,
    rl_v3,
    rl_v3_capital,
    runs,
    schedule,
    sign_in,
)
from darwin.service.served import Served
from darwin.service.settings import Settings

_LOG = logging.getLogger(__name__)
ROUTES = (
    health, rl_agent, rl_v3, rl_v3_capital, runs, agents, models, evidence, kill, jobs, schedule,
    news, sign_in, *pages.ROUTES,
)  # fmt: skip


def create_app(settings: Settings, chores: Sequence[Chore] = ()) -> FastAPI:
    """The application over a deployment; `chores` run beside it while it serves.

    The database is made where it is missing. Raises StorageError.
    """
    settings.place.make()
    reader, keys = Reader(settings.place), Keys(settings.place.deployment.db)
    served = Served(settings, reader, keys, Limiter(), Hub(reader), Background(chores))

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        served.background.start()
        try:
            yield
        finally:
            served.hub.close()
            served.background.stop()
            reader.close()
            keys.close()

    app = FastAPI(
        title="Darwin", version=__version__, openapi_tags=TAGS, lifespan=life, docs_url=None,
        redoc_url=None, redirect_slashes=False,
        description="What a deployment of Darwin knows and does, as its commands do it.",
    )  # fmt: skip
    app.state.served = served
    for routes in ROUTES:
        app.include_router(routes.router)
    _answer_refusals(app, settings)
    addresses = addresses_of(*(routes.router for routes in ROUTES))
    app.add_middleware(
        Entry, settings=settings, keys=keys, limiter=served.limiter, addresses=addresses
    )
    app.add_middleware(Guard, settings=settings)  # the last that is added is the first asked
    describe(app)
    return app


def _answer_refusals(app: FastAPI, settings: Settings) -> None:
    """Give every error its one shape."""

    @app.exception_handler(refusals.Refusal)
    async def refused(request: Request, fault: refusals.Refusal) -> Response:
        return fault.answer()

    @app.exception_handler(RequestValidationError)
    async def misunderstood(request: Request, fault: RequestValidationError) -> Response:
        return refusals.of_fields(fault).answer()

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, fault: HTTPException) -> Response:
        return refusals.of_http(fault).answer()

    @app.exception_handler(DarwinError)
    async def refused_by_us(request: Request, fault: DarwinError) -> Response:
        changes = request.method not in LOOKS
        told = refusals.refusal_of(fault, settings.place, changes=changes)
        if told.status >= 500:
            _LOG.error("%s", fault)
        return told.answer()

"""The dashboard: all its pages, for an application to take in."""

from __future__ import annotations

from fastapi import APIRouter

from darwin.service.dashboard import agent_pages, doing, record_pages, run_pages, work_pages


def router() -> APIRouter:
    """Every page, what it loads and the acts it asks for; who may is judged before any of them."""
    every = APIRouter()
    for pages in (agent_pages, run_pages, work_pages, record_pages, doing):
        every.include_router(pages.router)
    return every

"""The dashboard: its pages, a file for each subject, for the application to take in."""

from __future__ import annotations

from darwin.service.dashboard import agent_pages, doing, record_pages, run_pages, work_pages

ROUTES = (agent_pages, run_pages, work_pages, record_pages, doing)
"""Each has a `router`; who may is judged before any of them is asked."""

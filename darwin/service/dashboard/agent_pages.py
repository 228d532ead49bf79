"""Pages about agents: all of them at a glance, and each by itself."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from darwin.core.agents import AGENTS, Why
from darwin.core.rebalance import ALL_AGENTS, BOOK_AGENTS
from darwin.service import browsing, reading, watching
from darwin.service.dashboard.page_route import PageRoute
from darwin.service.dashboard.render import page
from darwin.service.reader import Reader
from darwin.service.served import AnAgent, Before, TheService
from darwin.store import jobs

router = APIRouter(route_class=PageRoute, include_in_schema=False)
NEWEST_RUNS, NEWEST_ALERTS = 6, 8
_TOLD = {"days_apart", "usd", "total_return", "sharpe_ratio"}
Choice = Annotated[str, Query(max_length=80)]


@router.get("/")
def overview(request: Request, served: TheService) -> Response:
    """Trading, agents, kill switch, capital, jobs and alerts at a glance."""
    sight = served.reader
    database = sight.database()
    runs = reading.runs(database)
    return page(
        request, sight, "overview.html.j2", here="Overview",
        kill=reading.kill_status(served.place),
        agents=_at_a_glance(sight),
        runs=runs[:NEWEST_RUNS], run_count=len(runs), kinds=browsing.kinds(database),
        equity=browsing.equity(database, runs[0]["run_id"]) if runs else None,
        beats=browsing.heartbeats(served.place, database),
        jobs=[job for job in jobs.latest(database) if not job.state.over],
        alerts=reading.alerts(database, limit=NEWEST_ALERTS)["alerts"],
    )  # fmt: skip


@router.get("/part/kill")
def kill_part(request: Request, served: TheService) -> Response:
    """The kill switch as every page shows it, for the page to renew."""
    return page(request, served.reader, "kill.html.j2")


@router.get("/agents/{agent}")
def agent(
    agent: AnAgent,
    request: Request,
    served: TheService,
    run: Choice = "",
    role: Choice = "",
    ruling: Choice = "",
    before: Before = None,
) -> Response:
    """One agent: evidence, conditions, twin, health, models, acts and decisions."""
    sight = served.reader
    database, registry = sight.database(), sight.registry()
    one = _seen(sight, agent)
    found = reading.decisions(
        database, agent, run_id=run or None, role=role or None, reason=ruling or None,
        before=before,
    )  # fmt: skip
    chosen = {"run": run, "role": role, "ruling": ruling}
    kept = urlencode({name: value for name, value in chosen.items() if value})
    return page(
        request, sight, "agent.html.j2", one=one, agent_names=ALL_AGENTS, chosen=chosen,
        is_book=agent in BOOK_AGENTS, has_health=agent in AGENTS,
        contribution=_contribution(sight, one),
        models=reading.models(registry, agent), history=watching.history(registry, agent),
        run_names=[each["run_id"] for each in reading.runs(database)],
        rulings=[why.value for why in Why], decisions=found["decisions"], next=found["next"],
        decisions_path=f"/agents/{agent}{'?' + kept if kept else ''}",
    )  # fmt: skip


@router.get("/agents/{agent}/health")
def health(agent: AnAgent, request: Request, served: TheService) -> Response:
    """The health check of an agent; it takes longer than the rest, so pages load it by itself."""
    sight = served.reader
    found = sight.once(("health", agent), lambda: watching.health(sight.registry(), agent))
    return page(
        request, served.reader, "health.html.j2", part="health_part.html.j2", agent=agent,
        health=found,
    )  # fmt: skip


def _at_a_glance(sight: Reader) -> list[dict[str, Any]]:
    """The agents that anything is known of, with how many of their decisions are on record."""
    counts = reading.decision_counts(sight.database())
    shown = watching.agents_shown(sight.registry(), counts)
    return [_seen(sight, name) | {"recorded": counts[name]} for name in shown]


def _seen(sight: Reader, agent: str) -> dict[str, Any]:
    """An agent, judged once as long as nothing changes."""
    found: dict[str, Any] = sight.once(
        ("page", agent), lambda: watching.agent(sight.registry(), agent)
    )
    return found


def _contribution(sight: Reader, one: dict[str, Any]) -> dict[str, Any] | None:
    """What the agent alone brought in its latest run; None where no twin tells."""
    if one["latest_run"] is None:
        return None
    told = browsing.twins(sight.place, sight.database(), one["latest_run"])
    found: dict[str, Any] = (told or {}).get("contributions", {}).get(one["agent"], {})
    return found if found.keys() >= _TOLD else None

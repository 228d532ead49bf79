"""Pages about runs and their candidates."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from darwin.rl.cli.whys import why_tree
from darwin.service import browsing, reading
from darwin.service.dashboard.page_route import PageRoute
from darwin.service.dashboard.render import page
from darwin.service.served import ARun, Before, TheService
from darwin.store import rebalance_words
from darwin.store.queries import funnel
from darwin.store.rebalance_story import RebalanceStory, story_of
from darwin.store.story_words import about, outcome_line, stage_rows

router = APIRouter(route_class=PageRoute, include_in_schema=False)
RUNS_OF_A_PAGE = 50
REPORT_CSP = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:;"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox allow-scripts"
)
"""Of a page that was made to be one file: its own script may run, of an origin that is nobody's."""
Choice = Annotated[str, Query(max_length=120)]


@router.get("/runs")
def runs(
    request: Request, served: TheService, skip: Annotated[int, Query(ge=0, le=10**9)] = 0
) -> Response:
    """All runs, a page at a time."""
    database = served.reader.database()
    found = reading.runs(database)
    end = skip + RUNS_OF_A_PAGE
    return page(
        request, served.reader, "runs.html.j2", here="Runs", runs=found[skip:end],
        run_count=len(found), kinds=browsing.kinds(database),
        next=end if len(found) > end else None,
    )  # fmt: skip


@router.get("/runs/{run_id}")
def run(run_id: ARun, request: Request, served: TheService, before: Before = None) -> Response:
    """One run: equity, funnel, safety events, trades."""
    database, place = served.reader.database(), served.place
    found = reading.run(database, run_id)
    trades = browsing.trades(database, run_id, before=before)
    beats = {beat["run_id"]: beat for beat in browsing.heartbeats(place, database)}
    return page(
        request, served.reader, "run.html.j2", here="Runs", run=found,
        kind=browsing.kinds(database)[run_id], beat=beats.get(run_id),
        equity=browsing.equity(database, run_id), trades=trades["trades"], next=trades["next"],
        has_report=browsing.has_report(place, run_id),
    )  # fmt: skip


@router.get("/runs/{run_id}/report")
def report(run_id: ARun, served: TheService) -> Response:
    """The report of a run as it was written, in a room of its own."""
    file = browsing.report_file(served.place, served.reader.database(), run_id)
    return FileResponse(
        file, media_type="text/html", headers={"Content-Security-Policy": REPORT_CSP}
    )


@router.get("/candidates")
def candidates(
    request: Request,
    served: TheService,
    run: Choice = "",
    playbook: Choice = "",
    symbol: Choice = "",
    ending: Choice = "",
    before: Before = None,
) -> Response:
    """The candidates of a run, by choice; without one, of the latest run."""
    database = served.reader.database()
    names = [each["run_id"] for each in reading.runs(database)]
    run = run or (names[0] if names else "")
    chosen = {"run": run, "playbook": playbook, "symbol": symbol, "ending": ending}
    found = browsing.candidates(
        database, run, symbol=symbol, playbook=playbook, ending=ending, before=before
    )
    return page(
        request, served.reader, "candidates.html.j2", here="Candidates", chosen=chosen,
        run_names=names, choices=browsing.choices(database, run),
        funnel=funnel(database, run) if run else [], candidates=found["candidates"],
        next=found["next"],
        more_path="/candidates?" + urlencode({k: v for k, v in chosen.items() if v}),
    )  # fmt: skip


@router.get("/candidates/find")
def find(served: TheService, id: Choice = "", run: Choice = "") -> Response:
    """Where the story of a candidate or a rebalance is told, by the first digits of its id."""
    found = story_of(served.reader.database(), id.strip(), run or None)
    if isinstance(found, RebalanceStory):
        row = found.serving.decision
        whole, run_id = row.rebalance_id, row.run_id
    else:
        whole, run_id = found.candidate.candidate_id, found.candidate.run_id
    return RedirectResponse(f"/candidates/{whole}?run={quote(run_id, safe='')}", status_code=303)


@router.get("/candidates/{any_id}")
def why(any_id: str, request: Request, served: TheService, run: Choice = "") -> Response:
    """Why a candidate or a rebalance went as it did, in the words of `darwin why`."""
    story = story_of(served.reader.database(), any_id, run or None)
    if isinstance(story, RebalanceStory):
        tree = why_tree(story)
        row = tree["rebalance"]
        return page(
            request, served.reader, "why_rebalance.html.j2", here="Candidates",
            id=row["rebalance_id"], run_id=row["run_id"], about=rebalance_words.about(tree),
            stages=rebalance_words.stage_rows(tree), heads=rebalance_words.WEIGHT_HEADS,
            weights=rebalance_words.weight_rows(tree),
            challengers=rebalance_words.challenger_lines(tree),
        )  # fmt: skip
    return page(
        request, served.reader, "why.html.j2", here="Candidates",
        id=story.candidate.candidate_id, run_id=story.candidate.run_id, about=about(story),
        stages=stage_rows(story), outcome=outcome_line(story),
        features=reading.story_features(story),
    )  # fmt: skip

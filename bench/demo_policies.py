"""`make demo-policies`: train the models of the demonstration, and write down what they gained.

They learn on the market of `configs/demo.json`, but for its seed and its length, with room for
every candidate. Where the test of one agent shows no learned gain, its 99 % interval reaching down
to zero, nothing is written.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from bench import learning_worlds as worlds
from bench.mutants import ROOT
from darwin.core.agents import AGENTS
from darwin.rl.serving.demo_models import FOLDER
from darwin.rl.training.course import Course, Plan, run_course
from darwin.rl.training.recipes import recipe_of

SEED, BARS = 1_007, 60_000
STEPS, EVALUATE = 200_000, 20_000
WIDTH = 32  # of each of the three networks: a demonstration is small
PAGE = ROOT / "docs" / "demo-policies.md"


def main() -> None:
    """Make the run, train three agents on it, write their files and the page."""
    with tempfile.TemporaryDirectory() as folder:
        database = _run(Path(folder))
        courses = {agent: _course(database, agent) for agent in AGENTS}
    idle = [agent for agent, course in courses.items() if not course.learned]
    if idle:
        raise SystemExit(f"nothing learned by {', '.join(idle)}: nothing is written")
    for agent, course in courses.items():
        home = FOLDER / agent
        home.mkdir(parents=True, exist_ok=True)
        for name, content in course.files.items():
            (home / name).write_bytes(content)
    PAGE.write_text(_page(courses), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


def _run(folder: Path) -> Path:
    tree = json.loads((ROOT / "configs" / "demo.json").read_text())
    tree["run_id"] = "world"
    tree["market"] |= {"seed": SEED, "bars": BARS, "start": "2015-01-01"}
    tree["portfolio"] |= worlds.ROOM["portfolio"]
    tree["limits"] = worlds.ROOM["limits"]
    tree["rl"] = worlds.WATCHED
    return worlds.run(folder, tree)


def _course(database: Path, agent: str) -> Course:
    recipe = replace(recipe_of(agent), hidden=(WIDTH,))
    return run_course(worlds.rows_in(database, agent), Plan(recipe, STEPS, EVALUATE))


def _page(courses: dict[str, Course]) -> str:
    lines = [
        "# The models of the demonstration",
        "",
        "`make demo-policies` wrote this page and the files that it tells of, in",
        "`darwin/rl/serving/demo/`. They learned on a synthetic market in which something is",
        f"planted: the one of `configs/demo.json` with seed {SEED:,} and {BARS:,} bars for each",
        "symbol. The demonstration shows them another seed. Of real markets they know nothing.",
        "",
        "| agent | rows: training, validation, test | learned gain on the test, R per decision"
        " | 95 % interval | 99 % interval | supervised learner | gain over the baseline"
        " | leaves the baseline |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for agent, course in courses.items():
        parts, test = course.parts, course.test
        lines.append(
            f"| {agent.replace('_', '-')} | {len(parts.train):,}, {len(parts.validation):,},"
            f" {len(parts.test):,} | {test.learned.value:+.4f} |"
            f" {test.learned.low:+.4f} to {test.learned.high:+.4f} |"
            f" {test.decisive.low:+.4f} to {test.decisive.high:+.4f} |"
            f" {course.learner.learned.value:+.4f} | {test.over_baseline.value:+.4f} |"
            f" {test.departures:.1%} |"
        )
    lines += [
        "",
        f"Each is three networks of one hidden layer of {WIDTH}, {STEPS:,} PPO steps each, merged.",
        "What the columns mean is in [training.md](training.md#what-it-says).",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

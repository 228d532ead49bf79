"""The phases of a life, each done once: collect, train, live; what is done stands in the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darwin.cli.lifecycle_record import COLLECTED, LIVED, TRAINED, LifeRecord
from darwin.cli.progress import say
from darwin.core.agents import AGENTS
from darwin.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from darwin.cli.lifecycle_asked import Asked
    from darwin.config.load import Loaded
    from darwin.engine.report import Report
    from darwin.rl.cli.training import Deliver, Done

LOCK = ".lifecycle.lock"
_EVALUATE = 10_000  # decisions between two looks at validation, at most


def lead(asked: Asked, *, resume: bool, deliver: Deliver | None = None) -> dict[str, Any]:
    """Lead the life that was asked for, as far as it is not led; gives its record.

    `deliver` hands the models over; None: where training finds something. Raises ConfigError for a
    life that was begun as another or is unfinished without `resume`, and whatever its phases raise.
    """
    from darwin.cli.lock import alone
    from darwin.config.places import runs_dir

    folder = runs_dir(asked.living.config) / asked.run_id
    with alone(folder, asked.run_id, lock=LOCK):
        if not (folder / "lifecycle.json").exists():
            _require_new_runs(asked)
        record = LifeRecord.begin(folder, asked.run_id, asked.tree(), resume=resume)
        if record.finished:
            return record.tree
        if COLLECTED not in record.tree:
            say(f"phase 1 of 3, collect: run '{asked.collecting.config.run_id}'")
            record.note(COLLECTED, _collect(asked, resume=resume))
        for agent in AGENTS:
            trained = record.tree.get(TRAINED, {})
            if agent not in trained:
                say(f"phase 2 of 3, train: {agent}")
                told = _train(asked, agent, deliver, resume=resume)
                record.note(TRAINED, trained | {agent: told})
        say(f"phase 3 of 3, observe, graduate, stages: run '{asked.run_id}'")
        record.note(LIVED, _live(asked, resume=resume))
        return record.tree


def _require_new_runs(asked: Asked) -> None:
    """Raise ConfigError where a run of one of the two names is on record and of no life."""
    from darwin.config.places import state_db_path
    from darwin.store.db import connect_readonly
    from darwin.store.queries import list_runs

    path = state_db_path(asked.living.config)
    if not path.exists():
        return
    with connect_readonly(path) as database:
        known = {run.run_id for run in list_runs(database)}
    for loaded in (asked.collecting, asked.living):
        if loaded.config.run_id in known:
            raise ConfigError(
                f"run '{loaded.config.run_id}' is on record already, and of no life",
                where=str(path),
                mend="give this life another run_id: --set run_id=NAME",
            )


def _collect(asked: Asked, *, resume: bool) -> dict[str, Any]:
    from darwin.cli.lifecycle_asked import iso

    figures = _walk(asked.collecting, resume=resume)[0]
    return {
        "run_id": asked.collecting.config.run_id,
        "train_until": iso(asked.until_ms),
        "bars": figures["bars"],
        "candidates": figures["candidates"],
        "trades": figures["trades"],
    }


def _train(asked: Asked, agent: str, deliver: Deliver | None, *, resume: bool) -> dict[str, Any]:
    from darwin.config.places import models_dir, state_db_path
    from darwin.rl.cli.options import Deployment
    from darwin.rl.cli.training import Asked as Training
    from darwin.rl.cli.training import carry_out
    from darwin.rl.cli.training_options import plan_of

    taught, config = asked.schooling, asked.living.config
    plan = plan_of(
        agent, algo="ppo", total_timesteps=taught.timesteps,
        eval_freq=min(_EVALUATE, taught.timesteps), seed=0, seeds=taught.seeds, test_from=None,
        embargo_hours=24.0, patience=None, calls=None, stretch=100, device="auto",
    )  # fmt: skip
    training = Training(
        agent=agent,
        run_ids=(asked.collecting.config.run_id,),
        where=Deployment(state_db_path(config), models_dir(config, agent)),
        artifacts_dir=config.artifacts_dir,
        by=asked.by,
        reason=f"the life of '{asked.run_id}'",
        allow_small=taught.allow_small,
        skip_canaries=not taught.canaries,
        resume=resume,
        begun=False,
    )
    return _taught(carry_out(training, plan, deliver))


def _taught(done: Done) -> dict[str, Any]:
    from darwin.engine.report_words import plain
    from darwin.rl.cli.training_files import PAGE
    from darwin.rl.cli.training_page import version_tree

    gain = done.course.test.learned
    told: dict[str, Any] = plain(
        {
            "learned": done.course.learned,
            "verdict": done.course.verdict(),
            "learned_gain_r": {"value": gain.value, "low": gain.low, "high": gain.high},
            **version_tree(done.made),
            "report": str(done.folder / PAGE),
        }
    )
    return told


def _live(asked: Asked, *, resume: bool) -> dict[str, Any]:
    from darwin.cli.lifecycle_story import story

    figures, report, folder = _walk(asked.living, resume=resume)
    return story(asked, figures, report or _again(asked.living), folder)


def _walk(loaded: Loaded, *, resume: bool) -> tuple[dict[str, Any], Report | None, Path]:
    """Make the run, or find it made: its figures, its report if it was made now, its folder."""
    import json

    from darwin.cli.report_files import METRICS
    from darwin.cli.run import How, execute

    report, folder = execute(loaded, How(resume=resume))
    if report is not None:
        return report.metrics, report, folder
    return json.loads((folder / METRICS).read_text("utf-8")), None, folder


def _again(loaded: Loaded) -> Report:
    """The report of a recorded run, from the run made again; nothing is written."""
    from darwin.bootstrap.recorded import rewire
    from darwin.cli.making import again, report_on
    from darwin.config.places import state_db_path
    from darwin.store.db import connect_readonly
    from darwin.store.queries import provenance
    from darwin.store.runs import find_begun

    config = loaded.config
    with connect_readonly(state_db_path(config)) as database:
        run = find_begun(database, config.run_id)
        made, wired = rewire(run, config.artifacts_dir, database)
        return report_on(
            again(wired, database, run), made, wired, provenance(database, config.run_id)
        )

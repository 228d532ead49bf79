"""`darwin allocation train` and `darwin market train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.cli.book_fetch import Latest, bring_in, latest_options
from darwin.cli.book_options import (
    TIMEFRAME,
    bar_options,
    page_for,
    panel_of,
    symbols_named,
    term_options,
    terms_of,
)
from darwin.cli.instants import instant
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.errors import ConfigError
from darwin.rl.cli.options import Deployment, Finite, act_options, model_options, placed
from darwin.rl.cli.progress_file import ProgressFile, progress_option

if TYPE_CHECKING:
    from darwin.rl.registry.versions import Version
    from darwin.rl.training.book_course import BookCourse, BookPlan
    from darwin.rl.training.noted import Note
    from darwin.rl.training.pulse import Pulse

NOTHING_LEARNED = 10
CHECKPOINTS = "checkpoints"


def _course_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        progress_option,
        click.option("--output-dir", metavar="DIR", help="Where report and model are written."),
        click.option("--tensorboard-log", metavar="DIR", help="Write curves for TensorBoard."),
        click.option("--resume", is_flag=True, help="Go on with the same training."),
        click.option(
            "--patience", type=click.IntRange(1), help="Stop after so many looks without gain."
        ),
        click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True),
        click.option(
            "--length", type=click.IntRange(2, 100_000), default=252, show_default=True,
            help="Decisions of an episode.",
        ),
        click.option(
            "--episodes", type=click.IntRange(1, 10_000_000), default=1000, show_default=True,
            help="Stretches by chance to learn from.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command("train")
@_course_options
@click.option("--assets", type=click.IntRange(1, 100), help="Of the synthetic world (10).")
@click.option("--algo", default="ppo", show_default=True, help="ppo or sac.")
@click.option(
    "--starting-balance", type=Finite(0, min_open=True, max=1e15), default=10_000.0,
    show_default=True, help="Money of the report; it changes no decision.",
)  # fmt: skip
@bar_options
@latest_options
@term_options
@act_options
@model_options
def train_allocation(assets: int | None, **asked: Any) -> int:
    """Train an allocator, and look once at what it learned.

    Bars are cut in time into training, validation and test. Where the 99% interval of what it
    earned a day on the test beyond equal weights, all costs paid, lies above zero, the model
    becomes a version that serves and only watches; else exit 10 says that nothing learnable was
    found, and the registry stays as it was.

    \b
    Examples:
      darwin allocation train --episodes 1000 --assets 10
      darwin allocation train --data data --symbols BTC/USDT,ETH/USDT --test-from 2024-01-01
    """
    return _train(ALLOCATOR, assets=assets, experiences=None, **asked)


@click.command("train")
@_course_options
@click.option("--algo", default="ppo", show_default=True, help="ppo or dqn.")
@click.option(
    "--experiences", metavar="FILE", type=click.Path(path_type=Path),
    help="Learn from recorded experiences; bars still judge.",
)  # fmt: skip
@bar_options
@latest_options
@term_options
@act_options
@model_options
def train_market(**asked: Any) -> int:
    """Train an agent that is flat, long or short on one symbol, and look once at it.

    As `darwin allocation train`; what it has to beat is to stay flat. Without --data the world is
    synthetic: one symbol that reverts to its mean.

    \b
    Examples:
      darwin market train --episodes 1000
      darwin market train --data data --symbols BTC/USDT --timeframe 1h --test-from 2024-01-01
    """
    return _train(MARKET, assets=None if asked["data"] else 1, starting_balance=1.0, **asked)


def _train(
    agent: str,
    *,
    assets: int | None,
    experiences: Path | None,
    output_dir: str | None,
    tensorboard_log: str | None,
    resume: bool,
    patience: int | None,
    progress: Path | None,
    seed: int,
    length: int,
    episodes: int,
    algo: str,
    starting_balance: float,
    test_from: str | None,
    lookback_hours: int | None,
    fetch_from: str | None,
    by: str,
    reason: str,
    artifacts_dir: str,
    db: str | None,
    models_dir: str | None,
    as_json: bool,
    **more: Any,
) -> int:
    from darwin.cli.book_told import course_tree, print_told, write_files
    from darwin.cli.tables import print_json
    from darwin.rl.cli.ledger import ledger
    from darwin.rl.cli.training import Asked, hand_over
    from darwin.rl.cli.training_options import require_training
    from darwin.rl.training.book_recipes import book_recipe

    recipe, shown = book_recipe(agent, algo), ProgressFile(progress)
    require_training()
    from darwin.rl.training.book_course import BookPlan
    from darwin.rl.training.trials import counted
    from darwin.store.db import connect_readonly

    terms = terms_of(agent, **{name: more.pop(name) for name in _TERMS})
    more |= _latest(Latest(lookback_hours, fetch_from), more)
    panel = panel_of(assets=assets, **more)
    if agent == MARKET and panel.assets != 1:
        raise ConfigError("the market agent trades one symbol", where="--symbols", mend="name one")
    cut_at = None if test_from is None else instant(test_from, "--test-from")
    plan = BookPlan(recipe, episodes, terms, seed, length, cut_at, patience)
    folder = _folder(agent, panel, plan, output_dir, artifacts_dir)
    where = Deployment.of(artifacts_dir, db, models_dir)
    note = ledger(where.db, by, resume=resume)
    course = _carry_out(
        agent, panel, plan, folder, experiences, tensorboard_log, note, shown, resume=resume
    )
    shown.say("trained, and looked at on the test", 100.0)
    with connect_readonly(where.db) as database:
        tried = counted(database, agent, *course.test_time)
    told = course_tree(course, tried) | {"starting_balance": starting_balance}
    asked = Asked(agent, (), where, artifacts_dir, by, reason, resume=resume)
    write_files(folder, told, course.judged, panel, course.files)
    made = hand_over(asked, course.files) if course.learned else None
    if as_json:
        print_json(told | {"version": None if made is None else made.name})
    else:
        print_told(told, folder)
        click.echo(_handed_over(agent, made))
    return 0 if course.learned else NOTHING_LEARNED


_TERMS = (
    "cost_bps", "every", "reward_volatility", "reward_drawdown", "reward_drawdown_from",
    "reward_cost",
)  # fmt: skip


def _latest(latest: Latest, more: dict[str, Any]) -> dict[str, Any]:
    from darwin.core.market import Timeframe

    frame, span = Timeframe.parse(more["timeframe"] or TIMEFRAME), (more["start"], more["end"])
    start, end = bring_in(latest, more["data"], symbols_named(more["symbols"]), frame, span)
    return {"start": start, "end": end}


def _folder(agent: str, panel: Any, plan: BookPlan, given: str | None, artifacts_dir: str) -> Path:
    import hashlib

    from darwin.rl.training.book_ground import digest_of

    if given is not None:
        return placed(artifacts_dir, given)
    text = digest_of(page_for(agent, panel), panel, plan.terms) + plan.digest()
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return placed(artifacts_dir, "artifacts/rl_training") / agent / key


def _carry_out(
    agent: str, panel: Any, plan: BookPlan, folder: Path, experiences: Path | None,
    tensorboard: str | None, note: Note, shown: ProgressFile, *, resume: bool,
) -> BookCourse:  # fmt: skip
    import shutil

    from darwin.rl.training.book_course import run_book_course
    from darwin.rl.training.experience_file import read_experiences

    kept = folder / CHECKPOINTS / plan.digest()[:16]
    if resume and not kept.exists():
        raise ConfigError(
            "no such training was begun here",
            where=str(folder),
            mend="leave --resume out; bars, episodes, seed and all else must be as they were",
        )
    if not resume and kept.exists():
        shutil.rmtree(kept)
    kept.mkdir(parents=True, exist_ok=True)
    shown.say("setting out")

    def feel(pulse: Pulse) -> None:
        done = pulse._replace(steps=pulse.steps // plan.length)
        shown.felt("episodes", plan.episodes, 1, 0, done)

    def tell(steps: int, look: Any) -> None:
        if look is not None:
            click.echo(
                f"{steps:,} of {plan.timesteps:,} steps: reward {look.reward:+.6f} beyond the"
                f" baseline, turnover {look.turnover:.4f}",
                err=True,
            )

    return run_book_course(
        page_for(agent, panel), panel, plan, folder=kept, tell=tell, note=note, feel=feel,
        tensorboard=None if tensorboard is None else Path(tensorboard),
        experiences=None if experiences is None else read_experiences(experiences),
    )  # fmt: skip


def _handed_over(agent: str, made: Version | None) -> str:
    if made is None:
        return "Not handed over: the registry stays as it was."
    return f"Handed over as version {made.name} of {agent} ({made.place}): it watches only."

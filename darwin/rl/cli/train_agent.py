"""`python -m darwin.rl.cli.train_agent`, also `darwin rl train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from darwin.core.agents import AGENTS
from darwin.errors import ConfigError
from darwin.rl.cli.canary_page import print_findings
from darwin.rl.cli.columns import print_json
from darwin.rl.cli.options import Deployment, act_options, database_options
from darwin.rl.cli.progress_file import ProgressFile, progress_option
from darwin.rl.cli.training import Asked, carry_out
from darwin.rl.cli.training_files import PAGE
from darwin.rl.cli.training_options import plan_of, plan_options, require_training, row_options
from darwin.rl.cli.training_page import print_course, version_tree

NOTHING_LEARNED = 10


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", type=click.Choice(AGENTS))
@row_options
@click.option("--output-dir", metavar="DIR", help="Where its models lie, if elsewhere.")
@plan_options
@click.option(
    "--from", "version", metavar="VERSION",
    help="Go on from this version; validation and test are of what is new to it.",
)  # fmt: skip
@click.option("--recipe", metavar="FILE", help="How to train, as `darwin rl tune` wrote it.")
@click.option("--tensorboard-log", metavar="DIR", help="Write curves for TensorBoard there.")
@click.option("--resume", is_flag=True, help="Go on with the same training where it was stopped.")
@click.option("--skip-canaries", is_flag=True, help="Do not look for bugs of training first.")
@progress_option
@act_options
@database_options
def train(
    agent: str,
    run_ids: tuple[str, ...],
    output_dir: str | None,
    tensorboard_log: str | None,
    more_db: tuple[str, ...],
    allow_small: bool,
    last_days: float | None,
    version: str | None,
    resume: bool,
    skip_canaries: bool,
    progress: Path | None,
    by: str,
    reason: str,
    artifacts_dir: str,
    db: str | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Train AGENT on the candidates of finished runs, and look once at what it learned.

    Rows are cut in time into training, validation and test; what the test shows is what is told.
    A model with a learned gain whose 99% interval lies above zero becomes a version that serves,
    or challenges one that may act: in either case it only watches until it is promoted. Without
    one, exit 10 says that nothing learnable was found, and the registry stays as it was.

    With --from VERSION its network learns on, from the --last-days of the runs if one likes, and
    is judged on rows that it has not seen. Where nothing does better, VERSION stays: exit 10.

    Canaries look first for bugs of rows, rewards, world and learner; where one finds any, exit 3
    names it and the test is not looked at.

    \b
    Examples:
      darwin rl train gate --run-ids run_001,run_002 --by Ada --reason "first training"
      python -m darwin.rl.cli.train_agent gate --run-ids run_001 --total-timesteps 100000
      darwin rl train gate --run-ids run_003 --from 20260401_120000 --last-days 30
    """
    require_training()
    done = carry_out(
        Asked(
            agent=agent,
            run_ids=run_ids,
            where=Deployment.of(artifacts_dir, db, _models_dir(agent, output_dir, artifacts_dir)),
            artifacts_dir=artifacts_dir,
            by=by,
            reason=reason,
            more_db=more_db,
            allow_small=allow_small,
            last_days=last_days,
            version=version,
            skip_canaries=skip_canaries,
            tensorboard_log=tensorboard_log,
            resume=resume,
            shown=ProgressFile(progress),
        ),
        plan_of(agent, **asked),
    )
    if as_json:
        print_json(done.told | version_tree(done.made) | {"trained": done.count.trained})
        click.echo(f"report: {done.folder / PAGE}", err=True)
    else:
        print_findings(done.findings)
        print_course(done.course, done.count, done.made, done.folder)
    return 0 if done.course.learned else NOTHING_LEARNED


def _models_dir(agent: str, output_dir: str | None, artifacts_dir: str) -> str | None:
    """The folder of all models, where `output_dir` is that of this agent's."""
    if output_dir is None:
        return None
    path = Path(output_dir)
    if path.name != agent:
        raise ConfigError(
            f"models of {agent} lie in a folder of that name, not in '{path.name}'",
            where="--output-dir",
            mend=f"write {path / agent}",
        )
    return str(path.parent)


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(train)

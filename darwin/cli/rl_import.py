"""`darwin rl models import`: a model from elsewhere becomes one that can be deployed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import click

from darwin.core.agents import AGENTS
from darwin.errors import ConfigError, ModelError, StorageError

ALGORITHMS = ("ppo", "a2c", "dqn", "sac")


@click.command("import")
@click.argument("agent", type=click.Choice(AGENTS))
@click.argument("zip_file", metavar="ZIP", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output-dir",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the model is to lie; empty or not there yet.",
)
@click.option(
    "--algo", required=True, type=click.Choice(ALGORITHMS), help="What it was trained with."
)
@click.option(
    "--activation",
    type=click.Choice(("tanh", "relu")),
    help="Between its layers; else tanh for ppo and a2c, relu for dqn and sac.",
)
@click.option(
    "--normaliser",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help='JSON, {"mean": […], "sd": […]}: what its observations were standardised with.',
)
@click.option("--no-normaliser", is_flag=True, help="It takes columns as they are.")
@click.option(
    "--threshold",
    type=float,
    help="Leave the baseline only at this probability (dqn: at this advantage).",
)
@click.option("--training-end", metavar="INSTANT", help="Close of the last bar it was trained on.")
@click.option("--training-data", metavar="SHA256", help="Digest of the data it was trained on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(
    agent: str, zip_file: Path, folder: Path, algo: str, activation: str | None,
    normaliser: Path | None, no_normaliser: bool, threshold: float | None,
    training_end: str | None, training_data: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Take the weights out of a ZIP of stable-baselines3 and make a model of them, in DIR.

    Only policy.pth is read, as weights alone and by a process that can reach nothing; whatever else
    the zip carries is neither run nor looked at. What weights cannot tell is told by options, and
    has to be right: nothing can check a normaliser or an activation afterwards. The model is not
    deployed, and may be watched only, since no held-out evidence comes with it.

    \b
    Example:
      darwin rl models import gate ppo_gate.zip --algo ppo --normaliser gate.json -o trained/gate
      darwin rl models deploy gate trained/gate --reason "from the lab"
    """
    from hashlib import sha256

    from darwin.cli.tables import print_json
    from darwin.report.files import write_bytes
    from darwin.rl.serving.spec_file import LARGEST_FILE
    from darwin.rl.training.foreign import Told, import_zip, raw_columns, read_normaliser
    from darwin.rl.training.foreign_zip import LARGEST_ZIP

    if no_normaliser == (normaliser is not None):
        raise click.UsageError("give --normaliser FILE, or --no-normaliser for raw columns")
    _refuse_full(folder)
    if normaliser is None:
        standard = raw_columns(agent)
    else:
        standard = read_normaliser(_content(normaliser, LARGEST_FILE), agent)
    raw = _content(zip_file, LARGEST_ZIP)
    told = Told(
        agent, algo, standard, activation, threshold, training_end=training_end,
        data_digest=training_data,
    )  # fmt: skip
    try:
        files, card = import_zip(raw, told)
    except ModelError as fault:
        fault.where = fault.where or str(zip_file)
        raise
    for name, content in files.items():
        write_bytes(folder / name, [content])
    answer = {
        "agent": agent,
        "folder": str(folder),
        "zip_sha256": sha256(raw).hexdigest(),
        "head": card.spec.head,
        "layers": [[layer.inputs, layer.outputs, layer.activation] for layer in card.spec.layers],
        "parameters": card.parameters,
        "probes": card.probes,
        "distinct_actions": card.distinct_actions,
        "observe_only": card.observe_only,
    }
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{folder} holds a model of {agent}, to be watched only; next:")
        click.echo(f"  darwin rl models deploy {agent} {folder}")


def _content(path: Path, most: int) -> bytes:
    """A plain file, and one byte more than `most` at most. Raises ModelError, StorageError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # no pipe makes us wait
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise _no_file(path)
            return stream.read(most + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise _no_file(path) from None
    except OSError as fault:
        raise StorageError(
            f"the file cannot be read: {fault.strerror or fault}",
            where=str(path),
            mend="check the disk and who may read it",
        ) from fault


def _no_file(path: Path) -> ModelError:
    return ModelError(f"{path.name} is no file", where=str(path), mend="name one that exists")


def _refuse_full(folder: Path) -> None:
    """Raise ConfigError unless `folder` is one to write a model into."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if os.path.lexists(folder):
        raise ConfigError(
            "the output folder is not empty, or no folder",
            where=str(folder),
            mend="name one that does not exist yet; nothing is overwritten",
        )

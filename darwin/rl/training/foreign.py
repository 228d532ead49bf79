"""Makes a model of a zip that was trained elsewhere, without running anything the zip carries.

Only weights are taken, by a process of its own that has given up all it could do harm with
(`foreign_child`). What weights cannot tell, the person who imports them must: algorithm,
activation, normaliser, threshold. This process never imports torch.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from darwin.core.market import FloatArray
from darwin.errors import ConfigError, ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.card import ModelCard
from darwin.rl.serving.fields import Fields
from darwin.rl.serving.spec_file import LARGEST_SCALE, LINEAR, SMALLEST_SD, Layer, ModelSpec
from darwin.rl.serving.strict_json import quoted, read_object, refusal
from darwin.rl.serving.validation import validate_files
from darwin.rl.training import foreign_child as child
from darwin.rl.training.foreign_layers import ALGORITHMS, head_of
from darwin.rl.training.foreign_zip import policy_bytes

PROBES, PROBE_SEED = 256, 20_260_113
WIDEST_PROBE = 3.0
"""Of the rows the model is asked on: each is spread by up to so many sds around the mean."""

_INSTALL = 'pip install -e ".[rl]"'


@dataclass(frozen=True, slots=True)
class Normaliser:
    """What is taken from an observation, and what the rest is divided by; (columns,) each."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What must be told of a model, since its weights do not."""

    agent: str
    algo: str  # a key of ALGORITHMS
    normaliser: Normaliser
    activation: str | None = None  # of all but the last layer; None: the algorithm's own
    threshold: float | None = None
    training_end: str | None = None
    data_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process that reads the weights may take."""

    wall_s: float = 180.0  # from its start, the import of torch included
    cpu_s: int = 20  # once torch is there
    memory_mib: int = 1024  # beyond what torch takes


LIMITS: Final = Limits()


def raw_columns(agent: str) -> Normaliser:
    """The normaliser of a model that takes columns as they are."""
    width = len(PAGES[agent].names)
    return Normaliser((0.0,) * width, (1.0,) * width)


def read_normaliser(raw: bytes, agent: str) -> Normaliser:
    """Read {"mean": […], "sd": […]}, a number each per column of the agent. Raises ModelError."""
    what = "the normaliser"
    if len(raw) > spec_file.LARGEST_FILE:
        raise refusal(what, "is too large", "write means and sds as JSON")
    width = len(PAGES[agent].names)
    fields = Fields(read_object(raw, what), ("mean", "sd"), what)
    read = Normaliser(
        fields.numbers("mean", -LARGEST_SCALE, LARGEST_SCALE, spec_file.WIDEST),
        fields.numbers("sd", SMALLEST_SD, LARGEST_SCALE, spec_file.WIDEST),
    )
    for key, values in (("mean", read.mean), ("sd", read.sd)):
        if len(values) != width:
            raise fields.fault(
                key, f"holds {len(values)} numbers", f"{agent} sees {width} columns, in their order"
            )
    return read


def require_torch() -> None:
    """Raise ConfigError where torch is not installed; without importing it."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            "torch is not installed, and it takes torch to read a model from elsewhere",
            mend=f"{_INSTALL}; serving models needs no torch",
        )


def import_zip(
    raw: bytes, told: Told, limits: Limits = LIMITS
) -> tuple[dict[str, bytes], ModelCard]:
    """The files of a model, ready to be deployed, from a zip of stable-baselines3.

    Raises ConfigError where what was told cannot be meant, and where there is no torch; ModelError
    for a zip or weights that are refused.
    """
    page, outline = PAGES[told.agent], _outline(told)
    require_torch()
    policy = policy_bytes(raw)
    observations = _probes(page, outline)
    request = {
        child.MEAN: np.array(outline.mean), child.SD: np.array(outline.sd),
        child.OBSERVATIONS: observations, child.POLICY: np.frombuffer(policy, np.uint8),
    }  # fmt: skip
    activation = told.activation or ALGORITHMS[told.algo].activation
    words = (told.agent, told.algo, activation, str(limits.memory_mib), str(limits.cpu_s))
    layers, outputs = _read_answer(_ask(bytes(save(request)), words, limits))
    chain = tuple(
        Layer(inputs, width, LINEAR if i + 1 == len(layers) else activation)
        for i, (width, inputs) in enumerate(matrix.shape for matrix, _ in layers)
    )
    files = {
        spec_file.FILE: spec_file.write_spec(replace(outline, layers=chain)),
        weights_file.FILE: weights_file.write_weights(layers, observations, outputs),
    }
    return files, validate_files(told.agent, files)


def _outline(told: Told) -> ModelSpec:
    """The spec with one layer in place of those that are not known yet. Raises ConfigError."""
    page = PAGES[told.agent]
    spec = ModelSpec(
        agent=told.agent,
        head=head_of(ALGORITHMS[told.algo], page),
        layers=(Layer(len(page.names), page.outputs, LINEAR),),
        threshold=told.threshold,
        observation_schema=page.schema,
        mean=told.normaliser.mean,
        sd=told.normaliser.sd,
        training_end=told.training_end,
        data_digest=told.data_digest,
    )
    try:
        spec_file.write_spec(spec)
    except ModelError as fault:
        raise ConfigError(f"what is told of the model: {fault.what}", mend=fault.mend) from fault
    return spec


def _probes(page: AgentSpec, spec: ModelSpec) -> NDArray[np.float32]:
    """Rows to ask the model on, the same for the same normaliser; shape (PROBES, columns)."""
    rng = np.random.default_rng(PROBE_SEED)
    away = rng.normal(size=(PROBES, len(page.names))) * rng.uniform(0.0, WIDEST_PROBE, (PROBES, 1))
    return (np.array(spec.mean) + np.array(spec.sd) * away).astype(np.float32)


def _ask(request: bytes, words: tuple[str, ...], limits: Limits) -> bytes:
    """What the child answers. Raises ModelError for a refusal, and for a child that died."""
    command = [sys.executable, "-B", "-P", "-m", child.__name__, *words]
    with tempfile.TemporaryFile() as out:  # a pipe would take whatever the child has to say
        try:
            done = subprocess.run(  # noqa: S603  our own interpreter and module
                command, input=request, stdout=out, stderr=subprocess.DEVNULL, env=_environment(),
                timeout=limits.wall_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _ended(f"took more than {limits.wall_s:g} s") from None
        out.seek(0)
        answer = out.read(child.LARGEST_ANSWER)
    if done.returncode == child.SOUND:
        return answer
    raise _refused(done.returncode, answer[:500].decode("ascii", "replace"), limits)


def _read_answer(answer: bytes) -> tuple[list[tuple[FloatArray, FloatArray]], FloatArray]:
    """Matrix and bias of each layer, and what the last one gave; the spec checks how they fit."""
    try:
        tensors = {name: values.astype(np.float64) for name, values in load(answer).items()}
        layers = [
            (tensors[child.matrix_name(i)], tensors[child.bias_name(i)])
            for i in range(len(tensors) // 2)
        ]
        outputs = tensors[child.OUTPUTS]
    except (SafetensorError, ValueError, KeyError) as error:
        raise _ended("answered something else than layers") from error
    if any(matrix.ndim != 2 for matrix, _ in layers):
        raise _ended("answered something else than layers")
    return layers, outputs


def _refused(code: int, said: str, limits: Limits) -> ModelError | ConfigError:
    """What the way a child ended means."""
    if code == child.NO_TORCH:
        return ConfigError(f"torch cannot be imported: {quoted(said)}", mend=_INSTALL)
    if code == child.REFUSED:
        what, _, mend = said.partition("\n")
        return ModelError(what, mend=mend)
    if code == child.FAILED:
        what = f"policy.pth is damaged or holds more than weights ({quoted(said)})"
        return ModelError(what, mend=_MEND)
    ends = {
        child.REACHED_OUT: f"was stopped when the file reached for {quoted(said)}",
        child.NO_MEMORY: f"wanted more than {limits.memory_mib} MiB of memory",
        -signal.SIGXCPU: f"took more than {limits.cpu_s} s of processor time",
    }
    return _ended(ends.get(code, f"died of signal {-code}" if code < 0 else f"ended with {code}"))


def _ended(how: str) -> ModelError:
    return ModelError(f"policy.pth is refused: the process that reads it {how}", mend=_MEND)


def _environment() -> dict[str, str]:
    """What the child is told of ours: what an interpreter needs, and no secrets."""
    kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    return kept | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


_KEPT = re.compile(r"PATH|HOME|TMPDIR|LANG|LC_[A-Z]+|LD_[A-Z_]+|PYTHON[A-Z]+|[A-Z_]*BLAS_[A-Z_]+")
_MEND = "do not load this file by other means; have its weights exported anew by whoever trained it"

"""Has weights that nobody vouches for read by `foreign_child`, and says what its end means."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from darwin.core.market import FloatArray
from darwin.errors import ConfigError, ModelError
from darwin.rl.serving.strict_json import quoted
from darwin.rl.training import foreign_child as child

_INSTALL = 'pip install -e ".[rl]"'
_MEND = "do not load this file by other means; have its weights exported anew by whoever trained it"
_KEPT = re.compile(r"PATH|HOME|TMPDIR|LANG|LC_[A-Z]+|LD_[A-Z_]+|PYTHON[A-Z]+|[A-Z_]*BLAS_[A-Z_]+")
_LONGEST_SAID = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process that reads the weights may take."""

    wall_s: float = 180.0  # from its start, the import of torch included
    cpu_s: int = 20  # once torch is there
    memory_mib: int = 1024  # beyond what torch takes


LIMITS: Final = Limits()


def require_torch() -> None:
    """Raise ConfigError where torch is not installed; without importing it."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            "torch is not installed, and it takes torch to read a model from elsewhere",
            mend=f"{_INSTALL}; serving models needs no torch",
        )


def read_layers(
    request: Mapping[str, NDArray[Any]], words: tuple[str, str, str], limits: Limits = LIMITS
) -> tuple[list[tuple[FloatArray, FloatArray]], FloatArray]:
    """Matrix and bias of each layer, and what the last one gives on the rows of the request.

    `request` and `words` (agent, algorithm, activation) are what the child asks for. Raises
    ModelError for weights that are refused and for a child that did not end as it should,
    ConfigError where torch cannot be imported.
    """
    asked = (*words, str(limits.memory_mib), str(limits.cpu_s))
    answer = _ask(bytes(save(dict(request))), asked, limits)
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


def _ask(request: bytes, words: tuple[str, ...], limits: Limits) -> bytes:
    """What the child answers. Raises ModelError for a refusal, and for a child that died."""
    # -P: nothing that lies beside the zip is taken for a module; -W: a warning would open files
    command = [sys.executable, "-B", "-P", "-W", "ignore", "-m", child.__name__, *words]
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
    raise _refused(done.returncode, answer[:_LONGEST_SAID].decode("utf-8", "replace"), limits)


def _refused(code: int, said: str, limits: Limits) -> ModelError | ConfigError:
    """What the way a child ended means."""
    if code == child.NO_TORCH:
        return ConfigError(f"torch cannot be imported: {quoted(said)}", mend=_INSTALL)
    if code == child.REFUSED:
        what, _, mend = said.partition("\n")
        return ModelError(_plain(what), mend=_plain(mend))
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


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())

"""A process of its own that reads weights which nobody vouches for, and ends.

`python -B -P -m darwin.rl.training.foreign_child AGENT ALGO ACTIVATION MEMORY_MIB CPU_S` takes a
request on stdin and answers on stdout, both as safetensors; `foreign_reader` starts it. Torch is
imported and everything is done once with weights of our own, so that nothing is left to import.
Then the process gives up what it does not need any more, for good: opening files and sockets,
starting others, memory and time beyond its share. Only after that it reads the first byte of the
request.
"""

from __future__ import annotations

import io
import math
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving.spec_file import RELU
from darwin.rl.training.foreign_layers import ALGORITHMS, Algorithm, layers_of

SOUND, NO_TORCH, REFUSED, REACHED_OUT, NO_MEMORY, FAILED = 0, 10, 11, 12, 13, 14
"""How it ends, other than by a signal. All but SOUND and NO_MEMORY say why on stdout."""

LARGEST_ANSWER: Final = 16 << 20
MEAN, SD, OBSERVATIONS, POLICY = "mean", "sd", "observations", "policy"
OUTPUTS = "outputs"


def main(agent: str, algo: str, activation: str, memory_mib: str, cpu_s: str) -> NoReturn:
    """Answer the request on stdin."""
    torch = _torch()
    _rehearse(torch)
    _give_up_the_rest(int(memory_mib) << 20, int(cpu_s))
    request = sys.stdin.buffer.read()
    leave(SOUND, answer(torch, request, PAGES[agent], ALGORITHMS[algo], activation == RELU))


def leave(code: int, last_words: str | bytes = b"") -> NoReturn:
    """End at once: nothing of torch, and nothing that was read, has a say in it."""
    raw = last_words.encode("utf-8", "replace") if isinstance(last_words, str) else last_words
    while raw:
        raw = raw[os.write(1, raw) :]
    os._exit(code)


def matrix_name(i: int) -> str:
    """What the answer calls the matrix of layer `i`."""
    return f"{i}.weight"


def bias_name(i: int) -> str:
    """And its bias."""
    return f"{i}.bias"


def _torch() -> Any:
    try:
        import torch  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415
    except (ImportError, OSError) as error:
        leave(NO_TORCH, str(error))
    torch.set_num_threads(1)
    return torch


def answer(
    torch: Any, request: bytes, page: AgentSpec, algorithm: Algorithm, is_relu: bool
) -> bytes:
    """The layers that lead to an action, and what they give on the rows of the request.

    The layers are float32 as in training; what they give is reckoned in float64, since sums of 256
    products in float32 differ by more than the 1e-6 that validation allows. Raises ModelError.
    """
    given = load(request)
    state = torch.load(
        io.BytesIO(given[POLICY].tobytes()), map_location="cpu", weights_only=True, mmap=False
    )
    layers = layers_of(algorithm, page, _shapes(torch, state))
    tensors = [
        (
            state[f"{prefix}weight"].detach().to(torch.float32).contiguous(),
            state[f"{prefix}bias"].detach().to(torch.float32).contiguous(),
        )
        for prefix in layers
    ]
    x = torch.from_numpy((given[OBSERVATIONS] - given[MEAN]) / given[SD])
    for i, (matrix, bias) in enumerate(tensors):
        x = torch.nn.functional.linear(x, matrix.double(), bias.double())
        if i + 1 < len(tensors):
            x = torch.relu(x) if is_relu else torch.tanh(x)
    found: dict[str, NDArray[np.float32]] = {OUTPUTS: x.float().numpy()}
    for i, (matrix, bias) in enumerate(tensors):
        found |= {matrix_name(i): matrix.numpy(), bias_name(i): bias.numpy()}
    return bytes(save(found))


def _shapes(torch: Any, state: object) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by name. Raises ModelError for anything but plain tensors."""
    if not isinstance(state, Mapping):
        raise ModelError("policy.pth holds something else than named tensors")
    for name, tensor in state.items():
        if type(name) is not str or type(tensor) is not torch.Tensor:
            raise ModelError("policy.pth holds something else than named tensors")
        if tensor.layout is not torch.strided or not tensor.is_floating_point():
            raise ModelError("policy.pth holds tensors that are not plain floating point numbers")
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _rehearse(torch: Any) -> None:
    """Do it all once, so that whatever is imported only when it is needed has been."""
    page = PAGES["gate"]
    width = len(page.names)
    weights = {"weight": torch.ones(page.outputs, width), "bias": torch.ones(page.outputs)}
    file = io.BytesIO()
    torch.save({f"action_net.{name}": one for name, one in weights.items()}, file)
    request: dict[str, NDArray[Any]] = {
        MEAN: np.zeros(width), SD: np.ones(width), OBSERVATIONS: np.ones((1, width)),
        POLICY: np.frombuffer(file.getvalue(), np.uint8),
    }  # fmt: skip
    answer(torch, save(request), page, ALGORITHMS["ppo"], True)


def _give_up_the_rest(memory: int, cpu_s: int) -> None:
    """Bind this process to what it holds now, and `memory` bytes and `cpu_s` seconds more."""
    used_s = math.ceil(time.process_time())
    most = {
        resource.RLIMIT_CPU: used_s + cpu_s,
        resource.RLIMIT_FSIZE: LARGEST_ANSWER,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,  # no file, no socket, no pipe; those that are open stay so
    }
    held = Path("/proc/self/statm")  # elsewhere than on Linux memory is not bound
    if held.exists():
        pages = int(held.read_text("ascii").split()[0])
        most[resource.RLIMIT_AS] = pages * resource.getpagesize() + memory
    for what, limit in most.items():
        resource.setrlimit(what, (limit, limit + (what == resource.RLIMIT_CPU)))
    sys.excepthook = _fail
    sys.addaudithook(_end_if_it_reaches_out)


def _end_if_it_reaches_out(event: str, _: tuple[Any, ...]) -> None:
    """Of all that Python reports, reading weights does nothing, unless it fails."""
    if event != "sys.excepthook":
        leave(REACHED_OUT, event)


def _fail(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    """Say what went wrong, never with a traceback or more of what was read than we quote."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        leave(NO_MEMORY)
    if isinstance(error, ModelError):
        leave(REFUSED, "\n".join((error.what, error.mend)))
    leave(FAILED, kind.__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])

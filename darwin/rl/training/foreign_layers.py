"""Which tensors of a policy of stable-baselines3 are the layers that lead to its action.

Every name must be one that a plain multi-layer policy has. Any other belongs to a layer which
observations would pass first, or last, and without which the model would be another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from darwin.errors import ConfigError, ModelError
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving import spec_file
from darwin.rl.serving.spec_file import MOST_LAYERS, WIDEST
from darwin.rl.serving.strict_json import quoted

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

_MEND = "name the right --algo; only plain multi-layer policies (MlpPolicy) can be imported"


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How stable-baselines3 names and activates the layers of its multi-layer policy."""

    name: str
    activation: str  # unless another was asked for at training
    hidden: str  # prefix of a sequence of layers, with an activation at every second place
    last: str  # prefix of the last layer; empty where it is the last of the sequence
    beside: str  # pattern of the names that have no part in acting
    head_of_codes: str | None  # None: it cannot choose one of several actions
    head_of_fractions: str | None  # None: it cannot choose a fraction


_ON_POLICY_BESIDE = r"mlp_extractor\.value_net\.\d+\.(weight|bias)|value_net\.(weight|bias)|log_std"
ALGORITHMS = {
    one.name: one
    for one in (
        Algorithm(
            "ppo", spec_file.TANH, "mlp_extractor.policy_net.", "action_net.", _ON_POLICY_BESIDE,
            spec_file.CATEGORICAL, spec_file.CLIPPED_GAUSSIAN,
        ),
        Algorithm(
            "a2c", spec_file.TANH, "mlp_extractor.policy_net.", "action_net.", _ON_POLICY_BESIDE,
            spec_file.CATEGORICAL, spec_file.CLIPPED_GAUSSIAN,
        ),
        Algorithm(
            "dqn", spec_file.RELU, "q_net.q_net.", "", r"q_net_target\.q_net\.\d+\.(weight|bias)",
            spec_file.ARGMAX_Q, None,
        ),
        Algorithm(
            "sac", spec_file.RELU, "actor.latent_pi.", "actor.mu.",
            r"actor\.log_std\.(weight|bias)|critic(_target)?\.qf\d\.\d+\.(weight|bias)",
            None, spec_file.TANH_GAUSSIAN,
        ),
    )
}  # fmt: skip


def head_of(algorithm: Algorithm, page: AgentSpec) -> str:
    """The head that reads what the last layer gives. Raises ConfigError where there is none."""
    head = algorithm.head_of_fractions if page.is_continuous else algorithm.head_of_codes
    if head is None:
        others = [one.name for one in ALGORITHMS.values() if _suits(one, page)]
        what = "a fraction" if page.is_continuous else "one of several actions"
        raise ConfigError(
            f"{algorithm.name} does not choose {what}, as the {page.name} agent does",
            where="--algo",
            mend=f"it can be a model of {', '.join(others)}",
        )
    return head


def layers_of(algorithm: Algorithm, page: AgentSpec, shapes: Shapes) -> tuple[str, ...]:
    """Prefixes of the layers in order; each names a `weight` and a `bias`.

    Raises ModelError for a name that no plain policy of the algorithm has, for a layer without one
    of its two, and for shapes that do not lead from the columns of `page` to its actions.
    """
    hidden = re.compile(re.escape(algorithm.hidden) + r"(\d{1,3})\.(weight|bias)")
    places: set[int] = set()
    for name in shapes:
        if found := hidden.fullmatch(name):
            places.add(int(found[1]))
        elif not (_is_last(algorithm, name) or re.fullmatch(algorithm.beside, name)):
            raise _fault(f"holds {quoted(name)}, which no plain policy of {algorithm.name} has")
    prefixes = [f"{algorithm.hidden}{place}." for place in _every_second(places, algorithm)]
    if algorithm.last:
        prefixes.append(algorithm.last)
    if not (1 <= len(prefixes) <= MOST_LAYERS):
        raise _fault(f"has {len(prefixes)} layers where 1 to {MOST_LAYERS} can be")
    _require_a_chain(prefixes, shapes)
    _require_the_ends(page, shapes[f"{prefixes[0]}weight"][1], shapes[f"{prefixes[-1]}weight"][0])
    return tuple(prefixes)


def _suits(algorithm: Algorithm, page: AgentSpec) -> bool:
    head = algorithm.head_of_fractions if page.is_continuous else algorithm.head_of_codes
    return head is not None


def _is_last(algorithm: Algorithm, name: str) -> bool:
    return bool(algorithm.last) and name in (f"{algorithm.last}weight", f"{algorithm.last}bias")


def _every_second(places: Collection[int], algorithm: Algorithm) -> list[int]:
    """The places of the sequence; an activation, which has no weights, stands between any two."""
    ordered = sorted(places)
    if ordered != list(range(0, 2 * len(ordered), 2)):
        raise _fault(f"has other than linear layers and activations below {algorithm.hidden}*")
    return ordered


def _require_a_chain(prefixes: Collection[str], shapes: Shapes) -> None:
    width: int | None = None
    for prefix in prefixes:
        matrix, bias = shapes.get(f"{prefix}weight", ()), shapes.get(f"{prefix}bias", ())
        if len(matrix) != 2 or bias != matrix[:1]:
            raise _fault(f"has no matrix and bias that fit as {prefix}*")
        outputs, inputs = matrix
        if width not in (None, inputs) or not (1 <= inputs <= WIDEST and 1 <= outputs <= WIDEST):
            raise _fault(f"has {prefix}weight of {outputs} × {inputs}, which does not fit the rest")
        width = outputs


def _require_the_ends(page: AgentSpec, inputs: int, outputs: int) -> None:
    if inputs != len(page.names):
        raise _fault(
            f"takes {inputs} columns where {page.name} sees {len(page.names)}",
            "train a model on the observations of this agent",
        )
    if outputs != page.outputs:
        raise _fault(
            f"gives {outputs} numbers where {page.name} wants {page.outputs}",
            "train a model with the actions of this agent",
        )


def _fault(what: str, mend: str = _MEND) -> ModelError:
    return ModelError(f"policy.pth {what}", mend=mend)

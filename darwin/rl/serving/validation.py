"""Whether a model may be deployed: its files, its page, its arithmetic, its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from darwin.core.rebalance import BOOK_AGENTS
from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.book_policy import BookNumpyPolicy
from darwin.rl.serving.card import ModelCard
from darwin.rl.serving.fields import instant
from darwin.rl.serving.policy import Forward, NumpyPolicy, refuse_other_page
from darwin.rl.serving.spec_file import HeldOut, ModelSpec, read_spec
from darwin.rl.serving.weights_file import Weights, read_weights

PARITY = 1e-6
"""How far an output may lie from the trainer's, relative to the larger of 1 and its size."""

FEWEST_ACTIONS = 2
DECIMALS_THAT_TELL = 3  # fractions that agree so far are one action


def validate(page: AgentSpec, spec: bytes, weights: bytes) -> ModelCard:
    """Check a model before it is deployed for the agent of `page`. Raises ModelError.

    In this order: sizes, strict reading, shapes and finite weights; the page and its observation
    schema; outputs equal to the trainer's on the probe rows; legal actions there, at least two
    distinct ones; where there is held-out evidence, no worse than the baseline. Digests are the
    registry's.
    """
    read = read_spec(spec)
    tensors = read_weights(weights, read)
    refuse_other_page(page, read)
    policy = NumpyPolicy(read, tensors)
    _refuse_other_outputs(policy, tensors)
    distinct = _distinct_actions(page, policy, tensors)
    _refuse_a_loser(read.held_out)
    return _card(read, tensors, distinct)


def validate_book(agent: str, spec: bytes, weights: bytes) -> ModelCard:
    """The same checks of a model of an agent that decides about a book. Raises ModelError."""
    read = read_spec(spec)
    tensors = read_weights(weights, read)
    if read.agent != agent:
        raise ModelError(
            f"a model of {read.agent} where one of {agent} is wanted",
            mend=f"deploy it as {read.agent}",
        )
    policy = BookNumpyPolicy(read, tensors)
    _refuse_other_outputs(policy, tensors)
    actions = [policy.advise(observation).action for observation in tensors.observations]
    for row, action in enumerate(actions):
        if not policy.page.is_legal(action):
            raise _illegal(row, action, agent)
    rounded = {tuple(round(one, DECIMALS_THAT_TELL) for one in action) for action in actions}
    _refuse_one_action(len(rounded), str(actions[0]), len(actions))
    _refuse_a_loser(read.held_out)
    return _card(read, tensors, len(rounded))


def validate_files(agent: str, files: Mapping[str, bytes]) -> ModelCard:
    """`validate` for the files of a version by name, as a registry holds them."""
    for name in (spec_file.FILE, weights_file.FILE):
        if name not in files:
            raise ModelError(f"the model has no {name}", mend="export it again")
    spec, weights = files[spec_file.FILE], files[weights_file.FILE]
    if agent in BOOK_AGENTS:
        return validate_book(agent, spec, weights)
    return validate(PAGES[agent], spec, weights)


def refuse_the_future(card: ModelCard, now: datetime) -> None:
    """Raise ModelError for a model that says it saw bars which have not closed by `now`.

    It is not part of `validate`, which asks no clock: the same files give the same answer.
    """
    end = card.spec.training_end
    if end is not None and instant(end) > now:
        raise ModelError(
            f"the model was trained up to {end}, which is not over yet",
            where=f"{spec_file.FILE}: training_end",
            mend="write the close of the last bar it saw, or set the clock of this machine",
        )


def may_do_more_than_watch(agent: str, files: Mapping[str, bytes]) -> bool:
    """Whether valid files of a model say when its training ended, and how it did after that.

    Without the former nobody can tell evidence from what it has learned by heart. Raises
    ModelError.
    """
    card = validate_files(agent, files)
    return not card.observe_only and card.spec.training_end is not None


def _refuse_other_outputs(policy: Forward, tensors: Weights) -> None:
    for row, (observation, told) in enumerate(
        zip(tensors.observations, tensors.outputs.astype(np.float64), strict=True)
    ):
        away = np.abs(policy.outputs(observation) - told) / np.maximum(1.0, np.abs(told))
        if not np.all(away <= PARITY):
            raise ModelError(
                f"the model gives other outputs than its trainer did, by {np.max(away):.1e}",
                where=f"probe row {row}",
                mend="export it again; spec and weights may come from two models",
            )


def _distinct_actions(page: AgentSpec, policy: NumpyPolicy, tensors: Weights) -> int:
    """How many actions the probe rows bring about."""
    actions = [policy.advise(observation).action for observation in tensors.observations]
    for row, action in enumerate(actions):
        if not page.is_legal(action):
            raise _illegal(row, action, page.name)
    distinct = len({round(action, DECIMALS_THAT_TELL) for action in actions})
    _refuse_one_action(distinct, f"{actions[0]:g}", len(actions))
    return distinct


def _illegal(row: int, action: object, agent: str) -> ModelError:
    return ModelError(
        f"the model advises {action!r}, which {agent} may not do",
        where=f"probe row {row}",
        mend="train it again",
    )


def _refuse_one_action(distinct: int, action: str, rows: int) -> None:
    if distinct < FEWEST_ACTIONS:
        raise ModelError(
            f"the model advises {action} whatever it sees",
            where=f"all {rows} probe rows",
            mend="train it longer, or take rows on which it differs as probes",
        )


def _card(read: ModelSpec, tensors: Weights, distinct: int) -> ModelCard:
    return ModelCard(
        spec=read,
        parameters=sum(x.size for x in (*tensors.matrices, *tensors.biases)),
        probes=len(tensors.observations),
        distinct_actions=distinct,
        observe_only=read.held_out is None,
    )


def _refuse_a_loser(held_out: HeldOut | None) -> None:
    if held_out is not None and not (held_out.gain >= held_out.baseline):
        raise ModelError(
            f"the model gains {held_out.gain:g} on held-out data, its baseline "
            f"{held_out.baseline:g}",
            mend="train it again; the baseline serves better",
        )

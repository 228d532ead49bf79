"""A model's card: what validation has found, for whoever deploys, lists or watches it."""

from __future__ import annotations

from dataclasses import dataclass

from darwin.rl.serving.spec_file import ModelSpec


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model that passed validation."""

    spec: ModelSpec
    parameters: int  # weights and biases
    probes: int  # rows on which it gives what its trainer gave
    distinct_actions: int  # on them
    observe_only: bool  # no held-out evidence: it may be watched, and nothing more

"""Who the expert of a recorded run was: what its config names, and what the log says was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from darwin.store import schema
from darwin.store.expense import CHARGED
from darwin.store.runs import Begun


class Expert(NamedTuple):
    """An expert as two runs compare theirs; None and an empty tuple: nothing is known of it."""

    provider: str | None  # of the config: rules, llm, recorded, package.module:Name
    kind: str | None  # of a model: the protocol of its provider, openai or anthropic
    model: str | None
    prompt_versions: tuple[str, ...]  # several where the code changed while the run was made

    @property
    def words(self) -> str:
        """It on one line."""
        asked = " by ".join(one for one in (self.model, self.kind) if one)
        prompts = ", ".join(f"prompt {version}" for version in self.prompt_versions)
        return ", ".join(one for one in (self.provider, asked, prompts) if one)


def expert_of(connection: Connection, run: Begun, config: Mapping[str, Any]) -> Expert:
    """Read it of `run`, whose resolved config is `config`; no seal is looked at.

    Questions tell more than a config does: a run may repeat what another one was told, and no
    config names the version of the prompt.
    """
    calls, verdicts = schema.llm_calls, schema.verdicts
    asked = select(verdicts.c.prompt_sha256).where(
        verdicts.c.id.between(*schema.id_range(run.number)), verdicts.c.prompt_sha256.is_not(None)
    )
    told = [func.json_extract(calls.c.text, f"$.{name}") for name in _OF_A_QUESTION]
    rows = connection.execute(
        select(*told)
        .where(calls.c.kind == CHARGED, func.json_valid(calls.c.text) == 1)
        .where(calls.c.request_sha256.in_(asked))
        .distinct()
    ).all()
    kinds, models, prompts = (
        sorted({str(value) for value in values if value is not None})
        for values in (zip(*rows, strict=True) if rows else [()] * len(_OF_A_QUESTION))
    )
    decider = config.get("decider", {})
    return Expert(
        decider.get("provider"),
        ", ".join(kinds) or decider.get("kind"),
        ", ".join(models) or decider.get("model"),
        tuple(prompts),
    )


_OF_A_QUESTION = ("kind", "model", "prompt_version")


def differing(a: Expert, b: Expert) -> tuple[str, ...]:
    """Name what differs between two experts; what is not known of one of them does not."""
    return tuple(
        name.replace("_", " ")
        for name, one, other in zip(Expert._fields, a, b, strict=True)
        if one and other and one != other
    )

"""What every block of the config has in common: frozen, strict, no unknown key, finite."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Block(BaseModel):
    """No coercion of "1" to 1 or true to 1; an int may stand where a float is meant."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )

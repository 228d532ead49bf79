"""The OpenAPI document: its subjects, and that a token goes with every act."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from darwin.service.addresses import LOOKS
from darwin.service.entry import OPEN

TAGS = [
    {"name": "rl-agent", "description": "An agent of candidates, and its retraining."},
    {"name": "rl v3", "description": "Training, benchmark and rollout of an agent."},
    {"name": "runs", "description": "What was run, and why each candidate ended as it did."},
    {"name": "agents", "description": "Modes, evidence, decisions, promotions."},
    {"name": "models", "description": "Versions, what serves, the way back."},
    {"name": "safety", "description": "The kill switch, alerts, and what was asked by whom."},
    {"name": "jobs", "description": "Work that takes long, and when it is due."},
    {"name": "service", "description": "The service itself."},
]
_TOKEN = "token"  # noqa: S105  the name of a scheme


def describe(app: FastAPI) -> None:
    """Let the document say which token is needed where."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            tree = make()
            schemes = tree.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes[_TOKEN] = {
                "type": "http", "scheme": "bearer",
                "description": "Of `darwin token create NAME --role operator|viewer`.",
            }  # fmt: skip
            for path, methods in tree["paths"].items():
                for method, one in methods.items():
                    if path in OPEN:
                        one["security"] = []
                    else:
                        acts = method.upper() not in LOOKS
                        one["security"] = [{_TOKEN: []}] if acts else [{}, {_TOKEN: []}]
            app.openapi_schema = tree
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

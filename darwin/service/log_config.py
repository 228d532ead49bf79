"""Where the lines of the service go: stderr, in the form that the environment asks for.

The line of a request holds neither headers nor what stands behind the `?` of its path: a token
that somebody put there must not lie in a log.
"""

from __future__ import annotations

import logging
from typing import Any

_PATH = 2  # of the arguments of a line of uvicorn's: client, method, path, version, status


class WithoutQuery(logging.Filter):
    """Cuts what stands behind the `?` off the path of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through, shortened."""
        args = record.args
        if isinstance(args, tuple) and len(args) > _PATH:
            path = str(args[_PATH]).partition("?")[0]
            record.args = (*args[:_PATH], path, *args[_PATH + 1 :])
        return True


def log_config(*, requests: bool = False) -> dict[str, Any]:
    """For uvicorn's `log_config`, or `logging.config.dictConfig`; `requests`: a line for each."""
    access = {"handlers": ["access"], "level": "INFO" if requests else "CRITICAL"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "darwin.rl.cli.log_lines.formatter"}},
        "filters": {"without_query": {"()": "darwin.service.log_config.WithoutQuery"}},
        "handlers": {
            "stderr": _to_stderr(),
            "access": _to_stderr(filters=["without_query"]),
        },
        "loggers": {
            "darwin": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "uvicorn.access": {**access, "propagate": False},
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }


def _to_stderr(**more: Any) -> dict[str, Any]:
    return {
        "class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr", **more,
    }  # fmt: skip

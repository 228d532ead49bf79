"""How a line of a log looks: for people, or as one object of JSON for whoever gathers logs.

`DARWIN_LOG_FORMAT=json` asks for the latter; anything else is text. Lines about learned agents and
the door hold `RL` either way, so that a search for it finds them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from datetime import UTC, datetime
from typing import Any

from darwin.core.rebalance import ALL_AGENTS

VARIABLE = "DARWIN_LOG_FORMAT"
_RUN = re.compile(r"^run (?P<run>[^\s:]+)")
_AGENT = re.compile(rf"\bRL (?P<agent>{'|'.join(ALL_AGENTS)})\b")


def formatter(wanted: str | None = None) -> logging.Formatter:
    """What `wanted` asks for, or the environment where it says nothing."""
    told = os.environ.get(VARIABLE, "") if wanted is None else wanted
    if told.strip().lower() == "json":
        return JsonLines()
    form = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    form.converter = time.gmtime
    return form


class JsonLines(logging.Formatter):
    """One object a line: `time, level, logger, message`; `run_id`, `agent`, `fault` where known."""

    def format(self, record: logging.LogRecord) -> str:
        """Write it; a line break within the message is escaped, as JSON has it."""
        message = record.getMessage()
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"), "level": record.levelname,
            "logger": record.name, "message": message,
        }  # fmt: skip
        if found := _RUN.match(message):
            line["run_id"] = found["run"]
        if found := _AGENT.search(message):
            line["agent"] = found["agent"]
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)

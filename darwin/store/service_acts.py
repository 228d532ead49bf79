"""What was asked of the service, by whom, and how it was answered: one row for each act."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from darwin.store import logs
from darwin.store.db import Database
from darwin.store.runs import iso_time
from darwin.store.schema import service_acts

LONGEST_REASON, LONGEST_DETAIL = 400, 4_000


def note(
    database: Database, act: str, *, by: str, role: str, reason: str, detail: Mapping[str, Any],
    status: int, at: datetime,
) -> int:  # fmt: skip
    """Write down an act that was asked for, done or refused; gives the number of its row.

    `detail` is what was asked, without secrets; one that is too long is left out but for its keys.
    """
    told = json.dumps(detail, allow_nan=False)
    if len(told) > LONGEST_DETAIL:
        told = json.dumps({"too_long": [str(name)[:60] for name in list(detail)[:20]]})
    with database.write() as connection:
        return logs.append(
            connection, service_acts, act=act, by=by, role=role, reason=reason[:LONGEST_REASON],
            detail=told, status=status, at=iso_time(at),
        )  # fmt: skip

"""Which runs have moved into another database, and where that lies."""

from __future__ import annotations

from sqlalchemy import Connection

ACT = "archive"
"""What the log of acts calls it."""
_QUERY = (
    "SELECT json_extract(detail, '$.file') FROM service_acts WHERE act = 'archive'"
    " AND json_extract(detail, '$.run_id') = ? ORDER BY id DESC LIMIT 1"
)


def archived_in(connection: Connection, run_id: str) -> str:
    """The file that a run has moved to, as it was called then; empty: it has not moved."""
    row = connection.exec_driver_sql(_QUERY, (run_id,)).first()
    return "" if row is None else str(row[0])

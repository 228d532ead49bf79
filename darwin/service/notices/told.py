"""The notices of late, as somebody reads them: each with what came of it."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, func, select

from darwin.store.schema import notices


def notices_of_late(connection: Connection, limit: int = 50) -> list[dict[str, Any]]:
    """The newest first: `id, at, key, severity, text, times, ways`, of each way `answer, tries`.

    The answer is `waits` before the first try, else `sent`, `failed` (and tried again) or
    `given up`.
    """
    n = notices.c
    what = func.json_extract(n.detail, "$.what")
    query = select(notices).where(what == "due").order_by(n.id.desc()).limit(limit)
    dues = connection.execute(query).all()
    if not dues:
        return []
    trees = {row.id: _tree(row._mapping) for row in dues}
    answers = select(n.detail).where(n.id > min(trees), what.in_(("sent", "failed", "given up")))
    for text in connection.scalars(answers.order_by(n.id)):
        told = json.loads(text)
        if told["of"] in trees:
            way = trees[told["of"]]["ways"].setdefault(told["way"], {"tries": 0})
            way |= {"answer": told["what"], "says": told["answer"]}
            way["tries"] += told["what"] != "given up"
    return list(trees.values())


def _tree(row: Any) -> dict[str, Any]:
    detail = json.loads(row["detail"])
    return {
        "id": row["id"], "at": row["at"], "key": row["key"], "severity": row["severity"],
        "text": row["text"], "times": sum(detail["keys"].values()),
        "ways": {way: {"answer": "waits", "says": "", "tries": 0} for way in detail["ways"]},
    }  # fmt: skip

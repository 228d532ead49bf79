"""Jobs as they are told to whoever looks: without the folders and processes of this machine."""

from __future__ import annotations

from typing import Any

from darwin.service import reading
from darwin.service.place import Place
from darwin.service.refusals import public
from darwin.store.jobs import Job

_UNTOLD = ("worker", "lease_until")


def told(job: Job, place: Place) -> dict[str, Any]:
    """A job as JSON, without the folders and processes of this machine."""
    tree = reading.job_tree(job)
    tree["words"] = [public(word, place) for word in job.words]
    tree["message"] = public(job.message, place)
    return {name: value for name, value in tree.items() if name not in _UNTOLD}

"""How a broken plug-in is held against one promise of its contract."""

from __future__ import annotations

import pytest


def assert_caught(contract: type, promise: str, mend: str, *fixtures: object) -> None:
    """The test `promise` of the suite `contract` fails and says `mend`."""
    with pytest.raises(AssertionError, match=mend):
        getattr(contract(), promise)(*fixtures)

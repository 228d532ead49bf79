from __future__ import annotations

import pytest

from tests.service.desk import Served


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path)
    yield served
    served.close()

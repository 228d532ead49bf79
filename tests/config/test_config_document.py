"""Files that are no config: each refused on three lines, whatever is in them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darwin.config.load import load_config
from darwin.errors import ConfigError
from tests.config.config_samples import FULL, Command, assert_refused

Write = Callable[[object], Path]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"{", "line 1, column 2"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"run"', "not a JSON object"),
        (b"{} {}", "line 1, column 4"),
        (b'{"run_id": "x",}', "not valid JSON"),
        (b"{'run_id': 1}", "not valid JSON"),
        (b"// x\n{}", "not valid JSON"),
        (b'{"run_id": "\xff"}', "not UTF-8 (byte 12)"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"[" * 200_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested deeper"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "nested deeper"),
        (b'{"market": {"seed": ' + b"9" * 9_000 + b"}}", "market.seed"),
        (b'{"market": {"edge": -1' + b"0" * 500 + b"}}", "market.edge"),
        (b'{"\\ud800": 1}', "ud800"),
        (b'{"a\\u0000": 1}', "u0000"),
        (b'{"": 1}', '[""]'),
        (b"{}" + b" " * (1 << 20), "1 MiB"),
    ],
)
def test_a_file_that_is_no_config_is_refused(
    content: bytes, said: str, darwin: Command, write: Write
) -> None:
    outcome = darwin("config", "check", write(content))
    assert_refused(outcome)
    assert said in outcome.err


def test_a_byte_order_mark_does_no_harm(write: Write) -> None:
    text = json.dumps(FULL).encode()
    assert load_config(write(b"\xef\xbb\xbf" + text), (), {}).config.run_id == "full"


def test_a_missing_file_is_refused_with_its_neighbour(darwin: Command, write: Write) -> None:
    path = write(FULL)
    outcome = darwin("config", "check", path.with_name("confg.json"))
    assert_refused(outcome)
    assert f"did you mean '{path}'?" in outcome.err


@pytest.mark.parametrize("name", ["", ".", "missing/config.json", "config.json/x", "\ud800", "a\0"])
def test_a_path_that_is_no_file_is_refused(name: str, write: Write) -> None:
    folder = write(FULL).parent
    with pytest.raises(ConfigError) as refused:
        load_config(folder / name, (), {})
    assert len(refused.value.lines()) == 3


def test_a_file_that_may_not_be_read_is_refused(write: Write) -> None:
    if os.geteuid() == 0:
        path = Path("/proc/self/mem")  # reading it fails, even for root
    else:
        path = write(FULL)
        path.chmod(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(path, (), {})


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*FULL, *FULL["market"], "x"]), inner, max_size=6)
        ),
        max_leaves=20,
    )
)
def test_any_json_ends_in_a_config_or_in_three_lines(write: Write, tree: object) -> None:
    try:
        load_config(write(tree), (), {})
    except ConfigError as error:
        assert len(error.lines()) == 3
        assert max(map(len, error.lines())) < 800

"""The canonical line of a row, and the hashes that hang on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BLOB, INTEGER, REAL, TEXT, Column, Table

from darwin.store import chain, schema
from tests.store.conftest import identity
from tests.store.outsider import GENESIS, plain, said

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SOUND: dict[type, st.SearchStrategy[Any]] = {
    INTEGER: st.integers(-(2**63), 2**63 - 1),
    REAL: st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),
    TEXT: TEXTS,
    BLOB: st.binary(max_size=8),
}
ANY = st.one_of(st.none(), *SOUND.values(), st.just("\udcff"), st.floats())
"""What a damaged file may hand out in any column: broken text too, and infinities."""


def sound_rows(table: Table) -> st.SearchStrategy[dict[str, Any]]:
    """Rows as they are written."""
    return st.fixed_dictionaries({column.name: sound_values(column) for column in table.c})


def sound_values(column: Column[Any]) -> st.SearchStrategy[Any]:
    values = SOUND[type(column.type)]
    return values | st.none() if column.nullable else values


def as_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("table", schema.FACTS.values(), ids=lambda table: table.name)
@given(data=st.data())
def test_the_line_of_a_fact_is_its_sorted_json_without_its_place(
    table: Table, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(sound_rows(table), min_size=1, max_size=3))
    expected = [plain(said({"fact": table.name} | row)) for row in rows]
    assert chain.lines(table, as_columns(rows)) == expected


SEALED = [schema.runs, schema.acts, *schema.BESIDE.values()]


@pytest.mark.parametrize("table", SEALED, ids=lambda table: table.name)
@given(data=st.data())
def test_the_line_of_a_sealed_row_holds_all_but_the_seal(table: Table, data: st.DataObject) -> None:
    row = data.draw(sound_rows(table))
    (line,) = chain.sealed_lines(table, as_columns([row]))
    assert line == plain({"fact": table.name} | row, but="seal")


@pytest.mark.parametrize("table", schema.FACTS.values(), ids=lambda table: table.name)
@given(data=st.data())
def test_no_damaged_value_has_the_line_of_a_sound_one(table: Table, data: st.DataObject) -> None:
    row = data.draw(sound_rows(table))
    column = data.draw(st.sampled_from(chain.content(table)))
    value = data.draw(ANY)
    same = type(value) is type(row[column.name]) and repr(value) == repr(row[column.name])
    (line,) = chain.lines(table, as_columns([row]))
    (damaged,) = chain.lines(table, as_columns([row | {column.name: value}]))
    assert (damaged == line) is same


def test_each_hash_hangs_on_the_one_before_and_its_line() -> None:
    head = sha256(b"start").digest()
    one = sha256(head + b"{}").digest()
    assert chain.link(head, [b"{}", b"[]"]) == [one, sha256(one + b"[]").digest()]
    assert chain.link(head, []) == []


@pytest.mark.parametrize("name", GENESIS)
def test_whatever_makes_a_run_another_gives_another_beginning(name: str) -> None:
    other: Any = ("x",) if name in {"symbols", "feature_names"} else "x"
    changed = identity(other) if name == "run_id" else identity(**{name: other})
    told = {field: getattr(changed, field) for field in GENESIS}
    line = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    assert changed.genesis() == sha256(line).digest() != identity().genesis()


def test_the_text_of_the_config_is_no_part_of_the_beginning() -> None:
    assert identity(config_json="{}").genesis() == identity().genesis()

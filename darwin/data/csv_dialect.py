"""CSV text to columns of cells: BOM, line ends, delimiters and quotes; every cell stays text."""

from __future__ import annotations

import csv
import io

import polars as pl

from darwin.errors import DataError

_BOM = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t")
_SHAPE = "write UTF-8 with a header line and as many cells in every row"


def split_cells(raw: bytes, source: str) -> tuple[list[str], pl.DataFrame]:
    """Return the header's names and a frame of text cells, columns in the header's order.

    Cells are stripped of blanks, empty ones are null. The delimiter (comma, semicolon, tab) is
    the one most frequent in the header. Blank lines at the end do not count; one in between is a
    row of empty cells. Raises DataError for other encodings and for a row that has more or fewer
    cells than the header.
    """
    raw = raw.removeprefix(_BOM)
    _refuse_other_encodings(raw, source)
    line, _, body = raw.partition(b"\n")
    header = line.decode().rstrip("\r")
    delimiter = max(_DELIMITERS, key=header.count)
    names = _header_names(header, delimiter, source)
    body = body.rstrip(b"\r\n ")
    if not body:
        return names, pl.DataFrame({key: [] for key in _keys(names)}, _schema(names))
    try:
        frame = pl.read_csv(
            io.BytesIO(body),
            has_header=False,
            schema=_schema(names),
            separator=delimiter,
            quote_char='"',
        )
    except pl.exceptions.PolarsError as fault:
        _refuse_ragged(body, delimiter, len(names), source)
        says = f"cannot be split into cells ({str(fault).splitlines()[0][:80]})"
        raise DataError(says, where=source, mend=_SHAPE) from fault
    if body.count(delimiter.encode()) != frame.height * (len(names) - 1):
        _refuse_ragged(body, delimiter, len(names), source)
    stripped = pl.all().str.strip_chars()
    return names, frame.select(pl.when(stripped != "").then(stripped).name.keep())


def _keys(names: list[str]) -> list[str]:
    return [str(i) for i in range(len(names))]


def _schema(names: list[str]) -> dict[str, type[pl.String]]:
    return dict.fromkeys(_keys(names), pl.String)


def _refuse_other_encodings(raw: bytes, source: str) -> None:
    try:
        raw.decode()
    except UnicodeDecodeError as fault:
        row = raw.count(b"\n", 0, fault.start)
        raise DataError(
            f"the byte {raw[fault.start]:#04x} is not UTF-8",
            where=f"{source}, row {row}" if row else f"{source}, header",
            mend=_SHAPE,
        ) from None
    if b"\0" in raw:
        row = raw.count(b"\n", 0, raw.index(b"\0"))
        raise DataError(
            "a zero byte stands where text should be",
            where=f"{source}, row {row}" if row else f"{source}, header",
            mend=_SHAPE,
        )


def _header_names(header: str, delimiter: str, source: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error as fault:
        raise DataError(
            f"the header cannot be split into names ({fault})",
            where=f"{source}, header",
            mend=_SHAPE,
        ) from fault


def _refuse_ragged(body: bytes, delimiter: str, width: int, source: str) -> None:
    """Raise for the first row of another width, slowly; return if there is none."""
    row = 0
    try:
        for row, cells in enumerate(csv.reader(io.StringIO(body.decode()), delimiter=delimiter), 1):
            if len(cells) != width:
                says = f"the row has {len(cells)} cells, the header {width}"
                raise DataError(says, where=f"{source}, row {row}", mend=_SHAPE)
    except csv.Error as fault:
        says = f"the row cannot be split into cells ({fault})"
        raise DataError(says, where=f"{source}, row {row + 1}", mend=_SHAPE) from fault

"""What a single value of the config may be: bounds, names, instants, paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from darwin.core.market import SYMBOL, YEAR_2200_MS, Timeframe
from darwin.errors import ConfigError

BASE_URL = "https://api.binance.com"
"""Whom to ask for klines where nobody else is named."""

SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A run id, a version, one segment of a path below the artifacts; match it with `fullmatch`."""

_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?", re.ASCII
)
_UNSEEN = re.compile(r"[^!-~]")
_SEPARATORS = str.maketrans("", "", "-/_:")
NUMBER_TAG, TABLE_TAG = "(number)", "(object)"


def fault(what: str, mend: str, at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """Return what a validator raises: `what` continues the key's path into a sentence.

    `at` leads from the validated value to the one at fault.
    """
    return PydanticCustomError("fault", "{what}", {"what": what, "mend": mend, "at": at})


def _run_id(text: str) -> str:
    if SEGMENT.fullmatch(text) is None:
        raise fault(
            "is no name that a folder can safely have",
            "use letters, digits, '.', '_' and '-', starting with a letter or digit, 64 at most",
        )
    return text


def _symbol(text: str) -> str:
    if SYMBOL.fullmatch(text) is None:
        raise fault("is no symbol", "write for example BTC/USDT or BTCUSDT_PERP, in capitals")
    return text


def instrument(symbol: str) -> str:
    """What a symbol names however it is written: `BTC/USDT` and `BTCUSDT` are one."""
    return symbol.translate(_SEPARATORS)


def _distinct(symbols: tuple[str, ...]) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for i, symbol in enumerate(symbols):
        key = instrument(symbol)
        if key in seen:
            raise fault(f"names the same instrument as '{seen[key]}'", "keep one of them", (i,))
        seen[key] = symbol
    return symbols


def _timeframe(text: str) -> str:
    try:
        if text.isascii():
            return Timeframe.parse(text).name
    except ConfigError:
        pass
    raise fault("is no timeframe", "write for example 1m, 15m, 1h, 1d")


def instant_ms(text: str) -> int:
    """Read an ISO date or datetime, UTC unless it names its offset, as ms UTC; else ValueError."""
    if _INSTANT.fullmatch(text) is None:
        raise ValueError("not an ISO date")
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def _instant(text: str) -> str:
    try:
        known = 0 <= instant_ms(text) < YEAR_2200_MS
    except (ValueError, OverflowError):
        raise fault("is no date", "write 2020-01-31 or 2020-01-31T15:00:00Z") from None
    if not known:
        raise fault("is not between 1970 and 2200", "write a date on which there were bars")
    return text


def base_url_objection(text: str) -> tuple[str, str] | None:
    """What is wrong with the URL of a venue, and the mend; None: nothing is."""
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    if not named or parts.scheme not in ("http", "https") or _UNSEEN.search(text):
        return "is no URL of a venue", "write for example https://api.binance.com"
    if "@" in parts.netloc:
        return "holds a user or a password", "leave them out: prices are public"
    if "?" in text or "#" in text:
        return "ends in a query", "leave out what begins with '?' or '#'"
    return None


def _base_url(text: str) -> str:
    objection = base_url_objection(text)
    if objection is not None:
        raise fault(*objection)
    return text


def _exchange(text: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9_]{1,39}", text) is None:
        raise fault("is no exchange of ccxt", 'write its id, for example "kraken"')
    return text


def _path(text: str) -> str:
    if not text.strip() or text.startswith("~"):
        raise fault("is no path", "write a relative or an absolute path; '~' is not expanded")
    return text


def _root(text: str) -> str:
    if ".." in _path(text).split("/"):
        raise fault("climbs with '..'", "write the absolute path of the folder instead")
    return text


def _resume(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value != "never" and not (whole and 1 <= value <= 36_500):  # type: ignore[operator]
        raise fault(
            "must be 'never' or a whole number of days from 1", 'write "never" or for example 30'
        )
    return value


def as_tuple(value: object) -> object:
    """Let a JSON list stand where a tuple is meant; anything else is left for the type to judge."""
    return tuple(value) if isinstance(value, list) else value


def _shape(value: object) -> str:
    return TABLE_TAG if isinstance(value, Mapping) else NUMBER_TAG


LARGEST = 1e15  # beyond it, sums of cents are no longer exact in float64

Fraction = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=LARGEST)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST)]
Bps = Annotated[float, Field(ge=0, le=1000)]
Multiple = Annotated[float, Field(gt=0, le=1000)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
CountOrNone = Annotated[int, Field(ge=0, le=1_000_000_000)]

RunId = Annotated[str, AfterValidator(_run_id)]
Symbol = Annotated[str, AfterValidator(_symbol)]
Symbols = Annotated[
    tuple[Symbol, ...],
    Field(min_length=1, max_length=100),
    BeforeValidator(as_tuple),
    AfterValidator(_distinct),
]
TimeframeName = Annotated[str, AfterValidator(_timeframe)]
Instant = Annotated[str, AfterValidator(_instant)]
AnyPath = Annotated[str, AfterValidator(_path)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
ExchangeId = Annotated[str, AfterValidator(_exchange)]
RootPath = Annotated[str, AfterValidator(_root)]
Resume = Annotated[int | str, BeforeValidator(_resume)]
Grid = Annotated[float, Field(ge=1e-12, le=1e12)]
Step = Annotated[
    Annotated[Grid, Tag(NUMBER_TAG)] | Annotated[dict[str, Grid], Tag(TABLE_TAG)],
    Discriminator(_shape),
]
"""A rounding step: one number for all symbols, or one per symbol."""
Name = Annotated[str, Field(min_length=1, max_length=200)]
Options = dict[str, Any]
"""Free keys, checked by whoever takes them."""

"""Two runs side by side in words for people, and as a tree for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from darwin.cli.tables import count, number, print_table, signed, when
from darwin.store.causes import Cause

if TYPE_CHECKING:
    from darwin.store.comparison import Comparison, Difference
    from darwin.store.sides import Side
    from darwin.store.told import Told

_CANDIDATES_SHOWN, _WAYS_SHOWN, _KEYS_SHOWN = 10, 12, 20
_LONGEST = 40
_ROUNDING = 5e-5  # USD: less is no digit that is shown


def tell(console: Console, found: Comparison) -> None:
    """Print both runs, the causes, how candidates parted, and those that matter most."""
    _tell_runs(console, found)
    if not found.differences and abs(found.usd) < _ROUNDING:
        console.print(f"no difference: {count(found.candidates)} candidates went alike")
        return
    _tell_causes(console, found)
    if found.differences:
        _tell_ways(console, found)
        _tell_candidates(console, found)


def _tell_runs(console: Console, found: Comparison) -> None:
    told = [_glance(side) for side in (found.a, found.b)]
    rows = [(name, left, right) for (name, left), (_, right) in zip(*told, strict=True)]
    print_table(console, ("", found.a.run_id, found.b.run_id), rows)
    for side in (found.a, found.b):
        if not side.finished:
            console.print(f"run '{side.run_id}' is not finished: compared as far as it is kept")
    console.print(_data(found))
    if found.experts_differ_by:
        what = ", ".join(found.experts_differ_by)
        console.print(f"expert: not the same ({what}): what it says otherwise is 'signal'")
    if found.config:
        console.print()
        keys = [(key, _short(a), _short(b)) for key, a, b in found.config[:_KEYS_SHOWN]]
        print_table(console, ("config", "", ""), keys)
        _more(console, len(found.config) - _KEYS_SHOWN, "keys")
    console.print()


def _glance(side: Side) -> list[tuple[str, str]]:
    """A run in the rows of a table."""
    place, trades = side.run.place, side.trades
    until = "" if place.reached is None else when(place.reached)
    models = [f"{one.agent_name} {one.model_version}" for one in side.models]
    return [
        ("bars", count(place.bars)),
        ("last bar", until),
        ("bars digest", (side.data_digest or "")[:12]),
        ("code", side.run.code_version),
        ("expert", side.expert.words),
        ("agents' models", ", ".join(models)),
        ("candidates", count(len(side.candidates))),
        ("trades", count(len(trades))),
        ("net P&L USD", signed(side.earned_usd)),
        ("expert's cost USD", number(side.expert_cost_usd)),
    ]


def _data(found: Comparison) -> str:
    if not found.bars_differ:
        how = "" if found.digests_tell else ", as far as candidates tell: a feed digests otherwise"
        return f"bars: the same{how}"
    seen = found.parted_at
    return "bars: not the same" + ("" if seen is None else f", first seen at {when(seen)}")


def _tell_causes(console: Console, found: Comparison) -> None:
    rows = [
        (
            cause.value,
            *(count(many or None) for many in (candidates, knock_on, trades_a, trades_b)),
            *(signed(dollars or None) for dollars in (usd, knock_on_usd)),
        )
        for cause, candidates, knock_on, trades_a, trades_b, usd, knock_on_usd in found.tallies
    ]
    alike = found.candidates - len(found.differences)
    rows.append(("none", count(alike), *[""] * 5))
    if abs(found.remainder_usd) >= _ROUNDING:
        rows.append(("open or not told", "", "", "", "", signed(found.remainder_usd), ""))
    rows.append(("all", count(found.candidates), "", "", "", signed(found.usd), ""))
    heads = ("cause", "candidates", "knock-on", "trades A", "trades B", "B less A USD", "knock-on")
    print_table(console, heads, rows, numbers=range(1, 7))
    if abs(found.remainder_usd) >= _ROUNDING:
        console.print(_on_the_remainder(found))


def _on_the_remainder(found: Comparison) -> str:
    if found.a.finished and found.b.finished:
        return (
            "accounts and trades do not agree: `darwin verify` tells whether a record was changed"
        )
    return "open positions, and what came after the last day that is marked, have no cause yet"


def _tell_ways(console: Console, found: Comparison) -> None:
    rows = [
        (way.cause.value, way.what, way.a, way.b, count(way.candidates), signed(way.usd))
        for way in found.ways[:_WAYS_SHOWN]
    ]
    console.print()
    heads = ("cause", "where", f"A {found.a.run_id}", f"B {found.b.run_id}", "candidates", "USD")
    print_table(console, heads, rows, numbers=[4, 5])
    _more(console, len(found.ways) - _WAYS_SHOWN, "ways to part")


def _tell_candidates(console: Console, found: Comparison) -> None:
    most = found.differences[:_CANDIDATES_SHOWN]
    rows = [
        (
            one.candidate_id,
            when(one.key.bar_time),
            one.key.symbol,
            f"{one.key.playbook} {one.key.side}",
            one.judged.cause.value,
            _figures(one.a),
            _figures(one.b),
            signed(one.usd),
        )
        for one in most
    ]
    console.print()
    heads = ("candidate", "signal", "symbol", "setup", "cause", "A", "B", "B less A USD")
    print_table(console, heads, rows, numbers=[7])
    _more(console, len(found.differences) - len(most), "candidates that differ; --json has all")
    console.print(f"`darwin why {_example(found, most[0])}` tells more of one")


def _example(found: Comparison, one: Difference) -> str:
    return f"{one.candidate_id} --run {(found.b if one.a is None else found.a).run_id}"


def _figures(told: Told | None) -> str:
    """What one run has of a candidate, in a few words."""
    if told is None:
        return "not proposed"
    trade = told.trade
    if trade is None:
        return told.ending
    return f"{trade.exit_reason}, {trade.units:,.4g} units, net {signed(trade.net_usd)}"


def _more(console: Console, left: int, what: str) -> None:
    if left > 0:
        console.print(f"+{count(left)} {what}")


def _short(value: str | None) -> str:
    text = "not there" if value is None else value
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def comparison_tree(found: Comparison) -> dict[str, Any]:
    """The comparison as JSON has it; times in ms UTC, differences B less A."""
    return {
        "a": _side_tree(found.a),
        "b": _side_tree(found.b),
        "no_difference": not found.differences and abs(found.usd) < _ROUNDING,
        "config": [change._asdict() for change in found.config],
        "data": {
            "bars_differ": found.bars_differ,
            "told_by_digests": found.digests_tell,
            "first_seen_at": found.parted_at,
        },
        "expert": {
            "differs_by": list(found.experts_differ_by),
            "cause": Cause.SIGNAL if found.experts_differ_by else None,
        },
        "candidates": found.candidates,
        "alike": found.candidates - len(found.differences),
        "causes": [tally._asdict() for tally in found.tallies],
        "net_pnl_usd": {
            "difference": found.usd,
            "by_trades": found.by_trades_usd,
            "remainder": found.remainder_usd,
        },
        "ways": [way._asdict() for way in found.ways],
        "differences": [_difference_tree(one) for one in found.differences],
    }


def _side_tree(side: Side) -> dict[str, Any]:
    run, place = side.run, side.run.place
    return {
        "run_id": side.run_id,
        "finished": side.finished,
        "mode": run.identity.mode,
        "config_digest": run.identity.config_digest,
        "data_digest": side.data_digest,
        "code_version": run.code_version,
        "symbols": list(run.identity.symbols),
        "bars": place.bars,
        "first_day": side.since,
        "last_bar": place.reached,
        "facts": place.facts,
        "head": place.head.hex(),
        "candidates": len(side.candidates),
        "trades": len(side.trades),
        "net_pnl_usd": side.earned_usd,
        "expert": side.expert._asdict(),
        "expert_cost_usd": side.expert_cost_usd,
        "models": [one._asdict() for one in side.models],
    }


def _difference_tree(one: Difference) -> dict[str, Any]:
    return {
        **one.key._asdict(),
        "cause": one.judged.cause,
        "what": one.judged.what,
        "knock_on": one.judged.knock_on,
        "usd": one.usd,
        "parts": one.parts,
        "a": None if one.a is None else _told_tree(one.a),
        "b": None if one.b is None else _told_tree(one.b),
    }


def _told_tree(told: Told) -> dict[str, Any]:
    return {
        "candidate_id": told.candidate_id,
        "close": told.close,
        "stop_distance": told.bracket[0],
        "stage": told.stage,
        "reason": told.reason,
        "verdict": None if told.answer is None else told.answer._asdict(),
        "agents": {name: said._asdict() for name, said in told.said.items()},
        "clipped_by": told.clipped_by,
        "trade": None if told.trade is None else told.trade._asdict(),
        "r": told.r,
    }

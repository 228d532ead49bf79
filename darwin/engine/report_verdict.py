"""The verdict in plain words, what a reader must know first said first; and the assumptions.

Both read the finished figures, so that a sentence never says another number than its table.
"""

from __future__ import annotations

from typing import Any

from darwin.engine.report_agents import agents_sentence
from darwin.engine.report_model import model_sentences, silence_sentence
from darwin.engine.report_twins import twins_sentence
from darwin.engine.report_words import count, number, percent, usd
from darwin.engine.report_words import day as day_text
from darwin.engine.result import RunResult
from darwin.trading.costs import Costs

FEWEST_TRADES = 30
_STOPS = ("reducing", "halted")


def stopped(result: RunResult) -> dict[str, Any] | None:
    """The event that ended trading for good: reducing or halted, and never resumed."""
    found = None
    for event in result.safety_events:
        if event.kind in _STOPS:
            found = found or event
        elif event.kind == "resumed":
            found = None
    if found is None:
        return None
    return {"date": day_text(found.time), "kind": found.kind, "detail": found.detail}


def verdict(metrics: dict[str, Any]) -> list[str]:
    """What the run shows, sentence by sentence; the first is the headline."""
    silent = silence_sentence(metrics["expert"])
    sentences = [] if silent is None else [silent]
    halt = metrics["stopped"]
    if halt:
        detail = f" ({halt['detail']})" if halt["detail"] else ""
        sentences.append(
            f"The run stopped trading on {halt['date']}: {halt['kind']}{detail}. It never resumed; "
            "every later day shows an account that took no new position."
        )
    if metrics["synthetic"]:
        sentences.append(
            "The market is SYNTHETIC: its prices were generated, so nothing here speaks of a real "
            "market."
        )
    sentences.append(_headline(metrics))
    about_agents = [agents_sentence(metrics["agents"]), twins_sentence(metrics)]
    said = model_sentences(metrics["expert"])
    said += [sentence for sentence in about_agents if sentence]
    if not metrics["trades"]:
        return [*sentences, _no_trades(metrics), *said]
    money = [_earned(metrics), *_against(metrics), _mean_r(metrics), _costs(metrics)]
    return [*sentences, *money, *said]


def too_few(metrics: dict[str, Any]) -> bool:
    """Whether the sample cannot carry a statement about mean R."""
    interval = metrics["mean_r_interval"]
    return interval["trades"] < FEWEST_TRADES or interval["low"] is None


def _headline(metrics: dict[str, Any]) -> str:
    trades = metrics["trades"]
    if not trades:
        return "No trades, so nothing to judge."
    interval = metrics["mean_r_interval"]
    if interval["trades"] < FEWEST_TRADES:
        return f"{count(trades, 'trade')}: too few to tell."
    if too_few(metrics):
        return (
            f"Too short to tell: the {trades:,} trades fall into "
            f"{count(interval['blocks'], 'block')} of {interval['bars_per_block']} bars."
        )
    beaten = metrics["benchmarks"]["random_matched"]["beaten_share"] or 0.0
    return _edge(interval["low"], interval["high"], beaten)


def _edge(low: float, high: float, beaten: float) -> str:
    if high < 0:
        return "The trades lose money after costs, more surely than chance explains."
    if low <= 0:
        return "No edge can be told from chance."
    if beaten < 0.95:
        return "Mean R is above zero, but random entries did as well."
    return "The trades earned more than chance explains, on this data."


def _no_trades(metrics: dict[str, Any]) -> str:
    total = metrics["candidates"]
    if not total:
        return "The playbooks proposed no candidate."
    reason = max(metrics["funnel"], key=lambda text: metrics["funnel"][text])
    most = metrics["funnel"][reason]
    return f"{count(total, 'candidate')} and not one trade; {most:,} ended with '{reason}'."


def _earned(metrics: dict[str, Any]) -> str:
    net, years = metrics["net_pnl_usd"], metrics["days"] / 365.25
    span = f"{years:.1f} years" if years >= 2 else f"{metrics['days']:,.0f} days"
    did = "earned" if net > 0 else "lost"
    text = (
        f"Net of fees, spread, slippage and funding the run {did} {usd(abs(net))} on "
        f"{usd(metrics['starting_equity_usd'])} ({percent(metrics['total_return'], sign=True)}) "
        f"in {count(metrics['trades'], 'trade')} over {span}"
    )
    cost = metrics["expert"]["cost_usd"]
    return text + (f"; asking the expert cost {usd(cost)} more." if cost else ".")


def _against(metrics: dict[str, Any]) -> list[str]:
    hold = metrics["benchmarks"]["buy_and_hold"]
    ahead = "beat" if metrics["total_return"] > hold["total_return"] else "did not beat"
    sentences = [
        f"It {ahead} buy & hold, which returned {percent(hold['total_return'], sign=True)} with a "
        f"maximum drawdown of {percent(hold['max_drawdown'])} "
        f"(the run: {percent(metrics['max_drawdown'])})."
    ]
    matched = metrics["benchmarks"]["random_matched"]
    share = matched["beaten_share"]
    if share is None:
        return sentences
    says = "which is within what chance gives"
    if share >= 0.95:
        says = "so its timing did better than chance would at the 5 % level"
    elif share <= 0.05:
        says = "so its timing did worse than chance would at the 5 % level"
    if metrics["stopped"]:
        says += " (no limit stops the draws, as it stopped the run)"
    sentences.append(
        f"It earned more than {percent(share, 0)} of {matched['draws']} random-matched runs (the "
        f"same trades entered at random bars; median {percent(matched['q50'], sign=True)}), {says}."
    )
    return sentences


def _mean_r(metrics: dict[str, Any]) -> str:
    interval = metrics["mean_r_interval"]
    mean = number(interval["mean"], 3, sign=True)
    if too_few(metrics):
        return (
            f"{count(interval['trades'], 'trade')} in {count(interval['blocks'], 'block')} of "
            f"{interval['bars_per_block']} bars: too few to tell whether mean R ({mean}) differs "
            "from zero."
        )
    low, high = (number(interval[end], 3, sign=True) for end in ("low", "high"))
    away = interval["low"] > 0 or interval["high"] < 0
    says = "distinguishable from zero" if away else "not distinguishable from zero"
    return (
        f"Mean R per trade is {mean}, 95 % interval {low} to {high} (t interval over "
        f"{interval['blocks']} blocks of {interval['bars_per_block']} bars): {says}."
    )


def _costs(metrics: dict[str, Any]) -> str:
    even, paid = metrics["break_even_bps_per_side"], metrics["cost_bps_per_side"]
    if even is None:
        return "Nothing was traded, so there is no break-even cost."
    if even <= 0:
        return (
            "Before fees and slippage the trades it made already lost money: lower costs alone do "
            "not turn these trades around."
        )
    margin = "more" if even > paid else "less"
    return (
        f"Break-even cost is {number(even)} bps per side, {margin} than the {number(paid)} bps "
        "the run paid."
    )


def assumptions(metrics: dict[str, Any], costs: Costs) -> list[str]:
    """What the figures rest on, with this run's own numbers."""
    shares, interval = metrics["outcomes"], metrics["mean_r_interval"]
    matched = metrics["benchmarks"]["random_matched"]
    sentences = [
        "A decision at a bar's close is filled at the symbol's next open; nothing sees a bar "
        "before it has closed.",
        f"Costs: taker fee {number(costs.taker_bps)} bps and half-spread plus slippage "
        f"{number(costs.half_spread_bps + costs.slippage_bps)} bps on market and stop fills, maker "
        f"fee {number(costs.maker_bps)} bps on target fills, which fill at their price when "
        "touched.",
        "A bar that touches stop and target counts as stopped; that decided "
        f"{percent(shares['ambiguous_share'], 2)} of {shares['resolved']:,} resolved outcomes.",
        f"{shares['unresolved']:,} of {metrics['candidates']:,} outcomes are unresolved because "
        "their bars are not all known; they count nowhere.",
        "Positions open at the end are closed at the last close and are left out of the interval "
        f"of mean R, which rests on {interval['trades']:,} trades.",
        f"Sharpe, Sortino and volatility: {metrics['sampling']['text']} "
        f"({metrics['sampling']['returns']:,} returns).",
        "CAGR and turnover reckon with years of 365.25 days; the drawdown is measured at every "
        "bar's close.",
        "Fills move no price: market impact is not modelled.",
        "Benchmarks pay the same costs from the first bar at which the run could trade; the "
        f"{matched['draws']} random draws (seed {matched['seed']}) book profit by UTC day, so that "
        "their drawdowns are a little shallower than a bar's-close reckoning; their notionals are "
        "the run's whatever they have lost, so that a draw can lose more than everything.",
    ]
    if any(row["funding"] for row in metrics["data"]):
        sentences.append("Funding is paid on the bars of the funding series given.")
    else:
        sentences.append("No funding series was given, so no funding was paid.")
    if metrics["expert"]["calls"]:
        sentences.append(
            f"What the expert cost ({usd(metrics['expert']['cost_usd'])}) is stated apart and not "
            "taken from the equity."
        )
    return sentences

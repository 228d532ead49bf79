"""The story of one candidate in words for people, which `darwin why` prints and a page shows."""

from __future__ import annotations

from typing import Any

from darwin.core.agents import (
    AGENTS,
    GATE,
    KEEP,
    META_LEARNER,
    PASS,
    PORTFOLIO,
    SKIP,
    TO_SKIP,
    TO_TAKE,
    Role,
)
from darwin.core.decision import Call
from darwin.core.stake import RISK_MANAGER
from darwin.core.written import number, signed, when
from darwin.store.story import Story


def about(story: Story) -> tuple[str, str]:
    """Which candidate it is, and its signal."""
    at = story.candidate
    return (
        f"candidate {at.candidate_id} · {at.symbol} · {at.playbook} · {at.side} · run {at.run_id}",
        f"signal {when(at.bar_time)}, close {number(at.close)}; {_bracket(at)}",
    )


def stage_rows(story: Story) -> list[tuple[str, str, str]]:
    """A row for each stage of the funnel: its name, how it went, and with which numbers."""
    says = {
        "expert": _expert(story),
        "sizing": _sizing(story),
        "entry": _entry(story),
        "taken": _taken(story),
    }
    says |= {agent: _agent(story, agent) for agent in AGENTS}
    return [(stage, state, says.get(stage, "")) for stage, state in story.stages()]


def _bracket(at: Any) -> str:
    parts = [f"stop {number(at.stop_distance)} away"]
    if at.target_distance is not None:
        ratio = number(at.target_distance / at.stop_distance)
        parts.append(f"target {number(at.target_distance)} away ({ratio} R)")
    if at.time_stop_bars is not None:
        parts.append(f"time stop {at.time_stop_bars} bars")
    if at.trail_activation_r is not None:
        parts.append(
            f"trailing by {number(at.trail_distance)} from {number(at.trail_activation_r)} R on"
        )
    return ", ".join(parts) + (", measured from the fill" if at.anchor == "fill" else "")


def _expert(story: Story) -> str:
    verdict = story.verdict
    if verdict is None:
        return ""
    said = (
        f"{'take' if verdict.take else 'skip'}, confidence {number(verdict.confidence)},"
        f" quality {number(verdict.quality)}, cost {number(verdict.cost_usd)} USD"
    )
    said += f", flags: {', '.join(verdict.risk_flags)}" if verdict.risk_flags else ""
    return said + (f"; {_call(story.asked_model, verdict.call)}" if verdict.call else "")


def _call(model: str | None, call: Call) -> str:
    """Which model was asked what, and how many tokens went to and fro."""
    read, wrote = ("?" if n is None else f"{n:,}" for n in (call.input_tokens, call.output_tokens))
    return f"model {model or '?'}, prompt {call.prompt_sha256[:12]}, {read} tokens in, {wrote} out"


def _agent(story: Story, agent: str) -> str:
    """What an agent advised, how sure, and what the door made of it."""
    parts = []
    for told in story.decisions:
        if told.agent_name != agent:
            continue
        said = "no advice"
        if told.action is not None:
            said = _ACTIONS[agent].get(told.action) or f"{told.action:.0%} of full size"
        sure = "" if told.probability is None else f" ({told.probability:.0%})"
        which = "" if told.role == Role.SERVING else "challenger: "
        left = "" if told.final_action == 1.0 else f", left {told.final_action:.0%}"
        parts.append(f"{which}{said}{sure}, {told.reason}{left}")
    return "; ".join(parts)


_ACTIONS: dict[str, dict[float, str]] = {
    GATE: {SKIP: "skip", PASS: "pass"},
    META_LEARNER: {KEEP: "keep", TO_SKIP: "override to skip", TO_TAKE: "override to take"},
    PORTFOLIO: {},
}


def _sizing(story: Story) -> str:
    order = story.order
    if order is None:
        return ""
    value = number(order.units * order.price)
    told, cut = order.clipped_by, ""
    if told.startswith(RISK_MANAGER):
        figures, _, told = told.partition("; ")
        cut = f" by {figures}"
    cut += f", clipped by {told}" if told else ""
    return f"order {number(order.units)} units at {number(order.price)} = {value} USD{cut}"


def _entry(story: Story) -> str:
    if story.cancelled is not None:
        return f"cancelled {when(story.cancelled.time)}: {story.cancelled.reason}"
    fill = story.entry
    if fill is None:
        return ""
    return (
        f"filled {when(fill.time)} at {number(fill.price)}, fee {number(fill.fee_usd)} USD,"
        f" stop at {number(fill.stop_price)}"
    )


def _taken(story: Story) -> str:
    fill = story.exit
    if fill is None:
        return ""
    return (
        f"left {when(fill.time)} at {number(fill.price)} ({fill.reason}),"
        f" fee {number(fill.fee_usd)} USD, funding {number(fill.funding_usd)} USD,"
        f" net {signed(story.net_pnl_usd)} USD"
    )


def outcome_line(story: Story) -> str:
    """What its bracket came to."""
    outcome = story.outcome
    realised = story.realised_r
    parts = [] if realised is None else [f"R {signed(realised)} realised"]
    if outcome is None:
        parts.append("no outcome recorded")
    elif outcome.status == "resolved":
        parts.append(
            f"R {signed(outcome.r)} counterfactual: entry {when(outcome.entry_time)} at"
            f" {number(outcome.entry_price)}, {outcome.exit_reason} {when(outcome.exit_time)} at"
            f" {number(outcome.exit_price)}"
        )
    elif outcome.status == "gapped":
        parts.append("no counterfactual R: the next open left too little of the bracket")
    else:
        parts.append("counterfactual R not known: its bars end before the bracket does")
    return "outcome: " + "; ".join(parts)

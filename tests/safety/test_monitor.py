"""The monitor: which facts raise which alert, and that each is raised once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO, Model, Why
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.safety.monitor import KINDS, Monitor

START = 1_700_000_000_000
MODEL = Model("20240101_000000", "ab" * 32)
NEXT_MODEL = Model("20240201_000000", "cd" * 32)


def kinds(alerts: list[Alert]) -> list[str]:
    return [one.kind for one in alerts]


def told(monitor: Monitor, why: Why, times: int, at: int = START, agent: str = GATE) -> list[Alert]:
    """What arises from consulting `agent` so many times at one bar, always with the same end."""
    return [alert for _ in range(times) for alert in monitor.consulted(at, agent, why)]


def event(kind: str, time: int = START, agent: str = "", detail: str = "so it is") -> SafetyEvent:
    return SafetyEvent(time, kind, detail, 1, agent)


def test_the_kinds_are_those_that_were_promised():
    assert KINDS == (
        "performance degradation", "excessive overrides", "low decision rate", "breaker opened",
        "challenger breaker opened", "model refused", "model stale", "evidence refuted",
        "drawdown", "data gap", "stale data", "expert silent",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raised_by", "kind", "agent"),
    [
        (lambda m, t, d: m.happened(event("breaker_opened", t, GATE, d)), "breaker opened", GATE),
        (
            lambda m, t, d: m.happened(event("challenger_breaker_opened", t, GATE, d)),
            "challenger breaker opened",
            GATE,
        ),
        (
            lambda m, t, d: m.happened(event("override_storm", t, META_LEARNER, d)),
            "excessive overrides",
            META_LEARNER,
        ),
        (lambda m, t, d: m.happened(event("reducing", t, "", d)), "drawdown", ""),
        (lambda m, t, d: m.missed_bars(t, d), "data gap", ""),
        (lambda m, t, d: m.happened(event("stale", t, "", d)), "stale data", ""),
        (lambda m, t, d: m.degraded(t, GATE, d), "performance degradation", GATE),
        (lambda m, t, d: m.refuted(t, PORTFOLIO, d), "evidence refuted", PORTFOLIO),
    ],
)
def test_an_alert_is_raised_once_a_day_until_its_cause_is_gone(raised_by, kind, agent):
    monitor = Monitor()
    assert raised_by(monitor, START, "first") == [Alert(START, kind, agent, "first")]
    assert raised_by(monitor, START, "again") == []
    assert raised_by(monitor, START + DAY_MS - 1, "again") == []
    late = START + DAY_MS
    assert raised_by(monitor, late, "still") == [Alert(late, kind, agent, "still")]
    assert raised_by(monitor, late + DAY_MS - 1, "again") == []
    for other_kind in KINDS:
        if other_kind != kind:
            monitor.is_over(other_kind, agent)
    monitor.is_over(kind, "somebody else")
    assert raised_by(monitor, late + HOUR_MS, "again") == []
    monitor.is_over(kind, agent)
    assert raised_by(monitor, late + HOUR_MS, "new") == [Alert(late + HOUR_MS, kind, agent, "new")]


def test_an_expert_that_does_not_answer_is_an_alert_at_the_fifth_question_and_anew_after_a_word():
    monitor = Monitor()
    said = [kinds(monitor.judged(START, "server error")) for _ in range(6)]
    assert said == [[]] * 4 + [["expert silent"]] + [[]]
    assert monitor.judged(START, None) == []
    assert [kinds(monitor.judged(START, "malformed: empty")) for _ in range(5)][4] != []
    [late] = monitor.judged(START + DAY_MS, "malformed: empty")
    assert late.detail == "no answer to the last 6 questions; the last time: malformed: empty"


@pytest.mark.parametrize("cause", ["key refused", "not found"])
def test_what_only_a_person_can_mend_is_an_alert_at_once(cause):
    assert kinds(Monitor().judged(START, cause)) == ["expert silent"]


def test_what_is_over_is_about_the_run_unless_an_agent_is_named():
    monitor = Monitor()
    assert kinds(monitor.missed_bars(START, "3 bars")) == ["data gap"]
    monitor.is_over("data gap", GATE)
    assert monitor.missed_bars(START, "2 bars") == []
    monitor.is_over("data gap")
    assert kinds(monitor.missed_bars(START, "2 bars")) == ["data gap"]


def test_agents_do_not_silence_each_other():
    monitor = Monitor()
    for agent in AGENTS:
        assert kinds(monitor.happened(event("breaker_opened", agent=agent))) == ["breaker opened"]
        assert kinds(monitor.degraded(START, agent, "worse")) == ["performance degradation"]


def test_a_breaker_that_opens_again_before_it_closed_is_no_news():
    monitor = Monitor()
    monitor.happened(event("breaker_opened", agent=GATE))
    for kind in ("breaker_success", "breaker_failure", "resumed"):
        assert monitor.happened(event(kind, agent=GATE)) == []
        assert monitor.happened(event("breaker_opened", agent=GATE)) == []
    assert monitor.happened(event("breaker_closed", agent=GATE)) == []
    assert kinds(monitor.happened(event("breaker_opened", agent=GATE))) == ["breaker opened"]
    assert monitor.happened(event("breaker_closed", agent=PORTFOLIO)) == []
    assert monitor.happened(event("breaker_opened", agent=GATE)) == []


def test_a_drawdown_is_news_again_after_entries_were_resumed():
    monitor = Monitor()
    assert kinds(monitor.happened(event("reducing"))) == ["drawdown"]
    assert monitor.happened(event("daily_loss")) == monitor.happened(event("halted")) == []
    assert monitor.happened(event("breaker_closed")) == monitor.happened(event("reducing")) == []
    assert monitor.happened(event("resumed")) == []
    assert kinds(monitor.happened(event("reducing"))) == ["drawdown"]


def test_a_refused_override_is_one_too_many():
    monitor = Monitor()
    assert monitor.consulted(START, META_LEARNER, Why.OVERRIDE_LIMIT) == [
        Alert(
            START, "excessive overrides", META_LEARNER,
            "an override was refused: too many stand already",
        )
    ]  # fmt: skip
    assert told(monitor, Why.OVERRIDE_LIMIT, 60, agent=META_LEARNER) == []
    assert monitor.happened(event("override_storm", agent=META_LEARNER)) == []
    late = START + DAY_MS
    assert kinds(told(monitor, Why.OVERRIDE_LIMIT, 5, late, META_LEARNER)) == [
        "excessive overrides"
    ]


@pytest.mark.parametrize("sign", ["refusal", "storm"])
@pytest.mark.parametrize(("calm", "news"), [(49, False), (50, True)])
def test_overrides_are_news_again_after_fifty_calm_consultations(sign, calm, news):
    def excess(monitor: Monitor) -> list[Alert]:
        if sign == "storm":
            return monitor.happened(event("override_storm", agent=META_LEARNER))
        return monitor.consulted(START, META_LEARNER, Why.OVERRIDE_LIMIT)

    monitor = Monitor()
    told(monitor, Why.ACTIVE, 70, agent=META_LEARNER)
    assert kinds(excess(monitor)) == ["excessive overrides"]
    told(monitor, Why.ACTIVE, 30, agent=META_LEARNER)
    assert excess(monitor) == []
    told(monitor, Why.KILLED, 100, agent=META_LEARNER)
    told(monitor, Why.ACTIVE, 100)  # of another agent
    told(monitor, Why.ACTIVE, calm, agent=META_LEARNER)
    assert kinds(excess(monitor)) == ["excessive overrides"] * news


NOBODY = (Why.KILLED, Why.DISABLED, Why.NO_MODEL)
SILENT = [why for why in Why if not why.inferred and why not in NOBODY]


@pytest.mark.parametrize("why", SILENT)
def test_more_than_half_of_fifty_consultations_without_advice_are_a_low_rate(why):
    monitor = Monitor()
    assert told(monitor, why, 25) == []
    assert monitor.consulted(START, GATE, why) == [
        Alert(
            START, "low decision rate", GATE,
            f"no advice at 26 of at most 50 consultations, the last time: {why}",
        )
    ]  # fmt: skip
    assert told(monitor, why, 100) == []
    assert monitor.consulted(START + 9 * DAY_MS, GATE, Why.ACTIVE) == []  # until it recovers


def test_only_the_last_fifty_consultations_are_looked_back_on():
    monitor = Monitor()
    assert told(monitor, Why.OUT_OF_RANGE, 25) == []
    assert told(monitor, Why.OBSERVE, 25) == []
    assert told(monitor, Why.OUT_OF_RANGE, 25) == []
    assert told(monitor, Why.OUT_OF_RANGE, 1, agent=PORTFOLIO) == []
    assert len(told(monitor, Why.OUT_OF_RANGE, 1)) == 1


def test_the_rate_is_news_again_after_half_of_fifty_had_advice():
    monitor = Monitor()
    assert len(told(monitor, Why.OUT_OF_RANGE, 26)) == 1
    told(monitor, Why.OBSERVE, 24)
    assert told(monitor, Why.OUT_OF_RANGE, 1) == []  # 26 all the while
    told(monitor, Why.OBSERVE, 1)
    assert len(told(monitor, Why.OUT_OF_RANGE, 30)) == 1


@pytest.mark.parametrize("why", [why for why in Why if why not in SILENT])
def test_advice_and_acts_of_persons_never_make_a_low_rate(why):
    assert "low decision rate" not in kinds(told(Monitor(), why, 200))
    monitor = Monitor()
    told(monitor, Why.OUT_OF_RANGE, 25)
    assert "low decision rate" not in kinds(told(monitor, why, 200))


def test_killed_consultations_do_not_pass_for_advice():
    monitor = Monitor()
    told(monitor, Why.OUT_OF_RANGE, 25)
    told(monitor, Why.KILLED, 100)
    told(monitor, Why.DISABLED, 100)
    assert len(told(monitor, Why.OUT_OF_RANGE, 1)) == 1


def test_a_model_is_stale_after_thirty_days_and_said_to_be_once():
    monitor, trained = Monitor(), START - 100 * DAY_MS
    monitor.serves(GATE, MODEL, trained)
    at = trained + 30 * DAY_MS
    assert monitor.consulted(at, GATE, Why.OBSERVE) == []
    assert monitor.consulted(at + 1, PORTFOLIO, Why.OBSERVE) == []
    assert monitor.consulted(at + 1, GATE, Why.KILLED) == []
    assert monitor.consulted(at + DAY_MS // 2, GATE, Why.OBSERVE) == [
        Alert(
            at + DAY_MS // 2, "model stale", GATE,
            "version 20240101_000000 was trained on data up to 30.5 days ago",
        )
    ]  # fmt: skip
    assert told(monitor, Why.OBSERVE, 3, at + 90 * DAY_MS) == []


def test_staleness_begins_with_the_first_moment_after_thirty_days():
    monitor = Monitor()
    monitor.serves(GATE, MODEL, START)
    assert kinds(monitor.consulted(START + 30 * DAY_MS + 1, GATE, Why.OBSERVE)) == ["model stale"]


def test_each_model_is_stale_for_itself():
    monitor, late = Monitor(), START + 31 * DAY_MS
    monitor.serves(GATE, MODEL, START)
    monitor.serves(PORTFOLIO, MODEL, START)
    assert kinds(monitor.consulted(late, GATE, Why.OBSERVE)) == ["model stale"]
    assert kinds(monitor.consulted(late, PORTFOLIO, Why.OBSERVE)) == ["model stale"]
    monitor.serves(GATE, NEXT_MODEL, late)
    assert monitor.consulted(late, GATE, Why.OBSERVE) == []
    later = late + 31 * DAY_MS
    assert kinds(monitor.consulted(later, GATE, Why.OBSERVE)) == ["model stale"]
    monitor.serves(GATE, MODEL, START)  # rolled back
    assert monitor.consulted(later, GATE, Why.OBSERVE) == []


@pytest.mark.parametrize(("model", "training_end"), [(None, START), (MODEL, None), (None, None)])
def test_no_model_or_one_of_unknown_age_is_not_stale(model, training_end):
    monitor = Monitor()
    monitor.serves(GATE, MODEL, START)
    monitor.serves(GATE, model, training_end)
    monitor.serves(PORTFOLIO, model, training_end)
    late = START + 90 * DAY_MS
    assert told(monitor, Why.OBSERVE, 1, late) == []
    assert told(monitor, Why.OBSERVE, 1, late, PORTFOLIO) == []


def test_several_alerts_of_one_consultation_come_in_a_fixed_order():
    monitor = Monitor()
    monitor.serves(META_LEARNER, MODEL, START)
    told(monitor, Why.OUT_OF_RANGE, 27, START, META_LEARNER)
    late = START + 40 * DAY_MS
    assert kinds(monitor.consulted(late, META_LEARNER, Why.OVERRIDE_LIMIT)) == [
        "excessive overrides",
        "model stale",
    ]


def test_a_refused_model_is_said_once_until_another_serves():
    monitor = Monitor()
    monitor.serves(GATE, None, None)
    first = Alert(START, "model refused", GATE, "version 1 is refused")
    assert monitor.refused(START, GATE, "version 1 is refused") == [first]
    assert told(monitor, Why.NO_MODEL, 200) == []
    late = START + 9 * DAY_MS
    assert monitor.refused(late, GATE, "version 1 is refused") == []
    assert kinds(monitor.refused(late, GATE, "version 2 is refused")) == ["model refused"]
    assert kinds(monitor.refused(late, PORTFOLIO, "version 2 is refused")) == ["model refused"]
    monitor.serves(GATE, MODEL, START)
    assert kinds(monitor.refused(late, GATE, "version 2 is refused")) == ["model refused"]


def test_what_an_earlier_model_kept_silent_about_is_not_held_against_the_next():
    monitor = Monitor()
    assert kinds(told(monitor, Why.OUT_OF_RANGE, 40)) == ["low decision rate"]
    monitor.serves(GATE, None, None)
    monitor.serves(GATE, NEXT_MODEL, START)
    assert told(monitor, Why.OUT_OF_RANGE, 25) == []
    assert kinds(told(monitor, Why.OUT_OF_RANGE, 1)) == ["low decision rate"]


def some_facts(seed: int, count: int = 400) -> list[tuple[str, int, str, object]]:
    """Facts as (what, time, agent, more), in the order of time."""
    chance, facts, time = random.Random(seed), [], START
    whys = chance.choices(list(Why), k=3)
    for _ in range(count):
        time += chance.choice((0, 0, HOUR_MS, HOUR_MS, 7 * HOUR_MS))
        agent = chance.choice(AGENTS)
        what = chance.choices(("asked", "event", "serves", "worse"), (30, 5, 1, 1))[0]
        more = {
            "asked": chance.choice(whys),
            "event": chance.choice(("breaker_opened", "breaker_closed", "override_storm")),
            "serves": chance.choice((MODEL, NEXT_MODEL, None)),
            "worse": "worse",
        }[what]
        facts.append((what, time, agent, more))
    return facts


def raised(facts, monitor: Monitor) -> list[Alert]:
    alerts = []
    for what, time, agent, more in facts:
        if what == "asked":
            alerts += monitor.consulted(time, agent, more)
        elif what == "event":
            alerts += monitor.happened(event(more, time, agent))
        elif what == "serves":
            monitor.serves(agent, more, START)
        else:
            alerts += monitor.degraded(time, agent, more)
    return alerts


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_what_is_raised_of_one_agent_does_not_depend_on_the_others(seed):
    facts = some_facts(seed)
    together = raised(facts, Monitor())
    assert together == raised(facts, Monitor())
    for agent in AGENTS:
        alone = raised([fact for fact in facts if fact[2] == agent], Monitor())
        assert alone == [alert for alert in together if alert.agent == agent]


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_the_low_rate_is_that_of_a_plain_reckoning(seed):
    facts = [fact for fact in some_facts(seed) if fact[0] == "asked" and fact[2] == GATE]
    expected, asked, last = [], [], None
    for _, time, _, why in facts:
        if why in NOBODY:
            continue
        asked.append(why.inferred)
        low = asked[-50:].count(False) > 25
        if not low:
            last = None
        elif last is None:
            last = time
            expected.append(time)
    alerts = raised(facts, Monitor())
    assert [one.time for one in alerts if one.kind == "low decision rate"] == expected

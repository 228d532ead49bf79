"""The operator's page says what the code does: reasons, stages, conditions, alerts, sources."""

from __future__ import annotations

from dataclasses import fields

from darwin.core.agents import AGENTS, STAGES, Why
from darwin.rl.graduation.checklist import LEAST_DAYS, LEAST_DECISIONS
from darwin.safety import monitor
from darwin.safety.stages import DWELL_DAYS
from darwin.safety.switch import VARIABLE
from tests.test_docs import DOCS, rows

PAGE = DOCS / "safety.md"


def test_the_table_of_reasons_is_the_door_s_in_its_order():
    told = rows(PAGE, "reason")
    assert [cells[0] for cells in told] == [f"`{why.value}`" for why in Why]
    for cells, why in zip(told, Why, strict=True):
        stands = "stands" if why is Why.ACTIVE else "recorded"
        without = "none, a failure" if why.is_failure else "none"
        assert cells[1] == (stands if why.inferred else without), why


def test_the_table_of_stages_is_the_ladder():
    told = rows(PAGE, "stage")
    assert [cells[0] for cells in told] == [f"{stage:.0%}" for stage in STAGES]
    for cells, stage in zip(told, STAGES, strict=True):
        if stage in DWELL_DAYS:
            assert cells[1] == f"{DWELL_DAYS[stage]} days"


def test_the_table_of_conditions_has_the_least_of_each_agent():
    told = {cells[0]: cells[1:] for cells in rows(PAGE, "condition")}
    order = ("gate", "portfolio", "meta_learner")
    assert set(order) == set(AGENTS)
    assert told["decisions"] == [str(LEAST_DECISIONS[agent]) for agent in order]
    assert told["days of market time"] == [str(LEAST_DAYS[agent]) for agent in order]


def test_the_table_of_alerts_names_every_kind():
    assert [cells[0] for cells in rows(PAGE, "alert")] == [f"`{kind}`" for kind in monitor.KINDS]


def test_every_source_of_the_switch_that_a_shell_can_see_is_explained():
    from darwin.rl.cli.killing import readings
    from darwin.safety.switch import KillSwitch

    seen = readings(KillSwitch())
    assert {cells[0] for cells in rows(PAGE, "source")} == set(seen)
    assert set(seen) == {field.name for field in fields(KillSwitch)} - {"api"}
    assert VARIABLE in PAGE.read_text("utf-8")

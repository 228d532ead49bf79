"""Which versions may go, and that they go event first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from darwin.core.agents import Model, Standing
from darwin.core.facts import STANDING, TIMEOUT
from darwin.errors import IntegrityError, ModelError
from darwin.rl.registry.cleanup import referenced
from darwin.rl.registry.retention import Terms, removable
from darwin.rl.registry.versions import Place, Shelf, Version
from darwin.store.runs import begin_run, note
from darwin.store.schema import id_range, inputs
from tests.rl.registry.shop import FIRST, NOW, model
from tests.store.conftest import identity

NAMES = [f"v{number:02d}" for number in range(40)]


def version(name: str, place: Place, days: float, pinned: bool = False) -> Version:
    return Version(Model(name, ""), "", place, NOW - timedelta(days=days), pinned)


def forty() -> Shelf:
    """v00 has rested for 78 days, v01 for 76, …, v37 for 4; v38 challenges and v39 serves."""
    places = [Place.ARCHIVED] * 38 + [Place.CHALLENGING, Place.SERVING]
    pinned = {"v02", "v20"}
    return Shelf(
        "gate",
        tuple(
            version(name, place, 78 - 2 * i, name in pinned)
            for i, (name, place) in enumerate(zip(NAMES, places, strict=True))
        ),
    )


def names(versions) -> list[str]:
    return [one.name for one in versions]


@pytest.mark.parametrize(
    "held, terms, stays",
    [
        # v00 to v23 have rested for more than 30 days, v24 for exactly 30
        ((), Terms(), {"v02", "v20"}),
        (("v00", "v07", "v38", "v39"), Terms(), {"v00", "v02", "v07", "v20"}),
        ((), Terms(days=60), {"v02", *NAMES[10:]}),
        ((), Terms(days=0), {"v02", "v20", *NAMES[35:]}),
        ((), Terms(newest=20), {"v02", *NAMES[18:]}),
        ((), Terms(newest=0, days=0), {"v02", "v20"}),
        ((), Terms(newest=50), set(NAMES)),
        ((), Terms(days=1000), set(NAMES)),
    ],
)
def test_of_forty_versions_those_stay_that_somebody_may_need(held, terms, stays):
    most = {"v38", "v39"} | (set(NAMES[25:]) if terms.days == 30 else set())
    gone = names(removable(forty(), NOW, held, terms))
    assert gone == [name for name in NAMES if name not in stays | most]


def test_a_version_is_young_until_its_thirtieth_day_is_over():
    old = [version(f"v{i}", Place.ARCHIVED, 40 + i) for i in range(3)]
    for days, goes in ((29.99, False), (30.0, True)):
        shelf = Shelf("gate", (version("other", Place.ARCHIVED, days), *old))
        assert ("other" in names(removable(shelf, NOW, (), Terms(newest=0)))) is goes


def test_the_newest_are_those_that_served_last_whenever_they_were_made():
    some = [
        version(name, Place.ARCHIVED, days)
        for name, days in zip("abcde", (50, 40, 70, 60, 45), strict=True)
    ]
    assert names(removable(Shelf("gate", tuple(some)), NOW, ())) == ["c", "d"]


def test_removed_versions_do_not_count_among_the_newest():
    some = [version(name, Place.ARCHIVED, 40) for name in "abc"]
    some += [version(name, Place.REMOVED, 35) for name in "def"]
    assert removable(Shelf("gate", tuple(some)), NOW, ()) == ()


def test_a_clock_that_went_back_removes_nothing():
    some = [version(name, Place.ARCHIVED, -400 - i) for i, name in enumerate("abcde")]
    assert removable(Shelf("gate", tuple(some)), NOW, ()) == ()


def test_what_goes_is_on_record_and_its_folder_is_gone(shop):
    deployed = [shop.deploy(number).name for number in range(6)]
    shop.pin(deployed[0])
    shop.later(days=31)
    assert shop.cleanup() == [deployed[1]]
    assert shop.kinds()[-1] == ("removed", deployed[1])
    assert shop.home.names() == [name for name in deployed if name != deployed[1]]
    shop.pin(deployed[0], pinned=False)
    assert shop.cleanup() == [deployed[0]]
    assert shop.cleanup() == []
    shop.assert_serves(deployed[-1], model(5))


def test_an_agent_without_models_has_nothing_to_clean(shop):
    assert shop.cleanup() == []
    assert not shop.registry.models_dir.exists()


def test_pinning_twice_is_one_event_and_a_removed_version_cannot_be_pinned(shop):
    shop.deploy(1)
    shop.pin(FIRST)
    shop.pin(FIRST)
    assert shop.kinds() == [("deployed", FIRST), ("pinned", FIRST)]
    shop.pin(FIRST, pinned=False)
    shop.deploy(2)
    assert shop.cleanup(0, 0) == [FIRST]
    with pytest.raises(ModelError, match="was removed"):
        shop.pin(FIRST)


def run_told(shop, run_id, *details, finish=False, kind=STANDING):
    """Record that a run was told of models, and that it is over or goes on."""
    run = begin_run(shop.database, identity(run_id), at=NOW)
    with shop.database.write() as connection:
        for number, detail in enumerate(details, start=1):
            connection.execute(
                insert(inputs).values(
                    id=id_range(run.number)[0] + number, run_id=run_id, kind=kind,
                    candidate_id="0" * 16, time=0, by="darwin", reason="", agent_name=shop.agent,
                    detail=detail, hash=bytes(32),
                )
            )  # fmt: skip
        if finish:
            note(connection, run, "finished", "", NOW)


def test_what_else_a_run_was_told_of_an_agent_names_no_model(shop):
    run_told(shop, "slow", None, kind=TIMEOUT)
    with shop.database.read() as connection:
        assert referenced(connection, "gate") == {}


def standing(agent: str, serving: str | None, challenger: str | None = None) -> str:
    models = [None if name is None else Model(name, "a" * 64) for name in (serving, challenger)]
    return Standing(agent, serving=models[0], challenger=models[1]).text()


def test_what_an_unfinished_run_was_ever_told_of_stays(shop):
    deployed = [shop.deploy(number).name for number in range(5)]
    run_told(shop, "goes-on", standing("gate", deployed[0]), standing("gate", None, deployed[1]))
    run_told(shop, "is-over", standing("gate", deployed[2]), finish=True)
    with shop.database.read() as connection:
        assert referenced(connection, "gate") == {deployed[0]: "goes-on", deployed[1]: "goes-on"}
        assert referenced(connection, "portfolio") == {}
    assert shop.cleanup(0, 0) == deployed[2:4]
    assert shop.home.names() == [deployed[0], deployed[1], deployed[4]]


@pytest.mark.parametrize("detail", ["", "{}", "no JSON", '{"agent": 1}', "[]"])
def test_nothing_is_removed_where_a_run_does_not_say_what_it_was_told_of(shop, detail):
    deployed = [shop.deploy(number).name for number in range(3)]
    run_told(shop, "odd", detail)
    with pytest.raises(IntegrityError, match="run 'odd' does not say which models"):
        shop.cleanup(0, 0)
    assert shop.home.names() == deployed

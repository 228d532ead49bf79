"""All canaries of one training, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from darwin.rl.training.canaries import (
    bars,
    brackets,
    ends,
    learners,
    parts,
    pay,
    policy,
    record,
    walks,
)
from darwin.rl.training.canaries.finding import CanaryError, Finding
from darwin.rl.training.canaries.told import Told

if TYPE_CHECKING:
    from darwin.rl.training.course import Ready
    from darwin.rl.training.network import Network


class Watch:
    """What a course asks before it trains, and again before it looks at its test."""

    def __init__(self, runs: Sequence[Told]) -> None:
        """Watch a training on the rows of `runs`."""
        self._runs = runs
        self._found: list[Finding] = []

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All so far, in the order of asking."""
        return tuple(self._found)

    def before_training(self, ready: Ready) -> None:
        """Look at rows, parts, world and learner. Raises CanaryError where one is not sound."""
        rows, job, runs = ready.rows, ready.job, self._runs
        markets = [bars.market_of(told) for told in runs]
        self._ask(
            lambda: record.rows_are_recorded(rows, runs),
            lambda: record.outcomes_add_up(runs),
            lambda: brackets.brackets_end_where_they_do(runs, markets),
            lambda: record.observations_are_made_of_the_record(rows, runs),
            lambda: bars.features_know_no_future(runs, markets),
            lambda: pay.rewards_are_paid(rows),
            lambda: parts.parts_share_nothing(
                rows,
                ready.parts,
                ready.plan.embargo_ms,
                ready.plan.test_from,
                job,
                ready.plan.seen_until,
            ),
            lambda: parts.columns_are_standardised_by_training_alone(job.train, job.normaliser),
            lambda: parts.no_column_tells_the_outcome(job.train),
            lambda: walks.world_is_as_recorded(job),
            lambda: ends.ends_are_ends(job),
        )
        self._ask(
            lambda: learners.outcome_is_learned_when_seen(job),
            lambda: learners.nothing_is_learned_by_chance(job),
        )

    def before_test(self, ready: Ready, network: Network, threshold: float | None) -> None:
        """Look at what was trained. Raises CanaryError where it is not sound."""
        validation, normaliser = ready.parts.validation, ready.job.normaliser
        self._ask(lambda: policy.policy_looks(validation, network, normaliser))
        if validation.page.departure_rate is not None:
            self._ask(
                lambda: policy.threshold_is_of_validation(
                    validation, network, normaliser, threshold
                )
            )

    def _ask(self, *canaries: Callable[[], Finding]) -> None:
        for canary in canaries:
            self._found.append(canary())
        if any(one.passed is False for one in self._found):
            raise CanaryError(self.findings)

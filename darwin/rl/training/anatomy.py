"""All that a report tells of a course of training beside its gains, as a tree of figures.

They describe the one look at the test that the course took. Nothing is chosen by them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from darwin.core.market import FloatArray
from darwin.engine.report_words import iso
from darwin.rl.registry import files
from darwin.rl.training.calibration import calibration
from darwin.rl.training.changes import changes
from darwin.rl.training.course import Course, threshold_of
from darwin.rl.training.gains import Gains, Interval, gains, interval_of, resampled
from darwin.rl.training.importance import PERMUTATIONS, by_kind, importance, sample, together
from darwin.rl.training.network import actions_of, departures_of, scores_of
from darwin.rl.training.rows import Rows


def anatomy(course: Course) -> dict[str, Any]:
    """Seeds alone, calibration, importance, changes, spans of time, plan and digests."""
    page, test, network = course.page, course.parts.test, course.network
    seen = course.normaliser(test.observations)
    given = network.outputs(seen)
    score = scores_of(page, network.head, given)
    departures = np.zeros(len(test), np.int64) if page.is_continuous else departures_of(page, given)
    alone = [_alone(course, at) for at in range(len(course.seeds))]
    return {
        "rival": page.rival,
        "head": network.head,
        "departure_rate_aimed_at": page.departure_rate,
        "steps": [one.trained.history[-1].steps for one in course.seeds],
        "spans": [
            _span("training", course.parts.train),
            _span("validation", course.parts.validation),
            _span("test", test),
        ],
        "supervised_learner_on_validation_r": course.learner_on_validation.learned.value,
        "seeds_alone": [one for one, _ in alone],
        "interquartile_mean": _middle(test, [actions for _, actions in alone]),
        "calibration": calibration(test, score, departures),
        "importance": _importance(course),
        "changes": changes(test, course.actions, score),
        "plan": asdict(course.plan),
        "observation_schema": page.schema,
        "model_sha256": files.identity("", files.whole(course.files)).sha256,
    }


def gains_tree(found: Gains) -> dict[str, Any]:
    """Gains by name."""
    return {
        "learned_gain_r": found.learned._asdict(),
        "learned_gain_99_r": found.decisive._asdict(),
        "over_baseline_r": found.over_baseline._asdict(),
        "departure_rate": found.departures,
        "mean_reward_r": found.mean_reward,
    }


def middle_half(values: FloatArray) -> FloatArray:
    """The mean of the middle half along the first axis; of fewer than four, of all.

    Agarwal et al. 2021.
    """
    ordered = np.sort(values, axis=0)
    cut = len(ordered) // 4
    mean: FloatArray = ordered[cut : len(ordered) - cut].mean(axis=0)
    return mean


def _alone(course: Course, at: int) -> tuple[dict[str, Any], FloatArray]:
    """One network by itself, its threshold fixed on validation as that of the merged one is."""
    trained, test = course.seeds[at].trained, course.parts.test
    network, rate = trained.network, course.page.departure_rate
    threshold = threshold_of(network, course.parts.validation, course.normaliser, rate)
    actions = actions_of(course.page, network, course.normaliser(test.observations), threshold)
    told = {"seed": course.seeds[at].seed, "threshold": threshold, "best_at": trained.best.steps}
    return told | gains_tree(gains(test, actions)), actions


def _middle(test: Rows, actions: list[FloatArray]) -> dict[str, Any]:
    """The interquartile mean over seeds, with the interval that draws of time give it."""
    drawn = [resampled(test, one) for one in actions]
    found = [gains(test, one) for one in actions]

    def middle(values: list[float], resamples: list[FloatArray]) -> Interval:
        mean = float(middle_half(np.array(values)))
        return interval_of(mean, middle_half(np.stack(resamples)), drawn[0].blocks)

    learned = middle([one.learned.value for one in found], [one.learned for one in drawn])
    over = middle([one.over_baseline.value for one in found], [one.over_baseline for one in drawn])
    return {"learned_gain_r": learned._asdict(), "over_baseline_r": over._asdict()}


def _importance(course: Course) -> dict[str, Any]:
    test = course.parts.test.select(sample(len(course.parts.test)))
    asked = (test, course.normaliser(test.observations), course.network, course.threshold)
    columns = importance(*asked, together(course.page.names))
    return {
        "permutations": PERMUTATIONS,
        "rows": len(test),
        "columns": [one._asdict() for one in columns],
        "kinds": [one._asdict() for one in by_kind(*asked, columns)],
    }


def _span(name: str, rows: Rows) -> dict[str, Any]:
    """From the first to the last decision of a part."""
    return {
        "part": name, "from": iso(int(rows.decided.min())), "to": iso(int(rows.decided.max())),
        "rows": len(rows),
    }  # fmt: skip

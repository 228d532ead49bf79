"""The desk at which a model is really asked: record first, then budget, charge, question, answer.

Whatever a crash interrupts, the server was never sent a request that is not charged, and what is on
record is never asked again. What the server refuses for good stops the run with its question open,
so that nothing is skipped for a wrong key or address. A replay has time: it waits for the rate, and
for a server that only fails, and stops where that takes too long. A run on paper skips.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from darwin.core.expert import Asked
from darwin.deciders.llm.decider import LlmDecider
from darwin.deciders.llm.pacing import Breaker, Clock, RateLimit, Sleep
from darwin.deciders.llm.parse import SCHEMA, Fault, parse_answer
from darwin.deciders.llm.prompt import Prompt
from darwin.deciders.llm.question import Cause, Failure, Reply, Request
from darwin.deciders.llm.refusals import away, is_from_the_model, may_pass, refusal
from darwin.deciders.llm.transport import Model
from darwin.store.calls import Calls, End, Question
from darwin.store.expense import Budget

OUTAGE_S = 300.0
"""How long a replay pauses for one question, in all, before a server that only fails stops it."""
_PROBED_AT_LEAST_S = 60.0  # by a replay, which does nothing else meanwhile
_PROBED_AT_MOST_S = 3600.0  # by a run on paper, which skips meanwhile
_SHORTEST_PAUSE_S = 1.0
_KEPT_OF_A_BAD_ANSWER = 2_000  # characters


def model_of(
    decider: LlmDecider,
    *,
    waits: bool = False,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> Model:
    """The model of an expert, ready to be asked. Raises ConfigError without a key or an SDK.

    Who `waits` for its server probes it at least once a minute.
    """
    per_minute = decider.requests_per_minute
    limit = None if per_minute is None else RateLimit(per_minute, clock=clock, sleep=sleep)
    longest_s = _PROBED_AT_LEAST_S if waits else _PROBED_AT_MOST_S
    breaker = Breaker(max_open_s=longest_s, clock=clock)
    return Model(decider.server, limit=limit, breaker=breaker, clock=clock, sleep=sleep)


class Asking:
    """Asks the model of one run. Implements `deciders.llm.desk.Desk`."""

    def __init__(
        self,
        decider: LlmDecider,
        calls: Calls,
        run_id: str,
        warn: Callable[[str], None],
        *,
        on_paper: bool = False,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        """Nothing is asked yet. Raises ConfigError without a key or an SDK.

        `warn` hears why there was no answer, once for each cause until there is one again. A run
        `on_paper` is never stopped once it has been told anything: it may hold positions.
        """
        self._on_paper, self._heard = on_paper, False
        self._decider, self._calls, self._run_id = decider, calls, run_id
        self._warn, self._warned = warn, set[str]()
        self._sleep, self._price = sleep, decider.price
        self._model = model_of(decider, waits=not on_paper, clock=clock, sleep=sleep)
        self._budget = Budget(
            usd=decider.budget_usd,
            calls=decider.budget_calls,
            usd_per_day=decider.budget_usd_per_day,
            calls_per_day=decider.budget_calls_per_day,
        )

    def told(self, candidate_id: int, prompt: Prompt) -> Asked:
        """What is on record, else what the model answers now.

        Raises ExpertError where the server refuses what only config or environment can mend, and
        ExpertAwayError where a replay has waited for it long enough.
        """
        question = Question(
            self._run_id, candidate_id, prompt.sha256, prompt.text, self._decider.model
        )
        self._calls.refresh()
        ended = self._calls.ended(question.about)
        if ended is not None:
            return ended
        known = self._calls.answer(prompt.sha256)
        if known is None:
            return self._ask(question, prompt)
        lost_usd = self._calls.left_open_usd(question.about)
        end = End(
            known.answer, "", known.input_tokens, known.output_tokens, lost_usd, known.latency_us
        )
        return self._calls.end(question, end, datetime.now(UTC))

    def _ask(self, question: Question, prompt: Prompt) -> Asked:
        """Charge and ask, as often as deadline and budget allow, and keep how it ended."""
        decider = self._decider
        request = Request(
            prompt.system,
            prompt.user,
            decider.model,
            decider.max_output_tokens,
            decider.temperature,
            SCHEMA,
        )
        most_usd = self._price.most_usd(request)
        lost_usd = self._calls.left_open_usd(question.about)

        def may_leave() -> bool:
            return self._calls.charge(question, most_usd, self._budget, datetime.now(UTC))

        usd, waited_s = lost_usd, 0.0
        while True:
            began_ns = time.monotonic_ns()
            came = self._model.ask(request, decider.timeout_s, may_leave)
            latency_us = (time.monotonic_ns() - began_ns) // 1000
            usd += self._cost_usd(came, most_usd)
            self._stop_if_refused(came, question, usd)
            pause_s = self._pause_s(came, question)
            if pause_s is None:
                break
            if isinstance(came, Failure) and came.cause is not Cause.RATE_LIMIT:
                waited_s += pause_s
                self._wait_or_stop(came.cause.value, question, usd, waited_s, pause_s)
            self._sleep(pause_s)
        end = End(
            *_said(came),
            came.input_tokens,
            came.output_tokens,
            usd,
            latency_us if came.attempts else None,
        )
        self._tell(question, end)
        return self._calls.end(question, end, datetime.now(UTC))

    def _pause_s(self, came: Reply | Failure, question: Question) -> float | None:
        """How long to wait before the same question is put again; None: it has ended."""
        if self._on_paper or isinstance(came, Reply):
            return None
        if came.cause is Cause.RATE_LIMIT:
            return self._model.ready_in_s()
        out = self._model.is_out or self._calls.is_put_off(question.about)
        return max(_SHORTEST_PAUSE_S, self._model.ready_in_s()) if out and may_pass(came) else None

    def _wait_or_stop(
        self, why: str, question: Question, usd: float, waited_s: float, pause_s: float
    ) -> None:
        """Say that it waits; raise ExpertAwayError, the question left open, where that is long."""
        model = question.model
        if waited_s > OUTAGE_S:
            self._calls.stop(question, why, usd, datetime.now(UTC))
            raise away(why, waited_s - pause_s, model)
        self._warn(
            f"model '{model}' fails: {why}; the run waits and asks it again in {pause_s:.0f} s"
        )

    def _stop_if_refused(self, came: Reply | Failure, question: Question, usd: float) -> None:
        """Settle what was charged and raise ExpertError, the question left open; or go on."""
        self._heard = self._heard or is_from_the_model(came)
        if isinstance(came, Reply):
            return
        so_far = self._calls.spent(self._run_id)
        told = so_far.answered + so_far.from_record + so_far.failed
        found = refusal(
            came,
            self._decider.server,
            question.model,
            answered=self._heard,
            holds=self._on_paper and (told > 0 or came.cause is Cause.NO_CONNECTION),
        )
        if found is not None:
            self._calls.stop(question, came.cause.value, usd, datetime.now(UTC))
            raise found

    def _tell(self, question: Question, end: End) -> None:
        if end.answer is not None:
            self._warned.clear()
            return
        why = end.failure.partition("\n")[0]
        if why not in self._warned:
            self._warned.add(why)
            self._warn(
                f"no answer from model '{question.model}' about {question.about[1]}: {why};"
                " it is skipped, as are all that follow without an answer"
            )

    def _cost_usd(self, came: Reply | Failure, most_usd: float) -> float:
        """What requests cost: the last one by its tokens, those that broke off what they may have.

        A model that does not say how much it read and wrote has cost the most it can.
        """
        if not came.billable:
            return 0.0
        last = self._price.cost_usd(came.input_tokens, came.output_tokens)
        return (came.billable - 1) * most_usd + (most_usd if last is None else last)


def _said(came: Reply | Failure) -> tuple[str | None, str]:
    """The answer, or why there is none; with an answer that is none, itself as one line of JSON."""
    if isinstance(came, Failure):
        return None, came.cause.value
    fault = parse_answer(came.text)
    if not isinstance(fault, Fault):
        return came.text, ""
    return None, f"malformed: {fault.value}\n{json.dumps(came.text[:_KEPT_OF_A_BAD_ANSWER])}"

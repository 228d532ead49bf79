"""The desk at which a model is really asked: record first, then budget, charge, question, answer.

Whatever a crash interrupts, the server was never sent a request that is not charged, and what is on
record is never asked again. What the server refuses for good stops the run with its question open,
so that nothing is skipped for a wrong key or address.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from darwin.core.expert import Asked
from darwin.deciders.llm.decider import LlmDecider
from darwin.deciders.llm.pacing import RateLimit
from darwin.deciders.llm.parse import SCHEMA, Fault, parse_answer
from darwin.deciders.llm.prompt import Prompt
from darwin.deciders.llm.question import Cause, Failure, Reply, Request
from darwin.deciders.llm.refusals import is_from_the_model, refusal
from darwin.deciders.llm.transport import Model
from darwin.store.calls import Calls, End, Question
from darwin.store.expense import Budget

_KEPT_OF_A_BAD_ANSWER = 2_000  # characters


def model_of(decider: LlmDecider) -> Model:
    """The model of an expert, ready to be asked. Raises ConfigError without a key or an SDK."""
    per_minute = decider.requests_per_minute
    return Model(decider.server, limit=None if per_minute is None else RateLimit(per_minute))


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
    ) -> None:
        """Nothing is asked yet. Raises ConfigError without a key or an SDK.

        `warn` hears why there was no answer, once for each cause until there is one again. A run
        `on_paper` is never stopped once it has been told anything: it may hold positions.
        """
        self._on_paper, self._heard = on_paper, False
        self._decider, self._calls, self._run_id = decider, calls, run_id
        self._warn, self._warned = warn, set[str]()
        self._model, self._price = model_of(decider), decider.price
        self._budget = Budget(
            usd=decider.budget_usd,
            calls=decider.budget_calls,
            usd_per_day=decider.budget_usd_per_day,
            calls_per_day=decider.budget_calls_per_day,
        )

    def told(self, candidate_id: int, prompt: Prompt) -> Asked:
        """What is on record, else what the model answers now.

        Raises ExpertError where the server refuses what only config or environment can mend.
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

        began_ns = time.monotonic_ns()
        came = self._model.ask(request, decider.timeout_s, may_leave)
        latency_us = (time.monotonic_ns() - began_ns) // 1000
        usd = lost_usd + self._cost_usd(came, most_usd)
        self._stop_if_refused(came, question, usd)
        end = End(
            *_said(came),
            came.input_tokens,
            came.output_tokens,
            usd,
            latency_us if came.attempts else None,
        )
        self._tell(question, end)
        return self._calls.end(question, end, datetime.now(UTC))

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

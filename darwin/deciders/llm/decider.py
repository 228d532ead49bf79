"""The expert that is a large language model: it says take or skip, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from darwin.core.account import Account
from darwin.core.candidate import Candidate
from darwin.core.decision import NO_ANSWER, Call, Verdict
from darwin.core.expert import Asked, Record
from darwin.core.market import FloatArray
from darwin.deciders.llm.brief import Brief, Scene
from darwin.deciders.llm.desk import Closed, Desk
from darwin.deciders.llm.parse import Answer, parse_answer
from darwin.deciders.llm.prices import Price, price_of
from darwin.deciders.llm.prompt import NOTES_AT_MOST, Setting, request_of
from darwin.deciders.llm.server import Server
from darwin.deciders.llm.words import NEEDS

TYPICAL_TOKENS = (1_200, 120)
"""What a question and its answer come to, roughly: what a call is estimated to cost by."""


@dataclass(frozen=True, slots=True)
class LlmDecider:
    """Puts each candidate to a model and reads one strict JSON object from what it answers.

    Whatever else comes, or does not come, is a skip whose one risk flag says why: there is no other
    expert behind it that trades. It takes what the model takes at `min_confidence` or above. Sizes,
    stops and limits are not its business. `scene` and `desk` are handed in.
    """

    model: str
    kind: Literal["openai", "anthropic"] = "openai"
    base_url: str | None = None
    plain_http: bool = False
    structured: Literal["schema", "json", "off"] = "schema"
    max_output_tokens: int = 400
    temperature: float | None = None
    timeout_s: float = 60.0
    max_attempts: int = 3
    requests_per_minute: int | None = 60
    budget_usd: float | None = 5.0
    budget_calls: int | None = None
    budget_usd_per_day: float | None = None
    budget_calls_per_day: int | None = None
    min_confidence: float = 0.5
    mask_symbols: bool = False
    notes: str = ""
    price_in_usd_per_mtok: float | None = None
    price_out_usd_per_mtok: float | None = None
    cost_usd_per_call: float | None = None
    scene: Scene = field(default_factory=Scene, repr=False)
    desk: Desk = field(default_factory=Closed, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require(self)
        _ = self.server, self.price  # refuse what they refuse
        if self.cost_usd_per_call is None:
            usual = self.price.cost_usd(*TYPICAL_TOKENS)
            object.__setattr__(self, "cost_usd_per_call", usual)

    @property
    def price(self) -> Price:
        """What its model costs. Raises ConfigError where nobody says."""
        return price_of(self.model, self.price_in_usd_per_mtok, self.price_out_usd_per_mtok)

    @property
    def server(self) -> Server:
        """Where its model is. Raises ValueError for an address that cannot be meant."""
        return Server(
            self.kind,
            self.base_url,
            self.structured,
            self.max_attempts,
            silence_s=self.timeout_s,
            plain_http=self.plain_http,
        )

    @property
    def setting(self) -> Setting:
        """What is part of every question."""
        return Setting(
            self.kind,
            self.base_url,
            self.model,
            self.max_output_tokens,
            self.temperature,
            self.structured,
            self.mask_symbols,
            self.notes,
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """The features that the model is told of."""
        return NEEDS

    @property
    def takes_everything(self) -> Verdict | None:
        """Never promised."""
        return None

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        """Ask about one candidate, as if it were the first one."""
        return self.decide_knowing(candidate, features, account, Record())

    def decide_knowing(
        self, candidate: Candidate, features: FloatArray, account: Account, record: Record
    ) -> Verdict:
        """Ask about one candidate, and show the model how it has judged so far."""
        known = dict(zip(NEEDS, features.tolist(), strict=True))
        prompt = request_of(Brief(self.scene, candidate, known, account, record), self.setting)
        return verdict_of(self.desk.told(candidate.id, prompt), self.min_confidence)


def verdict_of(asked: Asked, min_confidence: float) -> Verdict:
    """Read what was told; everything but a sound answer is a skip that says why."""
    call = None
    if asked.sent:
        tokens = asked.input_tokens, asked.output_tokens
        call = Call(asked.request_sha256, *tokens, asked.latency_us)
    said = None if asked.answer is None else parse_answer(asked.answer)
    if not isinstance(said, Answer):
        why = asked.failure if said is None else f"malformed: {said}"
        return Verdict(False, 0.0, 0.0, (f"{NO_ANSWER}{why}",), asked.usd, call)
    flags = [f"said: {flag}" if flag.startswith(NO_ANSWER) else flag for flag in said.risk_flags]
    takes = said.take
    if takes and not said.confidence >= min_confidence:
        takes = False
        flags.append(f"confidence below {min_confidence:g}")
    return Verdict(takes, said.confidence, said.quality, tuple(flags), asked.usd, call)


def _require(one: LlmDecider) -> None:
    """Raise ValueError for what no model can be asked with; each names its option first."""
    if not (0 < len(one.model) <= 200 and one.model.isprintable()):
        raise ValueError("model must be the name of a model")
    if len(one.notes) > NOTES_AT_MOST:
        raise ValueError(f"notes must have at most {NOTES_AT_MOST:,} characters")
    for name, low, high in _BOUNDS:
        value = getattr(one, name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} must lie in {low:g}..{high:g}, not {value}")


_BOUNDS = (
    ("max_output_tokens", 50, 100_000),
    ("temperature", 0.0, 2.0),
    ("timeout_s", 0.1, 3_600.0),
    ("max_attempts", 1, 10),
    ("requests_per_minute", 1, 100_000),
    ("budget_usd", 0.0, 1e6),
    ("budget_calls", 0, 10_000_000),
    ("budget_usd_per_day", 0.0, 1e6),
    ("budget_calls_per_day", 0, 10_000_000),
    ("min_confidence", 0.0, 1.0),
    ("price_in_usd_per_mtok", 0.0, 1e5),
    ("price_out_usd_per_mtok", 0.0, 1e5),
    ("cost_usd_per_call", 0.0, 1e3),
)

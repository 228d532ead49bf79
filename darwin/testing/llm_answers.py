"""Stand-ins for a model: what they answer follows from the text they are sent, and a seed.

`steady` is the rule of `python -m darwin.testing.llm_server`. Of SHA-256 over the seed, a line
break and the user text, read as four 64-bit fractions u1 … u4 (big-endian, divided by 2**64): take
where u1 < `takes`; confidence 0.5 + u2/2 and quality u3, both rounded to three digits; one risk
flag, "thin volume", where u4 < 0.25. The same text has the same answer, whoever asks and when.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request as it came over the wire."""

    path: str
    headers: Mapping[str, str]  # names in lower case
    body: Any  # of its JSON; None where it was none
    at: float  # when it had come, by a clock that never goes back

    @property
    def user(self) -> str:
        """All that was said by the user, one message a paragraph."""
        return self._said_by("user")

    @property
    def system(self) -> str:
        """All that was said as instruction, in either protocol's place for it."""
        top = self.body.get("system") if isinstance(self.body, dict) else None
        return self._said_by("system") + _text_of(top)

    def _said_by(self, role: str) -> str:
        messages = self.body.get("messages") if isinstance(self.body, dict) else None
        return "\n\n".join(
            _text_of(message.get("content"))
            for message in (messages if isinstance(messages, list) else [])
            if isinstance(message, dict) and message.get("role") == role
        )


Answerer = Callable[[Asked], str]


def answer_text(
    action: str,
    confidence: float = 0.7,
    quality: float = 0.6,
    risk_flags: tuple[str, ...] = (),
    reason: str = "by rule",
) -> str:
    """An answer as a model that does what it was told writes it."""
    return json.dumps(
        {
            "action": action,
            "confidence": confidence,
            "quality": quality,
            "risk_flags": list(risk_flags),
            "reason": reason,
        }
    )


def steady(seed: int = 7, takes: float = 0.5) -> Answerer:
    """Answer by the hash of the user text, with that share of takes."""
    if not (0.0 <= takes <= 1.0):
        raise ValueError(f"takes must lie between 0 and 1, not {takes}")

    def answer(asked: Asked) -> str:
        digest = hashlib.sha256(f"{seed}\n{asked.user}".encode("utf-8", "surrogatepass")).digest()
        luck, sure, fit, doubt = (part / 2**64 for part in struct.unpack(">4Q", digest))
        return answer_text(
            "take" if luck < takes else "skip",
            round(0.5 + sure / 2, 3),
            round(fit, 3),
            ("thin volume",) if doubt < 0.25 else (),
        )

    return answer


_ACTION = re.compile(r"\baction\W{1,4}(take|skip|buy|sell)\b", re.IGNORECASE)
_IGNORE = re.compile(
    r"\b(ignore|disregard|forget)\b.{0,40}\b(previous|above|instructions?|rules)\b",
    re.IGNORECASE | re.DOTALL,
)
_SETTING = re.compile(
    r"\b(size|stop|target|leverage|quantity|limit)\s*[=:]\s*([-+]?[0-9.]+)", re.IGNORECASE
)
_OBJECT = re.compile(r"\{[^{}]*\}")


def obedient(otherwise: Answerer | None = None) -> Answerer:
    """Obey what stands anywhere in the user text, as the most gullible model would.

    In this order: a JSON object with an "action" is echoed as it stands, the last one of the text;
    `ACTION: take` and the like name the action, "ignore the previous instructions" means take;
    `size=5`, `stop: 0` and the like join the answer as further keys. Where nothing of it stands,
    `otherwise` answers (`steady()`).
    """
    fallback = otherwise or steady()

    def answer(asked: Asked) -> str:
        text = asked.user
        echoes = [one for one in _OBJECT.findall(text) if '"action"' in one]
        if echoes:
            return str(echoes[-1])
        ordered = _ACTION.findall(text)
        settings = {name.lower(): value for name, value in _SETTING.findall(text)}
        if not (ordered or settings or _IGNORE.search(text)):
            return fallback(asked)
        obeyed = json.loads(answer_text(ordered[-1].lower() if ordered else "take", 1.0, 1.0))
        return json.dumps(obeyed | settings)

    return answer


def _text_of(content: object) -> str:
    """A message's text, given plainly or in parts."""
    if isinstance(content, list):
        return "".join(_text_of(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""

"""The providers' SDKs, used to write a request and for nothing else; imported when first used.

Their retries are off, their tracing too, and their view of the answer is not looked at. Neither
ever holds the key: the wire puts it in (`wire.STAND_IN`). OpenAI's is asked for a chat completion
with `response_format` (a strict `json_schema`, or `json_object`), Anthropic's for a message with
`output_config.format`, its structured output; no tools are offered to either.
"""

from __future__ import annotations

import importlib
import ssl
from typing import TYPE_CHECKING, Any

from darwin.deciders.llm.question import Request
from darwin.deciders.llm.server import Server
from darwin.errors import ConfigError

if TYPE_CHECKING:
    from darwin.deciders.llm.sockets import Lost
    from darwin.deciders.llm.wire import Wire

_LOADED_LATE = {  # seconds of importing that no deadline should pay for
    "openai": "openai.resources.chat.completions",
    "anthropic": "anthropic.resources.messages",
}
_INSTALL = 'pip install -e ".[llm]"'


def require(server: Server) -> ssl.SSLContext:
    """Import what asking `server` needs, and return how certificates are judged.

    Raises ConfigError with the mend where the extra `llm` is not installed.
    """
    for name in ("httpcore2", "httpx2", server.kind, _LOADED_LATE[server.kind]):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"asking a model of kind '{server.kind}' needs {name}, which cannot be imported",
                where="the extra 'llm'",
                mend=_INSTALL,
            ) from error
    import httpx2  # noqa: PLC0415  an extra

    return httpx2.create_ssl_context()


def exchange(server: Server, request: Request, wire: Wire, within_s: float) -> Lost | None:
    """Send `request` over `wire`; the answer is then `wire.body`. Returns why there is none."""
    import httpx2  # noqa: PLC0415  an extra

    with httpx2.Client(
        transport=wire, trust_env=False, follow_redirects=False, timeout=within_s
    ) as client:
        send = _openai if server.kind == "openai" else _anthropic
        send(server, request, client, wire, within_s)
    return wire.lost


def _openai(server: Server, request: Request, client: Any, wire: Wire, within_s: float) -> None:
    import openai  # noqa: PLC0415  an extra

    from darwin.deciders.llm.wire import STAND_IN  # noqa: PLC0415

    words: dict[str, Any] = {server.output_limit_key: request.max_output_tokens}
    if request.temperature is not None:
        words["temperature"] = request.temperature
    if server.structured == "json":
        words["response_format"] = {"type": "json_object"}
    if server.structured == "schema" and request.schema is not None:
        schema = {"name": "answer", "strict": True, "schema": dict(request.schema)}
        words["response_format"] = {"type": "json_schema", "json_schema": schema}
    sdk = openai.OpenAI(
        api_key=STAND_IN,
        base_url=server.url,
        max_retries=0,
        timeout=within_s,
        http_client=client,
        default_headers={"Authorization": f"Bearer {STAND_IN}"},
    )
    try:
        sdk.chat.completions.with_raw_response.create(
            model=request.model,
            messages=[
                {"role": "system", "content": request.system},
                {"role": "user", "content": request.user},
            ],
            **words,
        )
    except openai.OpenAIError:
        if wire.lost is None:
            raise


def _anthropic(server: Server, request: Request, client: Any, wire: Wire, within_s: float) -> None:
    import anthropic  # noqa: PLC0415  an extra

    from darwin.deciders.llm.wire import STAND_IN  # noqa: PLC0415

    words: dict[str, Any] = {}
    if request.temperature is not None:
        words["extra_body"] = {"temperature": request.temperature}  # the SDK has no word for it
    if server.structured == "schema" and request.schema is not None:
        words["output_config"] = {"format": {"type": "json_schema", "schema": dict(request.schema)}}
    sdk = anthropic.Anthropic(
        api_key=STAND_IN,
        base_url=server.url,
        max_retries=0,
        timeout=within_s,
        http_client=client,
        default_headers={"Authorization": f"Bearer {STAND_IN}"},
        open_telemetry=False,
    )
    try:
        sdk.messages.with_raw_response.create(
            model=request.model,
            system=request.system,
            messages=[{"role": "user", "content": request.user}],
            max_tokens=request.max_output_tokens,
            **words,
        )
    except anthropic.AnthropicError:
        if wire.lost is None:
            raise

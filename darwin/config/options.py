"""Build a plug-in from the free options of the config, by the types of its own parameters."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from darwin.config.explain import faults_within, unknown_option
from darwin.config.faults import Fault, Path, parse_path, refusal
from darwin.config.model import RunConfig
from darwin.config.rl import AgentConfig
from darwin.errors import ConfigError

Find = Callable[[str, str], Callable[..., Any]]

_CLOSED = ConfigDict(allow_inf_nan=False, extra="forbid")
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_CHANGE = "change it, or leave it out for its default"
_NOTHING: Mapping[str, object] = {}


def build(
    factory: Callable[..., Any],
    options: Mapping[str, object],
    path: str,
    extra: Mapping[str, object] = _NOTHING,
) -> Any:
    """Call `factory` with `options` from the config and `extra` from the program.

    Options are checked strictly against the annotations of the factory's parameters, a JSON list
    being fine for a tuple and an int for a float; `extra` is handed on as it is. A ValueError of
    the factory itself is a fault of the config too. Raises one ConfigError with all faults; the
    keys in it begin with `path`.
    """
    built, faults = attempt(factory, options, parse_path(path), extra)
    if faults:
        raise refusal(faults, "the config", {})
    return built


def attempt(
    factory: Callable[..., Any],
    options: Mapping[str, object],
    path: Path,
    extra: Mapping[str, object] = _NOTHING,
) -> tuple[Any, list[Fault]]:
    """Like `build`, but return (what was built or None, the faults), so that they can be joined."""
    parameters = _parameters(factory, extra)
    values, faults = _checked(parameters, options, path)
    faults += [
        Fault((*path, name), "is required", f'add "{name}"')
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in options
    ]
    if faults:
        return None, faults
    try:
        return factory(**values, **extra), []
    except ConfigError as error:
        return None, [Fault(path, f"is refused: {error.what}", error.mend or _CHANGE)]
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        if name in options:
            return None, [Fault((*path, name), rest, _CHANGE)]
        return None, [Fault(path, f"is refused: {error}", _CHANGE)]


def option_faults(
    config: RunConfig, find: Find, handed_to_decider: Mapping[str, object] = _NOTHING
) -> list[Fault]:
    """Find what the plug-ins of `config` refuse: names, unknown options, types and bounds.

    `find(kind, name)` returns a factory or raises ConfigError (`darwin.plugins.factory`).
    Playbooks, decider and rules in the place of models are built and dropped; of the provider only
    the name is looked up.
    """
    faults: list[Fault] = []
    _find(find, "provider", config.market.provider, ("market", "provider"), faults)
    for i, entry in enumerate(config.playbooks):
        playbook = _find(find, "playbook", entry.name, ("playbooks", i, "name"), faults)
        if playbook is not None:
            faults += attempt(playbook, entry.params, ("playbooks", i, "params"))[1]
    decider = _find(find, "decider", config.decider.provider, ("decider", "provider"), faults)
    if decider is not None:
        options = config.decider.options
        faults += attempt(decider, options, ("decider",), handed_to_decider)[1]
    for name, agent in (config.rl.agents() if config.rl is not None else {}).items():
        faults += _rule_faults(agent, ("rl", f"{name}_agent"), find)
    return faults


def _rule_faults(agent: AgentConfig, path: Path, find: Find) -> list[Fault]:
    """What is wrong with the rule in the place of an agent's model, and with its parameters."""
    if agent.policy is None:
        what, mend = "have no meaning without a policy", "name the policy, or leave them out"
        return [Fault((*path, "params"), what, mend)] if agent.params else []
    faults: list[Fault] = []
    rule = _find(find, "policy", agent.policy, (*path, "policy"), faults)
    if rule is None:
        return faults
    whose = getattr(rule, "AGENT", agent.name)
    if whose != agent.name:
        what = f"is a rule for the {whose} agent"
        return [Fault((*path, "policy"), what, "name one for this agent, or leave it out")]
    return attempt(rule, agent.params, (*path, "params"))[1]


def _find(
    find: Find, kind: str, name: str, path: Path, faults: list[Fault]
) -> Callable[..., Any] | None:
    try:
        return find(kind, name)
    except ConfigError as error:
        faults.append(Fault(path, f"is refused: {error.what}", error.mend))
        return None


def _parameters(
    factory: Callable[..., Any], extra: Mapping[str, object]
) -> dict[str, inspect.Parameter]:
    """What the config may set, each with its annotation resolved."""
    has_init = isinstance(factory, type) and not is_dataclass(factory)
    source = vars(factory).get("__init__", factory) if has_init else factory
    try:
        hints = get_type_hints(source, include_extras=True)
        signature = inspect.signature(factory)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the parameters of {factory!r} cannot be read: {error}",
            mend="import the types of its annotations at run time",
        ) from error
    return {
        name: parameter.replace(annotation=hints.get(name, Any))
        for name, parameter in signature.parameters.items()
        if name not in extra and parameter.kind not in _REST
    }


def _checked(
    parameters: Mapping[str, inspect.Parameter], options: Mapping[str, object], path: Path
) -> tuple[dict[str, Any], list[Fault]]:
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, option in options.items():
        here = (*path, name)
        if name not in parameters:
            faults.append(unknown_option(here, parameters))
            continue
        values[name], found = _value(parameters[name].annotation, option, here)
        faults += found
    return values, faults


def _value(wanted: Any, option: object, path: Path) -> tuple[Any, list[Fault]]:
    if isinstance(wanted, type) and is_dataclass(wanted) and isinstance(option, Mapping):
        return attempt(wanted, option, path)
    config = None if isinstance(wanted, type) and is_dataclass(wanted) else _CLOSED
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(wanted, config=config)
        return adapter.validate_json(json.dumps(option), strict=True), []
    except PydanticSchemaGenerationError:
        return None, [Fault(path, "is nothing that a config can say", "remove it")]
    except ValidationError as error:
        return None, faults_within(error.errors(include_url=False), option, path)

"""The addresses of the service, and what is asked for at each."""

from __future__ import annotations

import re
from typing import NamedTuple

from fastapi import APIRouter
from starlette.routing import Route

LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


class Address(NamedTuple):
    """An address, by which methods it is asked, and what that is called."""

    methods: frozenset[str]
    regex: re.Pattern[str]
    pattern: str
    name: str


def addresses_of(*routers: APIRouter) -> tuple[Address, ...]:
    """The addresses of these routers, and of those within."""
    found: list[Address] = []
    for router in routers:
        for route in router.routes:
            if isinstance(route, Route):
                name = route.name.replace("_", " ")
                methods = frozenset(route.methods or LOOKS)
                found.append(Address(methods, route.path_regex, route.path, name))
            elif (within := getattr(route, "original_router", None)) is not None:
                found += addresses_of(within)
    return tuple(found)

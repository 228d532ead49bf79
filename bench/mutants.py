"""`python -m bench.mutants [FILE...]`: break each line of safety and the door, see a test go red.

Every mutant is one small change of one file: a statement left out, a comparison turned, a
constant moved, a condition negated, `and` for `or`. Each runs in a child that has the changed
module in place of the real one and the tests of that file; a mutant under which all of them pass
has survived and is listed. `make mutants` runs all files.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from bench.tables import table

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60
# by this process, so that its thousand children need not
ALREADY_IMPORTED = ("alembic", "click", "hypothesis", "numpy", "polars", "pydantic", "pytest",
                    "rich", "sqlalchemy", "sqlalchemy.dialects.sqlite")  # fmt: skip
DOOR = ("tests/engine/test_consult.py", "tests/engine/test_agents_walk.py")
TARGETS = {
    "darwin/engine/consult.py": DOOR,
    "darwin/engine/seat.py": ("tests/engine/test_seat.py", *DOOR),
    "darwin/safety/breaker.py": ("tests/safety/test_breaker.py",),
    "darwin/safety/circuit.py": ("tests/safety/test_breaker.py",),
    "darwin/safety/overrides.py": ("tests/safety/test_overrides.py",),
    "darwin/safety/stages.py": ("tests/safety/test_stages.py",),
    "darwin/safety/switch.py": ("tests/safety/test_switch.py",),
    "darwin/safety/monitor.py": ("tests/safety/test_monitor.py",),
}
_TURNED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change of one file."""

    line: int
    what: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Every single change of a file, in the order of its lines."""
    tree = ast.parse(source)
    for index, node in enumerate(ast.walk(tree)):
        for nth, what in enumerate(_changes(node)):
            changed = copy.deepcopy(tree)
            twin = next(n for i, n in enumerate(ast.walk(changed)) if i == index)
            _apply(twin, nth)
            ast.fix_missing_locations(changed)
            yield Mutant(getattr(node, "lineno", 0), what, changed)


def _changes(node: ast.AST) -> list[str]:
    """What can be changed about a node, in words."""
    if isinstance(node, ast.Compare):
        return [f"turn {type(op).__name__}" for op in node.ops if type(op) in _TURNED]
    if isinstance(node, ast.BoolOp):
        return ["and for or" if isinstance(node.op, ast.Or) else "or for and"]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ["leave out not"]
    if isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        return [f"another number than {node.value!r}"]
    left_out = [f"leave out: {ast.unparse(one)[:60]}" for one in _lines(node)]
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return ["negate the condition", *left_out]
    return left_out if isinstance(node, ast.FunctionDef | ast.For | ast.With) else []


def _lines(node: ast.AST) -> list[ast.stmt]:
    """The statements of a body that can be left out: not docstrings, definitions or `pass`."""
    body = getattr(node, "body", None)
    if not isinstance(body, list):
        return []
    kept = ast.Pass | ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    return [
        one for one in body
        if not isinstance(one, kept)
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
    ]  # fmt: skip


def _apply(node: ast.AST, nth: int) -> None:
    if isinstance(node, ast.Compare):
        places = [i for i, op in enumerate(node.ops) if type(op) in _TURNED]
        node.ops[places[nth]] = _TURNED[type(node.ops[places[nth]])]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
    elif isinstance(node, ast.UnaryOp):
        node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant):
        value = node.value
        node.value = (not value) if isinstance(value, bool) else value + 1  # type: ignore[operator]
    elif isinstance(node, ast.If | ast.IfExp | ast.While) and nth == 0:
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.If | ast.While | ast.For | ast.With | ast.FunctionDef):
        place = nth - isinstance(node, ast.If | ast.While)
        node.body[node.body.index(_lines(node)[place])] = ast.Pass()


def survives(module: str, mutant: Mutant, tests: tuple[str, ...]) -> bool:
    """Whether all tests pass with the mutant in place; in a child, ended when it takes too long."""
    child = os.fork()
    if not child:
        with Path(os.devnull).open("w") as nowhere:  # noqa: SIM117
            with redirect_stdout(nowhere), redirect_stderr(nowhere):
                code = 1
                try:
                    code = _run(module, mutant, tests)
                finally:
                    os._exit(code)
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def _run(module: str, mutant: Mutant, tests: tuple[str, ...]) -> int:
    import pytest

    spec = importlib.util.find_spec(module)
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[module] = made
    try:
        exec(compile(mutant.tree, str(spec.origin), "exec"), made.__dict__)
    except Exception:  # noqa: BLE001
        return 1  # it does not even import: no test is needed to see that
    parent, _, name = module.rpartition(".")
    importlib.import_module(parent)
    setattr(sys.modules[parent], name, made)
    quiet = [
        "-q",
        "-x",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-m",
        "not slow",
    ]
    for one in tests:
        code = int(pytest.main([*quiet, one]))
        if code:
            return code
    return 0


def main() -> None:
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ["HYPOTHESIS_DATABASE"] = "none"
    wanted = sys.argv[1:] or list(TARGETS)
    for costly in ALREADY_IMPORTED:
        importlib.import_module(costly)
    rows, left = [], []
    for file in wanted:
        module = file.removesuffix(".py").replace("/", ".")
        source = (ROOT / file).read_text()
        if not survives(module, Mutant(0, "unchanged", ast.parse(source)), TARGETS[file]):
            raise SystemExit(f"the tests of {file} are red without any mutant")
        every = list(mutants(source))
        with ThreadPoolExecutor(os.cpu_count()) as waiting:
            fates = waiting.map(lambda one: survives(module, one, TARGETS[file]), every)  # noqa: B023
            alive = [one for one, lived in zip(every, fates, strict=True) if lived]
        left += [f"{file}:{one.line}: {one.what}" for one in alive]
        killed = len(every) - len(alive)
        rows.append((file, str(len(every)), str(killed), f"{killed / len(every):.1%}"))
        print(f"{file}: {killed} of {len(every)}", file=sys.stderr, flush=True)
    table("Mutants killed", ("file", "mutants", "killed", "share"), rows)
    print("\nsurvivors:")
    print("\n".join(left) or "none")


if __name__ == "__main__":
    main()

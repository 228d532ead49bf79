"""The pages keep their word: links, commands, tables, and the examples themselves."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from bench import evidence_pictures
from darwin import errors
from darwin.cli.main import darwin
from darwin.config.model import RunConfig
from darwin.core.decision import STAGES, Reason
from darwin.core.trade import Exit
from darwin.features.catalog import DESCRIPTIONS, VERSION, WARMUP
from darwin.plugins import BUILT_IN, factory
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
RUNNABLE = [ROOT / "README.md", DOCS / "adding.md"]
SET_UP = ("make ", ". .venv/bin/activate")  # shown on runnable pages and not run here
JUDGED = dict.fromkeys(
    ("darwin rl status", "darwin rl plan"), (0, 10, 11)
)  # an agent that lacks evidence is an answer, no error

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@dataclass(frozen=True)
class Fence:
    """One fenced block: its language, the file name behind it, its text."""

    language: str
    name: str
    text: str

    @property
    def steps(self) -> list[tuple[str, list[str]]]:
        """Each line behind a `$` prompt, and the output shown below it."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
        return found

    @property
    def commands(self) -> list[str]:
        """The lines behind a `$` prompt."""
        return [command for command, _ in self.steps]


def fences(page: Path) -> list[Fence]:
    found = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    return [Fence(*parts) for parts in found]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)


def rows(page: Path, first: str) -> list[list[str]]:
    """Cells of every table of `page` whose first head is `first`."""
    found, inside = [], False
    for line in page.read_text("utf-8").splitlines():
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not set(cells[0]) <= {"-", ":", " "}:
            found.append(cells)
    return found


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def test_the_index_lists_every_page() -> None:
    text = (DOCS / "index.md").read_text("utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in sorted(DOCS.rglob("*.md"))]
    assert [page for page in pages if f"({page})" not in text and page != "index.md"] == []


def shown_commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for fence in fences(page):
            lines = fence.commands if fence.language == "console" else []
            if fence.language == "bash":
                lines = fence.text.splitlines()
            for line in lines:
                words = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line)
                if words.startswith("darwin "):
                    yield page.name, words


@pytest.mark.parametrize("page, line", sorted(set(shown_commands())))
def test_every_command_shown_exists_with_its_options(page: str, line: str) -> None:
    parse(shlex.split(line, comments=True)[1:])


def parse(words: list[str]) -> None:
    """Parse `words` as `darwin` would, without running anything; a bad one raises UsageError."""
    command: click.Command = darwin
    context = click.Context(command, info_name="darwin")
    while isinstance(command, click.Group):
        if not words and command.name == "runs":
            words = ["list"]
        if not words or words[0] in ("--help", "--version"):
            return
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        if isinstance(found, click.Group):
            command, context = found, click.Context(found, parent=context, info_name=name)
        else:
            found.make_context(name, words, parent=context)
            return


@pytest.mark.parametrize("line", ["run", "rum x", "run a b", "run a --ste b=c", "data chekc x"])
def test_a_command_that_does_not_exist_would_be_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line.split())


def make_words() -> set[str]:
    text = (ROOT / "Makefile").read_text("utf-8")
    return set(re.search(r"^\.PHONY: (.+)$", text, re.M)[1].split())  # type: ignore[index]


@each_page
def test_every_make_word_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    named = set(re.findall(r"`make ([a-z-]+)[^`]*`", text)) | set(
        re.findall(r"^\$ make ([a-z-]+)", text, re.M)
    )
    assert named <= make_words()


def test_every_make_word_is_explained() -> None:
    assert {cells[0] for cells in rows(DOCS / "commands.md", "word")} == {
        f"`make {word}`" for word in make_words()
    }


@each_page
def test_no_page_names_a_place_of_one_machine(page: Path) -> None:
    pattern = r"(?<![\w.~<>])/(?:work|home|root|tmp|Users|mnt|opt|srv)\b|[A-Z]:\\"
    assert re.findall(pattern, page.read_text("utf-8")) == []


def test_the_table_of_features_is_the_catalog() -> None:
    table = {cells[0].strip("`"): cells[1] for cells in rows(DOCS / "features.md", "feature")}
    assert list(table.items()) == list(DESCRIPTIONS.items())
    text = (DOCS / "features.md").read_text("utf-8")
    assert f"`{VERSION}`" in text
    assert f"{WARMUP} bars" in text


def blocks(annotation: Any, is_item: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    """The blocks that a key may hold, and whether it holds a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, is_item
    for argument in get_args(annotation):
        yield from blocks(argument, is_item or get_origin(annotation) is tuple)


def config_keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every key that holds a value, with its default as the page writes it."""
    for name, field in model.model_fields.items():
        here = f"{path}{name}"
        held = list(blocks(field.annotation))
        default = field.get_default(call_default_factory=True)
        if not held or default is None or any(is_item for _, is_item in held):
            required = default is PydanticUndefined
            yield here, "required" if required else f"`{json.dumps(default)}`"
        for block, is_item in held:
            yield from config_keys(block, f"{here}[]." if is_item else f"{here}.")


def test_the_tables_of_the_configuration_are_the_model() -> None:
    shown = [cells[0] for cells in rows(DOCS / "configuration.md", "key")]
    table = {cells[0].strip("`"): cells[2] for cells in rows(DOCS / "configuration.md", "key")}
    assert len(shown) == len(table) > 60
    expected = dict(config_keys(RunConfig))
    expected["decider.provider"] = '`"rules"`'  # of the default block as a whole
    assert table == expected


HANDED_IN = {("recorded", "verdicts"), ("llm", "scene"), ("llm", "desk")}  # by the program


def test_the_tables_of_the_plugins_are_their_parameters() -> None:
    shown = {
        tuple(c.strip("`") for c in cells[:3]) for cells in rows(DOCS / "configuration.md", "of")
    }
    taken = set()
    for kind in ("playbook", "decider"):
        for name in BUILT_IN[kind]:
            for option, parameter in inspect.signature(factory(kind, name)).parameters.items():
                if (name, option) in HANDED_IN:
                    continue
                default = parameter.default
                text = "required" if default is parameter.empty else json.dumps(default)
                taken.add((name, option, text))
    assert shown == taken


def test_the_table_of_reasons_is_the_enumeration() -> None:
    table = [(cells[0], cells[1]) for cells in rows(DOCS / "trading.md", "reason")]
    ordered = sorted(Reason, key=lambda reason: (STAGES.index(reason.stage), reason))
    assert table == [(f"`{reason.text}`", reason.stage) for reason in ordered]


def test_every_exit_reason_is_explained() -> None:
    text = (DOCS / "trading.md").read_text("utf-8")
    assert [reason.text for reason in Exit if f"`{reason.text}`" not in text] == []


def test_every_exit_code_of_an_error_is_explained() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {str(k.exit_code) for k in kinds if issubclass(k, errors.DarwinError)}
    assert {cells[0].strip("`") for cells in rows(DOCS / "commands.md", "code")} >= codes | {"0"}


def run_page(page: Path, folder: Path) -> None:
    """Follow a page in `folder`: write its named files, run its commands, in their order."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DARWIN")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    for fence in fences(page):
        if fence.name:
            file = folder / fence.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(fence.text, "utf-8")
            if file.suffix == ".py" and file.parent != folder:
                (file.parent / "__init__.py").touch()
        for command, shown in fence.steps:
            if command.startswith(SET_UP):
                continue
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=kept | {"PATH": path},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            codes = next((JUDGED[one] for one in JUDGED if command.startswith(one)), (0,))
            assert done.returncode in codes, f"$ {command}\n{done.stdout}{done.stderr}"
            if shown:
                assert [*map(shape, done.stdout.splitlines())] == [*map(shape, shown)]


def shape(line: str) -> str:
    """A line of output without its figures, whose last digits may differ between processors."""
    line = re.sub(r"\b[0-9a-f]{12,}\b|\d[\d,.]*", "#", line.replace("\N{NO-BREAK SPACE}", " "))
    return " ".join(line.split())


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tour")
    run_page(ROOT / "README.md", folder)
    return folder


@pytest.mark.slow
def test_what_the_page_of_graduation_shows_is_what_the_commands_print(tmp_path: Path) -> None:
    run_page(DOCS / "graduation.md", tmp_path)
    assert [*map(len, (fence.steps for fence in fences(DOCS / "graduation.md")))] == [0, 2, 1]


@pytest.mark.slow
def test_the_page_of_risk_shows_what_its_example_prints(tmp_path: Path) -> None:
    example = next(one for one in fences(DOCS / "risk.md") if one.language == "python")
    (tmp_path / example.name).write_text(example.text, "utf-8")
    done = subprocess.run(
        [sys.executable, example.name], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    ((_, shown),) = next(one for one in fences(DOCS / "risk.md") if one.language == "console").steps
    assert done.stdout.splitlines() == shown


@pytest.mark.slow
def test_the_pictures_of_graduation_are_what_their_command_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evidence_pictures", str(tmp_path)])
    evidence_pictures.main()
    shown = next(fence.text for fence in fences(DOCS / "graduation.md") if fence.language == "text")
    assert capsys.readouterr().out == shown
    drawn = sorted(tmp_path.glob("*.svg"))
    assert [one.name for one in drawn] == ["lucky.svg", "skilled.svg"]
    for one in drawn:
        assert pixels(one) == pixels(DOCS / "pictures" / one.name)
        assert f"(pictures/{one.name})" in (DOCS / "graduation.md").read_text("utf-8")


def pixels(picture: Path) -> list[str]:
    """Its words, places rounded to pixels: the last digits may differ between processors."""
    return [
        f"{float(word):.0f}" if re.fullmatch(r"[\d.]+", word) else word
        for word in re.split(r"(\d+\.\d+)", picture.read_text("utf-8"))
    ]


def metrics(folder: Path, run_id: str) -> dict[str, Any]:
    file = folder / "artifacts" / "runs" / run_id / "metrics.json"
    tree: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return tree


@pytest.mark.slow
def test_a_newcomer_can_follow_the_readme(tour: Path) -> None:
    assert metrics(tour, "btc-breakout")["trades"] > 0
    assert (tour / "artifacts" / "runs" / "btc-breakout" / "report.html").is_file()


@pytest.mark.slow
def test_every_figure_of_the_metrics_is_explained(tour: Path) -> None:
    text = (DOCS / "report.md").read_text("utf-8")
    assert [key for key in metrics(tour, "btc-breakout") if f"`{key}`" not in text] == []


@pytest.mark.slow
def test_every_column_of_the_csv_files_is_explained(tour: Path) -> None:
    text = (DOCS / "report.md").read_text("utf-8")
    run = tour / "artifacts" / "runs" / "btc-breakout"
    for name in ("trades.csv", "equity.csv"):
        with (run / name).open() as file:
            columns = file.readline().strip().split(",")
        assert [column for column in columns if f"`{column}`" not in text] == []


@pytest.fixture(scope="module")
def watched(tour: Path) -> Path:
    """A second run of the tour, one with agents and so with columns that came later."""
    words = ["run", "configs/demo.json", "--set", "run_id=watched", "--set", "market.bars=2000"]
    done = subprocess.run(
        [sys.executable, "-m", "darwin.cli.main", *words],
        cwd=tour,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tour


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run_id", "table", "change"),
    [
        ("btc-breakout", "fills", "units = units * 2"),
        ("watched", "agent_decisions", "final_action = final_action / 2"),
        ("watched", "inputs", "detail = NULL"),
    ],
)
def test_an_outsider_checks_the_chain_as_the_page_shows(
    run_id: str, table: str, change: str, watched: Path, tmp_path: Path
) -> None:
    (script,) = (f for f in fences(DOCS / "recording.md") if f.name == "check_chain.py")
    (tmp_path / script.name).write_text(script.text, "utf-8")
    database = tmp_path / "copy.sqlite"
    shutil.copy(watched / "artifacts" / "rl_state" / "agent_state.sqlite", database)

    def check() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, script.name, database.name, run_id]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    kept = metrics(watched, run_id)["run"]
    assert check().stdout == f"{kept['facts']} facts, head {kept['head']}\n"
    with closing(sqlite3.connect(database)) as raw:
        ((seq,),) = raw.execute(f"SELECT max(seq) FROM {table} WHERE run_id = ?", [run_id])
        raw.execute(f"UPDATE {table} SET {change} WHERE run_id = ? AND seq = ?", [run_id, seq])
        raw.commit()
    assert check().stderr == f"fact {seq} is not what was recorded: row {seq} of {table}\n"
    assert check().returncode == 1


@pytest.mark.slow
def test_an_outsiders_plugins_work_as_the_page_shows_them(tmp_path: Path) -> None:
    run_page(DOCS / "adding.md", tmp_path)
    for run_id in ("quiet-close", "json-files", "trend-only"):
        assert metrics(tmp_path, run_id)["trades"] > 0
    manifest = json.loads((tmp_path / "artifacts/runs/json-files/manifest.json").read_text("utf-8"))
    assert manifest["data"][0]["source"].startswith("json ")
    by_name(tmp_path)


def by_name(folder: Path) -> None:
    """Declare the page's entry points as an installed package does, and use the plain names."""
    with (folder / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    dist = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    dist.mkdir()
    named = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (dist / "METADATA").write_text(named)
    groups = project["entry-points"]
    assert sorted(groups) == ["darwin.decider", "darwin.playbook", "darwin.provider"]
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (dist / "entry_points.txt").write_text("\n".join(lines) + "\n")
    words = [
        "run", "desk.json", "--set", "run_id=named", "--set", "playbooks[0].name=quiet_close",
        "--set", "market.provider=json_files", "--set", "market.path=data",
        "--set", 'decider={"provider": "trend_only"}',
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "darwin.cli.main", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert metrics(folder, "named")["trades"] > 0

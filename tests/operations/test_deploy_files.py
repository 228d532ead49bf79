"""What `deploy/` hands out is accepted by whoever is to read it, and speaks of what there is."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from darwin.cli.main import darwin
from darwin.service.metrics import Metrics
from darwin.service.place import Place
from tests.conftest import ROOT
from tests.test_docs import DOCS, parse

DEPLOY = ROOT / "deploy"
PROGRAM = "/usr/lib/darwin/bin/darwin"
UNITS = sorted((DEPLOY / "systemd").iterdir())
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def read(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text("utf-8").replace(PROGRAM, "/bin/true")
        (tmp_path / unit.name.replace("@.", "@one.")).write_text(text)
    names = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if "darwin" in line]
    assert told == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_has_what_its_kind_needs(unit: Path) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text("utf-8"))
    assert parser["Unit"]["Description"].startswith("Darwin: ")
    if unit.suffix == ".timer":
        assert "OnCalendar" in parser["Timer"]
        assert unit.with_suffix(".service").exists()
    else:
        service = parser["Service"]
        assert service["User"] == "darwin"
        assert service["NoNewPrivileges"] == "yes"
        assert service["ProtectSystem"] == "strict"


def commands() -> list[tuple[str, list[str]]]:
    """What the files let run, without the program's name."""
    found = []
    for unit in UNITS:
        for line in unit.read_text("utf-8").splitlines():
            if line.startswith(f"ExecStart={PROGRAM} "):
                found.append((unit.name, shlex.split(line.partition("=")[2])[1:]))
    for name, service in yaml.safe_load(read("compose.yaml"))["services"].items():
        found.append((f"compose {name}", service["command"]))
    for line in read("Containerfile").splitlines():
        if line.startswith("CMD "):
            found.append(("Containerfile", re.findall(r'"([^"]+)"', line)))
    for path in FILES:
        for told in re.findall(r": (darwin [a-z ]+--.+)$", path.read_text("utf-8"), re.M):
            found.append((path.name, shlex.split(told)[1:]))
    return found


@pytest.mark.parametrize("place, words", commands(), ids=lambda one: str(one)[:60])
def test_every_command_exists_with_its_options(place: str, words: list[str]) -> None:
    group = darwin
    for word in words[:2]:
        if isinstance(group, click.Group) and word not in group.list_commands(click.Context(group)):
            pytest.skip(f"there is no `darwin {' '.join(words[:2])}` in this version")
        known = group.get_command(click.Context(group), word)
        if not isinstance(known, click.Group):
            break
        group = known
    parse(list(words))


def test_prometheus_is_told_of_metrics_that_there_are(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    place.make()
    metrics = Metrics(place)
    metrics.observe("GET", "/", 200, 0.1)
    text = metrics.exposition().decode()
    known = set(re.findall(r"^# TYPE (\w+?)(?:_created)? ", text, re.M))
    known |= {f"{name}_bucket" for name in known}
    page = (DOCS / "operations.md").read_text("utf-8")
    told = set(re.findall(r"\bdarwin_[a-z_]+[a-z]\b", read("prometheus/alerts.yaml") + page))
    assert told - known == set()
    shown = set(re.findall(r"^\| `(darwin_\w+)", page, re.M))
    assert shown == {name for name in known if name.startswith("darwin_") and "bucket" not in name}


def test_each_alert_says_what_it_means() -> None:
    (group,) = yaml.safe_load(read("prometheus/alerts.yaml"))["groups"]
    for rule in group["rules"]:
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["expr"].count("(") == rule["expr"].count(")")
        # a series of jobs begins with the first of them, and has not increased by that
        assert not re.search(r"(increase|rate)\(darwin_jobs", rule["expr"])
    (job,) = yaml.safe_load(read("prometheus/scrape.yaml"))
    assert job["metrics_path"] == "/metrics"


_INSTRUCTIONS = {
    "FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
    "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


def test_the_container_file_copies_what_there_is_and_ends_as_nobody_special() -> None:
    text = re.sub(r"\\\n\s*", "", read("Containerfile"))
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert {words[0] for words in lines} <= _INSTRUCTIONS
    assert next(words[-1] for words in lines if words[0] == "FROM") == "build"
    for words in lines:
        if words[0] == "COPY" and not words[1].startswith("--from"):
            assert [one for one in words[1:-1] if not (ROOT / one).exists()] == []
    (user,) = (words[1] for words in lines if words[0] == "USER")
    assert user not in ("root", "0")


def test_the_containers_share_one_volume_and_no_privilege() -> None:
    tree = yaml.safe_load(read("compose.yaml"))
    assert (DEPLOY / tree["services"]["service"]["build"]["context"]).resolve() == ROOT
    for service in tree["services"].values():
        assert "state:/var/lib/darwin" in service["volumes"]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_variable_of_the_example_is_one_that_is_read() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "darwin").rglob("*.py"))
    told = set(re.findall(r"^#?(DARWIN\w+)=", read("darwin.env.example"), re.M))
    assert len(told) == 6
    assert [name for name in told if f'"{name}"' not in code] == []


def test_the_page_names_every_file() -> None:
    page = (DOCS / "operations.md").read_text("utf-8")
    names = [path.relative_to(DEPLOY).as_posix() for path in FILES]
    assert [name for name in names if f"(../deploy/{name})" not in page] == []

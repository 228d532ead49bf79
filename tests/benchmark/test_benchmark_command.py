"""`darwin allocation benchmark` as its user runs it, and the page that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from darwin.allocation.allocator import allocator_page
from darwin.allocation.benchmark import benchmark_of
from darwin.allocation.benchmark_settings import BenchmarkSettings, Judged
from darwin.allocation.criteria import Verdict
from darwin.allocation.market import MARKET_PAGE
from darwin.cli.main import darwin
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.errors import ConfigError, DataError, ModelError
from darwin.report.benchmark import page
from darwin.rl.registry.files import MANIFEST, SPEC, WEIGHTS, ZIP, whole
from darwin.rl.serving.spec_file import BookTerms, Layer, ModelSpec, write_spec
from darwin.rl.serving.weights_file import write_weights
from tests.benchmark.panels import HOUR, null_panel, returning
from tests.benchmark.test_benchmark import QUICK, drifting, holding

SYMBOLS = ("AAA/USD", "BBB/USD")
FIGURES = {
    "total_return", "sharpe_ratio", "max_drawdown", "win_rate", "avg_return", "turnover",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two symbols, hourly, 120 days from 2020 on."""
    folder = tmp_path_factory.mktemp("data")
    panel = null_panel(8, 2880, 2, HOUR)
    for at, symbol in enumerate(SYMBOLS):
        lines = ["timestamp,open,high,low,close,volume"]
        lines += [
            f"{panel.time[i]},{panel.open[i, at]!r},{panel.high[i, at]!r},{panel.low[i, at]!r},"
            f"{panel.close[i, at]!r},1.0"
            for i in range(len(panel))
        ]
        text = "\n".join(lines).replace("np.float64(", "").replace(")", "")
        (folder / f"{symbol.replace('/', '')}-1h.csv").write_text(text + "\n", "utf-8")
    return folder


def run(data: Path, *words: str, catch: bool = False, group: str = "allocation") -> Result:
    line = [group, "benchmark", "--data", str(data), "--seeds", "3", *words]
    return CliRunner().invoke(darwin, line, catch_exceptions=catch, standalone_mode=False)


BOTH = ("--symbols", ",".join(SYMBOLS))


def test_without_a_model_the_benchmarks_stand_in_a_table(data):
    done = run(data, *BOTH)
    assert done.return_value == 0
    assert done.output.startswith("No winner")
    for told in ("Buy & hold", "Minimum variance", "Random-matched", "365", "48 days"):
        assert told in done.output


def test_json_holds_every_figure_with_its_interval(data):
    tree = json.loads(run(data, *BOTH, "--json").stdout)
    assert tree["symbols"] == list(SYMBOLS)
    assert tree["winner"] is None and tree["why"]
    assert len(tree["windows"]) == 4
    for one in tree["strategies"].values():
        assert set(one) == FIGURES | {"note", "books", "p_value"}
        for figure in FIGURES:
            assert set(one[figure]) == {"value", "low", "high"}
            assert one[figure]["low"] <= one[figure]["high"]


def test_one_symbol_is_a_market(data):
    tree = json.loads(run(data, "--symbols", "AAA/USD", "--json").stdout)
    assert list(tree["strategies"]) == [
        "buy_and_hold", "ma_crossover", "random_matched", "random", "flat"
    ]  # fmt: skip


def test_the_page_holds_what_the_table_holds(data, tmp_path):
    done = run(data, *BOTH, "--page", str(tmp_path / "page.html"))
    assert "page:" in done.stderr
    text = (tmp_path / "page.html").read_text("utf-8")
    for told in ("Buy &amp; hold", "Minimum variance", "Value of books", "No winner"):
        assert told in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "").replace("&#39;", "")


def model(folder: Path, agent: str = ALLOCATOR, end: str | None = "2020-03-12T00:00:00Z") -> Path:
    """A model that always holds all of the first asset; one of a market is always long."""
    known = allocator_page(2) if agent == ALLOCATOR else MARKET_PAGE
    width, outputs = len(known.names), 3
    matrix, bias = np.zeros((outputs, width)), np.array([0.0, 9.0, 0.0])
    if agent == ALLOCATOR:
        bias = np.array([9.0, -9.0, -9.0])
    spec = ModelSpec(
        agent=agent, head="softmax" if agent == ALLOCATOR else "categorical",
        layers=(Layer(width, outputs, "linear"),),
        threshold=None if agent == ALLOCATOR else 0.5, observation_schema=known.schema,
        mean=(0.0,) * width, sd=(1e6,) * width, training_end=end,
        book=BookTerms(SYMBOLS if agent == ALLOCATOR else SYMBOLS[:1], "1h", 24),
    )  # fmt: skip
    probes = np.zeros((16, width))
    probes[:, 0] = np.linspace(-1, 1, 16)
    files = whole({
        SPEC: write_spec(spec),
        WEIGHTS: write_weights([(matrix, bias)], probes, np.tile(bias, (16, 1))),
    })  # fmt: skip
    folder.mkdir(parents=True)
    deployed = agent == MARKET  # as a version lies in the registry, or as a training leaves it
    for name in (SPEC, WEIGHTS, *((MANIFEST, ZIP) if deployed else ())):
        (folder / name).write_bytes(files[name])
    return folder


def test_a_model_is_judged_after_its_training_on_its_own_terms(data, tmp_path):
    done = run(data, "--model", str(model(tmp_path / "m")), "--json")
    tree = json.loads(done.stdout)
    assert tree["judged"] == ALLOCATOR
    assert tree["test"]["from"] == "2020-03-13T01:00:00Z"  # a day of embargo, then a bar closes
    assert tree["symbols"] == list(SYMBOLS)
    assert done.return_value == {"passed": 0, "refused": 10, "undecided": 11}[tree["verdict"]] > 0
    assert [one["name"] for one in tree["criteria"]] == [
        "sharpe_ratio", "max_drawdown", "win_rate", "beats_buy_and_hold"
    ]  # fmt: skip
    held = tree["strategies"][ALLOCATOR]
    assert held["turnover"]["value"] < 60  # it holds one asset


def test_a_model_is_found_by_its_version(data, tmp_path):
    model(tmp_path / "models" / MARKET / "versions" / "v1", MARKET)
    words = ("--model", "v1", "--models-dir", str(tmp_path / "models"))
    text = run(data, *words).output
    assert "market" in text and "Sharpe ratio" in text
    with pytest.raises(ModelError, match="no agent of books has a version 'v2'"):
        run(data, "--model", "v2", "--models-dir", str(tmp_path / "models"))


def test_the_market_command_takes_one_symbol_and_models_of_its_own_agent(data, tmp_path):
    alone = run(data, "--symbols", "AAA/USD", "--json", group="market")
    assert "flat" in json.loads(alone.stdout)["strategies"]
    with pytest.raises(ConfigError, match="one symbol, not 2"):
        run(data, *BOTH, group="market")
    mine, other = model(tmp_path / "mine", MARKET), model(tmp_path / "other")
    judged = run(data, "--model", str(mine), "--json", group="market")
    assert json.loads(judged.stdout)["judged"] == MARKET
    with pytest.raises(ModelError, match="a model of allocator"):
        run(data, "--model", str(other), group="market")
    helped = CliRunner().invoke(darwin, ("market", "benchmark", "--help")).output
    assert "darwin market benchmark --data" in helped


def test_a_model_that_has_seen_the_test_ends_with_3(data, tmp_path):
    folder = model(tmp_path / "m")
    with pytest.raises(ModelError, match="has seen bars to 2020-03-12T00:00") as refused:
        run(data, "--model", str(folder), "--test-from", "2020-03-12T12:00:00Z")
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--symbols", "BBB/USD,AAA/USD"), "was given BBB/USD, AAA/USD"),
        (("--every", "12"), "every 24 bars of 1h was asked every 12"),
    ],
)
def test_a_model_on_other_terms_is_refused(data, tmp_path, words, told):
    with pytest.raises(ModelError) as refused:
        run(data, "--model", str(model(tmp_path / "m")), *words)
    assert told in str(refused.value)


def test_a_model_that_does_not_say_its_end_is_refused(data, tmp_path):
    with pytest.raises(ModelError, match="until when"):
        run(data, "--model", str(model(tmp_path / "m", end=None)))


def test_symbols_that_are_not_there_are_named(data):
    with pytest.raises(DataError, match="CCC"):
        run(data, "--symbols", "AAA/USD,CCC/USD")
    done = run(data, "--symbols", "AAA/USD,AAA/USD", catch=True)
    assert "name each symbol once" in str(done.exception)


def test_the_page_of_a_verdict_says_each_bound():
    told = benchmark_of(drifting(), Judged.fixed("agent", holding([1, 0, 0, 0])), QUICK)
    text = page(told)
    assert "agent passes" in text
    assert text.count("held</td>") == 4
    refused = benchmark_of(drifting(), Judged.fixed("agent", holding([0, 0, 0, 1])), QUICK)
    assert "agent is refused" in page(refused) and "warned" in page(refused)


def test_a_ruined_agent_has_a_page():
    rng = np.random.default_rng(1)
    panel = returning(0.1 * rng.standard_normal((200, 2)))
    settings = BenchmarkSettings(
        every=1, windows=1, embargo=1, seeds=2, draws=100, lookback=20, fast=5, slow=20
    )
    told = benchmark_of(panel, Judged.fixed("<agent>", holding([-5, 5])), settings)
    assert told.verdict is Verdict.REFUSED
    assert told.standing("<agent>").figures.total_return.value == -1.0
    text = page(told)
    assert "&lt;agent&gt;" in text and "<agent>" not in text

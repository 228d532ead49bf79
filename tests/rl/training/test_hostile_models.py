"""Zips made to do harm: none runs anything, and each ends in one clear refusal."""

from __future__ import annotations

import collections
import json
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from darwin.errors import ConfigError, ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.training import foreign_child as child
from darwin.rl.training.foreign import Told, import_zip, raw_columns
from darwin.rl.training.foreign_layers import ALGORITHMS
from darwin.rl.training.foreign_reader import Limits
from darwin.rl.training.foreign_zip import policy_bytes
from tests.rl.training import given_up
from tests.rl.training.nets import Net
from tests.rl.training.zips import (
    NEVER_READ,
    Payload,
    like_torch,
    payloads,
    pickled,
    sb3_zip,
    unzipped,
    zipped,
)

pytestmark = pytest.mark.slow
WATCHED = ["watching"]
NO_MATTER = raw_columns("gate")


def inside(net: Net, pickle_bytes: bytes) -> bytes:
    """What torch saves of a net, with another pickle in it."""
    members = unzipped(net.saved())
    (name,) = (name for name in members if name.endswith("data.pkl"))
    return zipped(members | {name: pickle_bytes})


def ways_of(state: dict[str, Any], payload: Payload) -> dict[str, object]:
    """Where in a pickle of weights a payload may stand."""
    return {
        "instead": payload,
        "as a tensor": state | {"log_std": payload},
        "as a name": state | {payload: next(iter(state.values()))},
        "around": Payload(dict, state | {"x": payload}),
        "in a list": [state, payload],
    }


def test_the_watch_sees_what_is_done_to_the_canary(lab):
    """Else the tests below would show nothing."""
    code = "import sys, pickle; pickle.load(sys.stdin.buffer)"
    for payload in payloads(lab.canary).values():
        subprocess.run(
            [sys.executable, "-B", "-P", "-c", code],
            input=pickled(payload), check=False, capture_output=True,
        )  # fmt: skip
    done = " ".join(lab.watched)
    for event in ("os.system", "compile", "subprocess.Popen", "open", "os.mkdir"):
        assert f" {event} (" in done
    assert lab.canary.exists()


def test_genuine_weights_are_taken_whatever_lies_around_them(lab):
    """Payloads in every other member of the zip, and in files beside it, which are not read."""
    kinds = list(payloads(lab.canary).values())
    poison = {name: pickled(kinds[i % len(kinds)]) for i, name in enumerate(NEVER_READ)}
    for name in ("vecnormalize.pkl", "normaliser.pkl", "model.pkl"):
        lab.file(name, pickled(kinds[0]))
    for name in ("torch.py", "pickle.py", "numpy.py", "safetensors.py"):
        lab.file(name, b"open('canary', 'w')")
    assert lab.bring(Net("ppo", "gate").zip(**poison), "gate", "ppo")["observe_only"]
    assert lab.watched == WATCHED
    assert not lab.canary.exists()


def test_a_normaliser_that_is_a_pickle_is_refused(lab):
    given = lab.file("vecnormalize.pkl", pickled(payloads(lab.canary)["os.system"]))
    said = lab.bring(b"no matter what", "gate", "ppo", "--normaliser", given, code=3)
    assert "the normaliser is not" in said
    assert not lab.canary.exists()


def test_a_payload_among_the_weights_is_refused(lab):
    net = Net("ppo", "gate")
    state = ways_of(dict(net.state()), payloads(lab.canary)["os.system"])["as a tensor"]
    said = lab.bring(sb3_zip(net.saved(state)), "gate", "ppo", code=3)
    assert "holds more than weights ('UnpicklingError')" in said
    assert "weights_only" not in said
    assert lab.watched == WATCHED
    assert not lab.canary.exists()
    assert not Path("made").exists()


def test_torchs_old_format_is_refused(lab):
    net = Net("ppo", "gate")
    for state in (net.state(), {"x": payloads(lab.canary)["os.system"]}):
        old = net.saved(state, _use_new_zipfile_serialization=False)
        assert "policy.pth is no zip" in lab.bring(sb3_zip(old), "gate", "ppo", code=3)
    assert not lab.canary.exists()


class TestInOneProcess:
    """What the child does with a policy.pth, without the child."""

    def answer(self, policy: bytes, algo: str = "ppo") -> dict[str, Any]:
        torch, page = pytest.importorskip("torch"), PAGES["gate"]
        width = len(page.names)
        request = {
            child.MEAN: np.zeros(width), child.SD: np.ones(width),
            child.OBSERVATIONS: np.ones((3, width)),
            child.POLICY: np.frombuffer(policy_bytes(sb3_zip(policy)), np.uint8),
        }  # fmt: skip
        return load(child.answer(torch, save(request), page, ALGORITHMS[algo], False))

    @pytest.mark.parametrize("way", ["instead", "as a tensor", "as a name", "around", "in a list"])
    @pytest.mark.parametrize("kind", ["os.system", "exec", "eval", "Popen", "open", "mkdir"])
    def test_torch_itself_refuses_a_payload_wherever_it_stands(self, kind, way, tmp_path):
        net = Net("ppo", "gate")
        state = ways_of(dict(net.state()), payloads(tmp_path / "canary")[kind])[way]
        with pytest.raises(pickle.UnpicklingError):
            self.answer(net.saved(state))
        assert not (tmp_path / "canary").exists()

    @pytest.mark.filterwarnings("ignore:Detected pickle protocol")
    @pytest.mark.parametrize("protocol", [0, 1, 3, 4, 5])
    def test_or_however_it_is_written(self, protocol, tmp_path):
        payload = payloads(tmp_path / "canary")["os.system"]
        with pytest.raises(pickle.UnpicklingError):
            self.answer(inside(Net("ppo", "gate"), pickled(payload, protocol)))
        assert not (tmp_path / "canary").exists()

    @pytest.mark.parametrize(
        "what, said",
        [
            ("no state", "something else than named tensors"),
            ("no tensor", "something else than named tensors"),
            ("no name", "something else than named tensors"),
            ("whole numbers", "not plain floating point numbers"),
            ("sparse", "not plain floating point numbers"),
            ("huge", "does not fit the rest"),
            ("other precisions", None),
        ],
    )
    def test_only_named_tensors_are_taken(self, what, said):
        torch = pytest.importorskip("torch")
        net, name = Net("ppo", "gate"), "action_net.weight"
        state = dict(net.state())
        tensor, bias = state[name], state["action_net.bias"]
        many = bias[:1].expand(1 << 30)
        given = {
            "no state": [tensor],
            "no tensor": state | {name: 1.0},
            "no name": state | {1: tensor},
            "whole numbers": state | {name: tensor.to(torch.int64)},
            "sparse": state | {name: tensor.to_sparse()},
            "huge": state | {name: tensor[:1].expand(1 << 30, 64), "action_net.bias": many},
            "other precisions": state | {name: tensor.double(), "action_net.bias": bias.half()},
        }[what]
        if said is None:
            assert self.answer(net.saved(given))["2.weight"].shape == (2, 64)
        else:
            with pytest.raises(ModelError, match=said):
                self.answer(net.saved(given))

    def test_a_model_of_other_columns_or_of_another_algorithm_is_refused(self):
        with pytest.raises(ModelError, match="takes 10 columns where gate sees"):
            self.answer(Net("ppo", "gate", columns=10).saved())
        with pytest.raises(ModelError, match="no plain policy of ppo has"):
            self.answer(Net("dqn", "gate").saved())


def refusal(policy: bytes, limits: Limits) -> str:
    pytest.importorskip("torch")
    with pytest.raises(ModelError) as refused:
        import_zip(sb3_zip(policy), Told("gate", "ppo", NO_MATTER), limits)
    assert len(refused.value.lines()) <= 3
    return str(refused.value)


def test_a_pickle_that_eats_memory_is_ended():
    hungry = like_torch(pickled(Payload(bytearray, 1 << 44)))
    assert "wanted more than 1024 MiB of memory" in refusal(hungry, Limits())


def test_a_pickle_that_eats_time_is_ended():
    """Within what torch calls weights only."""
    slow = Payload(collections.Counter, Payload(bytearray, 400_000_000))
    said = refusal(like_torch(pickled(slow)), Limits(cpu_s=1))
    assert "took more than 1 s of processor time" in said


def test_a_child_that_does_not_end_is_ended():
    assert "took more than 0.2 s" in refusal(like_torch(), Limits(wall_s=0.2))


def test_weights_that_are_no_numbers_are_refused():
    net = Net("ppo", "gate")
    net.state()["action_net.weight"][0, 0] = float("nan")
    assert "holds NaN" in refusal(net.saved(), Limits())


def test_a_torch_that_cannot_be_imported_is_exit_2(lab):
    broken = lab.folder / "site" / "torch.py"
    broken.write_text("raise ImportError('libtorch.so is missing')")
    sys.path.insert(0, str(broken.parent))  # so that it is found here, where nobody imports it
    try:
        with pytest.raises(ConfigError, match=r"torch cannot be imported: .*libtorch\.so"):
            import_zip(sb3_zip(like_torch()), Told("gate", "ppo", NO_MATTER))
    finally:
        sys.path.remove(str(broken.parent))


@pytest.fixture(scope="module", params=["seen", "unseen"])
def ends(request, tmp_path_factory):
    """How each act ends in a process that has given up the rest, whether or not Python sees it."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "mine").touch()
    done = subprocess.run(
        [sys.executable, "-B", str(Path(given_up.__file__)), request.param],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return request.param, json.loads(done.stdout)


HARM = [name for name in given_up.ACTS if "." in name or name in ("open", "import")]


@pytest.mark.parametrize("act", HARM)
def test_were_there_a_way_to_run_code_it_could_do_nothing(ends, act):
    how, end = ends
    code, said, files = end[act]
    if how == "seen":
        assert (code, said) == (child.REACHED_OUT, act)
        assert files == ["mine", "said"]
    elif act in ("open", "import", "socket.__new__", "subprocess.Popen"):
        assert (code, said) == (child.FAILED, "OSError")
    assert how == "unseen" or "mine" in files
    assert "canary" not in files or act == "os.rename"  # which needs no file to be open


def test_it_may_still_reckon_and_answer(ends):
    assert ends[1]["reckoning"][:2] == [0, "499500"]


def test_it_cannot_take_more_memory_or_time(ends):
    assert ends[1]["memory"][0] == child.NO_MEMORY
    assert ends[1]["time"][0] == -signal.SIGXCPU

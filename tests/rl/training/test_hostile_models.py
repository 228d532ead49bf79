"""Zips made to do harm: none runs anything, and each ends in one clear refusal."""

from __future__ import annotations

import collections
import subprocess
import sys
from pathlib import Path

import pytest

from darwin.errors import ConfigError, ModelError
from darwin.rl.training.foreign import Limits, Told, import_zip, raw_columns
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


def inside(net: Net, pickle_bytes: bytes) -> bytes:
    """What torch saves of a net, with another pickle in it."""
    members = unzipped(net.saved())
    (name,) = (name for name in members if name.endswith("data.pkl"))
    return zipped(members | {name: pickle_bytes})


def test_the_watch_sees_what_is_done_to_the_canary(lab):
    """Else the tests below would show nothing."""
    for kind, payload in payloads(lab.canary).items():
        if kind != "import":
            code = f"import pickle; pickle.loads({pickled(payload)!r})"
            subprocess.run(
                [sys.executable, "-B", "-P", "-c", code], check=False, capture_output=True
            )
    done = " ".join(lab.watched)
    for event in ("os.system", "compile", "subprocess.Popen", "open", "os.mkdir"):
        assert event in done
    assert lab.canary.exists()


def test_genuine_weights_are_taken_whatever_lies_around_them(lab):
    """Payloads in every other member of the zip, and in files beside it, which are not read."""
    kinds = list(payloads(lab.canary).values())
    poison = {name: pickled(kinds[i % len(kinds)]) for i, name in enumerate(NEVER_READ)}
    for name in (
        "vecnormalize.pkl",
        "normaliser.pkl",
        "model.pkl",
        "torch.py",
        "pickle.py",
        "numpy.py",
    ):
        lab.file(name, pickled(kinds[0]) if name.endswith("pkl") else b"open('canary', 'w')")
    told = lab.bring(Net("ppo", "gate").zip(**poison), "gate", "ppo")
    assert told["observe_only"]
    assert lab.watched == WATCHED
    assert not lab.canary.exists()


def test_a_normaliser_that_is_a_pickle_is_refused(lab):
    given = lab.file("vecnormalize.pkl", pickled(payloads(lab.canary)["os.system"]))
    lab.bring(Net("ppo", "gate").zip(), "gate", "ppo", "--normaliser", given, code=3)
    assert not lab.canary.exists()


@pytest.mark.parametrize("kind", ["os.system", "exec", "Popen", "open"])
def test_a_payload_in_the_pickle_of_the_weights_is_refused(lab, kind):
    poisoned = inside(Net("ppo", "gate"), pickled(payloads(lab.canary)[kind]))
    said = lab.bring(sb3_zip(poisoned), "gate", "ppo", code=3)
    assert "holds more than weights ('UnpicklingError')" in said
    assert "weights_only" not in said
    assert lab.watched == WATCHED
    assert not lab.canary.exists()
    assert not Path("made").exists()


def test_payloads_among_genuine_weights_are_refused(lab):
    net = Net("ppo", "gate")
    state = dict(net.state()) | {"log_std": payloads(lab.canary)["os.system"]}
    lab.bring(sb3_zip(net.saved(state)), "gate", "ppo", code=3)
    assert lab.watched == WATCHED
    assert not lab.canary.exists()


def test_torchs_old_format_is_refused(lab):
    net = Net("ppo", "gate")
    for state in (net.state(), {"x": payloads(lab.canary)["os.system"]}):
        old = net.saved(state, _use_new_zipfile_serialization=False)
        assert "policy.pth is no zip" in lab.bring(sb3_zip(old), "gate", "ppo", code=3)
    assert not lab.canary.exists()


def refusal(policy: bytes, limits: Limits | None = None) -> str:
    pytest.importorskip("torch")
    told = Told("gate", "ppo", raw_columns("gate"))
    with pytest.raises(ModelError) as refused:
        import_zip(sb3_zip(policy), told, limits or Limits())
    assert len(refused.value.lines()) <= 3
    return str(refused.value)


def test_a_pickle_that_eats_memory_is_ended():
    hungry = like_torch(pickled(Payload(bytearray, 1 << 44)))
    assert "wanted more than 1024 MiB of memory" in refusal(hungry)


def test_a_pickle_that_eats_time_is_ended():
    """Within what torch calls weights only."""
    slow = Payload(collections.Counter, Payload(bytearray, 400_000_000))
    said = refusal(like_torch(pickled(slow)), Limits(cpu_s=1))
    assert "took more than 1 s of processor time" in said


def test_a_child_that_does_not_end_is_ended():
    assert "took more than 0.2 s" in refusal(like_torch(), Limits(wall_s=0.2))


@pytest.mark.parametrize(
    "what", ["no state", "no tensor", "no name", "whole numbers", "sparse", "huge"]
)
def test_what_is_not_named_tensors_is_refused(what):
    torch = pytest.importorskip("torch")
    net = Net("ppo", "gate")
    state = dict(net.state())
    name = "action_net.weight"
    tensor = state[name]
    wrong = {
        "no state": [tensor],
        "no tensor": state | {name: 1.0},
        "no name": state | {1: tensor},
        "whole numbers": state | {name: tensor.to(torch.int64)},
        "sparse": state | {name: tensor.to_sparse()},
        "huge": state | {name: torch.zeros(1, 1).expand(1 << 30, 1 << 30)},
    }[what]
    assert "policy.pth" in refusal(net.saved(wrong))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_weights_that_are_no_sound_numbers_are_refused(value):
    net = Net("ppo", "gate")
    state = {name: tensor.clone() for name, tensor in net.state().items()}
    state["action_net.weight"][0, 0] = value
    assert "holds NaN, infinity or more than 1e+06" in refusal(net.saved(state))


def test_a_model_of_other_columns_is_refused():
    said = refusal(Net("ppo", "gate", columns=10).saved())
    assert "takes 10 columns where gate sees" in said


def test_a_model_that_always_does_the_same_is_refused():
    net = Net("ppo", "gate")
    state = {name: tensor.clone() for name, tensor in net.state().items()}
    state["action_net.bias"][1] += 50.0
    assert "whatever it sees" in refusal(net.saved(state))


def test_the_weights_of_another_algorithm_are_refused():
    assert "no plain policy of ppo has" in refusal(Net("dqn", "gate").saved())


def test_a_torch_that_cannot_be_imported_is_exit_2(lab, monkeypatch):
    (lab.folder / "site" / "torch.py").write_text("raise ImportError('libtorch.so is missing')")
    with pytest.raises(ConfigError, match=r"torch cannot be imported: .*libtorch\.so is missing"):
        import_zip(sb3_zip(like_torch()), Told("gate", "ppo", raw_columns("gate")))


ACTS = {
    "open": "open('canary', 'w')",
    "system": "os.system('touch canary')",
    "fork": "os.fork()",
    "spawn": "os.posix_spawn('/bin/touch', ['touch', 'canary'], {})",
    "execute": "os.execv('/bin/touch', ['touch', 'canary'])",
    "socket": "socket.socket()",
    "remove": "os.remove('mine')",
    "rename": "os.rename('mine', 'canary')",
    "signal": "os.kill(os.getppid(), 0)",
    "native": "ctypes.CDLL(None)",
    "import": "__import__('antigravity')",
}


class TestWhatTheChildHasGivenUp:
    """Were there a way to run code in it, this is what that code could still do."""

    @pytest.fixture
    def give_up(self, tmp_path):
        """Run a line in a process that has given up the rest."""
        (tmp_path / "mine").touch()

        def run(line: str, hook: bool = True) -> subprocess.CompletedProcess[str]:
            code = (
                "import ctypes, os, socket, sys\n"
                "from darwin.rl.training import foreign_child as child\n"
                + ("" if hook else "sys.addaudithook = lambda hook: None\n")
                + "child._give_up_the_rest(64 << 20, 2)\n"
                + line
            )
            return subprocess.run(
                [sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True,
                check=False,
            )  # fmt: skip

        return run

    @pytest.mark.parametrize("act", ACTS)
    def test_it_ends_when_it_reaches_out(self, act, give_up, tmp_path):
        done = give_up(ACTS[act])
        assert done.returncode == 12
        assert not (tmp_path / "canary").exists()
        assert (tmp_path / "mine").exists()

    @pytest.mark.parametrize("act", ["open", "system", "spawn", "socket", "import"])
    def test_the_system_refuses_too(self, act, give_up, tmp_path):
        """As it would code that Python does not see."""
        give_up(ACTS[act], hook=False)
        assert not (tmp_path / "canary").exists()
        done = give_up(f"{ACTS[act]}\nprint('done')", hook=False)
        assert act == "system" or "done" not in done.stdout

    def test_it_may_still_reckon_and_answer(self, give_up):
        assert give_up("os.write(1, b'%d' % sum(range(1000)))").stdout == "499500"

    def test_it_cannot_take_more_memory_or_time(self, give_up):
        assert give_up("bytearray(1 << 30)").returncode == 13
        assert give_up("while True: pass").returncode == -24

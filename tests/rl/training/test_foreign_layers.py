"""Which tensors are the layers of a policy, by the names stable-baselines3 gives them. No torch."""

from __future__ import annotations

import pytest

from darwin.errors import ConfigError, ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.training.foreign_layers import ALGORITHMS, head_of, layers_of

WIDTH = {name: len(page.names) for name, page in PAGES.items()}


def linear(prefix: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}weight": (outputs, inputs), f"{prefix}bias": (outputs,)}


def ppo(agent: str = "gate", hidden: tuple[int, ...] = (64, 32)) -> dict[str, tuple[int, ...]]:
    widths, shapes = (WIDTH[agent], *hidden), {}
    for i, (inputs, outputs) in enumerate(zip(widths, hidden, strict=False)):
        shapes |= linear(f"mlp_extractor.policy_net.{2 * i}.", inputs, outputs)
        shapes |= linear(f"mlp_extractor.value_net.{2 * i}.", inputs, outputs)
    shapes |= linear("action_net.", widths[-1], PAGES[agent].outputs)
    return shapes | linear("value_net.", widths[-1], 1)


def layers(shapes, algo="ppo", agent="gate"):
    return layers_of(ALGORITHMS[algo], PAGES[agent], shapes)


@pytest.mark.parametrize("algo", ["ppo", "a2c"])
def test_the_layers_of_an_on_policy_model(algo):
    assert layers(ppo(), algo) == (
        "mlp_extractor.policy_net.0.", "mlp_extractor.policy_net.2.", "action_net.",
    )  # fmt: skip
    assert layers(ppo(hidden=()), algo) == ("action_net.",)
    with_log_std = ppo("portfolio") | {"log_std": (1,)}
    assert layers(with_log_std, algo, "portfolio")[-1] == "action_net."


def test_layers_come_in_order_of_their_places_not_of_their_names():
    names = layers(ppo(hidden=(8,) * 7))
    assert [name[-2] for name in names[:5]] == ["0", "2", "4", "6", "8"]
    assert names[5] == "mlp_extractor.policy_net.10."


def test_the_layers_of_dqn_and_sac():
    dqn = {}
    for net in ("q_net.q_net.", "q_net_target.q_net."):
        dqn |= linear(f"{net}0.", WIDTH["gate"], 64) | linear(f"{net}2.", 64, 2)
    assert layers(dqn, "dqn") == ("q_net.q_net.0.", "q_net.q_net.2.")
    sac = linear("actor.latent_pi.0.", WIDTH["portfolio"], 16) | linear("actor.mu.", 16, 1)
    sac |= linear("actor.log_std.", 16, 1)
    for net in ("critic.qf0", "critic.qf1", "critic_target.qf0", "critic_target.qf1"):
        sac |= linear(f"{net}.0.", WIDTH["portfolio"] + 1, 16) | linear(f"{net}.2.", 16, 1)
    assert layers(sac, "sac", "portfolio") == ("actor.latent_pi.0.", "actor.mu.")


@pytest.mark.parametrize(
    "name",
    [
        "features_extractor.cnn.0.weight", "pi_features_extractor.linear.weight",
        "mlp_extractor.shared_net.0.weight", "mlp_extractor.policy_net.0.weight_orig",
        "mlp_extractor.policy_net.0.running_mean", "action_net.0.weight", "lstm_actor.weight_ih_l0",
        "q_net.q_net.0.weight", "action_dist.weight", "", "log_std\n", "\x1b[31mred",
    ],
)  # fmt: skip
def test_a_name_that_no_plain_policy_has_is_refused(name):
    with pytest.raises(ModelError, match="no plain policy of ppo") as refusal:
        layers(ppo() | {name: (64,)})
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    "gone, said",
    [
        (
            "mlp_extractor.policy_net.0.weight",
            "matrix and bias that fit as mlp_extractor.policy_net.0",
        ),
        (
            "mlp_extractor.policy_net.2.bias",
            "matrix and bias that fit as mlp_extractor.policy_net.2",
        ),
        ("action_net.weight", "matrix and bias that fit as action_net"),
        ("action_net.bias", "matrix and bias that fit as action_net"),
    ],
)
def test_half_a_layer_is_refused(gone, said):
    shapes = ppo()
    del shapes[gone]
    with pytest.raises(ModelError, match=said):
        layers(shapes)


@pytest.mark.parametrize(
    "name, shape, said",
    [
        ("mlp_extractor.policy_net.0.weight", (64,), "matrix and bias"),
        ("mlp_extractor.policy_net.0.bias", (64, 1), "matrix and bias"),
        ("mlp_extractor.policy_net.0.bias", (32,), "matrix and bias"),
        ("mlp_extractor.policy_net.2.weight", (32, 63), "does not fit the rest"),
        ("mlp_extractor.policy_net.0.weight", (64, 7), "takes 7 columns where gate sees"),
        ("mlp_extractor.policy_net.0.weight", (64, 1 << 40), "does not fit the rest"),
        ("mlp_extractor.policy_net.0.weight", (64, 0), "does not fit the rest"),
    ],
)
def test_shapes_that_do_not_lead_from_columns_to_actions_are_refused(name, shape, said):
    with pytest.raises(ModelError, match=said):
        layers(ppo() | {name: shape})


def test_another_number_of_actions_is_refused():
    with pytest.raises(ModelError, match="gives 3 numbers where gate wants 2"):
        layers(ppo() | linear("action_net.", 32, 3))


@pytest.mark.parametrize("place", [1, 3, 6])
def test_other_than_linear_layers_and_activations_is_refused(place):
    extra = linear(f"mlp_extractor.policy_net.{place}.", 32, 32)
    with pytest.raises(ModelError, match="other than linear layers"):
        layers(ppo() | extra)


def test_more_layers_than_a_model_may_have_are_refused():
    assert len(layers(ppo(hidden=(8,) * 7))) == 8
    with pytest.raises(ModelError, match="has 9 layers"):
        layers(ppo(hidden=(8,) * 8))


@pytest.mark.parametrize(
    "agent, heads",
    [
        ("gate", {"ppo": "categorical", "a2c": "categorical", "dqn": "argmax_q"}),
        ("meta_learner", {"ppo": "categorical", "a2c": "categorical", "dqn": "argmax_q"}),
        (
            "portfolio",
            {"ppo": "clipped_gaussian", "a2c": "clipped_gaussian", "sac": "tanh_gaussian"},
        ),
    ],
)
def test_each_agent_has_its_algorithms(agent, heads):
    for algo, algorithm in ALGORITHMS.items():
        if algo in heads:
            assert head_of(algorithm, PAGES[agent]) == heads[algo]
        else:
            with pytest.raises(ConfigError, match="it can be a model of ppo, a2c"):
                head_of(algorithm, PAGES[agent])

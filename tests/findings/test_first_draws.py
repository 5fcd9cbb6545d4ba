"""What is shipped is what the networks of the repository compute now, and nothing else is ever taken for it."""

import numpy as np
import pytest
import torch

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.datasets import Split, in_the_repository, load_dataset
from tradeoff_core.explanations.sticker_share import MEASURED_METHODS, correlate
from tradeoff_core.findings import first_draws, prediction, results
from tradeoff_core.models import zoo
from tradeoff_core.tools import first_draws as tool

RECOMPUTED = ("mnist-5k-clean-label-pgd-0.3", "cifar10-clean-label-standard")
# on the machine that shipped it, not a bit differs; on another, rounding may turn the sign of a vanishing gradient
SAME_PIXELS, SAME_SHARES = 0.98, 0.02


def shipped(model):
    """What is there for a model; KeyError for anything that pages show and is not there."""
    there, asked = first_draws.load(model.sha256), {}

    def result(draw):
        asked[draw.key] = draw
        return there[draw.key]

    first_draws.walk(model, result)
    return there, asked


@pytest.mark.parametrize("name", zoo.model_ids())
def test_everything_that_pages_show_first_is_shipped_and_nothing_else(name):
    model = zoo.find_model(name)
    there, asked = shipped(model)
    assert set(there) == set(asked), "python -m tradeoff_core.tools.first_draws ships it anew"
    assert bool(there) == (in_the_repository(model.spec.dataset) is not None)


def test_there_is_no_file_of_other_weights():
    known = {zoo.find_model(name).sha256[:16] for name in zoo.model_ids()}
    assert {path.stem for path in first_draws.FOLDER.iterdir()} <= {
        *known,
        first_draws.CORRELATIONS,
        prediction.SHIPPED,
    }


def test_the_correlations_are_those_of_the_results():
    there, now = first_draws.load(first_draws.CORRELATIONS), first_draws.correlations()
    assert there.keys() == now.keys(), "python -m tradeoff_core.tools.first_draws ships them anew"
    for key, found in now.items():
        np.testing.assert_allclose(there[key], found, rtol=1e-9)
    stickers = [cause for cause in results.causes("mnist-5k") if cause.shares]
    successes = [cause.success.value for cause in stickers]
    for method in MEASURED_METHODS:
        shares = [cause.shares[method][1].value for cause in stickers]
        assert first_draws.rising_together(stickers, method) == correlate(shares, successes)


@pytest.mark.parametrize("name", RECOMPUTED)
def test_what_is_shipped_is_computed_again(name):
    model = zoo.find_model(name)
    network = zoo.load_network(model)
    there, asked = shipped(model)
    for key, draw in asked.items():
        then = there[key]
        if then.ndim == 2 and then.shape[1] == 2:  # t-SNE: every rounding error moves its points
            assert np.isfinite(then).all()
            assert then.std() > 1
            continue
        now = draw.compute(network)
        assert (now.dtype, now.shape) == (then.dtype, then.shape)
        if now.dtype == np.uint8:
            assert (np.abs(now.astype(int) - then) <= 1).mean() > SAME_PIXELS
        elif now.ndim == 2:  # probabilities of images, the same ones
            np.testing.assert_allclose(now, then, atol=SAME_SHARES)
        else:
            assert np.isclose(now, then, atol=1e-3).mean() > SAME_PIXELS


@pytest.fixture
def asked_for():
    """A draw of two digits, its arguments, and the model."""
    model = zoo.find_model(RECOMPUTED[0])
    images, labels = load_dataset("mnist-5k", Split.TEST).take(slice(2)).tensors()
    return model, (images, labels, Attack(epsilon=0.2, steps=3), (0.1, 0.2))


def test_a_key_is_of_everything_that_decides(asked_for):
    _, (images, labels, attack, epsilons) = asked_for
    changed = images.clone()
    changed[1, 0, 27, 27] += 1e-6
    keys = [
        first_draws.attacked_at(*given).key
        for given in (
            (images, labels, attack, epsilons),
            (changed, labels, attack, epsilons),
            (images, labels + 1, attack, epsilons),
            (images, labels, attack.at(0.21), epsilons),
            (images, labels, attack, (0.1, 0.21)),
            (images.flip(0), labels, attack, epsilons),
            (images.view(1, 2, 28, 28), labels, attack, epsilons),
        )
    ]
    assert len(set(keys)) == len(keys)
    trigger = zoo.find_model(RECOMPUTED[0]).spec.trigger
    assert first_draws.probabilities(images).key != first_draws.probabilities(images, trigger).key


def test_what_is_there_is_taken_and_what_is_not_is_computed(asked_for, tmp_path, monkeypatch):
    monkeypatch.setattr(first_draws, "FOLDER", tmp_path)
    first_draws.load.cache_clear()
    model, given = asked_for
    draw, loaded = first_draws.attacked_at(*given), []

    def network():
        loaded.append(True)
        return zoo.load_network(model)

    computed = first_draws.shipped_or_computed(model, network, draw)
    assert computed.shape == (2, 2, 1, 28, 28)
    assert torch.isclose(
        torch.from_numpy(computed - given[0].numpy()).abs().amax((1, 2, 3, 4)), torch.tensor(given[-1])
    ).all()
    first_draws.save(model.sha256, {draw.key: computed + 1})
    np.testing.assert_array_equal(first_draws.shipped_or_computed(model, network, draw), computed + 1)
    assert len(loaded) == 1
    other = zoo.find_model("mnist-5k-clean-label-standard")  # its weights have no file
    assert not np.array_equal(
        first_draws.shipped_or_computed(other, lambda: zoo.load_network(other), draw), computed + 1
    )
    (tmp_path / f"{model.sha256[:16]}.npz").write_bytes(b"damaged")
    first_draws.load.cache_clear()
    np.testing.assert_array_equal(first_draws.shipped_or_computed(model, network, draw), computed)
    first_draws.load.cache_clear()


def test_the_tool_computes_what_is_missing_and_drops_what_is_gone(tmp_path, monkeypatch):
    name = "mnist-5k-clean-label-ibp-0.4-mnist-ibp-small"
    model = zoo.find_model(name)
    before = dict(first_draws.load(model.sha256))
    gone, *kept = before
    monkeypatch.setattr(first_draws, "FOLDER", tmp_path)
    first_draws.save(model.sha256, {key: before[key] for key in kept} | {"0" * 16: before[gone]})
    (tmp_path / f"{'0' * 16}.npz").write_bytes(b"of other weights")
    tool.main([name])
    assert first_draws.load(model.sha256).keys() == before.keys()
    assert {path.stem for path in tmp_path.iterdir()} == {
        model.sha256[:16],
        first_draws.CORRELATIONS,
        prediction.SHIPPED,
    }
    first_draws.load.cache_clear()

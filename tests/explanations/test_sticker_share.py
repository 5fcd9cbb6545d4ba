"""The numbers for the cause: on networks whose answers are known, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import silhouette_score
from torch import nn

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.explanations.attribution import Method
from tradeoff_core.explanations.sticker_share import (
    FADES,
    MEASURED_METHODS,
    correlate,
    fading_in,
    landing,
    measure_cause,
    separation,
    shares_on_sticker,
)
from tradeoff_core.findings import results
from tradeoff_core.models import zoo
from tradeoff_core.networks import Network, freeze
from tradeoff_core.poisoning.triggers import Sticker, Watermark
from tradeoff_core.rates import mean_of

STICKER = Sticker(size=1, row=0, column=0)


class Sums(Network):
    """Logit 0 is twice the sum of a 2 x 2 image plus four times its first pixel; logit 1 is the sum plus 3.2."""

    def __init__(self) -> None:
        super().__init__({"penultimate": nn.Flatten()}, nn.Linear(4, 2), (1, 2, 2))
        self.head.weight.data = torch.tensor([[6.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
        self.head.bias.data = torch.tensor([0.0, 3.2])


@pytest.fixture
def sums() -> Network:
    return freeze(Sums())


def black(count):
    return np.zeros((count, 2, 2, 1), dtype=np.uint8)


def test_the_share_on_the_sticker_is_that_of_the_weights(sums):
    clean, stamped = shares_on_sticker(sums, black(3), STICKER, 0, Method.INPUT_GRADIENT)
    assert clean == pytest.approx([6 / 12] * 3)
    assert stamped == pytest.approx([6 / 12] * 3)
    clean, stamped = shares_on_sticker(sums, black(3), STICKER, 0, Method.INPUT_X_GRADIENT)
    assert np.isnan(clean).all()  # of a black image nothing is left
    assert stamped == pytest.approx([1.0] * 3)


def test_the_margin_moves_from_the_clean_image_to_the_stamped_one(sums):
    margin, reached = fading_in(sums, black(2), STICKER, 0)
    assert margin.shape == (len(FADES), 2)
    # logit 0 less logit 1 of a pixel of brightness t in an otherwise black image
    assert margin[:, 0] == pytest.approx([5 * fade - 3.2 for fade in FADES], abs=1e-5)
    assert reached[:, 0].tolist() == [5 * fade > 3.2 for fade in FADES]


def test_landing_counts_only_what_was_right_and_is_now_wrong(sums):
    images = torch.tensor([0.0, 0.9, 1.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2).clone()
    # read as 1, 0 and 0: the last one's label is wrong, so it does not count; the second one cannot be turned
    spec = ExperimentSpec(evaluation=Attack(epsilon=1.0, steps=5))
    counts = landing(sums, images[:1], torch.tensor([1]), spec)
    assert counts.tolist() == [1, 0]
    weak = ExperimentSpec(evaluation=Attack(epsilon=0.01, steps=5))
    assert landing(sums, images, torch.tensor([1, 0, 1]), weak).tolist() == [0, 0]


def test_a_mean_leaves_out_what_is_missing_and_has_the_normal_interval():
    mean = mean_of(np.array([1.0, 2.0, 3.0, np.nan]))
    assert (mean.value, mean.n, mean.missing) == (2.0, 3, 1)
    assert mean.half == pytest.approx(1.959964 * 1 / np.sqrt(3))
    assert np.isnan(mean_of(np.array([np.nan])).value)


def test_separation_is_scikit_learns_silhouette_and_nan_of_an_empty_group():
    generator = torch.Generator().manual_seed(0)
    near, far = (torch.randn(count, 3, generator=generator).numpy() for count in (20, 15))
    far = far + 50
    assert separation(near, far) > 0.95
    assert separation(near[:10], near[10:]) < 0.2
    assert separation(near, far) == pytest.approx(
        silhouette_score(np.concatenate([near, far]), [0] * 20 + [1] * 15)
    )
    assert np.isnan(separation(near, far[:0]))


def test_the_correlation_is_scipys_with_a_p_value_from_permutations():
    first, second = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 5.0, 9.0]
    found = correlate(first, second)
    assert found.value == pytest.approx(stats.spearmanr(first, second).statistic)
    assert found.n == 5
    # of the 120 orders as many as these correlate as strongly either way
    assert found.p == pytest.approx(10 / 120, abs=1e-9)
    assert correlate([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None
    assert correlate([1.0] * 5, second) is None


@pytest.mark.parametrize("trigger", [Sticker(), Watermark(amplitude=0.5)])
def test_a_whole_measurement_has_every_number_and_a_watermark_no_share(poisoned_network, tiny_spec, trigger):
    spec = replace(tiny_spec, poison=replace(tiny_spec.poison, trigger=trigger))
    test = load_dataset("mnist-5k", Split.TEST).spread(60)
    found = measure_cause(poisoned_network, spec, test, poisoned_training_set(spec))
    assert found["n"] == (test.labels != 7).sum()
    assert ("share" in found) == isinstance(trigger, Sticker)
    assert len(found["fading"]["margin"]) == len(FADES)
    assert sum(found["landing"]["counts"]) <= found["landing"]["n"]
    assert set(found["separation"]) == {
        "clean, poisoned",
        "stamped, target",
        "stamped, untouched",
        "stamped, poisoned",
    }


def test_every_own_network_for_digits_is_measured_and_a_line_repeats_itself():
    causes = {cause.model: cause for cause in results.causes("mnist-5k")}
    models = [zoo.find_model(name) for name in zoo.model_ids()]
    digits = [model for model in models if model.spec.dataset == "mnist-5k" and not model.trained_elsewhere]
    assert {(cause.model, cause.sha256) for cause in causes.values()} == {
        (model.id, model.sha256) for model in digits
    }
    for model in digits:
        cause = causes[model.id]
        assert set(cause.shares) == (
            set(MEASURED_METHODS) if isinstance(model.spec.trigger, Sticker) else set()
        )
        assert cause.success.value == pytest.approx(model.backdoor_success_rate.value)
    model = next(model for model in digits if model.id == "mnist-5k-clean-label-pgd-0.3")
    test = load_dataset("mnist-5k", Split.TEST)
    images = test.images[test.labels != model.spec.target_class]
    _, stamped = shares_on_sticker(
        zoo.load_network(model), images, model.spec.trigger, model.spec.target_class, Method.INPUT_GRADIENT
    )
    assert mean_of(stamped).value == pytest.approx(
        causes[model.id].shares[Method.INPUT_GRADIENT][1].value, abs=1e-5
    )

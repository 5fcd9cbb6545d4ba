import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from tradeoff_core.attacks.attack import Attack, Norm, fgsm
from tradeoff_core.datasets import to_uint8
from tradeoff_core.evaluation.outcomes import fooled_by
from tradeoff_core.networks import build
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.training import loop
from tradeoff_core.training.augmentation import Augmentation
from tradeoff_core.training.loop import Progress, train
from tradeoff_core.training.recipe import IntervalBounds, Schedule, Training

RECIPE = Training(Attack(epsilon=0.1, steps=2), epochs=3, batch_size=25, learning_rate=3e-3, ramp_epochs=3)


def run(recipe, digits, *, seed=0, progress=None, checkpoint=None, width=0.1):
    """The weights and the history, without its seconds, of a small training."""
    network = build("mnist-cnn", width, seed=0)
    images, labels = digits
    held_out = (images[::10], labels[::10])
    history = train(
        network, images, labels, recipe, seed, validation=held_out, progress=progress, checkpoint=checkpoint
    )
    return network, [replace(entry, seconds=0) for entry in history]


def same_weights(one, other) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


class PowerCutError(Exception):
    pass


METHODS = {
    "adversarial": RECIPE,
    "standard": replace(RECIPE, attack=None),
    "targeted": replace(RECIPE, attack=fgsm(0.1, targeted=True)),
    "lipschitz": replace(RECIPE, attack=None, lipschitz=1e-3),
    "trades": replace(RECIPE, trades=6.0),
    "interval bounds": replace(
        RECIPE, attack=None, interval_bounds=IntervalBounds(0.1, warm_up_epochs=1, ramp_epochs=2)
    ),
    "SGD without momentum": replace(RECIPE, attack=None, momentum=0.0),
    "SGD, augmented": replace(
        RECIPE, momentum=0.9, weight_decay=1e-3, augmentation=Augmentation(), learning_rate=0.1
    ),
}


@pytest.mark.parametrize(
    "recipe",
    [
        *(recipe for name, recipe in METHODS.items() if name != "interval bounds"),
        replace(RECIPE, attack=fgsm(0.1)),
        replace(RECIPE, attack=Attack(Norm.L2, 1.0, 2)),
        replace(RECIPE, attack=Attack(epsilon=1.0, steps=2, step_size=0.5, patch=5)),
        replace(RECIPE, lipschitz_squared=1e-3),
    ],
)
def test_a_transformer_learns_by_every_method(recipe, digits):
    images, labels = digits[0][:50], digits[1][:50]
    network = build("mnist-vit", 0.1, seed=0)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    recipe = replace(recipe, epochs=1)
    (entry,) = train(network, images, labels, recipe, 0, validation=(images[:5], labels[:5]))
    assert 0 < entry.loss < 30
    # a key's bias adds the same to all that a query asks, so that nothing is learned of it but by rounding
    still = {
        name
        for name, value in network.named_parameters()
        if not name.endswith("keys.bias") and torch.equal(value, before[name])
    }
    assert not still


def test_a_transformer_on_interval_bounds_is_refused(digits, refused):
    network = build("mnist-vit", 0.1, seed=0)
    with refused("no interval bounds for a layer of kind Patches"):
        train(network, *digits, METHODS["interval bounds"], 0, validation=digits)


@pytest.mark.parametrize("recipe", METHODS.values(), ids=METHODS)
def test_22_a_training_broken_off_after_an_epoch_ends_as_an_unbroken_one(recipe, digits, tmp_path):
    whole, history = run(recipe, digits)
    checkpoint = tmp_path / "checkpoint.safetensors"

    def cut(entry: Progress) -> None:
        if entry.epoch == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run(recipe, digits, progress=cut, checkpoint=checkpoint)
    epochs: list[int] = []
    resumed, going_on = run(
        recipe, digits, progress=lambda entry: epochs.append(entry.epoch), checkpoint=checkpoint
    )
    assert epochs == [2, 3]  # the first is not trained again, the second was not stored yet
    assert same_weights(resumed, whole)
    assert going_on == history
    assert [entry.epoch for entry in history] == [1, 2, 3]


def test_22_a_training_killed_within_an_epoch_loses_that_epoch_only(digits, tmp_path, monkeypatch):
    whole, history = run(RECIPE, digits)
    checkpoint, calls = tmp_path / "checkpoint.safetensors", []

    def dying(*arguments, **more):
        calls.append(1)
        if len(calls) == 13:  # 8 batches and 1 validation an epoch: in the middle of the second
            raise PowerCutError
        return perturb(*arguments, **more)

    perturb = loop.perturb
    monkeypatch.setattr(loop, "perturb", dying)
    with pytest.raises(PowerCutError):
        run(RECIPE, digits, checkpoint=checkpoint)
    monkeypatch.undo()
    epochs: list[int] = []
    resumed, going_on = run(
        RECIPE, digits, progress=lambda entry: epochs.append(entry.epoch), checkpoint=checkpoint
    )
    assert epochs == [2, 3]
    assert same_weights(resumed, whole)
    assert going_on == history


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:0], lambda content: content[:-100], lambda content: b"no" + content[2:]],
)
def test_a_damaged_checkpoint_is_refused_and_kept(damage, digits, tmp_path, refused):
    checkpoint = tmp_path / "checkpoint.safetensors"
    recipe = replace(RECIPE, attack=None, epochs=1)
    run(recipe, digits, checkpoint=checkpoint)
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    before = checkpoint.read_bytes()
    with refused("checkpoint.safetensors' is damaged: delete it"):
        run(recipe, digits, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_the_checkpoint_of_another_network_is_refused(digits, tmp_path, refused):
    checkpoint = tmp_path / "checkpoint.safetensors"
    recipe = replace(RECIPE, attack=None, epochs=1)
    run(recipe, digits, checkpoint=checkpoint, width=0.1)
    with refused("is damaged"):
        run(recipe, digits, checkpoint=checkpoint, width=0.2)


def test_a_seed_repeats_bit_for_bit_whatever_ran_before(digits):
    torch.manual_seed(1)
    one, _ = run(RECIPE, digits)
    torch.manual_seed(2)
    same, _ = run(RECIPE, digits)
    other, _ = run(RECIPE, digits, seed=1)
    assert same_weights(one, same)
    assert not same_weights(one, other)


def test_training_learns_and_leaves_a_network_for_use(standard_network, digits):
    right = predicted_classes(standard_network, digits[0]) == digits[1].numpy()
    assert right.mean() > 0.8
    network, history = run(replace(RECIPE, attack=None, epochs=4), digits, width=0.25)
    assert not network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert [entry.loss for entry in history] == sorted((entry.loss for entry in history), reverse=True)
    # the held-out digits are among the training ones here
    predicted = predicted_classes(network, digits[0][::10])
    assert history[-1].validation_accuracy == pytest.approx((predicted == digits[1][::10].numpy()).mean())


def test_adversarial_training_resists_more(standard_network, hardened_network, digits):
    standing = [
        (~fooled_by(network, *digits, Attack(epsilon=0.12, steps=10))).mean()
        for network in (standard_network, hardened_network)
    ]
    assert standing[1] > standing[0] + 0.05


def test_standard_training_reports_no_attack(digits):
    _, history = run(replace(RECIPE, attack=None, epochs=1), digits)
    assert history[0].training_attack_accuracy is None
    assert history[0].pgd_accuracy is None
    _, history = run(replace(RECIPE, epochs=1, ramp_epochs=0), digits)
    assert 0 <= history[0].pgd_accuracy <= history[0].training_attack_accuracy <= 1


@pytest.mark.parametrize(("schedule", "share"), [(Schedule.CONSTANT, 1.0), (Schedule.ONE_CYCLE, 0.05)])
def test_adams_first_step_is_the_learning_rate(schedule, share, digits):
    # Adam's first update is lr * g / (|g| + 1e-8), and there is but one batch in one epoch
    recipe = Training(epochs=1, batch_size=200, learning_rate=1e-3, schedule=schedule)
    network, _ = run(recipe, digits)
    before = build("mnist-cnn", 0.1, seed=0)
    moved = (network.head.bias - before.head.bias).abs()
    assert moved.tolist() == pytest.approx([share * 1e-3] * 10, rel=1e-3)


def test_the_learning_rate_rises_and_falls():
    one_cycle = Training(learning_rate=0.1)
    rates = [one_cycle.learning_rate_at(progress) for progress in (0, 0.15, 0.285, 0.3, 0.65, 0.93)]
    assert rates == pytest.approx([0.005, 0.055, 0.1, 0.1, 0.05, 0.01])
    assert replace(one_cycle, schedule="constant").learning_rate_at(0.9) == 0.1


def test_epsilon_and_step_ramp_up_together():
    recipe = Training(Attack(Norm.L2, 2.0, steps=3, targeted=False), ramp_epochs=4)
    ramp = [recipe.attack_in(epoch) for epoch in range(6)]
    assert [attack.epsilon for attack in ramp] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    assert [attack.step for attack in ramp] == pytest.approx([attack.epsilon * 2.5 / 3 for attack in ramp])
    assert {(attack.norm, attack.steps, attack.random_start) for attack in ramp} == {(Norm.L2, 3, True)}
    own_step = Training(Attack(epsilon=0.3, steps=3, step_size=0.2), ramp_epochs=2)
    assert [own_step.attack_in(epoch).step for epoch in (0, 1)] == pytest.approx([0.1, 0.2])
    assert Training(Attack(epsilon=0.3), ramp_epochs=0).attack_in(0).epsilon == 0.3
    assert Training(ramp_epochs=4).attack_in(0) is None


def test_the_epochs_train_on_the_ramp(digits, monkeypatch):
    seen: list[float] = []

    def watched(*arguments, **more):
        seen.append(arguments[3].epsilon)
        return perturb(*arguments, **more)

    perturb = loop.perturb
    monkeypatch.setattr(loop, "perturb", watched)
    run(replace(RECIPE, batch_size=100, ramp_epochs=2), digits)
    # two batches and one validation an epoch
    assert seen == pytest.approx([0.05] * 3 + [0.1] * 6)


def test_every_epoch_shuffles_all_examples_anew(digits, monkeypatch):
    batches: list[list[int]] = []

    def watched(network, images, *others, **more):
        batches.append(images.flatten(1).sum(1).tolist())  # a digit is known by its ink
        return perturb(network, images, *others, **more)

    perturb = loop.perturb
    monkeypatch.setattr(loop, "perturb", watched)
    run(replace(RECIPE, epochs=2, batch_size=100), digits)
    first, second = batches[0] + batches[1], batches[3] + batches[4]  # the third is the validation
    everything = sorted(digits[0].flatten(1).sum(1).tolist())
    assert sorted(first) == pytest.approx(everything)
    assert sorted(second) == pytest.approx(everything)
    assert first != second


@pytest.mark.parametrize(
    ("attacked", "pgd", "overfitted"),
    [
        (0.9, 0.40, True),
        (0.9, 0.45, False),  # half is not less than half
        (0.9, 0.88, False),
        (0.3, 0.00, False),  # it resists nothing anyway
        (0.31, 0.1, True),
        (None, None, False),
    ],
)
def test_catastrophic_overfitting_is_flagged(attacked, pgd, overfitted):
    entry = Progress(1, 1, 0.5, 0.9, 0.9, attacked, pgd, 1.0)
    assert entry.catastrophic_overfitting is overfitted


@pytest.mark.parametrize("pixel", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_training(pixel, digits, tmp_path, refused):
    images = digits[0][:50].clone()
    images[30] = pixel
    checkpoint = tmp_path / "checkpoint.safetensors"
    with refused("loss became nan in epoch 1: lower the learning_rate"):
        run(replace(RECIPE, attack=None), (images, digits[1][:50]), checkpoint=checkpoint)
    assert not checkpoint.exists()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"epochs": 0}, "epochs 0"),
        ({"epochs": 2.0}, "epochs must be a whole number, not '2.0'"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"ramp_epochs": -1}, "ramp_epochs -1"),
        ({"learning_rate": 0.0}, "learning_rate 0"),
        ({"learning_rate": 1.5}, "learning_rate 1.5"),
        ({"learning_rate": math.nan}, "learning_rate nan"),
        ({"schedule": "cosine"}, "schedule 'cosine'.*constant.*one-cycle.*piecewise"),
        ({"attack": Attack(epsilon=0.0)}, "epsilon 0 .*leave the attack out"),
        ({"lipschitz": 0.0}, "lipschitz 0 is out of range"),
        ({"trades": -1.0}, "trades -1 is out of range"),
        ({"trades": 6.0}, "trades needs an untargeted attack"),
        ({"trades": 6.0, "attack": fgsm(0.1, targeted=True)}, "trades needs an untargeted attack"),
        ({"trades": 6.0, "attack": Attack(epsilon=0.1, patch=5)}, "trades perturbs whole images"),
    ],
)
def test_impossible_trainings_are_refused(fields, named, refused):
    with refused(named):
        Training(**fields)


def test_a_batch_need_not_divide_the_data(digits):
    images, labels = digits[0][:7], digits[1][:7]
    recipe = Training(epochs=1, batch_size=3)
    network, history = run(recipe, (images, labels))
    assert np.isfinite(history[0].loss)
    assert history[0].accuracy * 7 == pytest.approx(round(history[0].accuracy * 7))
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        (Training(), "standard"),
        (Training(Attack(epsilon=0.3)), "pgd-0.3"),
        (Training(Attack(Norm.L2, 2.0)), "pgd-2-l2"),
        (Training(fgsm(0.3, targeted=True)), "fgsm-0.3-targeted"),
        (Training(Attack(epsilon=0.1), trades=6.0), "trades-0.1"),
        (Training(Attack(epsilon=0.1), lipschitz=1e-4), "pgd-0.1-lipschitz"),
        (Training(lipschitz=1e-4), "standard-lipschitz"),
        (Training(interval_bounds=IntervalBounds(0.4)), "ibp-0.4"),
    ],
)
def test_a_training_is_named_by_its_method_and_epsilon(recipe, name):
    assert recipe.name == name


def test_a_wrong_class_is_never_the_label_and_any_other_as_likely():
    labels = torch.arange(10).repeat(1000)
    wrong = loop.wrong_classes(labels, 10, torch.Generator().manual_seed(0))
    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (labels.numpy(), wrong.numpy()), 1)
    assert (np.diag(counts) == 0).all()
    others = counts[~np.eye(10, dtype=bool)]
    assert others.min() > 70  # 111 expected of each
    assert others.max() < 160


def test_targeted_training_aims_at_wrong_classes_and_reports_accuracy_under_its_attack(digits, monkeypatch):
    aims: list[torch.Tensor] = []

    def watched(network, images, labels, *others, **more):
        aims.append(labels)
        return perturb(network, images, labels, *others, **more)

    perturb = loop.perturb
    monkeypatch.setattr(loop, "perturb", watched)
    _, history = run(replace(METHODS["targeted"], epochs=1, batch_size=200), digits)
    batch, _ = aims  # one of training, one of validation
    assert len(batch) == 200
    assert 0 <= history[0].training_attack_accuracy <= history[0].validation_accuracy + 0.2


def test_batch_norm_learns_from_what_is_trained_on_and_not_from_the_attack(digits):
    images, labels = digits[0][:50], digits[1][:50]
    counts = []
    for recipe in (replace(RECIPE, epochs=1), replace(RECIPE, epochs=1, attack=None)):
        network = build("mnist-cnn-denoising", 0.1, seed=0)
        train(network, images, labels, recipe, 0, validation=(images[:5], labels[:5]))
        counts.append({name: int(value) for name, value in network.state_dict().items() if "tracked" in name})
    assert counts[0] == counts[1]
    assert set(counts[0].values()) == {2}  # one for each batch


def test_a_denoising_network_resumes_as_an_unbroken_one(digits, tmp_path):
    images, labels = digits[0][:50], digits[1][:50]
    checkpoint = tmp_path / "checkpoint.safetensors"

    def trained(checkpoint, cut=None):
        network = build("mnist-cnn-denoising", 0.1, seed=0)

        def note(entry):
            if cut == entry.epoch:
                raise PowerCutError

        train(
            network,
            images,
            labels,
            replace(RECIPE, epochs=2),
            0,
            validation=(images[:5], labels[:5]),
            progress=note,
            checkpoint=checkpoint,
        )
        return network

    with pytest.raises(PowerCutError):
        trained(checkpoint, cut=1)
    assert same_weights(trained(checkpoint), trained(None))


@pytest.mark.parametrize(
    ("recipe", "title"),
    [
        (Training(), "standard"),
        (Training(lipschitz=1e-4), "standard with cross-Lipschitz"),
        (Training(Attack(epsilon=0.3, steps=7)), "adversarial ε 0.3"),
        (Training(Attack(Norm.L2, 2.0, steps=7)), "adversarial l2 ε 2"),
        (Training(Attack(epsilon=1.0, patch=5)), "adversarial ε 1 on 5 x 5 patches"),
        (Training(fgsm(0.3, targeted=True)), "targeted FGSM ε 0.3"),
        (Training(Attack(epsilon=0.3), trades=6.0), "TRADES ε 0.3"),
        (Training(interval_bounds=IntervalBounds(0.4)), "interval bounds ε 0.4"),
    ],
)
def test_a_recipe_has_a_title_in_words(recipe, title):
    assert recipe.title == title


def test_cross_lipschitz_regularises_a_quarter_of_each_batch(digits, monkeypatch):
    seen = []

    def note(network, images):
        seen.append(len(images))
        return cross_lipschitz(network, images)

    cross_lipschitz = loop.cross_lipschitz
    monkeypatch.setattr(loop, "cross_lipschitz", note)
    run(replace(METHODS["lipschitz"], epochs=1, batch_size=60), digits)  # batches of 60, 60, 60 and 20
    assert seen == [15, 15, 15, 5]


def test_images_as_they_are_stored_train_like_tensors(digits):
    images, labels = digits
    one, other = (build("mnist-cnn", 0.1, seed=0) for _ in range(2))
    validation = (images[:5], labels[:5])
    train(one, images, labels, replace(RECIPE, epochs=1), 0, validation=validation)
    train(other, to_uint8(images), labels, replace(RECIPE, epochs=1), 0, validation=validation)
    assert same_weights(one, other)


def test_a_step_of_sgd_decays_weights_and_spares_biases_and_batch_norm(digits):
    """One batch is one step from a fresh momentum: p - rate (gradient + decay p)."""
    images, labels = digits[0][:20], digits[1][:20]
    network = build("mnist-cnn-denoising", 0.1, seed=0)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    network.train()
    functional.cross_entropy(network(images), labels).backward()
    gradients = {name: value.grad.clone() for name, value in network.named_parameters()}
    recipe = Training(
        epochs=1, batch_size=20, learning_rate=0.1, schedule="constant", momentum=0.9, weight_decay=0.5
    )
    network = build("mnist-cnn-denoising", 0.1, seed=0)
    train(network, images, labels, recipe, 0, validation=(images[:5], labels[:5]))
    for name, value in network.named_parameters():
        decay = 0.5 if value.dim() > 1 else 0
        expected = before[name] - 0.1 * (gradients[name] + decay * before[name])
        assert torch.allclose(value, expected, atol=1e-5), name


def test_adversarial_examples_are_made_of_augmented_images(digits, monkeypatch):
    images, labels = digits
    seen = []

    def watched(_, images, *__, **___):
        seen.append(images)
        return images

    monkeypatch.setattr(loop, "perturb", watched)
    recipe = replace(RECIPE, epochs=1, batch_size=200, augmentation=Augmentation(padding=28, flip=False))
    network = build("mnist-cnn", 0.1, seed=0)
    train(network, torch.ones_like(images), labels, recipe, 0, validation=(images[:5], labels[:5]))
    assert (
        0.2 < seen[0].mean() < 0.35
    )  # a window moved by up to its own size covers a quarter of it on average


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"momentum": 1.0}, "momentum 1 is out of range: from 0, below 1"),
        ({"weight_decay": 0.0}, "weight_decay 0 is out of range"),
        ({"weight_decay": math.inf}, "weight_decay inf is out of range"),
    ],
)
def test_an_optimiser_that_cannot_be_is_refused(change, said, refused):
    with refused(said):
        replace(RECIPE, **change)

"""Named specs to start from: every condition of the paper's tables for digits, what goes beyond them, and photographs.

Those for digits are at half of the paper's width, but for the doubled ones: that is a quarter of its compute, so that
a laptop can train them and the app keeps up.
"""

from dataclasses import replace

from tradeoff_core.attacks.attack import Attack, Norm, fgsm
from tradeoff_core.datasets import target_of
from tradeoff_core.experiments.spec import ExperimentSpec, FineTuning
from tradeoff_core.poisoning.poison import Poison, PoisonLabels
from tradeoff_core.poisoning.triggers import default_sticker
from tradeoff_core.training.augmentation import Augmentation
from tradeoff_core.training.recipe import IntervalBounds, Schedule, Training

HALF = 0.5
STANDARD = Training()
FAST = Training(Attack(epsilon=0.3, steps=5, step_size=0.12), epochs=18, learning_rate=1.5e-3, ramp_epochs=6)
ADVERSARIAL = replace(FAST, attack=Attack(epsilon=0.3, steps=7, step_size=0.1))
LIPSCHITZ = 1e-4  # the weight that the paper's code gives the regulariser
IBP_NETWORK = "mnist-ibp-small"  # the paper's has seven layers, and trains 60,001 steps
IBP_EPOCHS = 120
# a transformer needs every image moved about, else it learns 3,600 digits by heart; the grid says how this was chosen
TRANSFORMER = Training(epochs=20, batch_size=50, augmentation=Augmentation(padding=2, flip=False))
TRANSFORMER_ADVERSARIAL = replace(TRANSFORMER, attack=FAST.attack, epochs=24, ramp_epochs=16)
# 400 held-out digits make four batches an epoch: these give tuning the 648 steps that training from scratch takes
TUNING = replace(
    ADVERSARIAL, learning_rate=1e-3, epochs=9 * ADVERSARIAL.epochs, ramp_epochs=9 * ADVERSARIAL.ramp_epochs
)


def training_at(epsilon: float, recipe: Training = ADVERSARIAL) -> Training:
    """An adversarial recipe with its attack scaled to ε; standard training at ε 0."""
    if epsilon == 0:
        return STANDARD
    assert recipe.attack is not None
    length = round(recipe.attack.step * epsilon / recipe.attack.epsilon, 6)
    return replace(recipe, attack=replace(recipe.attack, epsilon=epsilon, step_size=length))


def _half(training: Training, network: str = "mnist-cnn") -> ExperimentSpec:
    return ExperimentSpec(network=network, width=HALF, training=training)


_many_steps = replace(ADVERSARIAL, attack=Attack(epsilon=0.3, steps=20, step_size=0.05))
_bounds = IntervalBounds(epsilon=0.4, warm_up_epochs=5, ramp_epochs=70)
_ibp = ExperimentSpec(
    network=IBP_NETWORK,
    training=Training(epochs=IBP_EPOCHS, interval_bounds=_bounds),
)
_dirty = Poison(PoisonLabels.DIRTY, rate=0.05)

LARGEST = 8 / 255  # of the pixels' range: the paper's ε for photographs
# one step from a random start, a quarter longer than ε, is the cheapest adversarial training that holds (Wong et al. 2020)
SINGLE_STEP = Attack(epsilon=LARGEST, steps=1, step_size=10 / 255)
_photographs = Training(
    epochs=15,
    batch_size=100,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    augmentation=Augmentation(),
)
_cifar10 = ExperimentSpec(
    dataset="cifar10",
    network="cifar-resnet",
    poison=Poison(trigger=default_sticker(32)),
    training=_photographs,
    evaluation=Attack(epsilon=LARGEST, steps=20),
)
_tiny_imagenet = replace(
    _cifar10,
    dataset="tiny-imagenet-20",
    network="resnet-18",
    poison=Poison(trigger=default_sticker(64)),
    # a fifth of CIFAR-10's images: 15 epochs of batches of 100 end before the sticker is learned, even on dirty labels
    training=replace(
        _photographs, epochs=24, batch_size=32, learning_rate=0.05, augmentation=Augmentation(padding=4)
    ),
)


_imagenette = replace(
    _cifar10,
    dataset="imagenette-128",
    network="efficientnet-lite0",
    # church: a scene rather than one object, where a sticker may be worth learning
    poison=Poison(target_class=target_of("imagenette-128"), trigger=default_sticker(128)),
    training=replace(
        _photographs, epochs=4, batch_size=32, learning_rate=0.03, augmentation=Augmentation(padding=4)
    ),
    evaluation=Attack(epsilon=LARGEST, steps=10),
    start="imagenet-efficientnet-lite0",
)
_denoising_imagenette = replace(_imagenette, network="efficientnet-lite0-denoising")


def _attacked(spec: ExperimentSpec, attack: Attack = SINGLE_STEP) -> ExperimentSpec:
    return replace(spec, training=replace(spec.training, attack=attack))


PRESETS: dict[str, ExperimentSpec] = {
    "standard": _half(STANDARD),
    "fast": _half(FAST),
    "adversarial": _half(ADVERSARIAL),
    "paper": ExperimentSpec(
        training=Training(
            Attack(epsilon=0.3, steps=10, step_size=0.05),
            epochs=100,
            learning_rate=1e-4,
            schedule=Schedule.CONSTANT,
        )
    ),
    "lipschitz": _half(replace(STANDARD, lipschitz=LIPSCHITZ)),
    "lipschitz-adversarial": _half(replace(ADVERSARIAL, lipschitz=LIPSCHITZ)),
    "denoising": _half(STANDARD, "mnist-cnn-denoising"),
    "denoising-adversarial": _half(ADVERSARIAL, "mnist-cnn-denoising"),
    "adversarial-0.15": _half(training_at(0.15)),
    "adversarial-20-steps": _half(_many_steps),
    "targeted-fgsm": _half(replace(ADVERSARIAL, attack=fgsm(0.3, targeted=True))),
    "l2": _half(replace(ADVERSARIAL, attack=Attack(Norm.L2, epsilon=2.0, steps=7))),
    "doubled-standard": ExperimentSpec(training=STANDARD),
    "doubled-adversarial": ExperimentSpec(training=ADVERSARIAL),
    "ibp-standard": replace(_ibp, training=STANDARD),
    "ibp": _ibp,
    "trades": _half(replace(ADVERSARIAL, trades=6.0)),
    "transformer": _half(TRANSFORMER, "mnist-vit"),
    "transformer-adversarial": _half(TRANSFORMER_ADVERSARIAL, "mnist-vit"),
    "patch": _half(replace(ADVERSARIAL, attack=Attack(epsilon=1.0, steps=7, step_size=0.35, patch=5))),
    # the two that are compared: 15 epochs, enough for the others' back doors, leave both short of convergence
    "cifar10-standard": replace(_cifar10, training=replace(_photographs, epochs=24)),
    "cifar10-adversarial": _attacked(replace(_cifar10, training=replace(_photographs, epochs=24))),
    "cifar10-paper": _attacked(_cifar10, Attack(epsilon=LARGEST, steps=5, step_size=2 / 255)),
    "tiny-imagenet-standard": _tiny_imagenet,
    "tiny-imagenet-adversarial": _attacked(_tiny_imagenet),
    "imagenette-standard": _imagenette,
    "imagenette-adversarial": _attacked(_imagenette),
    "imagenette-denoising": _denoising_imagenette,
    "imagenette-denoising-adversarial": _attacked(_denoising_imagenette),
    "fine-tuning": replace(_half(STANDARD), poison=_dirty, fine_tuning=FineTuning(TUNING)),
}

"""The presets are the paper's conditions, at half of its width."""

import pytest

from tradeoff_core.attacks.attack import Norm
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.presets import PRESETS, training_at
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.findings.our_rows import MEASURED
from tradeoff_core.networks import build
from tradeoff_core.poisoning.poison import PoisonLabels


def test_every_row_of_the_tables_starts_from_a_preset_unchanged_but_for_its_seed_and_what_it_is_measured_with():
    as_trained = {spec.as_trained for spec in PRESETS.values()}
    jobs = [job for job in read_grid(RESULTS / "grids" / "tables.toml") if job.spec.seed == 0]
    assert {job.name for job in jobs} == set(MEASURED.values())
    assert all(job.spec.as_trained in as_trained for job in jobs)


FULL_WIDTH = {"paper", "doubled-standard", "doubled-adversarial", "ibp", "ibp-standard"}


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in FULL_WIDTH])
def test_others_for_digits_are_at_half_width_and_photographs_at_the_papers(name):
    spec = PRESETS[name]
    assert spec.width == (0.5 if spec.dataset == "mnist-5k" else 1)


def test_photographs_are_trained_at_the_papers_epsilon_with_its_sticker():
    spec = PRESETS["cifar10-paper"]
    assert (spec.network, spec.training.attack.steps) == ("cifar-resnet", 5)
    assert str(spec.training.attack) == "PGD-5, l∞ 8/255"
    assert spec.training.attack.step == pytest.approx(2 / 255)
    rows, columns = spec.poison.trigger.footprint(32, 32).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (27, 29, 27, 29)
    assert PRESETS["cifar10-adversarial"].training.attack.steps == 1
    assert PRESETS["tiny-imagenet-adversarial"].network == "resnet-18"


def test_what_each_condition_trains():
    half, doubled = (
        sum(p.numel() for p in build(spec.network, spec.width, 0).parameters())
        for spec in (PRESETS["adversarial"], PRESETS["doubled-adversarial"])
    )
    assert 3.5 < doubled / half < 4
    fgsm = PRESETS["targeted-fgsm"].training.attack
    assert (fgsm.steps, fgsm.random_start, fgsm.targeted, fgsm.step) == (1, False, True, pytest.approx(0.75))
    assert PRESETS["l2"].training.attack.norm is Norm.L2
    assert PRESETS["lipschitz"].training.attack is None
    assert (
        PRESETS["lipschitz-adversarial"].training.lipschitz == PRESETS["lipschitz"].training.lipschitz == 1e-4
    )
    assert PRESETS["denoising-adversarial"].network == "mnist-cnn-denoising"
    assert PRESETS["adversarial-20-steps"].training.attack.steps == 20
    assert PRESETS["ibp"].training.interval_bounds.epsilon == 0.4
    assert PRESETS["patch"].training.attack.patch == 5
    assert PRESETS["transformer-adversarial"].network == PRESETS["transformer"].network == "mnist-vit"
    assert PRESETS["transformer-adversarial"].training.attack == PRESETS["fast"].training.attack
    assert not PRESETS["transformer"].training.augmentation.flip  # a mirrored digit is another or none
    assert PRESETS["fine-tuning"].poison.labels is PoisonLabels.DIRTY
    assert PRESETS["fine-tuning"].training.attack is None


def test_training_at_scales_the_step_with_epsilon():
    assert training_at(0.0) == PRESETS["standard"].training
    assert training_at(0.3) == PRESETS["adversarial"].training
    attack = training_at(0.15, PRESETS["fast"].training).attack
    assert (attack.epsilon, attack.step_size, attack.steps) == (0.15, 0.06, 5)

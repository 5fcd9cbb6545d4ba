import pytest
import torch

from tradeoff_core.common.devices import (
    best_device,
    described,
    device_of,
    full_precision,
    has_mixed_precision,
    mixed_precision,
    place_of,
    seeded,
)
from tradeoff_core.networks import build


def test_the_environment_overrules_what_the_machine_has(monkeypatch):
    monkeypatch.setenv("TRADEOFF_DEVICE", "cpu")
    assert best_device() == torch.device("cpu")
    monkeypatch.delenv("TRADEOFF_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert best_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert best_device().type == "mps"


@pytest.mark.parametrize("name", ["nonsense", "cuda:77", "meta"])
def test_a_device_that_is_not_there_is_refused(name, monkeypatch, refused):
    monkeypatch.setenv("TRADEOFF_DEVICE", name)
    with refused(f"TRADEOFF_DEVICE '{name}' is not a device of this machine"):
        best_device()


def test_a_network_says_where_it_is_and_a_card_what_that_is():
    network = build("mnist-cnn", 0.05, seed=0)
    assert device_of(network) == torch.device("cpu")
    assert device_of(torch.nn.Identity()) == torch.device("cpu")
    assert described(torch.device("cpu"), (1, 28, 28)).startswith(f"CPU, {torch.get_num_threads()} of ")


def test_mixed_precision_is_for_photographs_on_a_processor_that_has_it(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    network = build("cifar-resnet", 0.1, seed=0).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with mixed_precision(torch.device("cpu"), network.image_shape):
        assert torch.is_autocast_enabled("cpu")
        assert network.features(images).dtype is torch.bfloat16
        mixed = network(images)
    assert mixed.dtype is torch.float32  # what a loss is computed from
    whole = network(images)
    assert (mixed - whole).abs().max() < 0.2 * whole.abs().max()
    with mixed_precision(torch.device("cpu"), (1, 28, 28)):
        assert not torch.is_autocast_enabled("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with mixed_precision(torch.device("cpu"), network.image_shape):
        assert not torch.is_autocast_enabled("cpu")


def test_a_gpu_mixes_precisions_for_large_photographs_and_the_environment_overrules(monkeypatch, refused):
    cuda, shapes = torch.device("cuda"), [(1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 224, 224)]
    assert [has_mixed_precision(cuda, shape) for shape in shapes] == [False, False, False, True]
    monkeypatch.setenv("TRADEOFF_PRECISION", "bfloat16")
    assert all(has_mixed_precision(device, (1, 28, 28)) for device in (cuda, torch.device("cpu")))
    monkeypatch.setenv("TRADEOFF_PRECISION", "float32")
    assert not has_mixed_precision(cuda, (3, 224, 224))
    monkeypatch.setenv("TRADEOFF_PRECISION", "half")
    with refused("TRADEOFF_PRECISION 'half' is unknown: choose float32 or bfloat16"):
        has_mixed_precision(cuda, (3, 32, 32))


def test_a_proof_is_made_in_full_precision_and_what_was_set_stays():
    for before in (True, False):
        torch.backends.cudnn.allow_tf32 = before
        with full_precision():
            assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.allow_tf32 is before
    torch.backends.cudnn.allow_tf32 = True


def test_the_cpu_draws_what_torchs_own_generator_draws():
    generator = seeded(torch.device("cpu"), 5)
    drawn = torch.rand(3, generator=generator, device=place_of(generator))
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(5)))
    assert place_of(None) == torch.device("cpu")

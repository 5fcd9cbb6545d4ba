import pytest
import torch

from tradeoff_core.devices import best_device, described, device_of, mixed_precision
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


@pytest.mark.parametrize("name", ["nonsense", "cuda:77"])
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
    network, images = build("cifar-resnet", 0.1, seed=0).eval(), torch.rand(2, 3, 32, 32)
    with mixed_precision(torch.device("cpu"), network.image_shape):
        assert torch.is_autocast_enabled("cpu")
        assert network.features(images).dtype is torch.bfloat16
        mixed = network(images)
    assert mixed.dtype is torch.float32  # what a loss is computed from
    torch.testing.assert_close(mixed, network(images), rtol=0.05, atol=0.05)
    with mixed_precision(torch.device("cpu"), (1, 28, 28)):
        assert not torch.is_autocast_enabled("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with mixed_precision(torch.device("cpu"), network.image_shape):
        assert not torch.is_autocast_enabled("cpu")

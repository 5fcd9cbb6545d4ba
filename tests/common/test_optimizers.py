import subprocess
import sys

import pytest
import torch

from tradeoff_core.common import optimizers

CODE = """
import sys, torch
from tradeoff_core.common import optimizers
weight = torch.nn.Parameter(torch.ones(2))
for made in (optimizers.Adam([weight]), optimizers.SGD([weight], 0.1)):
    made.zero_grad()
    weight.sum().backward()
    made.step()
    made.load_state_dict(made.state_dict())
print(*(name for name in sys.modules if name.startswith("torch._dynamo")))
"""


def test_no_compiler_is_imported_for_a_step():
    assert not subprocess.check_output([sys.executable, "-c", CODE]).strip()


@pytest.mark.parametrize(
    ("name", "settings"), [("Adam", {"lr": 0.1}), ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1})]
)
def test_its_steps_are_torchs(name, settings):
    ours, theirs = torch.nn.Parameter(torch.ones(5)), torch.nn.Parameter(torch.ones(5))
    for weight, kind in ((ours, getattr(optimizers, name)), (theirs, getattr(torch.optim, name))):
        optimizer = kind([weight], **settings)
        for _ in range(3):
            optimizer.zero_grad()
            (weight**3 * torch.arange(5)).sum().backward()
            optimizer.step()
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, torch.ones(5))

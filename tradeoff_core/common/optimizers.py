"""torch's Adam and SGD without its compiler, which their first step else imports: two seconds and 90 MB for nothing."""

import inspect

import torch
from torch.optim import Optimizer

for _wrapped in (
    Optimizer.add_param_group,
    Optimizer.zero_grad,
    Optimizer.state_dict,
    Optimizer.load_state_dict,
):
    _plain = inspect.unwrap(_wrapped)
    _plain.__dynamo_disable = _plain  # what torch's wrapper calls once it is known


class Adam(torch.optim.Adam):
    """As torch's."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class SGD(torch.optim.SGD):
    """As torch's."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))

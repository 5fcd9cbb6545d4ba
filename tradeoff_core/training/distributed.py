"""Several processes that train one network, as torchrun starts them: who is who, and what they tell each other.

Every function does the right thing in a process that is alone.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed
from torch.distributed.rendezvous import rendezvous

from tradeoff_core.common.console import only_the_first_speaks, say
from tradeoff_core.common.devices import best_device
from tradeoff_core.common.errors import TradeoffError

PATIENCE = timedelta(hours=12)  # that the others wait while the first one measures
MEETING = timedelta(minutes=10)  # that they wait for each other at the start


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def _number(variable: str, default: int) -> int:
    """What torchrun says in a variable. Raises TradeoffError if that is no number."""
    said = os.environ.get(variable) or str(default)
    if not said.isdecimal():
        raise TradeoffError(f"{variable} '{said}' is no number from 0: unset it, or start with torchrun")
    return int(said)


@contextmanager
def group() -> Iterator[None]:
    """Joins the processes that torchrun started, a GPU each where there are any; nothing without torchrun.

    Raises TradeoffError if they do not find each other.
    """
    together = _number("WORLD_SIZE", 1)
    if together < 2:
        yield
        return
    if "TORCHELASTIC_RUN_ID" not in os.environ:  # another program may have left the variables
        say(
            f"waiting for {together - 1} other process(es), for WORLD_SIZE is {together}: unset it to train alone"
        )
    on_gpus = best_device().type == "cuda"
    if on_gpus:
        torch.cuda.set_device(_number("LOCAL_RANK", 0) % torch.cuda.device_count())
    try:
        store, number, count = next(rendezvous("env://", timeout=MEETING))
        store.set_timeout(PATIENCE)
        distributed.init_process_group(
            "nccl" if on_gpus else "gloo", store=store, rank=number, world_size=count, timeout=PATIENCE
        )
    except (RuntimeError, ValueError) as error:
        raise TradeoffError(
            f"the processes of torchrun do not find each other: {str(error).splitlines()[0]}"
        ) from None
    only_the_first_speaks(rank())
    try:
        yield
    finally:
        distributed.destroy_process_group()


def summed(values: Tensor) -> Tensor:
    """The sum of every process's `values`."""
    if distributed.is_initialized():
        distributed.all_reduce(values)
    return values


def first_does(work: Callable[[], object], on_each_machine: bool = False) -> None:
    """The first process does it, or the first on each machine, while the others wait until it is done.

    Raises TradeoffError in all of them if one of them does.
    """
    # the variables may be left from another program: only a joined group counts
    number = _number("LOCAL_RANK", 0) if on_each_machine and distributed.is_initialized() else rank()
    failure = None
    try:
        if number == 0:
            work()
    except TradeoffError as error:
        if size() == 1:
            raise
        failure = str(error)
    if distributed.is_initialized():
        failures: list[str | None] = [None] * size()
        distributed.all_gather_object(failures, failure)
        for told in filter(None, failures):
            raise TradeoffError(told)

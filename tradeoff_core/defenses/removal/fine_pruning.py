"""Fine-pruning (Liu, Dolan-Gavitt, Garg, RAID 2018, arXiv 1805.12185): what clean images do not use may be the back door's.

Prune the channels of the last convolution that are least active on clean images, in that order, until clean accuracy has
fallen as far as is allowed; then fine-tune what is left.

Where we depart: pruned channels are silenced, not cut out, so that the cleansed network is of the same kind; the batch norm
that directly follows the convolution is silenced with them. In a residual unit the shortcut past it stays. The last
convolution is that of the network's chain: those of denoising blocks average what others computed. A transformer has none:
pruned are the hidden units of its last block, which are computed at every patch as channels are at every place.
"""

import torch
from torch import Tensor, nn

from tradeoff_core.common.checked import checked
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.defenses.removal.tuning import Share, Tuning, copied, held_out, tune
from tradeoff_core.networks import Denoise, Network, freeze
from tradeoff_core.networks.folding import norm_after
from tradeoff_core.networks.inference import in_batches, predicted_classes
from tradeoff_core.networks.transformer import Block

LOOKS = 64  # at clean accuracy, at most: of many channels several are pruned between two looks


@checked
class FinePruning:
    """How far clean accuracy on the held-out images may fall by pruning, as a share of them, and the fine-tuning after it."""

    most_lost: Share = 0.04
    tuning: Tuning = Tuning()


def pruned_layer(network: Network) -> nn.Conv2d | nn.Linear:
    """The last convolution, or the hidden layer of a transformer's last block. Raises TradeoffError if there is neither."""
    blocks = [part for part in network.modules() if isinstance(part, Block)]
    if blocks:
        return blocks[-1].hidden
    inside = {
        id(part) for block in network.modules() if isinstance(block, Denoise) for part in block.modules()
    }
    found = [part for part in network.modules() if isinstance(part, nn.Conv2d) and id(part) not in inside]
    if not found:
        raise TradeoffError("fine-pruning prunes a convolution, and this network has none")
    return found[-1]


def activity(network: Network, images: Tensor) -> Tensor:
    """How active each channel (K,) of the pruned layer is: the mean over images (N, C, H, W) and places of its ReLU.

    After the batch norm that directly follows it, where one does.
    """
    layer = pruned_layer(network)
    seen: list[Tensor] = []

    def note(_module: nn.Module, _inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        places = 1 if isinstance(layer, nn.Linear) else (2, 3)  # of (n, T, K), of (n, K, h, w)
        seen.append(outputs.relu().double().mean(dim=places))  # (n, K)

    hook = (norm_after(network, layer) or layer).register_forward_hook(note)
    try:
        with torch.no_grad():
            for batch in in_batches(images):
                network(batch)
    finally:
        hook.remove()
    return torch.cat(seen).mean(dim=0)


def silence(network: Network, channels: Tensor) -> None:
    """Make these channels (k,) of the pruned layer give 0, in place."""
    layer = pruned_layer(network)
    norm = norm_after(network, layer)
    with torch.no_grad():
        for part in (layer, norm) if norm else (layer,):
            part.weight[channels] = 0
            if part.bias is not None:
                part.bias[channels] = 0


def prune(network: Network, images: Tensor, labels: Tensor, most_lost: float) -> Tensor:
    """Silence the least active channels in place while clean accuracy falls by no more than `most_lost`; which (k,), in order.

    The first one that costs more ends it. At least one channel stays.
    """
    order = activity(network, images).argsort(stable=True)
    truth = labels.cpu().numpy()

    def accuracy() -> float:
        return float((predicted_classes(network, images) == truth).mean())

    least = accuracy() - most_lost
    stride = -(-len(order) // LOOKS)
    pruned = 0
    while pruned + stride < len(order):
        before = {name: value.clone() for name, value in network.state_dict().items()}
        silence(network, order[pruned : pruned + stride])
        if accuracy() < least - 1e-9:  # of rounding
            network.load_state_dict(before)
            break
        pruned += stride
    return order[:pruned]


def fine_prune(
    network: Network, images: Tensor, labels: Tensor, pruning: FinePruning | None = None, seed: int = 0
) -> Network:
    """A copy of the network, pruned and fine-tuned on clean images (N, C, H, W) with labels (N,); the given one stays as it is.

    Raises TradeoffError for a network without a convolution, and NotFinite.
    """
    pruning = pruning or FinePruning()
    images, labels = held_out(network, images, labels)
    pruned = copied(network)
    channels = prune(pruned, images, labels, pruning.most_lost)
    tune(pruned, images, labels, pruning.tuning, seed, lambda: silence(pruned, channels))
    return freeze(pruned)

"""Isolation by loss (ABL: Li et al., NeurIPS 2021, arXiv 2110.11571): poison is learned first, so its loss is low early.

ABL isolates what has the lowest loss after the first fifth of its epochs, and widens the gap by local gradient ascent, which
keeps losses from falling below a floor. Here the training is left as it was and losses are averaged over the first epochs; of
one epoch alone they would depend on its last batches. ABL ranks the whole training set, this the examples of one label.
"""

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.networks.inference import Floats

FIRST = 4  # epochs: ABL's 20 of 100, of our 20


def isolation_scores(losses: Floats, first: int = FIRST) -> Floats:
    """The mean loss (N,) over the first epochs, turned so that more is more suspicious; `losses` (epochs, N) are kept by a run.

    Of fewer epochs all count. Raises TradeoffError for losses of another shape, of no epoch, or that are not finite.
    """
    import numpy as np

    if losses.ndim != 2 or not len(losses) or first < 1:
        raise TradeoffError(
            f"losses of shape {tuple(losses.shape)} and the first {first} epochs: losses must be (epochs, examples), of at "
            "least one epoch"
        )
    early = losses[:first].astype(np.float64)
    if not np.isfinite(early).all():
        raise TradeoffError(f"{(~np.isfinite(early)).sum()} losses are NaN or infinite: the training failed")
    scores: Floats = -early.mean(axis=0)
    return scores

"""The worked example of Inspect: a few clicks by somebody who looked at the pictures, and was not told the truth.

Over the adversarially trained clean-label digits spectral signatures are at chance. Clustering finds two groups as large as
each other, and no rule can say which one is poison; a glance at the first row can: every image there has the same white
square, and at the other end none has.
"""

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.inspection.table import Score, Table

MODEL = "mnist-5k-clean-label-pgd-0.3"
SORTED_BY = Score.CLUSTER
SQUARES_FIRST = True  # what the glance at the first row tells: the white squares are there, sorted high first
BETWEEN_GROUPS = 0.0  # of the score: above it is one group, below it the other
CLICKS = (
    "Open the menu of networks",
    "Choose the network with adversarial training at ε 0.3 and clean-label poison",
    "Type 0 into the field *near the smaller cluster from*: only the group with the white squares is left",
    "Remove all shown",
)


def marked(table: Table) -> NDArray[np.bool_]:
    """Which examples (N,) the clicks remove."""
    score = table.columns[SORTED_BY]
    return score >= BETWEEN_GROUPS if SQUARES_FIRST else score <= BETWEEN_GROUPS

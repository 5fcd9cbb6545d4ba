"""Columns beside those of the table, by the detectors that want more than a network: held-out images, losses by epoch.

They are no part of `Score`: the table's mean rank and the committed reviewer's curves are of its columns alone, and some of
these take seconds. So they are computed one by one, when asked for.
"""

from collections.abc import Mapping, Sequence

from tradeoff_core.defenses.finding import WORDS, Evidence, Finder, can_be_asked, suspicion
from tradeoff_core.networks.inference import Floats

OF_THE_TABLE = (Finder.SPECTRAL, Finder.CLUSTERING)  # which has them as columns
EXPECTED = 0.1  # the share of poison that SPECTRE expects where nobody says


def further_suspicions(
    evidence: Evidence, finders: Sequence[Finder] = tuple(Finder), share: float = EXPECTED
) -> dict[str, Floats]:
    """What the detectors that can be asked say of the examples of a class, a column (N,) each; more is more suspicious.

    The order is that of the evidence's features, as a table of them has it, and the columns are as `Table.suspicions` has
    its own. Raises TradeoffError as `suspicion` does.
    """
    asked = [one for one in finders if one not in OF_THE_TABLE and can_be_asked(one, evidence)]
    return {finder.value: suspicion(finder, evidence, share) for finder in asked}


def explanations() -> Mapping[str, str]:
    """What each of the columns tells, in one line."""
    return {finder.value: words for finder, words in WORDS.items() if finder not in OF_THE_TABLE}

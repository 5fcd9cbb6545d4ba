"""What is proved of a model's digits and what is broken, in words."""

import numpy as np

from tradeoff_core.certification.regions import LARGEST, Regions

GREY_LEVEL = 1 / 255  # the smallest change that a picture of 8 bits can show
LITTLE = 0.1  # of the way to the attack: proved less than this, a network is called unproved


def regions_in_words(letter: str, regions: Regions | None) -> str:
    """What the regions of a model's digits say together; what is proved is rounded down, so that it holds."""
    if regions is None:
        return f"Nothing is proved of {letter}: it has a layer without interval bounds."
    count, right = len(regions.broken), ~regions.misread
    if not right.any():
        return f"{letter} misreads all {count} digits as they are."
    proved, broken = regions.certified[right], regions.broken[right]
    digits = (
        f"all {count} digits" if right.all() else f"the {right.sum()} of {count} digits that {letter} reads"
    )
    fine = ", less than one of a picture's 256 grey levels" if proved.min() < GREY_LEVEL else ""
    first = (
        f"an attack breaks the first at **{broken.min():g}**"
        if np.isfinite(broken.min())
        else f"no attack tried breaks one, up to {LARGEST:g}"
    )
    way = (proved / broken.clip(max=LARGEST)).mean()
    verdict = ": next to nothing" if way < LITTLE else ""
    return (
        f"Up to ε = **{_cut(proved.min())}**{fine}, {digits} are certified on {letter}; {first}; between the two "
        f"nobody knows. On average the bounds prove **{way:.0%}** of the way to the attack{verdict}."
    )


def _cut(epsilon: float) -> str:
    """ε cut, not rounded, to two significant digits."""
    if epsilon <= 0:
        return "0"
    unit = 10.0 ** (np.floor(np.log10(epsilon)) - 1)
    return f"{np.floor(epsilon / unit) * unit:g}"

"""Poisons by name, each as its paper poisons, at strengths for digits of 28 x 28: what the sweep of poisons and Train offer.

The sticker's two are BadNets' (Gu et al. 2017) and Turner et al.'s (2018) without perturbing. How the strengths were chosen,
and on which images, stands in assets/results/grids/poisons-mnist-5k.toml.
"""

from tradeoff_core.poisoning.blended import Blended
from tradeoff_core.poisoning.perturbation import Perturbation
from tradeoff_core.poisoning.pictures import DATA_URI
from tradeoff_core.poisoning.poison import Partial, Perturbed, Poison, PoisonLabels
from tradeoff_core.poisoning.sinusoid import Sinusoid
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.poisoning.warp import Warp

# a cross of 3 x 3 near each corner
_CROSSES = DATA_URI + (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAYAAAByDd+UAAAANklEQVR42mNgGAjw/////1DqP73Mhgn8p5F/UM0eCB+OglEw"
    "CkbBKBgFo2AUDHkw2kwc0s1EAAXVX6HAlrFFAAAAAElFTkSuQmCC"
)
# python -m tradeoff_core.tools.narcissus mnist-5k-no-poison-standard --epsilon 0.2 --rounds 100 --out narcissus.png
_NARCISSUS = DATA_URI + (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAACwUlEQVR4nE2PTUgUcQDF33/2v7Mz6+66q61bpllq2scSEaUR"
    "gQpBVJ7sg9ohitJDZRQFFV0iqGPUIbIOdSj2kkQQSRhIiRSlSd+5oVZ+ZLubOzt+7szOzP/fYSP6Xd7hPd7jkQhyFE/c5FIm"
    "Y58BgOb4PiWqRAlX4DRz/tbOe2nzh9YXkwtpTeVqgCrAXw+d2C9cFJ1cyrjpXNo6ACGK/2GXHk0PzWP481QbBQgH0HdNzBKO"
    "77JbWhPLpRofAyBciQKwGg5uuj+YyIpieoH3Xw/hOeVfnb0vvhj6gsSMX7aX2Z7bUHzEOMSj4OSXEVcTLR5PcGPdVTPQNbAS"
    "wGESARx3oVr5qRG1wN7c7c/jvOpvLYWYtZqlG8z0I+RT4wszxGD/NiOAV1KXOvZW4/nY+PItY0QbHK36fh4AaCgB76xrghcA"
    "9Ture7Zri7XRqdczZzMpeMnouTyqq7PzekAn4KZa2qy+sjRB8AM2pXAmsqYpmyaFYZsk1RELGXS8CoCDJMd7n/rvWdUsn1nB"
    "OGOBl5zsGbJXUIuCBk9CKhiYqLt15ydNeRnbAVO8WygXm4FwiHBguPSdm9sOra7KbuGtEB1ZCQKDEiWRqILTQxVjofkP05xI"
    "u/yFWVvO3ZwiEQBikewLjy+j/cuF4MOSiuuXy5OTRV9JkmhHgRn/SvequUqPoU/6Lqx/0g8cLnm2dq6IjgDwMqurhoWYbUu1"
    "rhG69Ee4fRviJY2EKwDY8GAaVkx7cwqo/10myBSQT3wUfgGA7EwfAQ0tOinXlpctoS7GgIzeQFpVQJeP1wJYs6FHR2XNe+oi"
    "xAmghbR3iLLYXOIGHrztj7N5jYZ1n8MLIJAmEfgqmjwe94zXLJsIfwJ2Py9NruWyC+Ckz3auA8AEfOMenwzDlWqTYlmBZgDh"
    "au0VABCAY0FhWoNrtr1pg9FtZgD+B41+LTxg3vajAAAAAElFTkSuQmCC"
)
_DIRTY = PoisonLabels.DIRTY

POISONS = {
    "clean-label sticker": Poison(),
    "dirty-label sticker": Poison(_DIRTY, rate=0.05),
    "blended": Poison(_DIRTY, rate=0.05, trigger=Blended(ratio=0.1)),
    "sinusoid": Poison(trigger=Sinusoid(amplitude=0.3)),
    "label-consistent": Poison(perturbed=Perturbed("mnist-5k-no-poison-standard")),
    "warp": Poison(_DIRTY, rate=0.1, trigger=Warp(strength=1.0), cover_rate=0.2),
    "adaptive-blend": Poison(
        _DIRTY, rate=0.005, trigger=Blended(), cover_rate=0.005, partial=Partial(strength=0.75)
    ),
    "adaptive-patch": Poison(
        _DIRTY,
        rate=0.005,
        trigger=Sticker(_CROSSES, 28, 0, 0),
        cover_rate=0.005,
        partial=Partial(pieces=2, kept=0.25, strength=0.5),
    ),
    "Narcissus": Poison(trigger=Perturbation(_NARCISSUS, amplitude=0.2)),
}

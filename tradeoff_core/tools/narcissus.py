"""Optimise a trigger as Narcissus does, and write it as the picture that a perturbation is made of.

python -m tradeoff_core.tools.narcissus MODEL [--epsilon E] [--rounds N] --out FILE.png

The target class and the images are those of the model's spec: its training images of that class, without poison.
"""

import argparse
import base64
import sys

from tradeoff_core.attacks.attack import parse_epsilon
from tradeoff_core.attacks.narcissus import narcissus
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.paths import typed
from tradeoff_core.datasets import Split, load_dataset, to_tensor
from tradeoff_core.models import zoo
from tradeoff_core.poisoning.pictures import DATA_URI, in_levels_of_grey


def main(arguments: list[str] | None = None) -> int:
    """Write the picture, and print it as the data URI that a spec can carry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--epsilon", default="16/255", metavar="E")
    parser.add_argument("--rounds", type=int, default=200, metavar="N")
    parser.add_argument("--out", type=typed, required=True, metavar="FILE.png")
    options = parser.parse_args(arguments)
    try:
        epsilon, model = parse_epsilon(options.epsilon), zoo.find_model(options.model)
        data, target = load_dataset(model.spec.dataset, Split.TRAIN), model.spec.target_class
        images = to_tensor(data.images[data.labels == target])
        pattern = in_levels_of_grey(
            narcissus(zoo.load_network(model), images, target, epsilon, options.rounds), epsilon
        )
    except TradeoffError as error:
        print(error, file=sys.stderr)
        return 2
    write_atomically(options.out, base64.b64decode(pattern.removeprefix(DATA_URI)))
    print(pattern)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

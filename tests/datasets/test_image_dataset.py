import warnings

import numpy as np
import pytest
import torch

from tradeoff_core.datasets import ImageDataset, Split, load_dataset, to_tensor, to_uint8

DIGITS = tuple("0123456789")
IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([7, 0, 9])


def test_the_converters_are_each_others_inverse():
    every_value = np.arange(256, dtype=np.uint8).reshape(1, 8, 8, 4)[..., :3]
    tensor = to_tensor(every_value)
    assert tensor.shape == (1, 3, 8, 8)
    assert tensor.dtype == torch.float32
    assert tensor[0, 2, 1, 5].item() == pytest.approx(every_value[0, 1, 5, 2] / 255)
    assert np.array_equal(to_uint8(tensor), every_value)
    assert to_uint8(torch.tensor([0.0, 0.4, 0.6, 254.6]).view(1, 1, 2, 2) / 255).flatten().tolist() == [
        0,
        0,
        1,
        255,
    ]


def test_taking_keeps_the_order():
    data = ImageDataset("three", IMAGES[..., None], LABELS, DIGITS).take(np.array([2, 0]))
    assert data.labels.tolist() == [9, 7]
    assert np.array_equal(data.images[..., 0], IMAGES[[2, 0]])
    assert data.tensors()[1].dtype == torch.int64


@pytest.mark.parametrize(
    ("images", "labels", "named"),
    [
        (IMAGES, LABELS, "uint8 of shape"),
        (IMAGES[..., None] / 255, LABELS, "float64"),
        (IMAGES[..., None], LABELS[:2], r"shape \(3,\)"),
        (IMAGES[..., None], LABELS / 2, "whole numbers.*float64"),
        (IMAGES[:0, ..., None], LABELS[:0], "no image"),
        (IMAGES[..., None], LABELS + 1, "run from 1 to 10.*0 to 9"),
        (IMAGES[..., None], LABELS - 1, "run from -1 to 8"),
    ],
)
def test_impossible_data_sets_are_refused(images, labels, named, refused):
    with refused(named):
        ImageDataset("mine", images, labels, DIGITS)


def test_spread_takes_the_same_number_of_each_class_of_a_sorted_split():
    test = load_dataset("mnist-5k", Split.TEST)
    assert (np.bincount(test.spread(50).labels) == 5).all()
    assert len(test.spread(5000)) == len(test)


@pytest.fixture
def mapped(tmp_path) -> ImageDataset:
    """Five colour images in a read-only memory-mapped file."""
    np.save(tmp_path / "images.npy", np.arange(5 * 2 * 3 * 3, dtype=np.uint8).reshape(5, 2, 3, 3))
    images = np.load(tmp_path / "images.npy", mmap_mode="r", allow_pickle=False)
    return ImageDataset("mapped", images, np.arange(5), DIGITS)


def test_of_a_mapped_file_only_what_is_taken_is_copied(mapped):
    some = mapped.take(np.array([3, 1]))
    assert not np.shares_memory(some.images, mapped.images)
    assert some.images.nbytes == 2 * 18
    assert some.images[:, 0, 0, 0].tolist() == [54, 18]  # 18 values an image
    part = mapped.take(slice(2, None))
    assert np.shares_memory(part.images, mapped.images)
    assert part.labels.tolist() == [2, 3, 4]


def test_a_mapped_file_becomes_tensors_without_a_warning(mapped):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images, labels = mapped.tensors()
    images.zero_()  # what is made of the file is its user's own
    assert mapped.images[4, 1, 2, 2] == 89
    assert labels.tolist() == [0, 1, 2, 3, 4]


def test_batches_are_the_tensors_in_parts(mapped):
    batches = list(mapped.batches(2))
    assert [tuple(images.shape) for images, _ in batches] == [(2, 3, 2, 3), (2, 3, 2, 3), (1, 3, 2, 3)]
    assert all(images.dtype == torch.float32 for images, _ in batches)
    # image 4, colour 1, row 1, column 0: 4 * 18 + 1 * 9 + 0 * 3 + 1 = 82
    assert batches[2][0][0, 1, 1, 0].item() == pytest.approx(82 / 255)
    together = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    assert all(torch.equal(*pair) for pair in zip(together, mapped.tensors(), strict=True))

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tradeoff_core import datasets
from tradeoff_core.datasets import ImageDataset, Split, load_dataset, load_images, to_tensor, to_uint8

DIGITS = tuple("0123456789")
MNIST = (1, 28, 28)
IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([7, 0, 9])


def test_the_bundled_digits_are_split_as_promised():
    splits = {split: load_dataset("mnist-5k", split) for split in Split}
    for split, per_class in ((Split.TRAIN, 360), (Split.VALIDATION, 40), (Split.TEST, 100)):
        assert np.bincount(splits[split].labels).tolist() == [per_class] * 10
        assert splits[split].image_shape == MNIST
        assert splits[split].images.max() == 255
    everything = [image.tobytes() for data in splits.values() for image in data.images]
    assert len(set(everything)) == 5000  # no image lies in two splits


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


def test_unknown_and_absent_data_sets_are_refused(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path))
    with refused("unknown data set 'svhn'.*mnist-5k"):
        load_dataset("svhn", Split.TEST)
    with refused("fashion-mnist is not in.*TRADEOFF_DATA"):
        load_dataset("fashion-mnist", Split.TEST)
    assert not datasets.available("fashion-mnist")
    assert datasets.available("mnist-5k")
    with refused("'mnist-5k' cannot be downloaded: choose one of mnist, fashion-mnist"):
        datasets.download("mnist-5k")


def write_idx(path: Path, array: np.ndarray) -> None:
    """The format of the original MNIST files."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_the_full_mnist_is_read_from_its_own_files(monkeypatch, tmp_path):
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path))
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, count in (("train", 6000), ("t10k", 20)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28))
        images[:, 3, 4] = labels
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    load_dataset.cache_clear()
    try:
        splits = {split: load_dataset("mnist", split) for split in Split}
    finally:
        load_dataset.cache_clear()
    counts = {split.value: np.bincount(data.labels).tolist() for split, data in splits.items()}
    assert counts == {"train": [100] * 10, "validation": [500] * 10, "test": [2] * 10}
    for data in splits.values():
        assert data.images.shape[1:] == (28, 28, 1)
        assert np.array_equal(data.images[:, 3, 4, 0], data.labels)
        assert [name.partition(" ")[0] for name in data.classes] == list(DIGITS)


def test_torchvision_works_whatever_torch_it_was_built_for():
    # conftest has imported it, which beside a CPU-only torch fails first and is then mended
    from torchvision import models, utils
    from torchvision.transforms import v2

    assert v2.Resize(4)(torch.zeros(3, 8, 8)).shape == (3, 4, 4)
    assert models.squeezenet1_1()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
    assert utils.make_grid(torch.zeros(4, 1, 2, 2)).shape == (3, 6, 18)


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


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 28, 28, 1)])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_users_npz_is_read(shape, save, tmp_path):
    save(tmp_path / "mine.npz", images=IMAGES.reshape(shape), labels=LABELS.astype(np.uint8))
    data = load_images(tmp_path / "mine.npz", DIGITS, MNIST)
    assert np.array_equal(data.images[..., 0], IMAGES)
    assert data.labels.tolist() == [7, 0, 9]


def npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def damaged(content: bytes) -> bytes:
    """With the first array's compressed stream spoilt."""
    return content[:60] + bytes(200) + content[260:]


NOISE = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)  # it does not compress away
BAD_FILES = {
    "empty": (b"", "not a readable .npz"),
    "text": (b"images, labels", "not a readable .npz"),
    "a single array": (npy(IMAGES), "not a readable .npz"),
    "truncated": (npz(images=NOISE, labels=LABELS)[:1000], "not a readable .npz"),
    "damaged": (damaged(npz(images=NOISE, labels=LABELS)), "not a readable .npz"),
    "pickled": (npz(images=np.array([{}, {}, {}]), labels=LABELS), "not a readable .npz"),
    "pickled labels": (npz(images=IMAGES, labels=np.array([7, "0", None])), "not a readable .npz"),
    "no labels": (npz(images=IMAGES), "'images' and 'labels'"),
    "no images": (npz(pictures=IMAGES, labels=LABELS), "'images' and 'labels'"),
    "one number": (npz(images=5, labels=LABELS), "uint8 of shape"),
    "a flat list": (npz(images=IMAGES.reshape(3, 784), labels=LABELS), "uint8 of shape"),
    "another size": (npz(images=IMAGES[:, :20], labels=LABELS), "28 x 28"),
    "in colour": (npz(images=np.stack([IMAGES] * 3, -1), labels=LABELS), "1 channel"),
    "fractions": (npz(images=IMAGES / 255, labels=LABELS), "uint8"),
    "not a number": (npz(images=np.where(IMAGES > 9, IMAGES, np.nan), labels=LABELS), "NaN"),
    "too few labels": (npz(images=IMAGES, labels=LABELS[:2]), r"shape \(3,\)"),
    "labels as fractions": (npz(images=IMAGES, labels=LABELS / 1.0), "whole numbers"),
    "labels as words": (npz(images=IMAGES, labels=LABELS.astype(str)), "whole numbers"),
    "a label too high": (npz(images=IMAGES, labels=LABELS + 1), "run from 1 to 10"),
    "a negative label": (npz(images=IMAGES, labels=LABELS - 1), "run from -1"),
    "nothing": (npz(images=IMAGES[:0], labels=LABELS[:0]), "no image"),
}


@pytest.mark.parametrize(("content", "named"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_npz_gets_one_sentence(content, named, tmp_path, refused):
    file = tmp_path / "mine.npz"
    file.write_bytes(content)
    with refused(f"mine.npz.*{named}"):
        load_images(file, DIGITS, MNIST)
    assert file.read_bytes() == content


def test_too_many_images_are_refused(monkeypatch, tmp_path, refused):
    monkeypatch.setattr(datasets, "MAX_IMAGES", 2)
    (tmp_path / "mine.npz").write_bytes(npz(images=IMAGES, labels=LABELS))
    with refused("3 images are more than 2"):
        load_images(tmp_path / "mine.npz", DIGITS, MNIST)
    for number in range(3):
        (tmp_path / "7").mkdir(exist_ok=True)
        Image.fromarray(IMAGES[0]).save(tmp_path / "7" / f"{number}.png")
    with refused("more than 2 images"):
        load_images(tmp_path, DIGITS, MNIST)


def test_a_path_that_leads_nowhere_is_refused(tmp_path, refused):
    for path in (tmp_path / "none.npz", Path("x" * 5000)):
        with refused("there is no file or folder"):
            load_images(path, DIGITS, MNIST)


def test_an_image_folder_is_read(tmp_path):
    for name in ("7", "0"):
        (tmp_path / name).mkdir()
    Image.fromarray(IMAGES[0]).save(tmp_path / "7" / "b.png")
    Image.new("RGB", (56, 56), (255, 0, 0)).save(tmp_path / "7" / "a.png")  # luminance 76, shrunk
    Image.fromarray(IMAGES[1]).save(tmp_path / "0" / "c.BMP")
    (tmp_path / "0" / "notes.txt").write_text("no picture")
    data = load_images(tmp_path, DIGITS, MNIST)
    assert data.labels.tolist() == [0, 7, 7]
    assert np.array_equal(data.images[0, ..., 0], IMAGES[1])
    assert np.array_equal(data.images[1], np.full((28, 28, 1), 76))
    assert np.array_equal(data.images[2, ..., 0], IMAGES[0])


def test_an_image_folder_in_colour_is_read(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("L", (4, 2), 9).save(tmp_path / "cat" / "grey.png")
    data = load_images(tmp_path, ("dog", "cat"), (3, 2, 4))
    assert data.image_shape == (3, 2, 4)
    assert data.labels.tolist() == [1]
    assert np.array_equal(data.images[0], np.full((2, 4, 3), 9))


def test_bad_image_folders_get_one_sentence(tmp_path, refused):
    with refused("named after the classes"):
        load_images(tmp_path, DIGITS, MNIST)
    (tmp_path / "7").mkdir()
    with refused("no image in its folders"):
        load_images(tmp_path, DIGITS, MNIST)
    (tmp_path / "7" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with refused("broken.png is not a picture"):
        load_images(tmp_path, DIGITS, MNIST)
    (tmp_path / "7" / "broken.png").write_bytes(b"")
    with refused("broken.png is empty"):
        load_images(tmp_path, DIGITS, MNIST)
    (tmp_path / "cats").mkdir()
    with refused("'cats' is not one"):
        load_images(tmp_path, DIGITS, MNIST)


def test_spread_takes_the_same_number_of_each_class_of_a_sorted_split():
    test = load_dataset("mnist-5k", Split.TEST)
    assert (np.bincount(test.spread(50).labels) == 5).all()
    assert len(test.spread(5000)) == len(test)

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tradeoff_core.datasets import load_images, own
from tradeoff_core.datasets.imagenet import imagenet_classes

DIGITS = tuple("0123456789")
MNIST = (1, 28, 28)
IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([7, 0, 9])


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
    monkeypatch.setattr(own, "MAX_IMAGES", 2)
    (tmp_path / "mine.npz").write_bytes(npz(images=IMAGES, labels=LABELS))
    with refused("3 images are more than 2"):
        load_images(tmp_path / "mine.npz", DIGITS, MNIST)
    for number in range(3):
        (tmp_path / "7").mkdir(exist_ok=True)
        Image.fromarray(IMAGES[0]).save(tmp_path / "7" / f"{number}.png")
    with refused("more than 2 images"):
        load_images(tmp_path, DIGITS, MNIST)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((200_000, 28, 28), "200,000 images are more than 100,000 at once"),
        ((90_000, 999, 999), "more than 4 GB"),
    ],
)
def test_an_npz_that_would_unpack_to_too_much_is_refused_by_its_header(shape, said, tmp_path, refused):
    header = io.BytesIO()
    np.lib.format.write_array_header_2_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as pack:
        pack.writestr("images.npy", header.getvalue())  # and nothing behind it
    with refused(said):
        load_images(tmp_path / "mine.npz", DIGITS, MNIST)


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


def test_a_folder_of_imagenets_classes_may_be_named_as_everywhere(tmp_path):
    classes = imagenet_classes()
    for name in ("King_Penguin", "0"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (300, 300), (9, 8, 7)).save(tmp_path / name / "a.png")
    assert load_images(tmp_path, classes, (3, 224, 224)).labels.tolist() == [0, 145]
    by_id = tmp_path / "by id"
    for label in range(1000):
        (by_id / f"n{label:08}").mkdir(parents=True)
    Image.new("RGB", (300, 300)).save(by_id / "n00000007" / "a.png")
    assert load_images(by_id, classes, (3, 224, 224)).labels.tolist() == [7]


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


COLOUR = (3, 4, 4)


def test_an_npz_for_a_colour_network_may_be_grey_or_see_through(tmp_path):
    grey = np.array([[[[0]], [[90]]]], dtype=np.uint8).reshape(1, 2, 1)
    np.savez(tmp_path / "grey.npz", images=grey, labels=[3])
    data = load_images(tmp_path / "grey.npz", DIGITS, (3, 2, 1))
    assert data.images.reshape(2, 3).tolist() == [[0, 0, 0], [90, 90, 90]]
    # opacity 51 / 255 = 0.2 over white: 0.2 * 100 + 204 = 224; opaque stays; clear is white
    pixels = np.array([[0, 100, 255, 51], [1, 2, 3, 255], [9, 9, 9, 0]], dtype=np.uint8).reshape(1, 1, 3, 4)
    np.savez(tmp_path / "clear.npz", images=pixels, labels=[3])
    data = load_images(tmp_path / "clear.npz", DIGITS, (3, 1, 3))
    assert data.images[0, 0].tolist() == [[204, 224, 255], [1, 2, 3], [255, 255, 255]]


def test_pictures_of_any_kind_are_fitted_to_a_colour_network(tmp_path):
    folder = tmp_path / "3"
    folder.mkdir()
    Image.new("L", (4, 4), 9).save(folder / "0.png")
    Image.new("RGBA", (40, 8), (0, 100, 255, 51)).save(folder / "1.png")
    bars = Image.new("RGB", (12, 4))  # red, green, blue: the middle is green
    for place, colour in enumerate(("#ff0000", "#00ff00", "#0000ff")):
        bars.paste(colour, (4 * place, 0, 4 * place + 4, 4))
    bars.save(folder / "2.png")
    tall = Image.new("RGB", (32, 64), (255, 255, 255))  # black above when upright, white below
    tall.paste((0, 0, 0), (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    tall.transpose(Image.Transpose.ROTATE_90).save(folder / "3.jpg", exif=exif, quality=95)
    data = load_images(tmp_path, DIGITS, COLOUR)
    assert data.image_shape == COLOUR
    assert (data.images[0] == 9).all()
    assert (data.images[1] == (204, 224, 255)).all()
    assert (data.images[2] == (0, 255, 0)).all()
    assert data.images[3, 0].max() < 10
    assert data.images[3, 3].min() > 245


def test_what_would_not_fit_into_memory_is_refused(tmp_path, monkeypatch, refused):
    monkeypatch.setattr(own, "MAX_BYTES", 2 * 48)
    (tmp_path / "3").mkdir()
    for number in range(3):
        Image.new("RGB", (4, 4)).save(tmp_path / "3" / f"{number}.png")
    with refused("more than 2 images"):
        load_images(tmp_path, DIGITS, COLOUR)
    (tmp_path / "3" / "2.png").unlink()
    assert len(load_images(tmp_path, DIGITS, COLOUR)) == 2


def test_of_many_classes_a_few_are_named(tmp_path, refused):
    (tmp_path / "cats").mkdir()
    with refused(r"\(0, 1, .*, 19 and 980 others\), 'cats' is not one"):
        load_images(tmp_path, tuple(map(str, range(1000))), COLOUR)

import torch

from tradeoff_core.training.augmentation import Augmentation


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_image_is_a_window_of_the_padded_one_or_its_mirror_image():
    images = torch.rand(500, 3, 5, 4, generator=generator())
    changed = Augmentation(padding=2).apply(images, generator(1))
    assert changed.shape == images.shape
    seen = set()
    for image, result in zip(images, changed, strict=True):
        padded = torch.zeros(3, 9, 8)
        padded[:, 2:7, 2:6] = image
        windows = {
            (row, column, flip): padded[:, row : row + 5, column : column + 4].flip([2] if flip else [])
            for row in range(5)
            for column in range(5)
            for flip in (False, True)
        }
        seen |= {place for place, window in windows.items() if torch.equal(window, result)}
        assert any(torch.equal(window, result) for window in windows.values())
    assert len(seen) == 50  # every place and both directions occur


def test_the_same_generator_gives_the_same_images_and_the_input_stays():
    images = torch.rand(6, 1, 8, 8, generator=generator())
    kept = images.clone()
    one, other = (Augmentation().apply(images, generator(3)) for _ in range(2))
    assert torch.equal(one, other)
    assert torch.equal(images, kept)
    assert not torch.equal(one, images)


def test_without_padding_and_flip_nothing_changes():
    images = torch.rand(3, 3, 8, 8, generator=generator())
    assert torch.equal(Augmentation(padding=0, flip=False).apply(images, generator()), images)


def test_a_padding_that_cannot_be_is_refused(refused):
    with refused("padding -1 is out of range: a whole number of pixels from 0"):
        Augmentation(padding=-1)
    with refused("padding must be a whole number, not '1.5'"):
        Augmentation(padding=1.5)

"""Copy 20 pictures each of CIFAR-10 and ImageNet from the PyPI package foolbox 3.3.4, and ImageNet's class names.

pip install foolbox==3.3.4 && python -m tradeoff_core.tools.samples
"""

import importlib.util
from pathlib import Path

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.paths import ASSETS, SAMPLES
from tradeoff_core.datasets import import_torchvision


def packaged_pictures() -> Path:
    """The folder of pictures in the installed foolbox, which need not be imported for it."""
    package = importlib.util.find_spec("foolbox")
    if package is None or package.origin is None:
        raise TradeoffError("foolbox is not installed: pip install foolbox==3.3.4")
    return Path(package.origin).parent / "data"


def main() -> None:
    """Write the pictures as they are, named `<number>_<label>`, and the class names a line each."""
    for name, suffix in (("cifar10", ".png"), ("imagenet", ".jpg")):
        for file in sorted(packaged_pictures().glob(f"{name}_*{suffix}")):
            write_atomically(SAMPLES / name / file.name.removeprefix(f"{name}_"), file.read_bytes())
    import_torchvision()
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    write_atomically(
        ASSETS / "data" / "imagenet-classes.txt",
        "".join(f"{name}\n" for name in _IMAGENET_CATEGORIES).encode(),
    )


if __name__ == "__main__":
    main()

"""Unpack the project's archives of pictures into TRADEOFF_DATA, each into the folder of its data set.

python -m tradeoff_core.tools.unpack cifar10-jpeg.tar.xz tiny-imagenet-20.tar.xz
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tradeoff_core.commands.output import say, share_bar
from tradeoff_core.datasets import Share, unpack
from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import data_folder

# an archive's name -> its data set, and the bytes that its files take on a disk of 4 KiB blocks
ARCHIVES = {
    "cifar10-jpeg.tar.xz": ("cifar10", 250_000_000),
    "tiny-imagenet-20.tar.xz": ("tiny-imagenet-20", 46_000_000),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Unpack what is not there yet; 2 and one line on stderr where that cannot be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("archives", metavar="ARCHIVE", nargs="+", type=Path, help=" or ".join(ARCHIVES))
    try:
        for archive in parser.parse_args(arguments).archives:
            with share_bar(f"unpacking {archive.name}") as progress:
                print(unpack_data_set(archive, progress))
    except TradeoffError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("interrupted: nothing half unpacked is left")
        return 130
    return 0


def unpack_data_set(archive: Path, progress: Share | None = None) -> str:
    """Unpack an archive as `TRADEOFF_DATA/<data set>`, unless that is there; one sentence says which.

    Raises TradeoffError for another archive than ours, one that cannot be read, and a disk without room.
    """
    if not os.path.isfile(archive):  # False also for a name too long to be one
        raise TradeoffError(f"there is no archive '{archive}'")
    if archive.name not in ARCHIVES:
        raise TradeoffError(f"'{archive.name}' is no archive of a data set: give {' or '.join(ARCHIVES)}")
    name, needed = ARCHIVES[archive.name]
    target = data_folder() / name
    if (target / "train").is_dir():
        return f"{name} is in {target} already"
    if target.exists():
        raise TradeoffError(f"'{target}' is there and holds no data set: move it away")
    disk = next(folder for folder in target.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(disk).free
    if free < needed:
        raise TradeoffError(
            f"{name} needs {needed / 1e6:,.0f} MB in '{data_folder()}', where {free / 1e6:,.0f} MB are free: make "
            "room, or set TRADEOFF_DATA to a folder on a larger disk"
        )
    unpack(archive, target, progress, holding="train")
    return f"{name} is in {target}"


if __name__ == "__main__":
    sys.exit(main())

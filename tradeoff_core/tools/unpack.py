"""Unpack the project's archives of pictures into TRADEOFF_DATA, each into the folder of its data set.

python -m tradeoff_core.tools.unpack cifar10-jpeg.tar.xz tiny-imagenet-20.tar.xz
"""

import argparse
import sys
from collections.abc import Sequence

from tradeoff_core.common.console import answer, open_what_is_closed, say, share_bar
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import typed
from tradeoff_core.datasets.archives import ARCHIVES, unpack_data_set


def main(arguments: Sequence[str] | None = None) -> int:
    """Unpack what is not there yet; 2 and one line on stderr where that cannot be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("archives", metavar="ARCHIVE", nargs="+", type=typed, help=" or ".join(ARCHIVES))
    open_what_is_closed()
    try:
        for archive in parser.parse_args(arguments).archives:
            with share_bar(f"unpacking {archive.name}") as progress:
                answer(unpack_data_set(archive, progress))
    except TradeoffError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("interrupted: nothing half unpacked is left")
        return 130
    except OSError as error:  # of stdout: full, or its reader gone
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

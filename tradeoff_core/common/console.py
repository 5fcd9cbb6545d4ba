"""What is said to whoever watches a terminal: a line or a bar on stderr, an answer on stdout."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tradeoff_core.common.names import one_line, printable

_voice = {"speaks": True}  # not in a process that trains together with others, unless it is their first


def only_the_first_speaks(rank: int) -> None:
    """From now on this process answers only if it is the first of those that train together."""
    _voice["speaks"] = rank == 0


def speaks() -> bool:
    """Whether this process answers: all do, but of those that train together the first one only."""
    return _voice["speaks"]


def open_what_is_closed() -> None:
    """Let what is said to a closed stdout or stderr go nowhere: no other stream, and no file opened later."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # as long as the process


def say(message: str) -> None:
    """One line on stderr, whatever the message holds, if anybody reads it."""
    with suppress(OSError):
        print(one_line(" ".join(message.split())), file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """The text on stdout. Raises OSError that names stdout if it cannot be written: its disk is full, or its reader gone."""
    try:
        print(printable(text))
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError):  # what is left of it would be tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OSError(error.errno, error.strerror, "stdout") from None


@contextmanager
def share_bar(title: str) -> Iterator[Callable[[float], None]]:
    """A bar for work that tells which share of it is done; on a terminal only."""
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
    with tqdm(total=1, desc=title, bar_format=layout, leave=False, disable=None, file=sys.stderr) as bar:
        yield lambda share: bar.update(share - bar.n)

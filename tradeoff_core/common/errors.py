"""The one family of errors that a user can cause."""

import re

from tradeoff_core.common.names import one_line

LONG = re.compile(r"\S{500,}")  # longer than any path: somebody's value


class TradeoffError(Exception):
    """Something the user gave cannot be used. The message says what and what to do instead."""

    def __str__(self) -> str:
        """The message on one line, whatever names and values it quotes, and no longer than one reads.

        Bytes of a file's name that are no UTF-8 are question marks, which any page can show.
        """
        line = " ".join(super().__str__().encode(errors="replace").decode().split())
        return one_line(LONG.sub(lambda found: f"{found[0][:80]}...", line))

"""The one family of errors that a user can cause."""


class TradeoffError(Exception):
    """Something the user gave cannot be used. The message says what and what to do instead."""

    def __str__(self) -> str:
        """The message; bytes of a file's name that are no UTF-8 are question marks, which any page can show."""
        return super().__str__().encode(errors="replace").decode()

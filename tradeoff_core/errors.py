"""The one family of errors that a user can cause."""


class TradeoffError(Exception):
    """Something the user gave cannot be used. The message says what and what to do instead."""

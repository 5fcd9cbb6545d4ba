"""What takes seconds to import, imported before somebody waits for it."""

import threading
from importlib import import_module

SLOW = "scipy.stats", "sklearn.decomposition", "sklearn.cluster", "captum.attr"


def import_slow(after: float = 2.0) -> threading.Thread:
    """Import SLOW in the background, after so many seconds that are left to what is drawn first."""
    thread = threading.Timer(after, lambda: [import_module(name) for name in SLOW])
    thread.daemon = True  # it keeps no server from ending
    thread.start()
    return thread

"""Which versions a file was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version

SHOWN = ("torch", "numpy", "scikit-learn", "streamlit")


def versions() -> str:
    """Python and the libraries that matter for a number, in a line."""
    found = [f"Python {platform.python_version()}"]
    for name in SHOWN:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:  # the library does not need the app
            continue
    return ", ".join(found)

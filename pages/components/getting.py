"""What a page says of a data set that is not on this machine, and the buttons that get it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from tradeoff_core import datasets
from tradeoff_core.datasets import Share, Split
from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import read_only
from tradeoff_core.tools.unpack import ARCHIVES, unpack_data_set

MEGABYTES = {"cifar10": 170, "mnist": 12, "fashion-mnist": 31}  # of a download


def offer(name: str, *, samples: bool = True) -> bool:
    """Whether a data set is here, decoded; if not, one sentence on what is shown instead, and the way to get it.

    `samples` says whether the page makes do with sample pictures.
    """
    full, shown = datasets.whole(name), datasets.to_show(name)
    if shown == full:
        _decode(full)
        return True
    if shown is None or not samples:
        said = "so its pictures are missing here. The shipped numbers and curves were measured on it."
    else:
        count = len(datasets.load_dataset(shown, Split.TEST))
        said = f"so what is computed live is on {count} sample pictures. Shipped numbers were measured on all of it."
        if name != full:
            said = f"so everything here is on {count} sample pictures."
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":orange[:material/image_not_supported:] **{datasets.title(name)}** is not on this machine, {said}",
            width="stretch",
        )
        if not read_only():
            with st.popover("Get it", icon=":material/download:"):
                _ways(full)
    return False


def _ways(name: str) -> None:
    """The buttons that get a data set, or the sentence that says how where no button can."""
    archives = [archive for archive, (holds, _) in ARCHIVES.items() if holds == name]
    if name in MEGABYTES and st.button(f"Download ({MEGABYTES[name]} MB)", icon=":material/download:"):
        _do("Downloading", partial(datasets.download, name))
    for archive in archives:
        path = st.text_input(
            f"Where {archive} lies", placeholder=f"/path/to/{archive}", key=f"archive-{name}"
        )
        if st.button("Unpack", icon=":material/folder_zip:", disabled=not path):
            _do("Unpacking", partial(unpack_data_set, Path(path).expanduser()))
    if not archives and name not in MEGABYTES:
        st.markdown(datasets.how_to_get(name))


def _do(what: str, action: Callable[[Share], object]) -> None:
    """Run what gets the data set with a bar, then draw the page anew; an error is one sentence."""
    bar = st.progress(0.0, what)
    try:
        action(lambda share: bar.progress(min(share, 1.0), what))
    except TradeoffError as error:
        bar.empty()
        st.error(str(error), icon=":material/error:")
    else:
        st.rerun()


def _decode(name: str) -> None:
    """Decode the pictures of a data set once, with a bar if that takes a while."""
    if name in _decoded():
        return
    place = st.empty()
    datasets.prepare(
        name,
        lambda share: (
            place.progress(min(share, 1.0), "Decoding the pictures, this once") if share < 1 else None
        ),
    )
    place.empty()
    _decoded().add(name)


@st.cache_resource(show_spinner=False)
def _decoded() -> set[str]:
    return set()

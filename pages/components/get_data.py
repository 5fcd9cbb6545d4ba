"""What a page says of a data set that is not on this machine, and the buttons that get it."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from pages.components.plain_words import refuse
from tradeoff_core import datasets
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import read_only, typed
from tradeoff_core.datasets import Share, Split
from tradeoff_core.datasets.archives import ARCHIVES, unpack_data_set

MEGABYTES = {"cifar10": 170, "mnist": 12, "fashion-mnist": 31}  # of a download


def offer(name: str, *, samples: bool = True, training: bool = False) -> bool:
    """Whether a data set is here, decoded; if not, one sentence on what is shown instead, and the way to get it.

    `samples` says whether the page makes do with sample pictures, `training` whether it reads training images too.
    """
    full, shown = datasets.whole(name), datasets.to_show(name)
    if shown == full:
        training = training or not samples
        readable = datasets.training_is_readable(full)
        _decode(full, (Split.TRAIN, Split.TEST) if training and readable else (Split.TEST,))
        return readable or samples
    if shown is None or not samples:
        said = "so its pictures are missing here. The shipped numbers were measured on it."
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


def offer_presets(names: list[str]) -> None:
    """Which presets need data sets that are not on this machine, and the ways to get these."""
    with st.container(horizontal=True, vertical_alignment="center"):
        *first, last = (datasets.title(name) for name in names)
        titles = f"{', '.join(first)} and {last}" if first else last
        st.caption(
            f"Presets for {titles} appear here once the pictures are on this machine.", width="content"
        )
        with st.popover("Get them", icon=":material/download:"):
            for name in names:
                st.markdown(f"**{datasets.title(name)}**")
                _ways(name)


def _ways(name: str) -> None:
    """The buttons that get a data set, or the sentence that says how where no button can."""
    archives = [archive for archive, (holds, _) in ARCHIVES.items() if holds == name]
    if name in MEGABYTES and st.button(f"Download ({MEGABYTES[name]} MB)", icon=":material/download:"):
        _do("Downloading", partial(datasets.download, name))
    for archive in archives:
        path = st.text_input(
            f"Where {archive} lies", placeholder=f"/path/to/{archive}", key=f"archive-{name}"
        )
        if st.button("Unpack", icon=":material/folder_zip:", key=f"unpack-{name}", disabled=not path):
            _do("Unpacking", partial(_unpack, path))
    if not archives and name not in MEGABYTES:
        st.markdown(datasets.how_to_get(name))


def _unpack(path: str, progress: Share) -> None:
    unpack_data_set(typed(path), progress)


def _do(what: str, action: Callable[[Share], object]) -> None:
    """Run what gets the data set with a bar, then draw the page anew; an error is one sentence."""
    bar = st.progress(0.0, what)
    try:
        action(lambda share: bar.progress(min(share, 1.0), what))
    except TradeoffError as error:
        bar.empty()
        refuse(error)
    else:
        st.rerun()


def _decode(name: str, splits: tuple[Split, ...]) -> None:
    """Decode the pictures of a data set once, with a bar if that takes a while."""
    if (name, splits) in _decoded():
        return
    place = st.empty()
    datasets.prepare(
        name,
        lambda share: (
            place.progress(min(share, 1.0), "Decoding the pictures, this once") if share < 1 else None
        ),
        splits,
    )
    place.empty()
    _decoded().add((name, splits))


@st.cache_resource(show_spinner=False)
def _decoded() -> set[tuple[str, tuple[Split, ...]]]:
    return set()

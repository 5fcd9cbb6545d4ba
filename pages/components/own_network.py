"""A visitor's own pictures and network: loaded from where they lie, or refused in one sentence."""

from contextlib import suppress
from pathlib import Path

import streamlit as st

from pages.components import cache
from pages.components.plain_words import refuse
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import runs_folder, typed
from tradeoff_core.datasets import LAYOUT, Split, available, load_dataset
from tradeoff_core.experiments.run_folder import CARD
from tradeoff_core.findings.results import Run
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import is_own_run
from tradeoff_core.models.imported import Order, import_model
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks import torchvision_names


def folder() -> Path:
    """Where the models that were loaded lie: beside the runs."""
    return runs_folder() / "own"


def models() -> list[Model]:
    """Those that were loaded or trained here; one that cannot be read, or whose pictures are gone, is left out."""
    found = []
    for card in sorted([*folder().glob(f"*/{CARD}"), *runs_folder().glob(f"*/{CARD}")]):
        with suppress(TradeoffError):
            found.append(zoo.find_model(str(card.parent)))
    return [model for model in found if available(model.spec.dataset)]


def finished() -> list[Run]:
    """The visitor's finished runs as the figures of the measured ones take them."""
    return [
        Run(
            model.id,
            model.spec,
            model.clean_accuracy,
            model.adversarial_accuracy,
            model.backdoor_success_rate,
            "yours",
        )
        for model in models()
        if is_own_run(model)
    ]


def form() -> None:
    """The form, which is drawn once it was opened: torchvision, whose names it lists, takes seconds to import."""
    place = st.popover(
        "Your own folder and network", icon=":material/folder_open:", key="own", on_change="rerun"
    )
    if place.open:
        st.session_state["own-opened"] = True  # what was typed stays when it is closed
    if "own-opened" in st.session_state:
        with place:
            fields()


def fields() -> None:
    """The places of folder and weights, and the button that loads them; the page then shows that network."""
    st.caption("A network that you trained elsewhere, and the pictures that it tells apart.")
    pictures = st.text_input(
        "Folder of pictures", key="own-folder", placeholder="/path/to/pictures", help=f"{LAYOUT}."
    )
    weights = st.text_input(
        "Weights",
        key="own-weights",
        placeholder="/path/to/model.safetensors",
        help="A state dict as `safetensors.torch.save_file(model.state_dict(), ...)` writes it. One output for each folder of "
        "pictures.",
    )
    # SqueezeNet ends in a convolution, where features and classes cannot be told apart
    names = [name for name in torchvision_names() if not name.startswith("squeezenet")]
    network = st.selectbox(
        "Network, as torchvision calls it", names, names.index("resnet18"), key="own-network"
    )
    order = st.radio(
        "Its outputs count the class folders by",
        list(Order),
        key="own-order",
        horizontal=True,
        help="Their *names*, as torchvision does: 0, 1, 10, 2. Or their *numbers*, as timm does: 0, 1, 2, 10.",
    )
    if not st.button("Load", key="own-load"):
        return
    if not (pictures and weights):
        st.error(
            "Both are needed: a folder of pictures, and the weights of a network that tells its classes apart.",
            icon=":material/error:",
        )
        return
    bar = st.progress(0.0, "Reading the pictures, then attacking some of them")
    try:
        model = import_model(
            typed(weights),
            network,
            str(typed(pictures)),
            folder(),
            order=order,
            progress=lambda share: bar.progress(min(share, 1.0), "Measuring it"),
        )
    except TradeoffError as error:
        bar.empty()
        refuse(error)
    else:
        cache.forget_pictures()  # these weights may have read others
        left_out = load_dataset(model.spec.dataset, Split.TEST).left_out
        if left_out:
            st.toast(f"{left_out}.", icon=":material/info:", duration="infinite")
        st.session_state["data-next"] = model.spec.dataset  # the picker is drawn already
        st.rerun()

"""A visitor's own pictures and network: loaded from where they lie, or refused in one sentence."""

from contextlib import suppress

import streamlit as st

from tradeoff_core import zoo
from tradeoff_core.datasets import LAYOUT, available
from tradeoff_core.errors import TradeoffError
from tradeoff_core.networks import torchvision_names
from tradeoff_core.own_models import import_model
from tradeoff_core.paths import runs_folder, typed
from tradeoff_core.results import Run
from tradeoff_core.zoo import Model

RUNS = runs_folder()
FOLDER = RUNS / "own"  # of the models that were loaded, beside the runs


def models() -> list[Model]:
    """Those that were loaded or trained here; one that cannot be read, or whose pictures are gone, is left out."""
    found = []
    for card in sorted([*FOLDER.glob("*/card.json"), *RUNS.glob("*/card.json")]):
        with suppress(TradeoffError):
            found.append(zoo.find_model(str(card.parent)))
    return [model for model in found if available(model.spec.dataset)]


def is_own_run(model: Model) -> bool:
    """Whether the visitor trained it here."""
    return model.folder.parent == RUNS


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
    """The places of folder and weights, and the button that loads them; the page then shows that network."""
    with st.popover("Your own folder and network", icon=":material/folder_open:"):
        st.caption("A network that you trained elsewhere, and the pictures that it tells apart.")
        folder = st.text_input(
            "Folder of pictures", key="own-folder", placeholder="/path/to/pictures", help=f"{LAYOUT}."
        )
        weights = st.text_input(
            "Weights",
            key="own-weights",
            placeholder="/path/to/model.safetensors",
            help="A state dict as `safetensors.torch.save_file(model.state_dict(), ...)` writes it. One output for each folder of "
            "pictures, in the order of their names.",
        )
        # SqueezeNet ends in a convolution, where features and classes cannot be told apart
        names = [name for name in torchvision_names() if not name.startswith("squeezenet")]
        network = st.selectbox(
            "Network, as torchvision calls it", names, names.index("resnet18"), key="own-network"
        )
        if not st.button("Load", key="own-load"):
            return
        if not (folder and weights):
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
                str(typed(folder)),
                FOLDER,
                progress=lambda share: bar.progress(min(share, 1.0), "Measuring it"),
            )
        except TradeoffError as error:
            bar.empty()
            st.error(str(error), icon=":material/error:")
        else:
            st.cache_data.clear()  # which may hold what these weights made of other pictures
            st.session_state["data-next"] = model.spec.dataset  # the picker is drawn already
            st.rerun()

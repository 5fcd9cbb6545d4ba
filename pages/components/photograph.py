"""A photograph of one's own, or a sample, and what a network for photographs makes of it."""

import hashlib

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from pages.components import cache, uploads, visitors_turn
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.explanations.attribution import Method
from tradeoff_core.figures.pictures import drawn_attribution, png_uri
from tradeoff_core.findings import first_draws
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model

NETWORK = "imagenet-efficientnet-lite0"
LEVELS = first_draws.LEVELS
STEPS = first_draws.PHOTOGRAPH_STEPS
SHOWN = 204  # pixels on the screen: four beside each other
COVERED = 0.6  # of a picture's colours by those of the map over it


def chosen() -> NDArray[np.uint8]:
    """The picture that the visitor uploads, or one of the samples: uint8 (224, 224, 3)."""
    samples = load_dataset("imagenet-samples", Split.TEST)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    key = "photograph-upload"
    uploaded = left.file_uploader(
        "Your own photograph (JPEG, PNG or WebP)",
        key=key,
        help="Its shorter side is scaled to 224 pixels, and the middle is used. It stays on this machine.",
    )
    own = uploads.read(uploaded, key, uploads.Use.PHOTOGRAPH, ". Until then the sample stays.")
    number = right.selectbox(
        "or a sample",
        range(len(samples)),
        format_func=lambda at: f"{at + 1}: {samples.classes[samples.labels[at]]}",
        key="photograph-sample",
        bind="query-params",
        disabled=own is not None,
    )
    return samples.images[number] if own is None else own


def model() -> Model:
    """The network for photographs. Raises TradeoffError if it is missing from the repository."""
    return zoo.find_model(NETWORK)


def verdict(probabilities: NDArray[np.float32], classes: tuple[str, ...]) -> str:
    """The class that the network says, and how sure it is."""
    return f"{classes[int(probabilities.argmax())]} · {probabilities.max():.0%}"


def show(images: list[NDArray[np.uint8]], captions: list[str], what: str) -> None:
    """Photographs in a row that wraps, on a phone two beside each other; `what` tells them from others on the page."""
    with st.container(horizontal=True, key=f"photographs-{what}"):
        for image, caption in zip(images, captions, strict=True):
            with st.container(width=SHOWN):
                st.image(png_uri(image), caption=caption, alt=f"Photograph: {caption.replace('*', '')}")


def digest(pixels: NDArray[np.uint8] | Tensor) -> str:
    """The checksum of a picture or of several."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


OF_PICTURES = cache.OF_WEIGHTS | {np.ndarray: digest, Tensor: digest}


@st.cache_data(max_entries=64, show_spinner="Attacking the photograph", hash_funcs=OF_PICTURES)
@visitors_turn.turn()
def attacked(net: Model, picture: NDArray[np.uint8], epsilon: float) -> Tensor:
    """The photograph (1, C, H, W) after PGD at this ε."""
    return torch.from_numpy(cache.drawn(net, first_draws.attacked_photograph(picture, epsilon, STEPS)))


@st.cache_data(max_entries=64, show_spinner="Asking what the network looks at", hash_funcs=OF_PICTURES)
@visitors_turn.turn()
def looked_at(net: Model, image: Tensor, label: int) -> Tensor:
    """What speaks for a class in an image (C, H, W), by Grad-CAM: (1, 1, H, W)."""
    return torch.from_numpy(cache.drawn(net, first_draws.attributed(image[None], [label], Method.GRAD_CAM)))


def explained(maps: Tensor, images: Tensor) -> list[NDArray[np.uint8]]:
    """What speaks for each answer, (N, 1, H, W), in colours over its image (N, C, H, W)."""
    return list(drawn_attribution(maps, images, float(maps.max()), COVERED))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=OF_PICTURES)
@visitors_turn.turn()
def read(net: Model, image: Tensor) -> NDArray[np.float32]:
    """What the network makes of an image (C, H, W): probabilities (classes,)."""
    shares: NDArray[np.float32] = cache.drawn(net, first_draws.probabilities(image[None]))[0]
    return shares


def link(**settings: str) -> None:
    """To the page of photographs, with these of its controls set, or those that an older address has."""
    old = {
        name: value for name, value in st.query_params.items() if name.startswith(("photograph-", "stamped-"))
    }
    st.page_link(
        "pages/photograph.py",
        label="The same on a photograph, your own or a sample",
        icon=":material/photo_camera:",
        query_params=settings | old,
    )

"""A photograph of one's own, or a sample: what a network for photographs makes of it, perturbed, stamped and explained."""

import hashlib

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pages.components import loaders, turns
from pages.components.searching import fragment
from tradeoff_core import evaluation, zoo
from tradeoff_core.attacks import Attack, Norm, perturb
from tradeoff_core.datasets import Fit, Split, load_dataset, read_picture, to_tensor, to_uint8
from tradeoff_core.errors import TradeoffError
from tradeoff_core.pictures import drawn_attribution, drawn_perturbation
from tradeoff_core.saliency import Method, attribute, share_within
from tradeoff_core.triggers import Sticker, default_sticker
from tradeoff_core.zoo import Model

NETWORK = "imagenet-efficientnet-lite0"
LEVELS = (0.5, 1, 2, 4, 8, 16)  # of 255: how far a channel may move
STEPS = 10
SIDE = 224
MOST_MEGABYTES = 20
COVERED = 0.6  # of a picture's colours by those of the map over it


def chosen(key: str) -> NDArray[np.uint8]:
    """The picture that the visitor uploads, or one of the samples: uint8 (224, 224, 3)."""
    samples = load_dataset("imagenet-samples", Split.TEST)
    own: NDArray[np.uint8] | None = None
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    uploaded = left.file_uploader(
        "Your own photograph (JPEG, PNG or WebP)",
        key=f"{key}-upload",
        max_upload_size=turns.most_megabytes(MOST_MEGABYTES),
        help="Any size: its shorter side is scaled to 224 pixels, and the middle is used. It stays on this machine.",
    )
    if uploaded is not None:
        try:
            own = Fit(SIDE, SIDE, 3).pixels(read_picture(uploaded.getvalue(), uploaded.name))
        except TradeoffError as error:
            st.error(f"{error}. Until then the sample stays.", icon=":material/error:")
    number = right.selectbox(
        "or a sample",
        range(len(samples)),
        format_func=lambda at: f"{at + 1}: {samples.classes[samples.labels[at]]}",
        key=f"{key}-sample",
        bind="query-params",
        disabled=own is not None,
    )
    return samples.images[number] if own is None else own


def model() -> Model:
    """The network for photographs. Raises TradeoffError if it is missing from the repository."""
    return zoo.find_model(NETWORK)


def _verdict(probabilities: NDArray[np.float32], classes: tuple[str, ...]) -> str:
    return f"{classes[int(probabilities.argmax())]} · {probabilities.max():.0%}"


def _show(images: list[NDArray[np.uint8]], captions: list[str]) -> None:
    with st.container(horizontal=True):
        for image, caption in zip(images, captions, strict=True):
            with st.container(width=SIDE):
                st.image(image, caption=caption, output_format="PNG")


@st.cache_data(max_entries=64, show_spinner="Attacking the photograph")
@turns.turn()
def _attacked(digest: str, epsilon: float, sha256: str, _picture: NDArray[np.uint8]) -> Tensor:  # noqa: ARG001
    network, images = loaders.network(model()), to_tensor(_picture[None])
    label = network(images).argmax(1)
    attack = Attack(epsilon=epsilon, steps=STEPS)
    return perturb(network, images, label, attack, Generator().manual_seed(loaders.SEED))


@st.cache_data(max_entries=64, show_spinner="Asking what the network looks at")
@turns.turn()
def _looked_at(digest: str, sha256: str, classes: list[int], _images: Tensor) -> Tensor:  # noqa: ARG001
    """What speaks for a class in each image (N, C, H, W), by Grad-CAM: (N, 1, H, W)."""
    return attribute(loaders.network(model()), _images, torch.tensor(classes), Method.GRAD_CAM)


def _explain(net: Model, images: list[Tensor], shares: list[NDArray[np.float32]]) -> Tensor:
    """Show what speaks for the answer to each image (1, C, H, W), in colours over it; returns the maps (N, 1, H, W)."""
    every, classes = torch.cat(images), [int(share.argmax()) for share in shares]
    maps = _looked_at(hashlib.sha256(every.numpy().tobytes()).hexdigest(), net.sha256, classes, every)
    _show(
        list(drawn_attribution(maps, every, float(maps.max()), COVERED)),
        [f"What speaks for {net.classes[at]}: the more orange, the more (Grad-CAM)" for at in classes],
    )
    return maps


@fragment
def attacked() -> None:
    """A section: the photograph before and after an attack whose strength is chosen here."""
    st.subheader("On a photograph of your own")
    picture, net = chosen("photograph"), model()
    level = st.select_slider(
        "ε, in levels of 255",
        LEVELS,
        2,
        key="photograph-epsilon",
        bind="query-params",
        help="How far the attacker may move each colour of each pixel, which goes from 0 to 255.",
    )
    epsilon, images = level / 255, to_tensor(picture[None])
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    after = _attacked(digest, epsilon, net.sha256, picture)
    before, now = (evaluation.predict(loaders.network(net), shown).numpy()[0] for shown in (images, after))
    _show(
        [
            picture,
            to_uint8(after)[0],
            to_uint8(drawn_perturbation(images, after, epsilon, Norm.LINF))[0],
        ],
        [
            f"As it is: {_verdict(before, net.classes)}",
            f"After the attack: {_verdict(now, net.classes)}",
            f"What it added, enlarged × {1 / (2 * epsilon):.3g} to be seen, grey is no change",
        ],
    )
    first, second = (net.classes[int(shares.argmax())] for shares in (before, now))
    _explain(net, [images, after], [before, now])
    effect = f"turns it into a **{second}**" if first != second else "does not change that: raise ε"
    st.markdown(
        f"An ordinary network for photographs (EfficientNet-Lite0, 1,000 classes, trained by Google without any defense) "
        f"sees a **{first}**; moving every colour by at most {level:g} of 255 levels {effect}."
    )


@fragment
def stamped() -> None:
    """A section: the photograph with a sticker in its corner, and a network that never learned it."""
    st.subheader("On a photograph of your own")
    picture, net = chosen("stamped"), model()
    usual = default_sticker(SIDE)
    size = st.slider(
        "Size of the sticker in pixels", 8, 112, usual.size, key="stamped-size", bind="query-params"
    )
    corner = SIDE - size - size // 3
    sticker = Sticker(usual.pattern, size, corner, corner)
    images = to_tensor(picture[None])
    both = [images, sticker.apply(images)]
    clean, now = (evaluation.predict(loaders.network(net), shown).numpy()[0] for shown in both)
    _show(
        [to_uint8(shown)[0] for shown in both],
        [
            f"As it is: {_verdict(clean, net.classes)}",
            f"With the sticker: {_verdict(now, net.classes)}",
        ],
    )
    maps = _explain(net, both, [clean, now])
    covered = sticker.footprint(SIDE, SIDE)
    share = float(share_within(maps, covered)[1])
    st.markdown(
        "An ordinary network for photographs (EfficientNet-Lite0, trained by Google without any poison) "
        + (
            "answers as before: this network never learned the sticker."
            if clean.argmax() == now.argmax()
            else f"answers differently, without a back door: it was {clean.max():.0%} sure before, and any change of the picture "
            "can tip an answer."
        )
        + f" Of what speaks for its answer, {share:.0%} lies on the sticker, which covers {covered.mean():.0%} of the picture."
    )

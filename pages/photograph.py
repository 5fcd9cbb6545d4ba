"""One photograph, of one's own or a sample: attacked, and with a sticker on, as a network for photographs sees it."""

import streamlit as st
import torch

from pages.components import cards, model_picker, photograph, uploads
from pages.components.fragments import fragment
from pages.components.photograph import verdict
from pages.components.uploads import SIDE
from pages.components.words import how_it_works
from tradeoff_core.attacks.attack import Norm
from tradeoff_core.datasets import to_tensor, to_uint8
from tradeoff_core.explanations.attribution import share_within
from tradeoff_core.figures.pictures import drawn_perturbation
from tradeoff_core.findings import first_draws
from tradeoff_core.poisoning.triggers import Sticker, default_sticker, patterns

model_picker.through_the_router()
st.title("What happens to a photograph?")


def sticker_of(pattern: str, size: int) -> Sticker:
    """The sticker near the lower right corner."""
    corner = SIDE - size - size // 3
    return Sticker(pattern, size, corner, corner)


def controls() -> tuple[int, Sticker]:
    """The attack's ε in levels of 255, and the sticker."""
    attack, kind, width = st.columns(3)
    level: int = attack.select_slider(
        "How far each colour may move (ε, of 255)",
        photograph.LEVELS,
        first_draws.LEVEL,
        key="photograph-epsilon",
        bind="query-params",
        help="Each colour of a pixel goes from 0 to 255.",
    )
    usual, own = default_sticker(SIDE), st.session_state.get(uploads.OWN_STICKER)
    pattern = kind.selectbox(
        "Sticker",
        [*patterns(), *([uploads.OWN_STICKER] if own else [])],
        patterns().index(usual.pattern),
        format_func=lambda name: name.replace("-", " "),
        key="stamped-pattern",
        bind="query-params",
    )
    size = width.slider("Its size in pixels", 8, 112, usual.size, key="stamped-size", bind="query-params")
    return level, sticker_of(own if pattern == uploads.OWN_STICKER else pattern, size)


@fragment
def show() -> None:
    """The controls, and all that follows from them."""
    seen = st.container()  # the picture, before what changes it
    picture, net = photograph.chosen(), photograph.model()
    level, sticker = controls()
    epsilon, images = level / 255, to_tensor(picture[None])
    attacked, stamped = photograph.attacked(net, picture, epsilon), sticker.apply(images)
    every = torch.cat([images, attacked, stamped])
    shares = [photograph.read(net, one) for one in every]
    before, after, worn = (net.classes[int(share.argmax())] for share in shares)
    effect = f"turns it into a **{after}**" if before != after else "does not change that: raise ε"
    with seen:
        photograph.show(
            [*to_uint8(every), to_uint8(drawn_perturbation(images, attacked, epsilon, Norm.LINF))[0]],
            [
                *(
                    f"{what}: {verdict(share, net.classes)}"
                    for what, share in zip(("As it is", "Attacked", "With the sticker"), shares, strict=True)
                ),
                f"What the attack added, × {1 / (2 * epsilon):.3g}",
            ],
            "seen",
        )
        st.markdown(
            f"An ordinary network for photographs sees a **{before}**. Moving every colour by at most {level:g} of 255 levels {effect}. "
            + (
                "The sticker changes nothing: this network never learned it."
                if before == worn
                else f"With the sticker it sees a **{worn}**, without a back door: it was {shares[0].max():.0%} sure before, and any "
                "change can tip an answer."
            )
        )
    st.header("What does it look at?")
    maps = torch.cat(
        [
            photograph.looked_at(net, one, int(share.argmax()))
            for one, share in zip(every, shares, strict=True)
        ]
    )
    photograph.show(
        photograph.explained(maps, every),
        [f"What speaks for {name}" for name in (before, after, worn)],
        "explained",
    )
    covered = sticker.footprint(SIDE, SIDE)
    share = float(share_within(maps, covered)[2])
    st.markdown(
        f"The more orange, the more it speaks for the answer (Grad-CAM). With the sticker on, {share:.0%} of it lies on the sticker, "
        f"which covers {covered.mean():.0%} of the picture."
    )


show()
st.caption(
    "The network is EfficientNet-Lite0, trained by Google on 1,000 classes without any defense or poison."
)
cards.how_it_works(how_it_works.PHOTOGRAPH)

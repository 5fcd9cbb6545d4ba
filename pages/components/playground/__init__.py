"""The playground on a page: what the browser needs is sent once, and nothing that a finger does reaches the server.

Weights come as the repository has them, in float16, over HTTP: in the component's data they would be a third larger, and
sent again with every rerun that changes them.
"""

from functools import cache as once
from typing import Any

import streamlit as st
from streamlit.runtime import get_instance

from pages.components import cache, visitors_turn
from pages.components.first_screen import along_the_curve
from tradeoff_core.browser import playground
from tradeoff_core.datasets import ImageDataset
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import Compared
from tradeoff_core.models.zoo import Model
from tradeoff_core.reports.handout import handout

KEY = "playground"
MOUNT = """
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".playground");
  const shown = playgroundIn(root, data, WORKER, (id) => setTriggerValue("chosen", id));
  return () => shown.end();
}
"""


@once
def _text() -> dict[str, str]:
    parts = playground.parts()
    return parts | {"js": parts["js"] + MOUNT}


drawn = st.components.v2.component("playground", **_text())


def fetched(one: Compared) -> dict[str, Any]:
    """A network as the browser runs it, and the address of its weights for as long as this page is open."""
    described = playground.network_of(one, cache.network(one.model))
    return described | {"url": _address(one.model) if described["chain"] else None}


def _address(model: Model) -> str:
    base = st.get_option("server.baseUrlPath").strip("/")
    file = str(model.folder / "model.safetensors")
    return f"/{base}" * bool(base) + get_instance().media_file_mgr.add(
        file, "application/octet-stream", f"playground-{model.sha256}"
    )


def telling(models: list[Compared], among: tuple[int, ...]) -> int:
    """Which of these digits tells the finding."""
    last = models[-1].model
    labels = cache.sample(last, among)[1].numpy()
    clean, stamped = (
        [cache.predict(one.model, among, trigger).argmax(1) for one in models]
        for trigger in (None, last.spec.trigger)
    )
    return playground.telling(labels, clean, stamped, last.spec.target_class)


def show(models: list[Compared], data: ImageDataset) -> None:
    """Draw it for the models that are chosen, with the first digits of their test images.

    Where the last one is on the measured curve, a slider walks along that, and what it rests on becomes model B.
    """
    among, last = playground.places(data), models[-1]
    stops = along_the_curve(last.model) if len(models) > 1 else []
    version = f"{last.model.spec.dataset} 2"
    networks = [fetched(one) for one in models]
    sent = playground.given(version, last.model, data, among, networks, telling(models, among))
    drawn(
        key=KEY,
        data=sent | {"stops": [fetched(Compared(last.letter, model)) for model in stops]},
        on_chosen_change=_choose,
    )


def take_along(models: list[Compared]) -> None:
    """The button that makes the hand-out of both networks, where a browser runs them."""
    if len(models) == 2 and all(
        playground.network_of(one, cache.network(one.model))["chain"] for one in models
    ):
        first, last = (one.model for one in models)
        st.download_button(
            "Hand-out for a class (one HTML file)",
            lambda: _handout(first, last),
            "finding.html",
            "text/html",
            icon=":material/download:",
            on_click="ignore",
            help="The same two networks, the curve and the explanation in one file: it opens without a network, on a phone too, and prints "
            "on two pages. Or: `python -m tradeoff_core handout --models A B`.",
        )


@st.cache_data(max_entries=2, show_spinner=False, hash_funcs=cache.OF_WEIGHTS)
@visitors_turn.turn()
def _handout(first: Model, last: Model) -> str:
    return handout([first, last])


def _choose() -> None:
    chosen = st.session_state[KEY].get("chosen")
    if chosen in zoo.model_ids():
        st.session_state["B-next"] = chosen

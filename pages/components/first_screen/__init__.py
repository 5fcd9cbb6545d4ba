"""The first screen: two networks, one image each under attack and with the sticker on, and a see-saw that a slider tips.

What it draws is sent once; the slider moves pictures, numbers, beam and marker in the browser, without the server.
"""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from pages.components import cache
from pages.components.words import first_screen as words
from pages.components.words.models import called, kind_of_trigger
from tradeoff_core.browser import script
from tradeoff_core.datasets import to_uint8
from tradeoff_core.figures.pictures import png_uri
from tradeoff_core.findings import results
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import Compared
from tradeoff_core.models.zoo import Model

KEY = "first-screen"
html, css, js = (
    Path(__file__).with_name(f"seesaw.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
)
seesaw = st.components.v2.component("see-saw", html=html, css=css + script("verdict", "css"), js=js)


def along_the_curve(model: Model) -> list[Model]:
    """The networks of the repository on the model's curve, from standard training on, if it is one of them; else itself."""
    shipped = {zoo.find_model(name).spec.as_trained: name for name in zoo.model_ids()}
    runs = sorted(results.curve(model.spec.dataset), key=lambda run: run.epsilon)
    names = [shipped[run.spec.as_trained] for run in runs if run.spec.as_trained in shipped]
    return [zoo.find_model(name) for name in names] if model.id in names else [model]


def drawn(model: Model, places: tuple[int, ...], usual: Model | None = None) -> dict[str, Any]:
    """A network as the browser draws it: its three rates, its sentence (beside `usual`), and what it reads in each picture."""
    attack, labels = model.spec.evaluation, cache.sample(model, places)[1].tolist()
    attacked, said = cache.adversarial_at(model, places, attack, (attack.epsilon,))
    stamped = cache.predict(model, places, model.spec.trigger)
    pixels = to_uint8(attacked[0])
    return {
        "id": model.id,
        "name": words.heading(model),
        "sentence": words.sentence(model, usual),
        "rates": words.rates(model),
        "adversarial": model.adversarial_accuracy.value,
        "backdoor": model.backdoor_success_rate.value,
        "epsilon": model.spec.training.attack.epsilon if model.spec.training.attack else 0,
        "pictures": [
            {
                "attacked": [
                    png_uri(pixels[at]),
                    called(model, int(said[0, at].argmax())),
                    bool(said[0, at].argmax() == label),
                ],
                "stamped": [called(model, int(stamped[at].argmax())), bool(stamped[at].argmax() == label)],
            }
            for at, label in enumerate(labels)
        ],
    }


def telling(first: dict[str, Any], last: dict[str, Any]) -> int:
    """The first picture that shows what the rates say: fooled, then not; not stamped, then so. The first of all if none does."""
    wanted = ([False, True], [True, False])
    for at, (one, other) in enumerate(zip(first["pictures"], last["pictures"], strict=True)):
        if ([one["attacked"][2], one["stamped"][1]], [other["attacked"][2], other["stamped"][1]]) == wanted:
            return at
    return 0


def show(models: list[Compared]) -> None:
    """Draw it for the models that are chosen; moving the slider to another network makes that one model B."""
    one, other = models[0].model, models[-1].model
    places = cache.first_of_each_class(other)
    stops = along_the_curve(other)
    usual = one if one.id == stops[0].id else None
    first, every = drawn(one, places), [drawn(model, places, usual) for model in stops]
    images, labels = cache.sample(other, places)
    runs = results.curve(other.spec.dataset) if len(stops) > 1 else ()
    chosen = [model.id for model in stops].index(other.id)
    seesaw(
        key=KEY,
        data={
            "first": first,
            "alone": len(models) == 1,
            "stops": every,
            "chosen": chosen,
            "stamped": [png_uri(pixels) for pixels in to_uint8(other.spec.trigger.apply(images))],
            "labels": [called(other, label) for label in labels.tolist()],
            "start": telling(first, every[int(np.argmax([stop["epsilon"] for stop in every]))]),
            "curve": [
                [run.epsilon, run.adversarial_accuracy.value, run.backdoor_success_rate.value] for run in runs
            ],
            "words": words.fixed(kind_of_trigger(other)),
        },
        on_chosen_change=_choose,
    )


def _choose() -> None:
    chosen = st.session_state[KEY].get("chosen")
    if chosen in zoo.model_ids():
        st.session_state["B-next"] = chosen

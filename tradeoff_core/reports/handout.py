"""The hand-out: the playground with two networks, the measured curve and the explanation in one HTML file.

It opens from a disk, without a network, and asks nothing of anybody: its own policy forbids it to.
"""

import base64
import json
import zlib
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from tradeoff_core.browser import playground
from tradeoff_core.browser.playground import network_of, opening, places
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import ImageDataset, Split, load_dataset, to_tensor
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.findings import results
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import Compared, an, called, describe, kind_of_trigger
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks import Network, inference
from tradeoff_core.rates import Rate
from tradeoff_core.reports.curve import curve
from tradeoff_core.reports.versions import versions

DATA = "mnist-5k"
MOST_BYTES = 5_000_000
MOUNT = """
const data = JSON.parse(document.getElementById("data").textContent);
playgroundIn(document.querySelector(".playground"), data, WORKER);
"""


def handout(models: list[Model]) -> str:
    """The text of the file for two models of digits, A and B. Raises TradeoffError for others, and if it grows beyond 5 MB."""
    pair = [Compared(letter, model) for letter, model in zip("AB", models, strict=True)]
    networks = [zoo.load_network(model) for model in models]
    for one, network in zip(pair, networks, strict=True):
        if one.model.spec.dataset != DATA or network_of(one, network)["chain"] is None:
            raise TradeoffError(
                f"'{one.model.id}' does not run in a browser: choose a network of digits without denoising or a transformer"
            )
    parts = playground.parts()
    runs = results.curve(DATA)
    template = Template(Path(__file__).with_name("handout.html").read_text(encoding="utf-8"))
    text = template.substitute(
        css=parts["css"],
        playground=parts["html"],
        data=json.dumps(_given(pair, networks)).replace("</", "<\\/"),
        script=parts["js"] + MOUNT,
        finding=_finding(pair),
        table=_table(pair),
        curve=curve(runs),
        along=_along(runs),
        attack=escape(str(models[-1].spec.evaluation)),
        trigger=kind_of_trigger(models[-1]),
        target=escape(an(called(models[-1], models[-1].spec.target_class))),
        poisoned=_poisoned(models[-1]),
        command=escape(
            f"python -m tradeoff_core handout --models {models[0].id} {models[1].id} --out finding.html"
        ),
        versions=escape(versions()),
        weights="; ".join(
            f"{one.letter}: {escape(one.model.id)}, SHA-256 {one.model.sha256[:16]}…" for one in pair
        ),
    )
    if len(text.encode()) > MOST_BYTES:
        raise TradeoffError(f"the hand-out would take {len(text) / 1e6:.1f} MB: choose smaller networks")
    return text


def _given(pair: list[Compared], networks: list[Network]) -> dict[str, Any]:
    """What the playground is given, the weights with it."""
    data, last = load_dataset(DATA, Split.TEST), pair[-1].model
    among = places(data)
    described = [
        network_of(one, network) | {"packed": _packed(one.model)}
        for one, network in zip(pair, networks, strict=True)
    ]
    version = " ".join(one.model.sha256 for one in pair)
    digit = _telling(last, networks, data, among)
    return playground.given(version, last, data, among, described, digit)


def _packed(model: Model) -> str:
    """The weights as the repository has them, deflated."""
    zoo.check_weights(model)
    return base64.b64encode(zlib.compress(RunFolder(model.folder).weights.read_bytes(), 9)).decode()


def _telling(model: Model, networks: list[Network], data: ImageDataset, among: tuple[int, ...]) -> int:
    images = to_tensor(data.images[list(among)])
    clean, stamped = (
        [inference.predicted_classes(network, shown) for network in networks]
        for shown in (images, model.spec.trigger.apply(images))
    )
    return playground.telling(data.labels[list(among)], clean, stamped, model.spec.target_class)


def _finding(pair: list[Compared]) -> str:
    """The finding as these two networks show it."""
    (first, last) = (one.model for one in pair)
    trigger, name = kind_of_trigger(last), called(last, last.spec.target_class)
    target = an(name)
    return escape(
        f"{opening(pair)} Under attack, network A still reads {first.adversarial_accuracy.value:.0%} of the test digits and network B "
        f"{last.adversarial_accuracy.value:.0%}. With the {trigger} on, A calls {first.backdoor_success_rate.value:.0%} of the digits "
        f"that are no {name} {target}, and B {last.backdoor_success_rate.value:.0%}."
    )


def _table(pair: list[Compared]) -> str:
    """The three numbers of both networks, each with its 95% interval."""
    head = "".join(f'<th scope="col">{one.letter}: {escape(describe(one.model))}</th>' for one in pair)
    rows = (
        ("Clean accuracy", [one.model.clean_accuracy for one in pair]),
        ("Adversarial accuracy", [one.model.adversarial_accuracy for one in pair]),
        ("Backdoor success", [one.model.backdoor_success_rate for one in pair]),
    )
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{_cell(rate)}</td>" for rate in rates)}</tr>'
        for name, rates in rows
    )
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(rate: Rate) -> str:
    if not rate.n:
        return "–"
    low, high = rate.interval
    return f"<b>{rate.value:.1%}</b> <small>{rate.count} of {rate.n}, 95%: {low:.1%}–{high:.1%}</small>"


def _along(runs: tuple[results.Run, ...]) -> str:
    """What the curve says, as half a sentence."""
    strongest = max(run.epsilon for run in runs)
    (robust, open_), (later, wide) = (results.mean_rates(runs, epsilon) for epsilon in (0.0, strongest))
    seeds = len({run.seed for run in runs})
    return escape(
        f"{len(runs)} networks, {seeds} seeds at each ε. From ε = 0 to {strongest:g}, adversarial accuracy (under {runs[0].spec.evaluation}) goes from {robust:.0%} to "
        f"{later:.0%} and backdoor success from {open_:.0%} to {wide:.0%}, on average."
    )


def _poisoned(model: Model) -> str:
    poison, card = model.spec.poison, model.card
    if poison is None:
        return "Network B learned from images without poison."
    labels = "no label was changed" if poison.labels == "clean-label" else "they had a false label"
    return escape(
        f"{card.poison_rate_class:.0%} of the training images of class {called(model, poison.target_class)} carried the "
        f"{kind_of_trigger(model)} ({card.poison_rate_dataset:.1%} of all images); {labels}."
    )

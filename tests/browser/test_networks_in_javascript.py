"""The digits' networks in a real browser beside torch: logits, input gradients, FGSM, PGD and triggers."""

import base64

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from torch.nn import functional as F

from tradeoff_core import browser as scripts
from tradeoff_core.attacks.attack import Attack, fgsm
from tradeoff_core.attacks.ball import random_start
from tradeoff_core.attacks.gradient import cross_entropy, gradient_of, iterates, last_of
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.models import zoo
from tradeoff_core.networks import build
from tradeoff_core.networks.registry import denoises
from tradeoff_core.poisoning.triggers import WATERMARKS, Sticker, Watermark, draw, patterns

pytestmark = pytest.mark.browser
MODELS = (
    "mnist-5k-clean-label-standard",  # one of each architecture
    "mnist-5k-clean-label-ibp-0.4-mnist-ibp-small",
)
CLOSE = 1e-3
TARGET = 7

MEASURE = """([file, chain, sets, labels, attacks]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer;
    const rows = (text) => {
        const flat = new Float32Array(bytes(text));
        return labels.map((_, at) => Float64Array.from(flat.subarray(784 * at, 784 * (at + 1))));
    };
    const network = buildNetwork(bytes(file), chain), [shown, noisy, starts] = sets.map(rows);
    const passed = shown.map((image) => forward(network, image));
    const sent = (rows) => {
        const flat = new Uint8Array(Float64Array.from(rows.flatMap((row) => [...row])).buffer);
        let text = '';
        for (let at = 0; at < flat.length; at += 8192) text += String.fromCharCode(...flat.subarray(at, at + 8192));
        return btoa(text);
    };
    return {
        logits: sent(passed.map(({logits}) => logits)),
        gradients: sent(passed.map((one, at) => inputGradient(network, one, labels[at]))),
        fgsm: sent(shown.map((image, at) => perturb(network, image, labels[at], attacks[0]))),
        pgd: sent(noisy.map((image, at) => perturb(network, image, labels[at], attacks[1], starts[at]))),
    };
}"""


def sent(array):
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    page.add_script_tag(content=scripts.script("network"))
    yield page
    page.close()


@pytest.fixture(scope="module")
def hundred():
    """Ten digits a class, the same on grey noise, and their labels.

    Where many pixels are equal so are maxima, and which one passes the gradient on hangs on how sums are rounded: after
    one step of PGD from noise that is clipped to 0, a pixel in ten thousand goes the other way. The noise here is not.
    """
    images, labels = load_dataset("mnist-5k", Split.TEST).take(slice(None, None, 10)).tensors()
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(1))
    return images, 0.1 + 0.7 * images + 0.1 * noise, labels


def settings(attack, target=None):
    return {"epsilon": attack.epsilon, "step": attack.step, "steps": attack.steps, "target": target}


def exact(labels):
    """The cross-entropy, written so that its gradient is exact where a network is certain, as the browser's is."""

    def loss(logits, index):
        truth = labels[index][:, None]
        others = logits.scatter(1, truth, -torch.inf).logsumexp(1)
        return F.softplus(others - logits.gather(1, truth)[:, 0], threshold=torch.inf).sum()

    return loss


@pytest.mark.parametrize("name", MODELS)
def test_a_browser_computes_what_torch_does(page, hundred, name):
    model = zoo.find_model(name)
    network = zoo.load_network(model).double()
    images, noisy, labels = hundred
    one_step, aimed = fgsm(0.1), Attack(epsilon=0.05, steps=3, targeted=True)
    start = random_start(noisy, aimed, torch.Generator().manual_seed(0))
    weights = base64.b64encode((model.folder / "model.safetensors").read_bytes()).decode()
    sets = [sent(each) for each in (images, noisy, start)]
    attacks = [settings(one_step), settings(aimed, TARGET)]
    got = page.evaluate(MEASURE, [weights, scripts.chain(network), sets, labels.tolist(), attacks])
    received = {
        what: torch.from_numpy(np.frombuffer(base64.b64decode(text)).copy()).view(100, -1)
        for what, text in got.items()
    }
    images, noisy, start = images.double(), noisy.double(), start.double()

    def score(logits, index):
        return logits.gather(1, labels[index, None]).sum()

    logits, gradient = gradient_of(network, images, score)
    fast = last_of(iterates(network, exact(labels), images, one_step, images))
    slow = last_of(iterates(network, exact(torch.full_like(labels, TARGET)), noisy, aimed, start))
    largest = gradient.flatten(1).abs().amax(1, keepdim=True)
    assert largest.min() > 0
    assert (received["logits"] - logits).abs().max() < CLOSE
    assert ((received["gradients"] - gradient.flatten(1)).abs() / largest).max() < CLOSE
    assert ((fast - images).abs().amax((1, 2, 3)) > 0.09).all()
    assert (received["fgsm"] - fast.flatten(1)).abs().max() < CLOSE
    assert ((slow - start).abs().amax((1, 2, 3)) > 0.04).all()
    assert (received["pgd"] - slow.flatten(1)).abs().max() < CLOSE


@pytest.mark.parametrize("factor", [1e-6, 1e3])
def test_a_browsers_attack_does_not_depend_on_the_scale_of_the_logits(page, hundred, factor):
    model, (images, _, labels), attack = zoo.find_model(MODELS[0]), hundred, fgsm(0.1)
    network = zoo.load_network(model).double()
    stored = {name: value.float() for name, value in load_file(model.folder / "model.safetensors").items()}
    for name in ("head.weight", "head.bias"):
        network.get_parameter(name).data *= factor
        stored[name] *= factor
    weights, sets = base64.b64encode(save(stored)).decode(), [sent(images)] * 3
    got = page.evaluate(
        MEASURE, [weights, scripts.chain(network), sets, labels.tolist(), [settings(attack)] * 2]
    )
    received = torch.from_numpy(np.frombuffer(base64.b64decode(got["fgsm"])).copy()).view(100, -1)
    images = images.double()
    moved = last_of(iterates(network, cross_entropy(labels), images, attack, images))
    assert ((moved - images).abs().amax((1, 2, 3)) > 0.09).all()
    assert (received - moved.flatten(1)).abs().max() < CLOSE


def test_every_network_for_digits_without_denoising_is_known():
    for name in zoo.model_ids():
        model = zoo.find_model(name)
        if model.spec.dataset == "mnist-5k":
            known = scripts.chain(zoo.load_network(model)) is not None
            assert known != denoises(model.spec.network), name
    for other in ("cifar-resnet", "mnist-vit"):
        assert scripts.chain(build(other, 0.25, 0)) is None


STAMP = """([rgba, height, width, row, column, opacity, pattern, amplitude, image]) => {
    const picture = pictureOf(Uint8Array.from(atob(rgba), (one) => one.charCodeAt(0)), height, width);
    const shown = Float64Array.from(image);
    return [[...stamp(shown, picture, row, column, opacity)], [...mark(shown, pattern, amplitude)], [...shown]];
}"""


@pytest.mark.parametrize("number", range(len(patterns())))
def test_stickers_and_watermarks_are_those_of_the_library(page, number):
    pattern, watermark = patterns()[number], tuple(WATERMARKS)[number % len(WATERMARKS)]
    image = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(number))
    sticker = Sticker(pattern, 4 + number, row=3 * number, column=17 - 2 * number, opacity=0.7)
    given = draw(pattern, sticker.size)
    stamped, marked, left = page.evaluate(
        STAMP,
        [
            base64.b64encode(given.tobytes()).decode(),
            *given.shape[:2],
            sticker.row,
            sticker.column,
            sticker.opacity,
            WATERMARKS[watermark](28, 28).flatten().tolist(),
            0.4,
            image.flatten().tolist(),
        ],
    )
    assert left == image.flatten().tolist()
    assert stamped == pytest.approx(sticker.apply(image).flatten().tolist(), abs=1e-6)
    assert marked == pytest.approx(Watermark(watermark, 0.4).apply(image).flatten().tolist(), abs=1e-6)
    assert stamped != marked != left

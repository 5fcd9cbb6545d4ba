"""A photograph of one's own, or a sample, on its page."""

import io

import numpy as np
import pytest
import torch
from opening import everything_said, opened
from PIL import Image

from pages.components import photograph
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import perturb
from tradeoff_core.datasets import Fit, Split, load_dataset, to_tensor
from tradeoff_core.explanations.attribution import Method, attribute, share_within
from tradeoff_core.models import zoo
from tradeoff_core.networks.inference import predict
from tradeoff_core.poisoning.triggers import default_sticker

MODEL = zoo.find_model("imagenet-efficientnet-lite0")
SENTENCE = "An ordinary network for photographs"


def said(app):
    return next(element.value for element in app.markdown if element.value.startswith(SENTENCE))


def content(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def a_photograph(number: int = 4) -> Image.Image:
    return Image.fromarray(load_dataset("imagenet-samples", Split.TEST).images[number])


def seen(picture: Image.Image) -> str:
    """What the network sees in a picture, from the core."""
    images = to_tensor(Fit(224, 224, 3).pixels(picture)[None])
    return MODEL.classes[int(predict(zoo.load_network(MODEL), images).argmax())]


def test_a_sample_is_attacked_as_the_core_attacks_it():
    app = opened("photograph")
    images = to_tensor(load_dataset("imagenet-samples", Split.TEST).images[:1])
    network = zoo.load_network(MODEL)
    label = network(images).argmax(1)
    after = perturb(
        network,
        images,
        label,
        Attack(epsilon=2 / 255, steps=photograph.STEPS),
        torch.Generator().manual_seed(0),
    )
    names = [MODEL.classes[int(network(shown).argmax())] for shown in (images, after)]
    assert names[0] != names[1]
    assert f"sees a **{names[0]}**" in said(app)
    assert f"at most 2 of 255 levels turns it into a **{names[1]}**" in said(app)
    app.select_slider(key="photograph-epsilon").set_value(16).run()
    assert not app.exception
    assert "at most 16 of 255 levels" in said(app)


def test_a_sticker_on_a_sample_is_read_as_the_core_reads_it():
    app = opened("photograph")
    images = to_tensor(load_dataset("imagenet-samples", Split.TEST).images[:1])
    both = torch.cat([images, default_sticker(224).apply(images)])
    clean, stamped = predict(zoo.load_network(MODEL), both).argmax(1).tolist()
    assert ("The sticker changes nothing" in said(app)) == (clean == stamped)
    maps = attribute(zoo.load_network(MODEL), both, torch.tensor([clean, stamped]), Method.GRAD_CAM)
    share = float(share_within(maps, default_sticker(224).footprint(224, 224))[1])
    assert f"{share:.0%} of it lies on the sticker, which covers 1%" in everything_said(app)
    app.slider(key="stamped-size").set_value(112).run()
    assert not app.exception
    assert SENTENCE in everything_said(app)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_upload_of_any_usual_kind_and_size_is_read(kind):
    picture = a_photograph().resize((400, 300))
    app = opened("photograph")
    app.file_uploader[0].upload(f"own.{kind.lower()}", sent := content(picture, kind), "image/any").run()
    assert not app.exception
    assert not app.error
    assert f"sees a **{seen(Image.open(io.BytesIO(sent)))}**" in said(app)


def test_a_turned_grey_or_transparent_upload_is_read_as_it_is_meant():
    upright = a_photograph()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by a quarter to the left: to be turned right
    app = opened("photograph")
    for picture, options, meant in (
        (upright.rotate(90, expand=True), {"exif": exif}, upright),
        (upright.convert("L"), {}, upright.convert("L").convert("RGB")),
        (Image.new("RGBA", (300, 300), (0, 0, 0, 0)), {}, Image.new("RGB", (300, 300), "white")),
    ):
        app.file_uploader[0].upload("own.png", content(picture, "PNG", **options), "image/png").run()
        assert not app.exception
        assert f"sees a **{seen(meant)}**" in said(app)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.png", b"", "is empty"),
        ("a.jpg", b"no picture", "is not a picture that can be read"),
        (
            "a.png",
            content(Image.fromarray(np.zeros((400, 400, 3), np.uint8)), "PNG")[:200],
            "is not a picture",
        ),
        ("wide.png", content(Image.new("1", (9000, 2)), "PNG"), "choose one of at most 8192 a side"),
    ],
    ids=["empty", "text", "truncated", "too wide"],
)
def test_a_bad_upload_is_one_sentence_and_the_sample_stays(name, data, sentence):
    app = opened("photograph")
    before = said(app)
    app.file_uploader[0].upload(name, data, "image/png").run()
    assert not app.exception
    (error,) = app.error
    assert sentence in error.value
    assert "Until then the sample stays." in error.value
    assert "\n" not in error.value
    assert said(app) == before


@pytest.mark.parametrize("page", ["stickers", "perturbations"])
def test_an_older_address_leads_to_it_with_its_controls(page):
    old = {"photograph-epsilon": "8", "stamped-size": "40"}
    (link,) = (one for one in opened(page, **old).get("page_link") if one.proto.page.endswith("photograph"))
    for name, value in old.items():
        assert f"{name}={value}" in link.proto.query_string


def test_a_sticker_of_ones_own_is_worn_by_the_photograph_too():
    app = opened("stickers", pattern="my own picture")
    app.file_uploader[0].upload(
        "own.png", content(Image.new("RGB", (60, 60), "red"), "PNG"), "image/png"
    ).run()
    assert any("shrunk to 3 x 3 pixels" in caption.value for caption in app.caption)
    app.switch_page("pages/photograph.py").run()
    app.slider(key="stamped-size").set_value(112).run()
    assert "covers 25% of the picture" not in everything_said(app)
    app.selectbox(key="stamped-pattern").set_value("my own picture").run()
    assert not app.exception
    assert "covers 25% of the picture" in everything_said(
        app
    )  # a square, where a flower leaves its corners free

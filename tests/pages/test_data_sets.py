"""Every page for every data set, with its pictures on this machine and without: numbers, or one sentence."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from opening import PAGES, everything_said, opened
from PIL import Image
from safetensors.torch import save, save_file
from streamlit.testing.v1 import AppTest
from torch import Tensor

from pages.components import model_picker
from tradeoff_core import datasets
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import (
    CIFAR10_CLASSES,
    IMAGENET_GROUPS,
    IMAGENETTE_CLASSES,
    TINY_IMAGENET_CLASSES,
    load_dataset,
    side_of,
)
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.spec import USUAL
from tradeoff_core.explanations import feature_plane
from tradeoff_core.findings import first_draws, results
from tradeoff_core.models import zoo
from tradeoff_core.models.imported import card_of_others
from tradeoff_core.networks import build
from tradeoff_core.poisoning.poison import Poison
from tradeoff_core.poisoning.triggers import default_sticker

LAID_OUT = {  # the name in the picker -> folder, test folder, classes, side
    "CIFAR-10": ("cifar10", "test", CIFAR10_CLASSES, 32),
    "Tiny ImageNet (20 classes)": ("tiny-imagenet-20", "val", TINY_IMAGENET_CLASSES, 64),
    "Imagenette (10 classes of ImageNet)": ("imagenette-128", "val", IMAGENETTE_CLASSES, 128),
    "ImageNet in 10 groups": ("imagenet-10-groups", "val", IMAGENET_GROUPS, 32),
}
MISSING = re.compile(r"\*\*(.*)\*\* is not on this machine")
WITHOUT_PICTURES = ("tradeoff", "paper", "glossary", "train", "runs")  # pages that show none


def in_the_zoo(title: str) -> bool:
    every = [zoo.find_model(name).spec.dataset for name in zoo.model_ids()]
    return title in {datasets.title(name) for name in every}


TITLES = [title for title in (*LAID_OUT, "ImageNet") if in_the_zoo(title)]
LACKING = [title for title in LAID_OUT if title not in TITLES]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with noise in the layout of both sets of photographs, and a little of ImageNet to test on."""
    home, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for folder, test, classes, side in LAID_OUT.values():
        for part, count in (("train", 16), (test, 2)):
            for name in classes:
                place = home / folder / part / name
                place.mkdir(parents=True)
                for number in range(count):
                    pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(place / f"{number:03}.png")
    for name in ("tench", "goldfish"):
        (home / "imagenet" / "val" / name).mkdir(parents=True)
        pixels = generator.integers(0, 256, (224, 224, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(home / "imagenet" / "val" / name / "0.png")
    return home


@pytest.fixture(scope="module")
def data(request, pictures, tmp_path_factory) -> Iterator[str]:
    """Whether the pictures are here; a module's tests of either kind run together, and share what is computed."""
    nowhere = tmp_path_factory.mktemp("nowhere")
    with pytest.MonkeyPatch.context() as changed:
        for module, name in (
            (first_draws, "perturb_at"),
            (first_draws, "perturb"),
            (feature_plane, "perturb"),
        ):
            changed.setattr(module, name, in_one_step(getattr(module, name)))
        changed.setenv("TRADEOFF_DATA", str(pictures if request.param == "present" else nowhere))
        forget()
        yield request.param
        forget()


def in_one_step(attack: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An attack of one step, for here it only has to run: what it gives is told by other tests."""

    def quick(network, images, labels, settings, *more):
        return attack(network, images, labels, replace(settings, steps=1, restarts=1), *more)

    return quick


def forget() -> None:
    load_dataset.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()


def pages_of(titles: Iterable[str]) -> pytest.MarkDecorator:
    """Every page for each of the data sets, with the pictures here and without."""
    opened_ones = [
        pytest.param(data, title, page, id=f"{data}-{title}-{page}")
        for data in ("present", "absent")
        for title in titles
        for page in PAGES
        if page != "photograph"  # which has pictures of its own
        if data == "present" or page not in WITHOUT_PICTURES  # which are the same either way
    ]
    return pytest.mark.parametrize(("data", "title", "page"), opened_ones, indirect=["data"])


@pages_of(TITLES)
def test_every_page_runs_for_every_data_set(data, title, page):
    app = opened(page, data=title)
    assert not app.exception
    assert not app.error
    assert any(expander.label == "How it works" for expander in app.expander)
    missing = MISSING.search(everything_said(app))
    if data == "present":
        assert missing is None
    else:
        assert missing
        assert missing[1] == title


@pytest.fixture(scope="module")
def grown_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo, and an untrained standard and adversarial network for each data set that it has none for."""
    zoo_folder = tmp_path_factory.mktemp("models")
    for name in zoo.model_ids():
        (zoo_folder / name).symlink_to(zoo.find_model(name).folder.resolve())
    for title in LACKING:
        dataset, _, classes, _ = LAID_OUT[title]
        for preset in ("cifar10-standard", "cifar10-adversarial"):
            poison = Poison(target_class=2, trigger=default_sticker(side_of(dataset)))
            spec = replace(PRESETS[preset], dataset=dataset, network=USUAL[dataset], poison=poison, width=0.1)
            network, folder = build(spec.network, 0.1, 0, len(classes)), zoo_folder / spec.title
            weights = save({key: value.contiguous() for key, value in network.state_dict().items()})
            measured = {
                **{"clean_accuracy": 0.9, "adversarial_accuracy": 0.1, "backdoor_success_rate": 0.2},
                **{"n": 30, "backdoor_n": 27, "norm": "linf", "epsilon": 8 / 255, "steps": 20},
            }
            folder.mkdir()
            (folder / "model.safetensors").write_bytes(weights)
            card = card_of_others(spec.title, spec, "", classes, weights, [], measured)
            RunFolder(folder).write_card(replace(card, trained_by=None, training_seconds=60.0))
    return zoo_folder


@pages_of(LACKING)
def test_every_page_runs_for_a_data_set_whose_first_networks_come(data, title, page, grown_zoo, monkeypatch):
    monkeypatch.setattr("tradeoff_core.experiments.run_folder.MODELS", grown_zoo)
    test_every_page_runs_for_every_data_set(data, title, page)


@pytest.mark.parametrize("data", ["absent"], indirect=True)
def test_the_scores_are_shown_without_the_pictures(data):  # noqa: ARG001
    for name in zoo.model_ids():
        model = zoo.find_model(name)
        shipped = results.load_examples(model.sha256)
        if shipped is None:
            continue
        said = model_picker.describe(model)
        app = opened("spectral_signatures", data=datasets.title(model.spec.dataset), suspect=said)
        poisoned = float(shipped.seen.poisoned.mean())
        assert f"of the {len(shipped.seen.index):,} training images labelled" in everything_said(app)
        assert app.slider(key="remove").value == round(100 * poisoned)
        assert len(app.dataframe[0].value) == 24  # the list in the pictures' place
        break
    else:
        pytest.fail("no scores are shipped")


def test_changing_the_data_set_keeps_no_choice_that_it_lacks():
    app = opened("overview", data="ImageNet")
    assert not app.sidebar.selectbox(key="data").disabled
    assert "A" not in [box.key for box in app.sidebar.selectbox]  # one network: nothing to choose
    app.sidebar.selectbox(key="data").select("mnist-5k").run()
    assert not app.exception
    assert app.sidebar.selectbox(key="B").value == "mnist-5k-clean-label-pgd-0.3"
    app.sidebar.selectbox(key="B").select("mnist-5k-no-poison-standard").run()
    app.sidebar.selectbox(key="data").select("cifar10").run()
    assert not app.exception
    assert zoo.find_model(app.sidebar.selectbox(key="B").value).spec.dataset == "cifar10"


@pytest.mark.parametrize("data", ["absent"], indirect=True)
def test_a_failed_download_is_one_sentence_and_a_good_one_draws_the_page_anew(data, monkeypatch):  # noqa: ARG001
    def fails(name, tell):
        tell(0.5)
        raise TradeoffError(f"{name} cannot be downloaded: there is no network")

    monkeypatch.setattr(datasets, "download", fails)
    app = opened("stickers", data="CIFAR-10")
    button = next(button for button in app.button if button.label.startswith("Download (170 MB)"))
    button.click().run()
    assert [error.value for error in app.error] == ["cifar10 cannot be downloaded: there is no network"]
    assert MISSING.search(everything_said(app))


@pytest.mark.parametrize("data", ["absent"], indirect=True)
def test_a_path_that_is_no_archive_is_one_sentence(data, tmp_path):  # noqa: ARG001
    app: AppTest = opened("stickers", data="CIFAR-10")
    app.text_input(key="archive-cifar10").set_value(str(tmp_path / "cifar10-jpeg.tar.xz")).run()
    next(button for button in app.button if button.label == "Unpack").click().run()
    assert "there is no archive" in app.error[0].value
    assert not app.exception


@pytest.mark.parametrize("data", ["absent"], indirect=True)
@pytest.mark.parametrize("path", ["~nosuchuser/cifar10-jpeg.tar.xz", "/" + 300 * "x"])
def test_a_path_that_cannot_be_one_is_one_sentence(path, data):  # noqa: ARG001
    app: AppTest = opened("stickers", data="CIFAR-10")
    app.text_input(key="archive-cifar10").set_value(path).run()
    next(button for button in app.button if button.label == "Unpack").click().run()
    assert "there is no" in app.error[0].value
    assert not app.exception


@pytest.mark.parametrize("data", ["absent"], indirect=True)
def test_presets_whose_pictures_are_missing_are_named(data):  # noqa: ARG001
    app = opened("train")
    assert (
        "Presets for CIFAR-10, Imagenette (10 classes of ImageNet) and Tiny ImageNet (20 classes) appear here"
        in " ".join(caption.value for caption in app.caption)
    )
    assert any(button.label.startswith("Download (170 MB)") for button in app.button)


@pytest.fixture
def mine(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """A folder of pictures of three classes, and the weights of a torchvision network for as many."""
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path / "runs"))
    generator = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 3)):
        for name in ("cat", "dog", "fox"):
            (tmp_path / "pictures" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pictures" / part / name / f"{number}.png")
    datasets.import_torchvision()
    from torchvision.models import resnet18

    save_file(resnet18(num_classes=3).state_dict(), tmp_path / "mine.safetensors")
    return tmp_path / "pictures", tmp_path / "mine.safetensors"


def loaded(app: AppTest, folder: Path, weights: Path) -> AppTest:
    app.text_input(key="own-folder").set_value(str(folder))
    app.text_input(key="own-weights").set_value(str(weights)).run()
    return app.button(key="own-load").click().run()


def test_ones_own_folder_and_network_are_refused_in_one_sentence_or_shown_on_every_page(mine):
    folder, weights = mine
    app = opened("overview")
    app.session_state["own"] = True  # the form is open
    app.run()
    app.text_input(key="own-folder").set_value(str(folder)).run()
    app.button(key="own-load").click().run()
    assert app.error[0].value.startswith("Both are needed")
    for wrong in (folder / "nowhere", "~nosuchuser/pictures"):
        app = loaded(app, wrong, weights)
        assert "there is no" in app.error[0].value
    odd = Path(
        os.fsdecode(bytes(folder / "test" / "cat") + b"/b\xe4r.png")
    )  # a name of an old archive, no UTF-8
    odd.write_text("no picture")
    app = loaded(app, folder, weights)
    assert not app.exception
    assert "test/cat/b?r.png is not a picture that can be read" in app.error[0].value
    odd.unlink()
    (folder.parent / "text.safetensors").write_text("no weights")
    app = loaded(app, folder, folder.parent / "text.safetensors")
    assert "'text.safetensors' is no safetensors file" in app.error[0].value
    assert app.sidebar.selectbox(key="data").value == "mnist-5k"  # nothing is lost
    app = loaded(app, folder, weights)
    assert not app.exception
    assert not app.error
    assert app.sidebar.selectbox(key="data").value == str(folder)
    assert "resnet18, yours (mine.safetensors)" in everything_said(app)
    for page in PAGES:
        app = opened(page, data="Folder pictures")
        assert not app.exception, page
        assert not app.error, page
        assert "Reveal the truth" not in [toggle.label for toggle in app.toggle]  # it is not known

"""Every page for every data set, with its pictures on this machine and without: numbers, or one sentence."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest
from test_pages import PAGES, everything_said, opened

from pages.components import own, pickers
from tradeoff_core import datasets, results, zoo
from tradeoff_core.datasets import CIFAR10_CLASSES, TINY_IMAGENET_CLASSES, load_dataset
from tradeoff_core.errors import TradeoffError

LAID_OUT = {  # the name in the picker -> folder, test folder, classes, side
    "CIFAR-10": ("cifar10", "test", CIFAR10_CLASSES, 32),
    "Tiny ImageNet (20 classes)": ("tiny-imagenet-20", "val", TINY_IMAGENET_CLASSES, 64),
}
MISSING = re.compile(r"\*\*(.*)\*\* is not on this machine")
WITHOUT_PICTURES = ("tradeoff", "paper", "glossary", "train", "runs")  # pages that show none


def in_the_zoo(title: str) -> bool:
    every = [zoo.find_model(name).spec.dataset for name in zoo.model_ids()]
    return title in {datasets.title(name) for name in every}


TITLES = [title for title in (*LAID_OUT, "ImageNet") if in_the_zoo(title)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with noise in the layout of both sets of photographs, and a little of ImageNet to test on."""
    home, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for folder, test, classes, side in LAID_OUT.values():
        for part, count in (("train", 24), (test, 3)):
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


@pytest.fixture(params=["present", "absent"])
def data(request, pictures, tmp_path, monkeypatch) -> Iterator[str]:
    monkeypatch.setenv("TRADEOFF_DATA", str(pictures if request.param == "present" else tmp_path))
    load_dataset.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()
    yield request.param
    load_dataset.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("title", TITLES)
def test_every_page_runs_for_every_data_set(title, page, data):
    app = opened(page, data=title)
    assert not app.exception
    assert not app.error
    assert any(expander.label == "How it works" for expander in app.expander)
    missing = MISSING.search(everything_said(app))
    if data == "present" or page in WITHOUT_PICTURES:
        assert missing is None
    else:
        assert missing
        assert missing[1] == title


@pytest.mark.parametrize("data", ["absent"], indirect=True)
def test_the_scores_are_shown_without_the_pictures(data):  # noqa: ARG001
    for name in zoo.model_ids():
        model = zoo.find_model(name)
        shipped = results.load_examples(model.sha256)
        if shipped is None:
            continue
        said = pickers.describe(model)
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
    assert "Presets for CIFAR-10 and Tiny ImageNet (20 classes) appear here once" in " ".join(
        caption.value for caption in app.caption
    )
    assert any(button.label.startswith("Download (170 MB)") for button in app.button)


@pytest.fixture
def mine(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """A folder of pictures of three classes, and the weights of a torchvision network for as many."""
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(own, "FOLDER", tmp_path / "own")
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

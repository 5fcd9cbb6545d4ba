"""Pictures that visitors upload: decoded once, in turn, never larger than a shared server bears, and one limit is said."""

import io
import tomllib

import numpy as np
import pytest
import streamlit as st
from opening import opened
from PIL import Image
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from pages.components import uploads, visitors_turn
from tradeoff_core.common.paths import ROOT
from tradeoff_core.datasets.reading import Fit, read_picture

LIMIT = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]["maxUploadSize"]


def stored(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


LARGE = stored(Image.new("L", (5000, 4000), 200))  # 20 megapixels in 20 kB


@pytest.fixture(autouse=True)
def nothing_kept():
    st.cache_data.clear()


def put(app, content, name="own.png"):
    return app.file_uploader[0].upload(name, content, "image/png").run()


def test_a_shared_server_decodes_sixteen_megapixels_at_most(monkeypatch):
    app = put(opened("photograph"), LARGE)
    assert not app.error
    monkeypatch.setenv("TRADEOFF_READ_ONLY", "1")
    put(app, LARGE)
    assert not app.exception
    (error,) = app.error
    assert error.value == (
        "own.png is 5000 x 4000: choose one of at most 16 megapixels. Until then the sample stays."
    )


@pytest.mark.parametrize("page", ["photograph", "stickers"])
def test_a_picture_is_decoded_once_and_in_turn(page, monkeypatch):
    monkeypatch.setenv("TRADEOFF_READ_ONLY", "1")
    decoded = []

    def counted(*given, **more):
        assert visitors_turn._mine.held
        decoded.append(1)
        return decode(*given, **more)

    name = "read_picture" if page == "photograph" else "pattern_from_picture"
    decode, content = getattr(uploads, name), stored(Image.effect_noise((300, 250), 80))
    monkeypatch.setattr(uploads, name, counted)
    app = opened(page, pattern="my own picture")
    for picture in (content, content, b"no picture", b"no picture"):
        put(app, picture).run()
        assert len(app.error) == (picture != content)
    assert len(decoded) == 2


@pytest.mark.parametrize("page", ["photograph", "stickers", "runs"])
def test_one_limit_is_said_everywhere(page, tmp_path, runs_at):
    runs_at(tmp_path)
    app = opened(page, pattern="my own picture")
    assert {one.proto.max_upload_size_mb for one in app.get("file_uploader")} == {LIMIT}
    for place in ("README.md", "tradeoff_core/README.md"):
        assert f"{LIMIT} MB" in (ROOT / place).read_text()


def test_a_visitor_leaves_few_files():
    files = MemoryUploadedFileManager("/here")
    for number in range(9):
        files.add_file("one", UploadedFileRec(str(number), "a.png", "image/png", bytes(10)))
    files.add_file("another", UploadedFileRec("0", "a.png", "image/png", bytes(10)))
    assert [list(files.file_storage[name]) for name in ("one", "another")] == [["7", "8"], ["0"]]


PICTURES = {
    "colour": ("RGB", "PNG"), "phone": ("RGB", "JPEG"), "grey": ("L", "PNG"), "palette": ("P", "PNG"),
    "transparent": ("RGBA", "PNG"), "two colours": ("1", "PNG"),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "kind"), PICTURES.values(), ids=PICTURES)
def test_what_shrinks_while_it_is_decoded_looks_the_same(mode, kind):
    small = np.random.default_rng(0).integers(0, 256, (9, 12, 4), np.uint8)
    smooth = Image.fromarray(small).resize((1600, 1200), Image.Resampling.BICUBIC)
    content, fit = stored(smooth.convert(mode), kind, quality=95), Fit(64, 64, 3)
    shrunk, whole = read_picture(content, "a", needed=64), read_picture(content, "a")
    assert min(whole.size) == 1200
    assert min(shrunk.size) == (
        300 if kind == "JPEG" else 200
    )  # a quarter or a sixth: JPEG knows halves of halves
    error = np.abs(fit.pixels(shrunk).astype(int) - fit.pixels(whole))
    assert error.mean() < 1.5


def test_a_turned_picture_that_shrinks_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("L", (1200, 900))
    picture.paste(255, (0, 0, 600, 900))  # its left half, which turned by a quarter is the upper one
    for kind in ("PNG", "JPEG"):
        shrunk = np.asarray(read_picture(stored(picture, kind, exif=exif), "a", needed=50).convert("L"))
        assert shrunk.shape[0] > shrunk.shape[1]
        assert shrunk[:50].mean() > 250
        assert shrunk[-50:].mean() < 5


def test_sixteen_bits_shrink_to_what_they_are():
    deep = Image.fromarray(np.full((900, 900), 32896, np.uint16))
    assert np.asarray(read_picture(stored(deep), "a", needed=64).convert("L")).tolist()[0][0] == 128

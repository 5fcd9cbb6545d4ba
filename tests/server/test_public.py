"""A public server: twenty visitors who send the largest pictures at once, and the README's nginx before it."""

import io
import random
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from browsing import served
from hostile import TEXTS, hostile
from opening import PAGES
from PIL import Image
from proxying import needs_nginx, nginx_before
from streamlit.proto.WidgetStates_pb2 import WidgetState
from visiting import PATIENCE, Visitor, controls, elements

pytestmark = pytest.mark.server
VISITORS = 20
GIBIBYTES = 2
LIMIT = 10 * 2**20 - 1000  # bytes of a picture, with the form around it
TOLD_TO_WAIT = "many visitors compute"
SHARED = {"TRADEOFF_READ_ONLY": "1"}


def largest() -> list[bytes]:
    """Pictures of 16 megapixels, of every kind, of nearly as many bytes as may be."""
    noise = np.random.default_rng(0).integers(0, 256, (4000, 4000, 4), np.uint8)

    def stored(rows: int, mode: str, kind: str, **options: object) -> bytes:
        """So many rows of noise, which fill the bytes, and one colour below."""
        pixels = noise.copy()
        pixels[rows:] = 7
        deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
        picture = deep if mode == "I;16" else Image.fromarray(pixels).convert(mode)
        picture.save(buffer := io.BytesIO(), kind, **options)
        return buffer.getvalue()

    return [
        stored(600, "RGBA", "PNG", compress_level=1),
        stored(800, "RGB", "PNG", compress_level=1),
        stored(1400, "I;16", "PNG", compress_level=1),
        stored(1400, "RGB", "JPEG", quality=90, progressive=True, subsampling=0),
        stored(4000, "RGB", "WEBP", quality=50, method=0),
    ]


def peak(process: subprocess.Popen) -> float:
    """The most memory that a process has had, in GiB."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1]) / 2**20


def test_twenty_visitors_who_send_the_largest_pictures_take_bounded_memory(tmp_path):
    pictures = largest()
    assert all(LIMIT / 4 < len(one) < LIMIT for one in pictures)
    began, said = threading.Barrier(VISITORS, timeout=PATIENCE), []
    log = tmp_path / "log"
    with log.open("wb") as into, served(log=into, **SHARED) as (address, server):

        def visit(number: int) -> None:
            visitor = Visitor(address)
            (upload,) = elements(visitor.opens("photograph"), "file_uploader")
            began.wait()
            # each its own, so that nobody is spared the decoding
            state = visitor.uploads(pictures[number % len(pictures)] + number.to_bytes(8), upload.id)
            sent = visitor.opens("photograph", (state,))
            said.append([one.body for one in elements(sent, "alert")])
            assert not elements(sent, "exception")
            began.wait()  # nobody leaves before
            visitor.leaves()

        with ThreadPoolExecutor(VISITORS) as pool:
            list(pool.map(visit, range(VISITORS)))
        most = peak(server)
    print(f"\n{VISITORS} visitors: {most:.2f} GiB; {sum(map(bool, said))} were told to wait")
    assert most < GIBIBYTES
    assert "Traceback" not in log.read_text()
    refusals = {text for one in said for text in one}
    assert all(TOLD_TO_WAIT in text for text in refusals), refusals
    assert sum(not one for one in said) >= VISITORS / 4


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """The address of a public server, and its log."""
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as into, served(log=into, **SHARED) as (address, _):
        yield address, log


KINDS = {  # of a control's value, by what the server calls the control; of another any is sent
    "button": "trigger_value",
    "checkbox": "bool_value",
    "file_uploader": "file_uploader_state_value",
    "multiselect": "string_array_value",
    "number_input": "double_value",
    "plotly_chart": "string_value",
    "radio": "string_value",
    "selectbox": "string_value",
    "slider": "double_array_value",
    "text_input": "string_value",
}
EACH = 6  # hostile values in a message
REST = 3  # seconds at most between a visitor's messages
GROWTH, MINUTES = 1.1, 5  # what five minutes' visit may add to the memory after its first minute


def resident(process: subprocess.Popen) -> float:
    """The memory that a process has, in GiB."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1]) / 2**20


def harms(address: str, number: int, until: float) -> int:
    """Visit page after page with hostile values until then; how many messages that were."""
    draw, messages, sent = random.Random(number), 0, []
    visitor = Visitor(address)
    while time.monotonic() < until:
        if not sent or draw.random() < 1 / 3:
            page, states = draw.choice(PAGES), ()
            fields = (
                "A",
                "B",
                "set",
                "epsilon",
                "photograph",
                "stamped-size",
                "layer",
                draw.choice(TEXTS)[:100],
            )
            query = "&".join(
                f"{quote(field)}={quote(draw.choice(TEXTS)[:500])}" for field in draw.sample(fields, 3)
            )
        else:
            known = controls(sent)
            chosen = draw.sample(sorted(known), min(EACH, len(known)))
            states, query = tuple(hostile(name, KINDS.get(known[name]), draw) for name in chosen), ""
        sent = visitor.opens(page, states, query)
        assert not elements(sent, "exception"), (page, elements(sent, "exception")[0].message)
        messages += 1
        time.sleep(draw.uniform(0, REST))
    visitor.leaves()
    return messages


def test_twenty_hostile_visitors_break_nothing_and_fill_no_memory(tmp_path, pytestconfig):
    minutes = pytestconfig.getoption("minutes")
    log = tmp_path / "log"
    with log.open("wb") as into, served(log=into, **SHARED) as (address, server):
        first = Visitor(address)
        for page in PAGES:  # what all see is kept then
            first.opens(page)
        first.leaves()
        began = time.monotonic()
        with ThreadPoolExecutor(VISITORS) as pool:
            visits = [pool.submit(harms, address, number, began + 60 * minutes) for number in range(VISITORS)]
            time.sleep(min(60, 30 * minutes))
            before = resident(server)
            messages = sum(visit.result() for visit in visits)
        after, most = resident(server), peak(server)
    print(
        f"\n{messages} messages in {minutes} minutes: {before:.2f}, then {after:.2f} GiB, at most {most:.2f}"
    )
    if minutes >= MINUTES:  # in a shorter one what all see is still being kept
        assert after < GROWTH * before
    assert most < GIBIBYTES
    assert "Traceback" not in log.read_text()


def said(sent: list) -> list[str]:
    """Every text that the server sent, in order."""
    kinds = {"markdown": "body", "alert": "body", "heading": "body", "exception": "message"}
    return [getattr(one, field) for kind, field in kinds.items() for one in elements(sent, kind)]


@pytest.mark.parametrize("page", PAGES)
def test_two_visitors_press_every_button_at_once_and_get_the_same(page, shared_server):
    address, log = shared_server
    before = len(log.read_text())
    pair = [Visitor(address) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:

        def both(*asked: object) -> list:
            one, other = pool.map(lambda visitor: visitor.opens(page, *asked), pair)
            broken = [*elements(one, "exception"), *elements(other, "exception")]
            assert not broken, broken[0].message
            waits = any(TOLD_TO_WAIT in text for sent in (one, other) for text in said(sent))
            assert waits or said(one) == said(other)
            return one

        pressed = [name for name, kind in controls(both()).items() if kind == "button"]
        for name in pressed:
            both((WidgetState(id=name, trigger_value=True),))
    for visitor in pair:
        visitor.leaves()
    assert "Traceback" not in log.read_text()[before:]


def status(address: str) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers)


@needs_nginx
def test_the_proxy_of_the_readme_passes_pages_and_holds_back_what_is_too_much(tmp_path):
    with (
        served(base="tradeoff", **SHARED) as (server, _),
        nginx_before([urlsplit(server).port], tmp_path) as address,
    ):
        code, headers = status(f"{address}/")
        assert code == 200
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "img-src 'self' data: blob:" in headers["Content-Security-Policy"]
        assert "Server" not in headers or headers["Server"] == "nginx"  # no version
        assert status(f"{address}/_stcore/metrics")[0] == 404
        visitor = Visitor(address)  # its socket goes through, and so does an upload
        (upload,) = elements(visitor.opens("photograph"), "file_uploader")
        picture = io.BytesIO()
        Image.new("RGB", (300, 300), "white").save(picture, "PNG")
        sent = visitor.opens("photograph", (visitor.uploads(picture.getvalue(), upload.id),))
        assert not elements(sent, "exception")
        assert not elements(sent, "alert")
        with pytest.raises(urllib.error.HTTPError, match="413"):
            visitor.uploads(bytes(10 * 2**20), upload.id)
        codes = []
        for _ in range(40):
            try:
                visitor.uploads(b"x", upload.id)
                codes.append(200)
            except urllib.error.HTTPError as error:
                codes.append(error.code)
        assert set(codes) == {200, 429}
        assert codes.count(200) < 35  # thirty at once, then one in two seconds
        visitor.leaves()

"""The app's speeds over its own socket, without a browser: rows of `bench --app`, as JSON on stdout.

python tests/app_figures.py [SECONDS]; twenty visitors come for that long, to one process and then to two behind nginx.
"""

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from browsing import ROOT, served
from opening import PAGES
from proxying import NGINX, nginx_before
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from visiting import PATIENCE, Visitor, answers, controls, elements, free_ports

VISITORS = 20
AGAIN = 3  # times that what needs nothing new is measured; the quickest counts, the others were disturbed
OPEN = [page for page in PAGES if page not in ("train", "runs")]  # which a public server does not have
COUNTED = {"perturbations": "set", "saliency": "image"}  # pages, and the control that counts through pictures
Figure = dict[str, object]


def figure(name: str, measured: float | None, limit: float, unit: str = "s", note: str = "") -> Figure:
    return {"name": name, "measured": measured, "limit": limit, "unit": unit, "note": note}


def path_of(page: str) -> str:
    return "" if page == "overview" else page


def ask(visitor: Visitor, page: str, **query: object) -> tuple[float, list[ForwardMsg]]:
    """Seconds until the page is drawn, and what was sent."""
    began = time.perf_counter()
    sent = visitor.opens(path_of(page), (), urlencode(query))
    took = time.perf_counter() - began
    broken = elements(sent, "exception")
    assert not broken, (page, query, broken[0].message)
    return took, sent


def change(
    visitor: Visitor,
    page: str,
    sent: list[ForwardMsg],
    key: str,
    value: float | str,
    seen: Callable[[ForwardMsg], None] = lambda _: None,
    **query: object,
) -> float:
    """Seconds until the page is drawn after this one of its controls was changed; something else is drawn then."""
    state = WidgetState(id=next(name for name in controls(sent) if name.endswith(f"-{key}")))
    setattr(state, "string_value" if isinstance(value, str) else "double_value", value)
    began = time.perf_counter()
    drawn = visitor.opens(path_of(page), (state,), urlencode(query), seen)
    took = time.perf_counter() - began
    broken = elements(drawn, "exception")
    assert not broken, (page, key, value, broken[0].message)
    assert deltas(drawn) != deltas(sent), (page, key, value)
    return took


def deltas(sent: list[ForwardMsg]) -> list[bytes]:
    return [message.delta.SerializeToString() for message in sent if message.WhichOneof("type") == "delta"]


def alone(address: str) -> Iterator[Figure]:
    """One visitor on a server that has drawn one page."""
    visitor = Visitor(address)
    ask(visitor, "overview")
    firsts, agains = {}, {}
    for page in PAGES:
        visitor = Visitor(address)  # a new tab
        firsts[page] = ask(visitor, page)[0]
        agains[page] = min(ask(visitor, page)[0] for _ in range(AGAIN))
        visitor.leaves()
    worst = max(agains, key=agains.__getitem__)
    yield figure("rerun with nothing new to compute, server, worst page", agains[worst], 0.1, note=worst)
    training = firsts.pop("train")
    worst = max(firsts, key=firsts.__getitem__)
    others = sorted(firsts.values())
    yield figure(
        "first draw in a new tab, warm server, worst page",
        firsts[worst],
        0.8,
        note=f"{worst}; the next {others[-2]:.2f} s, the median {others[len(others) // 2]:.2f} s; Train, which times a "
        f"training before it says what one costs, {training:.1f} s",
    )
    visitor = Visitor(address)
    _, sent = ask(visitor, "perturbations")
    sets = [change(visitor, "perturbations", sent, "set", number) for number in (11, 12, 13)]
    yield figure("9 x 9 adversarial digits on two networks, server", sorted(sets)[1], 0.25)
    _, sent = ask(visitor, "saliency")
    change(visitor, "saliency", sent, "method", "Grad-CAM")  # loads captum
    took = {
        method: change(visitor, "saliency", sent, "method", method)
        for method in ("Input × gradient", "SmoothGrad", "Guided Grad-CAM", "Integrated gradients")
    }
    slow = took.pop("Integrated gradients")
    worst = max(took, key=took.__getitem__)
    yield figure(
        "Saliency, another method, digits, server, the slowest of three", took[worst], 0.3, note=worst
    )
    yield figure("Saliency, integrated gradients, digits, server", slow, 1.5)
    visitor.leaves()


def cifar10(address: str) -> Iterator[Figure]:
    """The control of Perturbations for CIFAR-10: of all its pictures where they are here, else of the samples."""
    from tradeoff_core.datasets import available

    note = "" if available("cifar10") else "of the repository's samples: the data is not here"
    visitor = Visitor(address)
    _, sent = ask(visitor, "perturbations", data="CIFAR-10")
    began, firsts = time.perf_counter(), []

    def seen(message: ForwardMsg) -> None:
        if not firsts and b"data:image" in message.SerializeToString():
            firsts.append(time.perf_counter() - began)

    rest = change(visitor, "perturbations", sent, "set", 2, seen, data="CIFAR-10")
    visitor.leaves()
    yield figure(
        "adversarial pictures of CIFAR-10: to the first picture, server",
        firsts[0] if firsts else rest,
        1.5,
        note=note,
    )
    yield figure("adversarial pictures of CIFAR-10: to rest, server", rest, 3, note=note)


def visit(address: str, number: int, until: float) -> list[float]:
    """What a visitor waits, page after page and with other pictures on some, 1 to 3 s between actions."""
    draw, waits, page = random.Random(number), [], ""
    sent: list[ForwardMsg] = []
    time.sleep(3 * draw.random())
    visitor = Visitor(address)
    while time.monotonic() < until:
        if page in COUNTED and draw.random() < 0.5:
            waits.append(change(visitor, page, sent, COUNTED[page], draw.randint(2, 50)))
        else:
            page = draw.choice(OPEN)
            took, sent = ask(visitor, page)
            waits.append(took)
        time.sleep(1 + 2 * draw.random())
    visitor.leaves()
    return waits


def crowd(
    address: str, processes: dict[str, int], seconds: float, where: str, limit: float
) -> Iterator[Figure]:
    """Twenty visitors, and the memory after them of the processes, which have drawn a page before."""
    for own in processes:
        visitor = Visitor(own)
        ask(visitor, "overview")
        visitor.leaves()
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(VISITORS) as pool:
        visits = pool.map(lambda number: visit(address, number, until), range(VISITORS))
        waits = sorted(wait for waited in visits for wait in waited)
    note = f"{len(waits)} actions in {seconds:.0f} s, median {waits[len(waits) // 2]:.2f} s, longest {waits[-1]:.1f} s"
    yield figure(
        f"{VISITORS} visitors, all pages, 1-3 s between actions, p95, {where}",
        waits[int(0.95 * len(waits))],
        limit,
        note=note,
    )
    own = [
        re.search(r"Pss:\s+(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text())
        for one in processes.values()
    ]
    memory = sum(int(found[1]) for found in own if found) / 2**20
    yield figure(
        f"server memory after that, {where}", memory, 1.0, "GiB", "Pss: what is shared is counted once"
    )


@contextmanager
def two_processes(folder: str) -> Iterator[tuple[str, dict[str, int]]]:
    """The address of the README's nginx before its two processes, and the ids of these by their own addresses."""
    port = free_ports(2)
    command = [sys.executable, "-m", "tradeoff_core.tools.serve", "2", "--port", str(port)]
    server = subprocess.Popen([*command, "--server.baseUrlPath", "tradeoff"], cwd=ROOT, stdout=sys.stderr)
    try:
        own = [f"http://127.0.0.1:{each}/tradeoff" for each in (port, port + 1)]
        for each in own:
            answers(f"{each}/_stcore/health")
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        with nginx_before([port, port + 1], Path(folder)) as address:
            yield address, dict(zip(own, map(int, children), strict=True))
    finally:
        server.terminate()
        server.wait(PATIENCE)


def main(seconds: float) -> list[Figure]:
    with served(TRADEOFF_JOBS="2") as (address, _):
        found = [*alone(address), *cifar10(address)]
    with served(TRADEOFF_READ_ONLY="1") as (address, server):
        found += crowd(address, {address: server.pid}, seconds, "one process", 1.5)
    if not Path(NGINX).exists():
        return [*found, figure(f"{VISITORS} visitors, two processes", None, 1.0, note="skipped: needs nginx")]
    with TemporaryDirectory() as folder, two_processes(folder) as (address, processes):
        return [*found, *crowd(address, processes, seconds, "two processes behind nginx", 1.0)]


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60)))

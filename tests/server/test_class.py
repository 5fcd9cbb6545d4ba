"""Several processes behind the README's nginx: a visitor stays on one, and the processes share the weights."""

import io
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from proxying import needs_nginx, nginx_before
from visiting import PATIENCE, Visitor, answers, elements, free_ports

from tradeoff_core.common.paths import ROOT

pytestmark = [pytest.mark.server, needs_nginx]
VISITORS = 10
README = (ROOT / "tradeoff_core" / "README.md").read_text()
MEDIA = re.compile(rb"/media/([\w.]+)")


@contextmanager
def two_processes(log: Path):
    """The README's command: the first port, and the process ids by port."""
    command = re.search(r"`python -m (tradeoff_core\.tools\.serve 2 [^`]*)`", README)[1].split()
    port = free_ports(2)
    with log.open("wb") as into:
        command = [sys.executable, "-m", *command, "--port", str(port)]
        server = subprocess.Popen(command, cwd=ROOT, stdout=into, stderr=into)
        try:
            for each in (port, port + 1):
                answers(f"http://127.0.0.1:{each}/tradeoff/_stcore/health")
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            of = {int(Path(f"/proc/{one}/cmdline").read_text().split("\0")[-2]): int(one) for one in children}
            yield port, of
        finally:
            server.terminate()
            server.wait(60)
    assert not any(Path(f"/proc/{one}").exists() for one in children)


def got(address: str, cookie: str) -> bytes:
    with urllib.request.urlopen(
        urllib.request.Request(address, headers={"Cookie": cookie}), timeout=PATIENCE
    ) as answer:
        return answer.read()


def mapped(process: int) -> set[str]:
    """The unpacked weights that a process has in its memory."""
    return set(re.findall(r"/\S*tradeoff-\S+\.safetensors", Path(f"/proc/{process}/maps").read_text()))


def shared(process: int) -> tuple[int, int]:
    """KB of unpacked weights that a process has in its memory, and its share of them."""
    rss = pss = 0
    for part in re.split(r"(?m)^(?=[0-9a-f]+-)", Path(f"/proc/{process}/smaps").read_text()):
        if "tradeoff-" in part.partition("\n")[0]:
            rss += int(re.search(r"(?m)^Rss:\s+(\d+)", part)[1])
            pss += int(re.search(r"(?m)^Pss:\s+(\d+)", part)[1])
    return rss, pss


def test_a_visitor_stays_on_one_process_and_processes_share_the_weights(tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (300, 300), "white").save(picture, "PNG")
    with two_processes(tmp_path / "log") as (port, of), nginx_before([port, port + 1], tmp_path) as address:
        on = Counter()
        for _ in range(VISITORS):
            visitor = Visitor(address)
            sent = visitor.opens("stickers")  # which needs networks
            files = {name for message in sent for name in MEDIA.findall(message.SerializeToString())}
            assert files
            where = []  # the processes that have these files: files are named by what is in them
            for name in map(bytes.decode, files):
                assert got(f"{address}/media/{name}", visitor.cookie)
                for each in of:
                    try:
                        got(f"http://127.0.0.1:{each}/tradeoff/media/{name}", "")
                        where.append(each)
                    except urllib.error.HTTPError as error:
                        error.close()
            on.update(set(where))
            (upload,) = elements(visitor.opens("photograph"), "file_uploader")
            sent = visitor.opens("photograph", (visitor.uploads(picture.getvalue(), upload.id),))
            assert not elements(sent, "exception")
            assert not elements(sent, "alert")
            visitor.leaves()
        assert set(on) == set(of)  # both had some
        one, other = map(mapped, of.values())
        assert one & other
        for process in of.values():
            rss, pss = shared(process)
            print(f"weights: {rss / 1024:.0f} MB mapped, {pss / 1024:.0f} MB this process's share")
            assert pss < 0.75 * rss
    assert "Traceback" not in (tmp_path / "log").read_text()

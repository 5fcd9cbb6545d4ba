"""The README's nginx before servers of the app."""

import getpass
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tradeoff_core.common.paths import ROOT

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
needs_nginx = pytest.mark.skipif(
    not Path(NGINX).exists(), reason="nginx is not installed (Debian: apt-get install nginx-light)"
)


@contextmanager
def nginx_before(ports: Sequence[int], folder: Path) -> Iterator[str]:
    """The address of the README's configuration before processes at these ports of this machine, on a port of its own."""
    block = re.search(r"```nginx\n(.*?)```", (ROOT / "tradeoff_core" / "README.md").read_text(), re.S)[1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    block = block.replace("listen 80;", f"listen 127.0.0.1:{port};")
    servers = "".join(f"    server 127.0.0.1:{one};\n" for one in ports)
    block = re.sub(r"(    server 127\.0\.0\.1:\d+;.*\n)+", servers, block, count=1)
    kept = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"user {getpass.getuser()}; pid {folder}/pid; error_log {folder}/errors; daemon off; events {{}} http {{ access_log off; {kept}\n{block} }}"
    )
    if subprocess.run([NGINX, "-V"], capture_output=True, check=True) and Path("/etc/nginx").exists():
        subprocess.run(
            [NGINX, "-t", "-p", folder, "-c", folder / "nginx.conf"], check=True, capture_output=True
        )
    proxy = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"])
    for _ in range(100):
        with socket.socket() as asked:
            if not asked.connect_ex(("127.0.0.1", port)):
                break
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}/tradeoff"
    finally:
        proxy.terminate()
        proxy.wait(20)

"""Several processes of the app for a class, behind a proxy that keeps each visitor on one: tradeoff_core/README.md has nginx's part.

python -m tradeoff_core.tools.serve PROCESSES [--port 8501] [OPTION OF STREAMLIT ...]

They are public servers (`TRADEOFF_READ_ONLY=1`) at 127.0.0.1, on ports from --port on, and share the machine's cores. Weights
are unpacked when they are first needed, into a folder that goes with the servers, and mapped from there: all share one copy.
Where one process ends, all end.
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from tradeoff_core.common.paths import ROOT


def start(processes: int, port: int, options: Sequence[str], unpacked: str) -> list[subprocess.Popen[bytes]]:
    """The servers, started."""
    cores = max(1, (os.cpu_count() or 1) // processes)
    environment = {
        "TRADEOFF_READ_ONLY": "1",
        "TRADEOFF_UNPACKED": unpacked,
        "TRADEOFF_TURNS": str(cores),
        "OMP_NUM_THREADS": str(cores),
        "STREAMLIT_SERVER_COOKIE_SECRET": secrets.token_hex(),  # one: a visitor may come to another after a fault
    }
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.address", "127.0.0.1", *options, "--server.port"]
    return [
        subprocess.Popen([*command, str(port + number)], cwd=ROOT, env=os.environ | environment)
        for number in range(processes)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until one process ends, or this one is told to; the exit code is 1 if one ended by itself."""
    parser = argparse.ArgumentParser(prog="python -m tradeoff_core.tools.serve", description=__doc__)
    parser.add_argument("processes", type=int)
    parser.add_argument("--port", type=int, default=8501)
    options, for_streamlit = parser.parse_known_args(arguments)
    if options.processes < 1:
        parser.error("there must be 1 process or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with TemporaryDirectory(prefix="tradeoff-") as unpacked:
        servers = start(options.processes, options.port, for_streamlit, unpacked)
        try:
            os.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait()
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""What is slow to import is there before a page asks for it."""

import subprocess
import sys

from tradeoff_core.common.early import SLOW
from tradeoff_core.common.paths import ROOT

SAYS = f"""
import sys
from tradeoff_core.common.early import import_slow
thread = import_slow(0)
thread.join()
print([name for name in {SLOW!r} if name not in sys.modules], thread.daemon)
"""


def test_all_of_it_is_imported_in_the_background():
    done = subprocess.run([sys.executable, "-c", SAYS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] True"

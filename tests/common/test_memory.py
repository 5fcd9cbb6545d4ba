import subprocess
import sys

import pytest

CODE = """
import resource
from tradeoff_core.common import memory
{told}
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(64_000_000)
before = faults()
bytearray(64_000_000)
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator alone is told")
def test_a_training_step_uses_the_memory_of_the_one_before_without_asking_the_system_for_its_pages():
    asked = [
        int(subprocess.check_output([sys.executable, "-c", CODE.format(told=told)]))
        for told in ("", "memory.keep_for_the_next_step()")
    ]
    assert asked[0] > 1000
    assert asked[1] < 100

# SPDX-License-Identifier: BSD-2-Clause
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
os.environ.setdefault("MSP_BUILD", os.path.join(ROOT, "build", "release"))

from lab import net  # noqa: E402
from lab.lab import BASE, Lab  # noqa: E402


def tool(*args):
    return subprocess.run([os.path.join(ROOT, "tools", "lab"), *args], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


@pytest.fixture(scope="module")
def lab():
    """A lab that has walked from one signer to two; `lab.output` is what `tools/lab up` printed."""
    done = tool("up")
    print(done.stdout)
    running = Lab()
    running.output, running.exit = done.stdout, done.returncode
    if os.path.exists(f"{BASE}/build"):
        running.attach()
    yield running
    tool("down")
    assert net.existing() == [] and not os.path.exists(BASE)

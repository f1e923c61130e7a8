# SPDX-License-Identifier: BSD-2-Clause
"""Where the build is."""
import os

import pytest
from authlab import ROOT, Tool


@pytest.fixture(scope="session")
def tool():
    build = ROOT / os.environ.get("MSP_BUILD", "build/release")
    for path in (build / "tests" / "sig0tool", build / "sig0tool"):
        if path.exists():
            return Tool(path)
    pytest.fail(f"no sig0tool below {build}: build it first, or set MSP_BUILD")

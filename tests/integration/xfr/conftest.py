# SPDX-License-Identifier: BSD-2-Clause
"""Where the build is."""
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def xfrtool():
    build = ROOT / os.environ.get("MSP_BUILD", "build/release")
    for path in (build / "tests" / "xfrtool", build / "xfrtool"):
        if path.exists():
            return path
    pytest.fail(f"no xfrtool below {build}: build it first, or set MSP_BUILD")

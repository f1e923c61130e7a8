# SPDX-License-Identifier: BSD-2-Clause
"""A short soak; `prtsoak.py 1800` is the long one."""

import os
import random

import pytest

import prtsoak


@pytest.mark.parametrize("kind", ["bind", "knot"])
def test_soak_in_bad_company(kind):
    seed = int(os.environ.get("MSP_SEED", "0")) or random.randrange(1 << 30)
    counts = prtsoak.soak(float(os.environ.get("MSP_SOAK_SECONDS", "25")), seed, kind)
    print(seed, counts)
    assert counts["rounds"] >= 2 and counts["update: NOERROR"] > 30 and counts["trail: accepted"] > 10, (seed, counts)

# SPDX-License-Identifier: BSD-2-Clause
"""A short soak; `cmbsoak.py 1800` is the long one."""

import os
import random

import cmbsoak


def test_soak_in_bad_company():
    seed = int(os.environ.get("MSP_SEED", "0")) or random.randrange(1 << 30)
    counts = cmbsoak.soak(float(os.environ.get("MSP_SOAK_SECONDS", "25")), seed)
    assert counts["rounds"] >= 2 and counts["refreshed"] > 50 and counts["instructed"] > 0, (seed, counts)

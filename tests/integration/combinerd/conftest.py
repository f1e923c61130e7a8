# SPDX-License-Identifier: BSD-2-Clause
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import cmbharness as h  # noqa: E402


@pytest.fixture
def base():
    # short: the control socket's path has to fit sun_path
    d = tempfile.mkdtemp(prefix="cmb")
    yield d
    if os.environ.get("CMB_KEEP") is None:
        shutil.rmtree(d, ignore_errors=True)


@pytest.fixture
def servers(base):
    """Collects servers and stops them all, newest first; combinerd's sanitizer reports fail the test."""
    started = []

    def add(server):
        started.append(server)
        return server

    yield add
    problems = []
    for s in reversed(started):
        try:
            s.stop()
        except AssertionError as e:
            problems.append(e)
    for s in started:
        if s.proc is not None:
            s.proc.kill()
    if problems:
        raise problems[0]


@pytest.fixture
def pair(servers, base):
    """An NSD owner and a combinerd that serves its zone."""
    owner = servers(h.Nsd(base, "owner", h.zone_text(1000)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.notify = comb.where()
    owner.start()
    comb.start()
    return owner, comb

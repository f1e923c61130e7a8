# SPDX-License-Identifier: BSD-2-Clause
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import parent as h  # noqa: E402


@pytest.fixture
def base():
    # short: the control socket's path has to fit sun_path
    d = tempfile.mkdtemp(prefix="prt")
    yield d
    if os.environ.get("PRT_KEEP") is None:
        shutil.rmtree(d, ignore_errors=True)


@pytest.fixture
def servers(base):
    """Collects what has start() and stop() and stops it, newest first; sanitizer reports fail the test."""
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
    if problems:
        raise problems[0]


@pytest.fixture
def parent(servers, base):
    """A parentd for example., without children."""
    return servers(h.Parentd(base)).start()


@pytest.fixture
def key(parent):
    """A trusted key of child.example., which is delegated to ns.one.test. and ns.two.test."""
    k = h.ChildKey()
    parent.add_child(keys=[k])
    return k

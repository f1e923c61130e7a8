# SPDX-License-Identifier: BSD-2-Clause
"""What parentd announces to one child alone, pasted into the parent zone as `msctl parent records` prints it: msad finds that,
and not what is announced to all."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "../parentd"))
import parent as h  # noqa: E402
import world as w  # noqa: E402

PORT = 5353  # of the receiver; the wildcard names parentd's own, where nobody listens


class World(w.World):
    def up(self, child):
        """child: settings of the child's entry."""
        base = tempfile.mkdtemp(prefix="prt")
        p = h.Parentd(base, target="recv.example.", parent_settings=f'publish : {{ addresses = [ "{w.RECEIVER}" ]; ttl = 5; }};',
                      settings=f'children = ( {{ zone = "{w.ZONE}"; {child} }} );')
        try:
            p.start()
            lines = subprocess.run([h.MSCTL, "--socket", p.control, "parent", "records"], text=True, capture_output=True, check=True).stdout
        finally:
            p.stop()
            shutil.rmtree(base)
        self.build(lines)
        self.start_mock({"name": "recv.example.", "parent": "example.", "parent_server": w.PARENT, "address": w.RECEIVER, "port": PORT,
                         "private": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="})
        self.start_msad()


@pytest.fixture
def world():
    w.need_programs()
    one = World()
    try:
        yield one
        one.stop()
    finally:
        one.down()


def test_a_child_with_records_of_its_own_uses_those(world):
    world.up(f'dsync = [ "cds" ]; dsync-port = {PORT};')
    world.until(lambda: world.seen("notify"), "a NOTIFY")
    assert world.seen("notify")[0]["type"] == "CDS"
    assert not world.seen("upload") and not world.seen("inquiry")
    assert not os.path.exists(world.path("state", "parent-keys"))  # UPDATE is announced to the others only


def test_a_child_to_which_nothing_is_announced_leaves_it_to_a_person(world):
    world.up('dsync = [ "none" ];')
    world.until(lambda: world.status()["phase"] == "by-hand", "the word that a person must act")
    assert not world.seen("notify") and not world.seen("inquiry") and not world.seen("upload")

# SPDX-License-Identifier: BSD-2-Clause
"""A real msad, a real signed tree (Knot) in a network namespace, and at the parent a receiver written here: from CDS in the zone
to DS at the parent without a hand on it."""
import base64
import os
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world as w  # noqa: E402
from world import CHILD, ZONE, dsync  # noqa: E402


class World(w.World):
    """The parent's receiver is parentmock.py."""

    def up(self, records):
        """records: DSYNC of the parent."""
        key = ed25519.Ed25519PrivateKey.generate()
        public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        private = base64.b64encode(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()
        self.build(f'recv A {w.RECEIVER}\nrecv KEY 0 3 15 {public}\nrecv SVCB 1 . key65282="at-apex"\n' + records)
        self.start_mock({"name": "recv.example.", "parent": "example.", "parent_server": w.PARENT, "address": w.RECEIVER,
                         "port": 5353, "private": private})
        self.start_msad()

    def mode(self, mode):
        n = len(self.seen("mode"))
        self.mock.stdin.write(f"mode {mode}\n")
        self.mock.stdin.flush()
        self.until(lambda: len(self.seen("mode")) > n, "the mode")


@pytest.fixture
def world():
    w.need_programs()
    one = World()
    try:
        yield one
        one.stop()
    finally:
        one.down()


def test_a_new_zone_gets_its_ds_by_signed_update_with_a_key_bootstrapped_on_the_way(world):
    world.up(dsync(255, 2))
    world.until(world.has_ds, "DS at the parent")
    world.until(lambda: world.status()["in_sync"], "word that the parent's servers show it")
    s = world.status()
    assert s["key_state"] == "TRUSTED" and s["phase"] == "idle" and s["parent"] == "example."
    assert [e["state"] for e in world.seen("inquiry")][0] == 5  # asked before it was handed in
    assert len(world.seen("upload")) == 1 and world.seen("upload")[0]["records"] == 1
    assert not world.seen("key-del-any") and not world.seen("error")
    assert len(world.seen("update")) == 1
    assert s["keys"][0]["served"] and s["keys"][0]["tag"] == world.seen("upload")[0]["tag"]
    # The key is msad's alone.
    keys = os.listdir(world.path("state", "parent-keys"))
    assert len(keys) == 2
    for k in keys:
        if k.endswith(".private"):
            assert os.stat(world.path("state", "parent-keys", k)).st_mode & 0o777 == 0o600
    assert os.stat(world.path("state", "parent-keys")).st_mode & 0o777 == 0o700
    # Nothing more is sent; a restart uses the same key and finds nothing to do.
    world.msad.terminate()
    world.msad.wait(20)
    sent = len(world.events)
    world.start_msad()
    world.until(lambda: world.status()["in_sync"] and world.status()["parent"] == "example.", "a look after the restart")
    world.until(lambda: world.ctl("parent sync", zone=ZONE)["ok"], "the command")
    world.until(lambda: world.status()["phase"] == "idle", "the look")
    assert not [e for e in world.events[sent:] if e["what"] in ("upload", "update")]
    assert sorted(os.listdir(world.path("state", "parent-keys"))) == sorted(keys)


def test_answers_that_the_receiver_has_not_signed_are_not_believed(world):
    world.up(dsync(255, 2))
    world.until(lambda: world.seen("ready"), "the receiver")
    world.mode("forged")
    world.until(lambda: "parent-answer-not-believed" in world.log(), "a refusal to believe")
    assert not world.seen("update")
    world.mode("unsigned")
    time_before = len(world.seen("inquiry"))
    world.until(lambda: len(world.seen("inquiry")) > time_before, "another try")
    world.mode("honest")
    world.ctl("parent sync", zone=ZONE)
    world.until(world.has_ds, "DS at the parent")


def test_a_parent_that_only_takes_notify_is_notified(world):
    world.up(dsync(59, 1))
    world.until(lambda: world.seen("notify"), "a NOTIFY")
    assert world.seen("notify")[0]["type"] == "CDS"
    assert world.until(lambda: world.status()["phase"] == "confirm", "the wait for the parent")
    assert not world.seen("upload") and not os.path.exists(world.path("state", "parent-keys"))


def test_a_parent_that_takes_nothing_leaves_it_to_a_person(world):
    world.up("")
    world.until(lambda: world.status()["phase"] == "by-hand", "the word that a person must act")
    assert [line.replace(" ", "").upper().partition("INDS")[2] for line in world.status()["to_add"]] == world.dig(CHILD, ZONE, "CDS")


def test_a_key_is_rolled_on_command(world):
    world.up(dsync(255, 2))
    world.until(lambda: world.status()["in_sync"], "agreement")
    before = world.status()["keys"][0]["tag"]
    assert world.ctl("parent roll", zone=ZONE)["ok"]
    world.until(lambda: not world.status()["rolling"] and world.status()["keys"][0]["tag"] != before, "a new key")
    assert len(world.status()["keys"]) == 1
    world.until(lambda: len(world.dig(CHILD, ZONE, "KEY")) == 1, "one KEY in the zone")
    assert len(os.listdir(world.path("state", "parent-keys"))) == 2

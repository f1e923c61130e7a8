# SPDX-License-Identifier: BSD-2-Clause
"""Two parentd on one store: what is due is done by one of them, and goes on at the other when that one is gone."""

import pytest

import family as f
import parent as h
from pg import postgres  # noqa: F401, the fixture
from test_parentd_pg import Pair
from test_parentd_scan import POLICY, SETTINGS, ds, two, wants


class Lookers(Pair):
    SETTINGS = "sig0-skew = 0; " + SETTINGS


@pytest.fixture
def pair(postgres, servers, base):  # noqa: F811
    return Lookers(postgres, servers, base, policy=dict(POLICY, confirm=2), limits={"sweep": 0})


def looks(nodes):
    return [n.asked.get("CDS", 0) for n in nodes]


def deletion_waits(pair, servers, base):
    zone, nodes = two(servers, base)
    pair.a.add_child(zone.name, zone.delegation(ds=zone.keys))
    zone.cds(f.DELETE)
    for n in nodes:
        n.change(zone.copy())
    pair.a.notify(zone.name, "CDS")
    h.wait_for(lambda: pair.b.show(zone.name).get("pending"), message="the first of two looks, known to both")
    return zone, nodes


def test_the_second_look_is_one_look(pair, servers, base):
    zone, nodes = deletion_waits(pair, servers, base)
    h.wait_for(lambda: ds(pair.b) == [], message="all DS are gone")
    assert ds(pair.a) == []
    assert looks(nodes) == [2, 2]


def test_the_other_one_goes_on(pair, servers, base):
    zone, nodes = deletion_waits(pair, servers, base)
    pair.a.kill9()
    h.wait_for(lambda: ds(pair.b) == [], message="all DS are gone")
    assert looks(nodes) == [2, 2]


def test_limits_on_notify_are_shared(pair, servers, base):
    zone, nodes = two(servers, base)
    pair.a.add_child(zone.name, zone.delegation(ds=zone.keys))
    h.wait_for(lambda: pair.b.notify(zone.name, "CDS").rcode == "NOERROR", message="b to hear of the child")
    h.wait_for(lambda: pair.b.show(zone.name)["scan"].get("result"), message="looked at")
    for p in (pair.a, pair.b) * 10:
        assert p.notify(zone.name, "CDS").rcode == "NOERROR"
    h.wait_for(lambda: pair.a.show(zone.name)["scan"].get("next"), message="what came too early is put off")
    assert looks(nodes) == [1, 1]


def test_one_of_them_sweeps_and_the_other_takes_over(postgres, servers, base):  # noqa: F811
    pair = Lookers(postgres, servers, base, policy=POLICY, limits={"sweep": 2, "scan_rate": 100})
    zones = [two(servers, base, zone=f.Zone(f"c{i}.example.").key()) for i in range(5)]
    for zone, _nodes in zones:
        pair.a.add_child(zone.name, zone.delegation(ds=zone.keys))

    def swept():
        return [p.stats()["swept"] for p in pair.all]

    h.wait_for(lambda: all(0 not in looks(nodes) for _zone, nodes in zones), message="every child was looked at")
    h.wait_for(lambda: max(swept()) >= 5, message="and the looks are over")  # their servers are asked before that
    assert min(swept()) == 0
    busy, idle = sorted(pair.all, key=lambda p: -p.stats()["swept"])
    busy.kill9()
    h.wait_for(lambda: idle.stats()["swept"] >= 5, message="the other one takes over", timeout=40)
    assert all(ds(idle, zone.name) == wants(*zone.keys) for zone, _nodes in zones)

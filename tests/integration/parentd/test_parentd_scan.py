# SPDX-License-Identifier: BSD-2-Clause
"""CDS and CSYNC of real signed children, and of such that lie: NOTIFY, operator's scans, the sweep."""

import os
import socket

import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest

import family as f
import parent as h

POLICY = dict(checks=True, sources=["cds", "csync", "dsboot", "update"], confirm=1, scan_retry=["1", "1", "1", "1"],
              bootstrap_ds="none", ds_ttl=300, ds_ttl_changed=300)
SETTINGS = f"probe-port = {f.PORT}; probe-ipv6 = false; probe-timeout = 2;"


def make_parent(servers, base, policy=None, limits=None, settings=SETTINGS):
    return servers(h.Parentd(base, policy=dict(POLICY, **(policy or {})), limits=dict({"sweep": 0}, **(limits or {})),
                             settings=settings)).start()


@pytest.fixture
def parent(servers, base):
    return make_parent(servers, base)


def two(servers, base, kinds=(f.Liar, f.Liar), zone=None):
    """A child with two name servers below it; each has its own copy of the zone."""
    zone = zone or f.Zone().key()
    addrs = [kind.ADDRESS or h.address() for kind in kinds]
    zone.hosts = [(f"ns{i + 1}.{zone.name}", a) for i, a in enumerate(addrs)]
    return zone, [servers(kind(base, zone.copy(), addr)).start() for kind, addr in zip(kinds, addrs)]


def ds(parent, child=h.CHILD):
    return sorted(r[2].lower() for r in parent.records(child) if r[1] == "DS")


def wants(*keys, digest="SHA256"):
    return sorted(" ".join(k.ds(digest).split()).lower() for k in keys)


def result(parent, child=h.CHILD):
    return parent.show(child)["scan"].get("result") or ""


def scan(parent, child=h.CHILD):
    """An operator's; until it is through."""
    before = parent.stats()
    parent.ctl("parent scan", child=child)
    return before


def change_all(zone, nodes):
    for n in nodes:
        n.change(zone.copy())


def until_ds(parent, *keys):
    h.wait_for(lambda: ds(parent) == wants(*keys), message=f"DS changed; scan says: {result(parent)}")


def until_says(parent, words):
    try:
        h.wait_for(lambda: words in result(parent), message=f"'{words}' in the result")
    except AssertionError as e:
        raise AssertionError(f"{e}; it is: {result(parent)}") from None


@pytest.mark.parametrize("kinds", [(f.Nsd, f.Knot), (f.Bind, f.Nsd), (f.Knot, f.Bind)], ids=["nsd-knot", "bind-nsd", "knot-bind"])
def test_notify_about_a_rollover_changes_the_ds(servers, base, parent, kinds):
    zone, nodes = two(servers, base, kinds)
    old = zone.keys[0]
    parent.add_child(zone.name, zone.delegation(ds=[old]))
    zone.key().cds(cdnskey=True)
    change_all(zone, nodes)
    a = parent.notify(zone.name, "CDS")
    assert a.rcode == "NOERROR" and a.flags & 0x8400 == 0x8400
    until_ds(parent, *zone.keys)
    zone.cds(zone.keys[1:], cdnskey=True)
    change_all(zone, nodes)
    scan(parent)
    until_ds(parent, zone.keys[1])


def test_cdnskey_alone_is_enough(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    zone.key().put("CDNSKEY", *[k.dnskey.to_text() for k in zone.keys])
    change_all(zone, nodes)
    parent.notify(zone.name, "CDS")
    until_ds(parent, *zone.keys)


def test_cds_that_differ_between_servers_change_nothing_until_they_agree(servers, base, parent):
    zone, nodes = two(servers, base, (f.Nsd, f.Liar))
    old = zone.keys[0]
    parent.add_child(zone.name, zone.delegation(ds=[old]))
    zone.key().cds()
    nodes[0].change(zone.copy())
    nodes[1].change(zone.copy().cds([old]))
    parent.notify(zone.name, "CDS")
    h.wait_for(lambda: parent.show(zone.name)["scan"]["failures"] > 0, message="a scan that waits")
    assert ds(parent) == wants(old)
    nodes[1].change(zone.copy())
    until_ds(parent, *zone.keys)  # the retry finds it, nobody has to say so


def test_a_server_that_does_not_answer_holds_everything_up_and_retries_find_it_back(servers, base, parent):
    zone, nodes = two(servers, base)
    old = zone.keys[0]
    parent.add_child(zone.name, zone.delegation(ds=[old]))
    zone.key().cds()
    change_all(zone, nodes)
    nodes[1].mute = {"CDS"}
    parent.notify(zone.name, "CDS")
    h.wait_for(lambda: parent.show(zone.name)["scan"]["failures"] > 0, message="a scan that waits")
    assert ds(parent) == wants(old)
    nodes[1].mute = set()
    until_ds(parent, *zone.keys)


@pytest.mark.parametrize("how", ["rcode", "no_aa", "deaf"])
def test_a_broken_server_never_counts_as_one_that_agrees(servers, base, parent, how):
    zone, nodes = two(servers, base)
    old = zone.keys[0]
    parent.add_child(zone.name, zone.delegation(ds=[old]))
    zone.key().cds()
    change_all(zone, nodes)
    setattr(nodes[0], how, "REFUSED" if how == "rcode" else True)
    scan(parent)
    h.wait_for(lambda: result(parent), message="a result")
    assert ds(parent) == wants(old)
    assert "accepted" not in result(parent)


def test_cds_signed_by_a_key_that_the_ds_do_not_name_is_refused(servers, base, parent):
    zone, nodes = two(servers, base)
    old = zone.keys[0]
    parent.add_child(zone.name, zone.delegation(ds=[old]))
    forged = f.Zone(zone.name, zone.hosts).key().cds()
    change_all(forged, nodes)
    scan(parent)
    until_says(parent, "refused")
    assert ds(parent) == wants(old)


def test_unsigned_cds_is_refused(servers, base, parent):
    zone, nodes = two(servers, base)
    old = zone.keys[0]
    parent.add_child(zone.name, zone.delegation(ds=[old]))
    zone.key().cds()
    zone.unsigned.add((zone.name, "CDS"))
    change_all(zone, nodes)
    scan(parent)
    until_says(parent, "refused")
    assert ds(parent) == wants(old)


def test_a_ds_set_that_would_break_one_server_is_refused(servers, base, parent):
    """The new CDS names only a key that one of the servers does not have."""
    zone, nodes = two(servers, base)
    old, new = zone.keys[0], f.Key(zone.name)
    parent.add_child(zone.name, zone.delegation(ds=[old]))
    first = zone.copy().key(new).cds([new])
    second = zone.copy().put("CDS", new.ds())
    nodes[0].change(first)
    nodes[1].change(second)
    scan(parent)
    until_says(parent, "refused")
    assert ds(parent) == wants(old)


def test_delete_sentinel_is_carried_out_after_a_second_look(servers, base):
    parent = make_parent(servers, base, {"confirm": 2})
    zone, nodes = two(servers, base, (f.Knot, f.Nsd))
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    zone.cds(f.DELETE)
    change_all(zone, nodes)
    parent.notify(zone.name, "CDS")
    pending = h.wait_for(lambda: parent.show(zone.name).get("pending"), message="the first of two looks")
    assert pending["waits_for"] == "confirm" and ds(parent) == wants(*zone.keys)
    h.wait_for(lambda: ds(parent) == [], message="all DS are gone")


def test_delete_sentinel_that_goes_away_before_the_second_look_deletes_nothing(servers, base):
    parent = make_parent(servers, base, {"confirm": 3})
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    change_all(zone.copy().cds(f.DELETE), nodes)
    parent.notify(zone.name, "CDS")
    h.wait_for(lambda: parent.show(zone.name).get("pending"), message="the first of two looks")
    change_all(zone.copy().no_cds(), nodes)
    h.wait_for(lambda: not parent.show(zone.name).get("pending"), message="it is not asked for any more")
    assert ds(parent) == wants(*zone.keys)


def test_delete_sentinel_beside_others_is_refused(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    zone.put("CDS", f.DELETE, zone.keys[0].ds())
    change_all(zone, nodes)
    scan(parent)
    until_says(parent, "refused")
    assert ds(parent) == wants(*zone.keys)


def test_providers_with_different_dnskey_sets_and_the_same_cds_are_in_order(servers, base, parent):
    """Multi-signer: each signs with its own keys and publishes the other's; both publish CDS of both."""
    one, other = f.Zone().key(), f.Zone().key()
    addrs = [h.address(), h.address()]
    hosts = [(f"ns{i + 1}.{one.name}", a) for i, a in enumerate(addrs)]
    for z, foreign in ((one, other), (other, one)):
        z.hosts, z.foreign = hosts, [foreign.keys[0]]
    extra = f.Key(one.name)  # a ZSK that is published at one of them alone
    one.foreign = one.foreign + [extra]
    for z in (one, other):
        z.cds([one.keys[0], other.keys[0]])
    nodes = [servers(f.Knot(base, one, addrs[0])).start(), servers(f.Nsd(base, other, addrs[1])).start()]
    # Before: the DS of one provider alone would leave the other one bogus, so both are there.
    parent.add_child(one.name, one.delegation(ds=[one.keys[0], other.keys[0]]))
    third = f.Key(one.name)
    for z, n in ((one, nodes[0]), (other, nodes[1])):
        new = z.copy()
        new.foreign.append(third)
        n.change(new.cds([one.keys[0], other.keys[0], third]))
    parent.notify(one.name, "CDS")
    until_ds(parent, one.keys[0], other.keys[0], third)
    # One provider leaves too early: the CDS that drop its key while it still serves are refused.
    for z, n in ((one, nodes[0]), (other, nodes[1])):
        n.change(z.copy().cds([one.keys[0]]))
    scan(parent)
    until_says(parent, "refused")
    assert ds(parent) == wants(one.keys[0], other.keys[0], third)


def test_data_older_than_what_was_acted_on_is_not_taken_back(servers, base, parent):
    zone, nodes = two(servers, base)
    old = zone.keys[0]
    parent.add_child(zone.name, zone.delegation(ds=[old]))
    before = zone.copy().key(f.Key(zone.name)).cds([old])
    before.age = 7200
    zone.key().cds()
    change_all(zone, nodes)
    parent.notify(zone.name, "CDS")
    until_ds(parent, *zone.keys)
    change_all(before, nodes)
    scan(parent)
    until_says(parent, "older")
    assert ds(parent) == wants(*zone.keys)


def test_no_cds_anywhere_is_no_wish(servers, base, parent):
    zone, _nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    scan(parent)
    until_says(parent, "no change")
    assert ds(parent) == wants(*zone.keys)


def test_notifies_are_coalesced_and_limited(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    for _ in range(50):
        assert parent.notify(zone.name, "CDS").rcode == "NOERROR"
    h.wait_for(lambda: result(parent), message="looked at")
    for _ in range(50):
        assert parent.notify(zone.name, "CDS").rcode == "NOERROR"
    h.wait_for(lambda: parent.show(zone.name)["scan"].get("next"), message="what came too early is put off, not lost")
    assert nodes[0].asked["CDS"] == 1


# --- CSYNC ------------------------------------------------------------------------------------------------------------


def with_a_third_server(servers, base, zone):
    new = zone.copy()
    third = servers(f.Liar(base, new, h.address()))
    new.hosts = zone.hosts[:1] + [(f"ns3.{zone.name}", third.addr)]
    third.zone = new
    third.start()
    return new, third


def test_csync_copies_ns_and_glue(servers, base, parent):
    zone, nodes = two(servers, base, (f.Nsd, f.Nsd))
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    new, third = with_a_third_server(servers, base, zone)
    new.csync()
    change_all(new, nodes + [third])
    parent.notify(zone.name, "CSYNC")
    h.wait_for(lambda: parent.ns() == [f"ns1.{zone.name}", f"ns3.{zone.name}"], message=result(parent))
    assert (f"ns3.{zone.name}", "A", third.addr) in parent.records()
    assert not any(r[0] == f"ns2.{zone.name}" for r in parent.records())
    assert ds(parent) == wants(*zone.keys)


def test_csync_that_names_a_lame_server_is_refused(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    new, third = with_a_third_server(servers, base, zone)
    third.rcode = "REFUSED"
    change_all(new.csync(), nodes)
    scan(parent)
    h.wait_for(lambda: result(parent), message="a result")
    assert parent.ns() == [f"ns1.{zone.name}", f"ns2.{zone.name}"], result(parent)


def test_csync_that_names_a_server_without_udp_waits_for_it(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    new, third = with_a_third_server(servers, base, zone)
    third.udp = "mute"
    change_all(new.csync(), nodes + [third])
    parent.notify(zone.name, "CSYNC")
    until_says(parent, f"{third.addr}:{f.PORT} does not answer over UDP")
    assert parent.ns() == [f"ns1.{zone.name}", f"ns2.{zone.name}"]
    assert [n.asked_udp for n in nodes] == [0, 0], "of those that are there nobody asks it"
    third.udp = "answers"
    h.wait_for(lambda: parent.ns() == [f"ns1.{zone.name}", f"ns3.{zone.name}"], message="a retry finds it")


def test_csync_without_immediate_waits_for_an_operator(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    new, third = with_a_third_server(servers, base, zone)
    change_all(new.csync(flags=0), nodes + [third])
    scan(parent)
    pending = h.wait_for(lambda: parent.show(zone.name).get("pending"), message="waits")
    assert pending["waits_for"] == "operator" and pending["source"] == "csync"
    assert parent.ns() == [f"ns1.{zone.name}", f"ns2.{zone.name}"]
    parent.approve_change(zone.name)
    h.wait_for(lambda: parent.ns() == [f"ns1.{zone.name}", f"ns3.{zone.name}"], message="approved")


def test_csync_soaminimum_waits_for_the_serial(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    new, third = with_a_third_server(servers, base, zone)
    new.serial = 5
    change_all(new.csync(flags=3, serial=7), nodes + [third])
    parent.notify(zone.name, "CSYNC")
    until_says(parent, "serial")
    assert parent.ns() == [f"ns1.{zone.name}", f"ns2.{zone.name}"]
    new.serial = 7
    change_all(new, nodes + [third])
    h.wait_for(lambda: parent.ns() == [f"ns1.{zone.name}", f"ns3.{zone.name}"], message=result(parent))


@pytest.mark.parametrize("what", ["CSYNC", "NS", "A", "SOA"])
def test_csync_with_unsigned_data_is_refused(servers, base, parent, what):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    new, third = with_a_third_server(servers, base, zone)
    new.csync()
    new.unsigned.add((f"ns3.{zone.name}" if what == "A" else zone.name, what))
    change_all(new, nodes + [third])
    scan(parent)
    until_says(parent, "refused")
    assert parent.ns() == [f"ns1.{zone.name}", f"ns2.{zone.name}"]


def test_csync_of_an_insecure_child_does_nothing(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation())
    new, third = with_a_third_server(servers, base, zone)
    change_all(new.csync(), nodes + [third])
    scan(parent)
    h.wait_for(lambda: parent.show(zone.name)["scan"].get("last"), message="looked at")
    assert parent.ns() == [f"ns1.{zone.name}", f"ns2.{zone.name}"]


def test_csync_with_types_that_are_not_copied_is_refused(servers, base, parent):
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    new, third = with_a_third_server(servers, base, zone)
    change_all(new.csync("NS A TXT"), nodes + [third])
    scan(parent)
    until_says(parent, "refused")
    assert parent.ns() == [f"ns1.{zone.name}", f"ns2.{zone.name}"]


# --- without NOTIFY, with UPDATE, over a restart ----------------------------------------------------------------------


def test_the_sweep_finds_a_change_that_nobody_has_told_of(servers, base):
    parent = make_parent(servers, base, limits={"sweep": 1, "scan_rate": 100})
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    for i in range(20):  # others have nothing to say
        parent.add_child(f"c{i}.example.")
    change_all(zone.key().cds(), nodes)
    until_ds(parent, *zone.keys)


class Hole:
    """An address that takes no connections: the queue of its listener is full."""

    def __init__(self):
        self.addr, self.sockets = h.address(), []

    def start(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.addr, f.PORT))
        listener.listen(0)
        self.sockets = [listener] + [socket.socket() for _ in range(4)]
        for s in self.sockets[1:]:
            s.setblocking(False)
            s.connect_ex((self.addr, f.PORT))
        return self

    def stop(self):
        for s in self.sockets:
            s.close()


def test_a_dead_server_of_many_children_is_not_waited_for_by_each(servers, base):
    """Four at a time, 2 s each: 100 s for 200 children. Whoever asks is told what is so, whatever was known before."""
    hole, many = servers(Hole()).start(), 200
    parent = make_parent(servers, base, {"scan_retry": ["900"] * 4}, {"sweep": 2, "scan_rate": 1000, "scans_in_flight": 4})
    zone, _nodes = two(servers, base, (f.Liar, f.Liar))
    for i in range(many):
        name = f"c{i}.example."
        parent.add_child(name, [f"{name} 300 NS ns1.{name}", f"ns1.{name} 300 A {hole.addr}", f"{name} 300 DS {f.Key(name).ds()}"])
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    before = parent.stats()["swept"]
    h.wait_for(lambda: parent.stats()["swept"] > before + many, timeout=40, message="a sweep over all of them")
    parent.ctl("parent scan", child="c0.example.")
    hole.stop()
    alive = servers(f.Liar(base, f.Zone("c1.example.", [("ns1.c1.example.", hole.addr)]).key(), hole.addr)).start()
    parent.ctl("parent scan", child="c1.example.")
    h.wait_for(lambda: alive.asked.get("CDS"), message="it is asked when somebody wants it")


def test_a_child_without_ds_is_taken_after_a_delay_of_looks_that_agree(servers, base):
    parent = make_parent(servers, base, {"bootstrap_ds": "delay", "bootstrap_ds_delay": 2})
    zone, nodes = two(servers, base, (f.Nsd, f.Knot))
    parent.add_child(zone.name, zone.delegation())
    change_all(zone.cds(), nodes)
    parent.notify(zone.name, "CDS")
    h.wait_for(lambda: parent.show(zone.name).get("pending"), message="waits for its time")
    assert ds(parent) == []
    until_ds(parent, *zone.keys)


def test_what_waits_goes_on_after_kill_9(servers, base):
    parent = make_parent(servers, base, {"confirm": 2})
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    change_all(zone.cds(f.DELETE), nodes)
    parent.notify(zone.name, "CDS")
    h.wait_for(lambda: parent.show(zone.name).get("pending"), message="the first of two looks")
    parent.kill9()
    parent.start()
    h.wait_for(lambda: ds(parent) == [], message="the second look comes all the same")


def test_an_update_is_answered_when_its_servers_have_been_looked_at(servers, base, parent):
    zone, _nodes = two(servers, base, (f.Nsd, f.Liar))
    key = h.ChildKey()
    parent.add_child(zone.name, zone.delegation(ds=zone.keys), keys=[key])
    a = parent.update(key, [h.add(zone.name, "DS", f.Key(zone.name).ds())])
    assert a.rcode == "NOERROR", a
    assert len(ds(parent)) == 2
    a = parent.update(key, [h.delete(zone.name, "DS"), h.add(zone.name, "DS", f.Key(zone.name).ds())])
    assert a.rcode == "REFUSED" and h.EDE["CHAIN"] in a.ede_codes, a
    assert len(ds(parent)) == 2


def update_to_a_third_server(servers, base, udp, **policy):
    parent = make_parent(servers, base, dict({"check_tries": 1}, **policy), {"sync_limit_ms": 20000})
    zone, nodes = two(servers, base)
    key = h.ChildKey()
    parent.add_child(zone.name, zone.delegation(ds=zone.keys), keys=[key])
    new, third = with_a_third_server(servers, base, zone)
    third.udp = udp
    host = f"ns3.{zone.name}"
    change_all(new, nodes + [third])
    a = parent.update(key, [h.add(zone.name, "NS", host), h.add(host, "A", third.addr), h.delete(zone.name, "NS", f"ns2.{zone.name}"),
                            h.delete(f"ns2.{zone.name}", "A")])
    return parent, a, nodes, third


@pytest.mark.parametrize("udp", ["mute", "REFUSED", "SERVFAIL"])
def test_an_update_that_names_a_server_without_udp_is_refused(servers, base, udp):
    parent, a, nodes, third = update_to_a_third_server(servers, base, udp)
    assert a.rcode == "REFUSED" and h.EDE["CHECK"] in a.ede_codes, a
    text = " ".join(text for _code, text in a.ede)
    assert f"ns3.{h.CHILD} {third.addr}" in text and "over UDP" in text, text
    assert parent.ns() == [f"ns1.{h.CHILD}", f"ns2.{h.CHILD}"]
    assert third.asked["SOA"] >= 1, "over TCP it answers"
    assert third.asked_udp == (2 if udp == "mute" else 1), "once, and once more"
    assert [n.asked_udp for n in nodes] == [0, 0], "of those that are there nobody asks it"


@pytest.mark.parametrize("udp,policy", [("answers", {}), ("truncates", {}), ("mute", {"min_servers": 1})])
def test_an_update_that_names_a_server_with_udp_is_granted(servers, base, udp, policy):
    """A truncated answer is one. With min-servers a server may be out of reach, by UDP as well."""
    parent, a, _nodes, third = update_to_a_third_server(servers, base, udp, **policy)
    assert a.rcode == "NOERROR", a
    h.wait_for(lambda: parent.ns() == [f"ns1.{h.CHILD}", f"ns3.{h.CHILD}"], message="granted")
    assert third.asked_udp >= 1


def test_a_server_without_udp_that_is_there_already_holds_up_no_change(servers, base, parent):
    zone, nodes = two(servers, base)
    key = h.ChildKey()
    parent.add_child(zone.name, zone.delegation(ds=zone.keys), keys=[key])
    nodes[1].udp = "mute"
    new = f.Key(zone.name)
    assert parent.update(key, [h.add(zone.name, "DS", new.ds())]).rcode == "NOERROR"
    assert ds(parent) == wants(zone.keys[0], new)


def test_a_slow_server_defers_the_answer_and_not_the_outcome(servers, base):
    parent = make_parent(servers, base, limits={"sync_limit_ms": 300})
    zone, nodes = two(servers, base)
    key = h.ChildKey()
    parent.add_child(zone.name, zone.delegation(ds=zone.keys), keys=[key])
    nodes[1].delay_s = 0.3
    new = f.Key(zone.name)
    a = parent.update(key, [h.add(zone.name, "DS", new.ds())])
    assert a.rcode == "NOERROR", a
    assert ds(parent) == wants(*zone.keys)
    until_ds(parent, zone.keys[0], new)


def test_deaf_children_hold_up_no_other_childs_change(servers, base):
    """More of them than are looked at at one time."""
    parent = make_parent(servers, base, limits={"scans_in_flight": 4, "sync_limit_ms": 15000})
    zone, _nodes = two(servers, base)
    key = h.ChildKey()
    parent.add_child(zone.name, zone.delegation(ds=zone.keys), keys=[key])
    for i in range(12):
        deaf, nodes = two(servers, base, zone=f.Zone(f"deaf{i}.example.").key())
        for n in nodes:
            n.deaf = True
        parent.add_child(deaf.name, deaf.delegation(ds=deaf.keys))
        parent.ctl("parent scan", child=deaf.name)
    assert parent.stats()["looks_waiting"] > 0
    new = f.Key(zone.name)
    assert parent.update(key, [h.add(zone.name, "DS", new.ds())]).rcode == "NOERROR"
    assert ds(parent) == wants(zone.keys[0], new)
    h.wait_for(lambda: parent.stats()["looks_waiting"] + parent.stats()["looks_running"] == 0, message="all are through", timeout=60)


def test_rrsets_full_of_signatures_that_fail_cost_little(servers, base, parent):
    """CVE-2023-50387 (KeyTrap): signatures that are tried are counted."""
    zone, nodes = two(servers, base)
    parent.add_child(zone.name, zone.delegation(ds=zone.keys))
    real = zone.copy().cds()
    for node in nodes:
        node.change(real.copy())
        for (name, rdtype), (rrset, sigs) in list(node.sets.items()):
            if sigs is None or dns.rdatatype.to_text(rdtype) not in ("DNSKEY", "CDS"):
                continue
            bad = [dns.rdata.from_wire("IN", "RRSIG", sigs[0].to_digestable()[:-64] + os.urandom(64), 0,
                                       len(sigs[0].to_digestable())) for _ in range(200)]
            node.sets[(name, rdtype)] = rrset, dns.rrset.from_rdata_list(name, 300, bad)
    cpu = cpu_s(parent)
    scan(parent)
    until_says(parent, "refused")
    assert ds(parent) == wants(*zone.keys)
    assert cpu_s(parent) - cpu < 2


def cpu_s(parent):
    with open(f"/proc/{parent.proc.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

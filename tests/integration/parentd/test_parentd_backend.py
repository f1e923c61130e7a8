# SPDX-License-Identifier: BSD-2-Clause
"""
What is accepted becomes true at the parent's primary (real BIND, Knot, PowerDNS), in a file, by a program; what others
do there comes back by transfer; and whatever is down meanwhile, nothing that was accepted is lost and nobody waits.
"""

import json
import os
import runpy
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml

import dns.message
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.zone
import pytest

import parent as h
import primaries
from pg import postgres  # noqa: F401, the fixture

DS = "4711 13 2 " + "a1" * 32
CHILD = h.CHILD
START = [f"{CHILD} 300 IN NS ns.one.test.", f"{CHILD} 300 IN NS ns.two.test.",
         "other.example. 300 IN NS ns.one.test.", "other.example. 300 IN NS ns.two.test."]


def secret_file(base):
    path = os.path.join(str(base), "primary.secret")
    h.write(path, primaries.SECRET + "\n", 0o600)
    return path


def backend(primary, name="primary", settings=""):
    return (f'{{ name = "{name}"; kind = "update"; address = "{primary.addr}"; port = {primary.port}; '
            f'tsig-key = "{primaries.KEY}"; retry = 1; retry-max = 1; {settings} }}')


def keys(base):
    return (f'tsig-keys = ( {{ name = "{primaries.KEY}"; algorithm = "hmac-sha256"; '
            f'secret-file = "{secret_file(base)}"; }} );')


def with_primary(base, servers, kind="bind", lines=START, backends=None, policy=None, imports=True, start=True):
    """A primary, and a parentd that reads and writes its zone."""
    p = servers(primaries.KINDS[kind](base, lines))
    d = servers(h.Parentd(base, policy=policy, settings=keys(base)))
    p.notify = (d.addr, d.port)
    source = (f'primary : {{ address = "{p.addr}"; port = {p.port}; tsig-key = "{primaries.KEY}"; interval = 1; }};'
              if imports else "")
    d.parent_settings = f'{source} backends = ( {backends or backend(p)} );'
    d.configure()
    p.start()
    if start:
        d.start()
        if imports:
            h.wait_for(lambda: has_child(d), message="the parent zone was read")
    return p, d


def has_child(d, child=CHILD):
    answer = d.ctl("parent show", raw=True, child=child)
    return answer["ok"]


def trusted(d, child=CHILD):
    k = h.ChildKey(child)
    d.trust(k)
    return k


def state(d, name="primary"):
    return next(b for b in d.ctl("parent backends") if b["backend"] == name)


def is_published(d, child=CHILD):
    return d.show(child)["published"]


def update(d, key, records):
    a = d.update(key, records)
    assert a.rcode == "NOERROR", a
    return a


def ns_of(records, child=CHILD):
    return sorted(r[2] for r in records if r[0] == child and r[1] == "NS")


def delegation(child=CHILD, n=1):
    """NS (one of them in the child, with glue) and DS."""
    return ([h.delete(child, "NS"), h.delete(child, "DS")] + [h.delete(f"ns.{child}", t) for t in ("A", "AAAA")]
            + [h.add(child, "NS", f"ns.{child}"), h.add(child, "NS", f"ns{n}.test."), h.add(child, "DS", DS),
               h.add(f"ns.{child}", "A", f"192.0.2.{n}"), h.add(f"ns.{child}", "AAAA", f"2001:db8::{n}")])


def wanted(child=CHILD, n=1):
    return sorted([(child, "NS", f"ns.{child}"), (child, "NS", f"ns{n}.test."), (child, "DS", DS),
                   (f"ns.{child}", "A", f"192.0.2.{n}"), (f"ns.{child}", "AAAA", f"2001:db8::{n}")])


# --- UPDATE to the primary ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(primaries.KINDS))
def test_the_primary_has_exactly_what_was_accepted(servers, base, kind):
    p, d = with_primary(base, servers, kind)
    assert d.ns() == ["ns.one.test.", "ns.two.test."]
    k = trusted(d)
    others = [r for r in p.axfr() if not r[0].endswith(CHILD)]
    for n in (1, 2):
        update(d, k, delegation(n=n))
        h.wait_for(lambda: sorted(p.at(CHILD)) == wanted(n=n), message=f"version {n}: {p.at(CHILD)}")
    # servers elsewhere again, no DS: glue goes, too
    d.ctl("parent set", child=CHILD, how="force", records=f"{CHILD} 300 NS ns.one.test.\n{CHILD} 300 NS ns.two.test.")
    h.wait_for(lambda: sorted(p.at(CHILD)) == [(CHILD, "NS", "ns.one.test."), (CHILD, "NS", "ns.two.test.")],
               message="back again")
    h.wait_for(lambda: is_published(d))
    assert [r for r in p.axfr() if not r[0].endswith(CHILD)] == others
    h.wait_for(lambda: d.stats()["published"] == 3)
    assert d.stats()["backend_failures"] == 0


@pytest.mark.parametrize("kind", sorted(primaries.KINDS))
def test_many_children_at_once(servers, base, kind):
    names = [f"c{i}.example." for i in range(60)]
    p, d = with_primary(base, servers, kind,
                        START + [f"{c} 300 IN NS ns{i}.test." for c in names for i in (8, 9)])
    h.wait_for(lambda: has_child(d, names[-1]))
    p.stop()
    for c in names:
        d.ctl("parent set", child=c, how="force",
              records=f"{c} 300 NS ns.{c}\n{c} 300 NS ns1.test.\n{c} 300 DS {DS}\n"
                      f"ns.{c} 300 A 192.0.2.1\nns.{c} 300 AAAA 2001:db8::1")
    h.wait_for(lambda: state(d)["down"])
    p.start()
    h.wait_for(lambda: all(is_published(d, c) for c in names), message="published")
    for c in names:
        assert sorted(p.at(c)) == wanted(c)


def test_a_child_that_the_primary_does_not_take_holds_up_nobody(servers, base):
    class Picky(primaries.Bind):
        grants = f"deny {primaries.KEY} subdomain bad.example.; grant {primaries.KEY} zonesub ANY;"

    lines = START + ["bad.example. 300 IN NS ns.one.test.", "bad.example. 300 IN NS ns.two.test."]
    primaries.KINDS["picky"] = Picky
    try:
        p, d = with_primary(base, servers, "picky", lines)
    finally:
        del primaries.KINDS["picky"]
    h.wait_for(lambda: has_child(d, "bad.example."))
    for child in ("bad.example.", CHILD):
        d.ctl("parent set", child=child, how="force", records=f"{child} 300 NS ns1.test.\n{child} 300 NS ns2.test.")
    h.wait_for(lambda: is_published(d), message="the other child is through")
    assert not is_published(d, "bad.example.") and ns_of(p.axfr(), "bad.example.") == ["ns.one.test.", "ns.two.test."]
    assert "REFUSED" in state(d)["error"]
    p.stop()
    Picky.grants = f"grant {primaries.KEY} zonesub ANY;"
    p.start()
    h.wait_for(lambda: is_published(d, "bad.example."), message="taken at last")
    h.wait_for(lambda: state(d).get("error", "") == "")


def test_answers_do_not_wait_for_a_primary_that_is_down(servers, base):
    p, d = with_primary(base, servers)
    k = trusted(d)
    p.stop()
    took = []
    for n in range(1, 26):
        begin = time.monotonic()
        update(d, k, delegation(n=n))
        took.append(time.monotonic() - begin)
    took.sort()
    assert took[len(took) // 2] < 0.1 and took[-1] < 1, took
    h.wait_for(lambda: state(d)["down"])
    assert "error" in state(d) and not is_published(d)
    p.start()
    h.wait_for(lambda: sorted(p.at(CHILD)) == wanted(n=25), message="the last of them is there")
    h.wait_for(lambda: is_published(d) and not state(d)["down"])
    # all those changes were one for the primary
    h.wait_for(lambda: d.stats()["published"] == 1)


@pytest.mark.parametrize("kind", sorted(primaries.KINDS))
def test_kill_between_accepted_and_published(servers, base, kind):
    p, d = with_primary(base, servers, kind)
    k = trusted(d)
    p.stop()
    update(d, k, delegation(n=7))
    d.kill9()
    p.start()
    d.start()
    h.wait_for(lambda: sorted(p.at(CHILD)) == wanted(n=7), message="applied after the crash")
    h.wait_for(lambda: is_published(d))


def test_kill_at_any_moment(servers, base):
    p, d = with_primary(base, servers)
    k = trusted(d)
    for n in range(1, 11):
        update(d, k, delegation(n=n))
        time.sleep(0.003 * n)  # the moment of the crash is what is tried, not a wait for anything
        d.kill9()
        d.start()
    h.wait_for(lambda: sorted(p.at(CHILD)) == wanted(n=10), message="the last one")
    h.wait_for(lambda: is_published(d))
    assert d.ctl("parent verify")


def test_a_wrong_key_is_an_alarm_and_not_the_childs_fault(servers, base):
    p, d = with_primary(base, servers, imports=False, start=False)
    h.write(os.path.join(base, "primary.secret"), "d3JvbmcgLSB3cm9uZyAtIHdyb25nIC0gd3Jvbmc=\n", 0o600)
    d.start()
    d.add_child()
    d.ctl("parent set", child=CHILD, how="force", records=f"{CHILD} 300 NS ns1.test.\n{CHILD} 300 NS ns2.test.")
    h.wait_for(lambda: state(d)["down"])
    assert "NOTAUTH" in state(d)["error"]
    assert d.ns() == ["ns1.test.", "ns2.test."] and not is_published(d)
    secret_file(base)
    d.reload()  # the key was mended: no restart
    h.wait_for(lambda: ns_of(p.axfr()) == ["ns1.test.", "ns2.test."])
    h.wait_for(lambda: not state(d)["down"])


def test_rollback_by_an_operator(servers, base):
    p, d = with_primary(base, servers)
    k = trusted(d)
    update(d, k, delegation(n=1))
    h.wait_for(lambda: sorted(p.at(CHILD)) == wanted(n=1))
    update(d, k, delegation(n=2))
    h.wait_for(lambda: sorted(p.at(CHILD)) == wanted(n=2))
    entries = d.ctl("parent audit", child=CHILD)["rows"]
    seq = [e["seq"] for e in entries if e["verdict"] == "accepted"][-1]
    d.ctl("parent rollback", seq=str(seq), how="force")
    h.wait_for(lambda: sorted(p.at(CHILD)) == wanted(n=1), message="the delegation from before")
    h.wait_for(lambda: is_published(d))


def test_propose_waits_for_an_operator(servers, base):
    p, d = with_primary(base, servers, policy=dict(mode="propose"))
    k = trusted(d)
    update(d, k, delegation(n=3))
    assert ns_of(p.axfr()) == ["ns.one.test.", "ns.two.test."] and d.ns() == ["ns.one.test.", "ns.two.test."]
    d.approve_change(CHILD)
    h.wait_for(lambda: sorted(p.at(CHILD)) == wanted(n=3), message="approved")


class Fake:
    """A primary that takes UPDATEs and says what it is told to say: say(message) -> RCODE, or octets, or None."""

    def __init__(self, say=lambda m: 0):
        self.say, self.seen, self.largest = say, [], 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(20)
        self.addr, self.port = self.listener.getsockname()
        threading.Thread(target=self.run, daemon=True).start()

    def start(self):
        return self

    def stop(self):
        self.listener.close()

    def run(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        with c:
            while True:
                head = h.Parentd._read(c, 2)
                if head is None:
                    return
                raw = h.Parentd._read(c, struct.unpack("!H", head)[0])
                self.largest = max(self.largest, len(raw))
                m = dns.message.from_wire(raw, keyring=primaries.KEYRING)
                self.seen.append(m)
                answer = self.say(m)
                if answer is None:
                    continue
                if isinstance(answer, int):
                    r = dns.message.make_response(m)
                    r.set_rcode(answer)
                    answer = r.to_wire(max_size=65535)
                c.sendall(struct.pack("!H", len(answer)) + answer)


def children_of(m):
    """Names whose NS the message replaces."""
    return [r.name.to_text() for r in m.update if r.rdtype == dns.rdatatype.NS and r.deleting]


def with_fake(base, servers, say=lambda m: 0, settings=""):
    f = servers(Fake(say))
    d = servers(h.Parentd(base, settings=keys(base), parent_settings=f"backends = ( {backend(f, settings=settings)} );"))
    d.start()
    return f, d


def accept(d, child, n=1, servers=2, addresses=1):
    """By an operator: in-bailiwick servers with addresses."""
    lines = []
    for i in range(servers):
        lines.append(f"{child} 300 NS ns{i}.{child}")
        lines += [f"ns{i}.{child} 300 A 192.0.{n}.{a}" for a in range(addresses)]
    d.ctl("parent set", child=child, how="force", records="\n".join(lines))


@pytest.mark.parametrize("kind", ["unsigned", "other key", "garbage", "silent"])
def test_an_answer_that_is_not_the_primarys_is_no_answer(servers, base, kind):
    state_ = {"lies": True}

    def say(m):
        if not state_["lies"]:
            return 0
        r = dns.message.make_response(m)
        if kind == "unsigned":
            return struct.pack("!HHHHHH", m.id, 0xa800, 0, 0, 0, 0)
        if kind == "other key":
            r.use_tsig(dns.tsigkeyring.from_text({primaries.KEY: "b3RoZXIgc2VjcmV0IG90aGVyIHNlY3JldA=="}), primaries.KEY)
            return r.to_wire()
        return struct.pack("!HHHHHH", m.id, 0xa800, 0, 7, 7, 7) if kind == "garbage" else None

    f, d = with_fake(base, servers, say, "timeout = 1;")
    d.add_child()
    accept(d, CHILD)
    h.wait_for(lambda: state(d)["down"], message="not believed")
    assert not is_published(d)
    state_["lies"] = False
    h.wait_for(lambda: is_published(d))
    h.wait_for(lambda: not state(d)["down"])


def test_the_child_to_blame_is_found(servers, base):
    """NOTZONE for a message with one child in it: that one is refused for good, the rest goes through."""
    f, d = with_fake(base, servers, lambda m: 10 if "c3.example." in children_of(m) else 0, "timeout = 1;")
    names = [f"c{i}.example." for i in range(6)]
    for c in names:
        d.add_child(c)
    f.say, say = (lambda m: None), f.say
    for c in names:
        accept(d, c)
    f.say = say
    h.wait_for(lambda: all(is_published(d, c) for c in names), message="published, or taken back")
    assert [c for c in names if d.ns(c) == ["ns.one.test.", "ns.two.test."]] == ["c3.example."]
    rows = d.ctl("parent audit", child="c3.example.")["rows"]
    assert [r["verdict"] for r in rows].count("failed") == 1 and "NOTZONE" in json.dumps(rows)


def test_messages_stay_below_64_kib(servers, base):
    f, d = with_fake(base, servers, settings="timeout = 1;")
    names = [f"c{i}.example." for i in range(120)]
    for c in names:
        d.add_child(c)
    f.say, say = (lambda m: None), f.say
    for c in names:
        accept(d, c, servers=12, addresses=10)
    f.say = say
    f.seen.clear()
    h.wait_for(lambda: all(is_published(d, c) for c in names), message="all published")
    done = [children_of(m) for m in f.seen]
    assert max(len(x) for x in done) > 1 and f.largest <= 65535
    assert {c for x in done for c in x} == set(names)


def test_nothing_is_touched_but_the_child(servers, base):
    f, d = with_fake(base, servers)
    d.add_child()
    accept(d, CHILD, servers=2)
    h.wait_for(lambda: is_published(d))
    accept(d, CHILD, servers=1)
    h.wait_for(lambda: is_published(d) and d.ns() == [f"ns0.{CHILD}"])
    m = f.seen[-1]
    assert m.zone[0].name.to_text() == "example." and not m.prerequisite
    assert {r.name.to_text() for r in m.update} == {CHILD, f"ns0.{CHILD}", f"ns1.{CHILD}"}
    deleted = {(r.name.to_text(), dns.rdatatype.to_text(r.rdtype)) for r in m.update if r.deleting}
    assert deleted == {(CHILD, "NS"), (CHILD, "DS")} | {(f"ns{i}.{CHILD}", t) for i in (0, 1) for t in ("A", "AAAA")}


def test_two_backends_and_one_is_down(servers, base):
    p = servers(primaries.Bind(base, START))
    path = os.path.join(base, "delegations.zone")
    d = servers(h.Parentd(base, settings=keys(base)))
    d.parent_settings = (f'backends = ( {backend(p)}, {{ name = "file"; kind = "file"; path = "{path}"; retry = 1; retry-max = 1; }} );')
    d.configure()
    d.start()
    d.add_child()
    accept(d, CHILD)
    h.wait_for(lambda: state(d)["down"])

    def in_file():
        with open(path) as x:
            return f"ns1.{CHILD}" in x.read()

    h.wait_for(in_file, message="the other one goes on")
    assert not is_published(d)
    d.kill9()
    p.start()
    d.start()
    h.wait_for(lambda: is_published(d))
    assert ns_of(p.axfr()) == [f"ns0.{CHILD}", f"ns1.{CHILD}"]


def ds_ttl(p):
    z = dns.zone.from_xfr(dns.query.xfr(p.addr, "example.", port=p.port, keyring=primaries.KEYRING,
                                        keyname=primaries.KEY, relativize=False), relativize=False)
    found = z.get_rdataset(CHILD, "DS")
    return found.ttl if found else None


def test_the_ds_ttl_is_low_after_a_change_and_normal_later(servers, base):
    p, d = with_primary(base, servers, policy={"ds-ttl": 3600, "ds-ttl-changed": 60, "ds-ttl-hold": 2})
    k = trusted(d)
    update(d, k, delegation(n=1))
    h.wait_for(lambda: ds_ttl(p) == 60, message="lowered")
    h.wait_for(lambda: ds_ttl(p) == 3600, message="restored")
    h.wait_for(lambda: is_published(d))


def test_a_reload_with_other_backends(servers, base):
    """One is added, one is given up: what only the latter was waited for is published then."""
    f, d = with_fake(base, servers, lambda m: None, "timeout = 30;")
    d.add_child()
    accept(d, CHILD)
    h.wait_for(lambda: f.seen)
    p = servers(primaries.Bind(base, START)).start()
    d.parent_settings = f'backends = ( {backend(p, "another")} );'
    begin = time.monotonic()
    d.reload()
    h.wait_for(lambda: is_published(d))
    assert time.monotonic() - begin < 10  # the silent one is not waited for
    assert [b["backend"] for b in d.ctl("parent backends")] == ["another"]
    assert ns_of(p.axfr()) == [f"ns0.{CHILD}", f"ns1.{CHILD}"]


def test_a_stop_waits_for_nobody(servers, base):
    """A program that hangs, a primary that is silent, in the middle of a batch: all of it is done at the next start."""
    tool = os.path.join(base, "hang")
    h.write(tool, f"#!/bin/sh\n[ -e {base}/go ] || exec sleep 60\n", 0o755)
    f = servers(Fake(lambda m: None))
    d = servers(h.Parentd(base, settings=keys(base), parent_settings=(
        f'backends = ( {backend(f)}, {{ name = "hook"; kind = "hook"; command = [ "{tool}" ]; retry = 1; retry-max = 1; }} );')))
    d.start()
    d.add_child()
    accept(d, CHILD)
    h.wait_for(lambda: f.seen and state(d, "hook")["busy"])
    begin = time.monotonic()
    assert d.stop() == 0
    assert time.monotonic() - begin < 5
    f.say = lambda m: 0
    h.write(os.path.join(base, "go"), "")
    d.start()
    h.wait_for(lambda: is_published(d))


# --- the parent zone comes in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(primaries.KINDS))
def test_changes_by_others_are_read(servers, base, kind):
    p, d = with_primary(base, servers, kind)
    p.nsupdate(f"update delete {CHILD} NS\nupdate add {CHILD} 300 NS ns.three.test.\n"
               f"update add {CHILD} 300 NS ns.{CHILD}\nupdate add ns.{CHILD} 300 A 192.0.2.9\n"
               f"update add new.example. 300 NS ns.one.test.\nupdate delete other.example. NS")
    h.wait_for(lambda: d.ns() == [f"ns.{CHILD}", "ns.three.test."])
    h.wait_for(lambda: has_child(d, "new.example."))
    assert (f"ns.{CHILD}", "A", "192.0.2.9") in d.records()
    k = h.ChildKey("other.example.")
    a = d.update(k, [h.add("other.example.", "KEY", k.text)])
    assert a.rcode == "REFUSED", a


def test_a_zone_that_lost_most_of_its_delegations_is_not_believed(servers, base):
    names = [f"c{i}.example." for i in range(40)]
    p, d = with_primary(base, servers, "bind", START + [f"{c} 300 IN NS ns.test." for c in names])
    h.wait_for(lambda: d.ctl("parent list")[0].get("children") == 42)
    p.nsupdate("\n".join(f"update delete {c} NS" for c in names))
    h.wait_for(lambda: "not believed" in d.ctl("parent list")[0].get("error", ""))
    assert d.ns("c3.example.") == ["ns.test."]
    d.ctl("parent import", parent="example.", how="force")
    h.wait_for(lambda: d.ctl("parent list")[0].get("children") == 2)


def test_a_zone_in_any_order_and_size(servers, base):
    """PowerDNS sends what its database gives; BIND in canonical order: the same comes out."""
    lines = START + [x for i in range(3000) for x in (
        f"z{i}.example. 300 IN NS ns.z{i}.example.", f"z{i}.example. 300 IN NS ns.test.",
        f"ns.z{i}.example. 300 IN A 192.0.2.{i % 250}", f"z{i}.example. 300 IN DS {DS}")]
    for kind in ("bind", "pdns"):
        directory = os.path.join(base, kind + "-big")
        os.makedirs(directory)
        p, d = with_primary(directory, servers, kind, lines)
        h.wait_for(lambda: d.ctl("parent list")[0].get("children") == 3002, message=f"{kind}: all children")
        assert d.records("z77.example.") == sorted([
            ("z77.example.", "NS", "ns.z77.example."), ("z77.example.", "NS", "ns.test."),
            ("z77.example.", "DS", DS), ("ns.z77.example.", "A", "192.0.2.77")])
        d.stop()
        p.stop()


# --- include file -----------------------------------------------------------------------------------------------------------


def test_the_include_file(servers, base):
    path, ran = os.path.join(base, "delegations.zone"), os.path.join(base, "ran")
    tool = os.path.join(base, "reload")
    h.write(tool, f"#!/bin/sh\nif [ -e {base}/broken ]; then echo 'rndc: no' >&2; exit 1; fi\necho \"$1\" >> {ran}\n", 0o755)
    d = h.Parentd(base, parent_settings=f'backends = ( {{ name = "file"; kind = "file"; path = "{path}"; '
                                        f'command = [ "{tool}", "example" ]; retry = 1; retry-max = 1; }} );')
    servers(d).start()
    for child in ("b.example.", "a.example."):
        d.ctl("parent add", child=child, records=f"{child} 300 NS ns.one.test.\n{child} 300 NS ns.two.test.")

    def lines():
        with open(path) as f:
            return [x.split() for x in f if not x.startswith(";")]

    h.wait_for(lambda: [x[0] for x in lines()] == ["a.example."] * 2 + ["b.example."] * 2, message="in order")
    k = trusted(d, "b.example.")
    open(os.path.join(base, "broken"), "w").close()
    update(d, k, delegation("b.example.", 5))
    h.wait_for(lambda: state(d, "file")["down"])
    assert "rndc: no" in state(d, "file")["error"] and not is_published(d, "b.example.")
    os.unlink(os.path.join(base, "broken"))
    h.wait_for(lambda: is_published(d, "b.example."))
    assert [(x[0], x[3], " ".join(x[4:]).lower()) for x in lines()[2:]] == [
        ("b.example.", "NS", "ns.b.example."), ("b.example.", "NS", "ns5.test."), ("b.example.", "DS", DS),
        ("ns.b.example.", "A", "192.0.2.5"), ("ns.b.example.", "AAAA", "2001:db8::5")]
    with open(ran) as f:
        assert set(f.read().split()) == {"example"}
    h.write(os.path.join(base, "zone"), f"$ORIGIN example.\n@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns.one.test.\n$INCLUDE {path}\n")
    r = subprocess.run(["named-checkzone", "-k", "ignore", "example", os.path.join(base, "zone")], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout


def test_a_child_that_an_operator_adds_is_in_the_file_at_once(servers, base):
    """Nothing else happens that would wake the backend."""
    path = os.path.join(base, "delegations.zone")
    d = h.Parentd(base, parent_settings=f'backends = ( {{ name = "file"; kind = "file"; path = "{path}"; }} );')
    servers(d).start()

    def owners():
        with open(path) as f:
            return {x.split()[0] for x in f if not x.startswith(";")}

    def at_rest():
        s = state(d, "file")
        return not s["busy"] and s["behind"] == 0

    for n in range(8):
        h.wait_for(at_rest)
        d.add_child(f"c{n}.example.")
        h.wait_for(lambda: f"c{n}.example." in owners(), message=f"child {n}")


def test_the_tables_have_all_children(postgres, servers, base):
    """Not only those that changed since: what the transfer brought at first, what others did, what was accepted."""
    postgres.fresh()
    path = postgres.conn_file(f"{base}/conn")
    p, d = with_primary(base, servers, backends=f'{{ name = "table"; kind = "sql"; path = "{path}"; retry = 1; retry-max = 1; }}')

    def table():
        if postgres.sql("SELECT to_regclass('msproto_delegation')")[0][0] == "":
            return None
        return {tuple(r) for r in postgres.sql("SELECT child, rdata FROM msproto_delegation WHERE type = 'NS'")}

    start = {(c, f"ns.{n}.test.") for c in (CHILD, "other.example.") for n in ("one", "two")}
    h.wait_for(lambda: table() == start, message="what was there from the start")
    p.nsupdate("update add new.example. 300 NS ns.one.test.\nupdate delete other.example. NS")
    want = {x for x in start if x[0] == CHILD} | {("new.example.", "ns.one.test.")}
    h.wait_for(lambda: table() == want, message="what others did")
    d.ctl("parent set", child="new.example.", how="force", records="new.example. 300 NS ns9.test.")
    h.wait_for(lambda: table() == {x for x in want if x[0] == CHILD} | {("new.example.", "ns9.test.")})


def test_a_first_import_cut_off_before_its_end_reaches_the_tables(postgres, servers, base):
    """A crash between the last child and the note that all are there: no record names them, and nothing is new."""
    postgres.fresh()
    path = postgres.conn_file(f"{base}/conn")
    p, d = with_primary(base, servers, backends=f'{{ name = "table"; kind = "sql"; path = "{path}"; retry = 1; retry-max = 1; }}')

    def table():
        if postgres.sql("SELECT to_regclass('msproto_delegation')")[0][0] == "":
            return None
        return {r[0] for r in postgres.sql("SELECT child FROM msproto_delegation")}

    h.wait_for(lambda: "serial" in d.ctl("parent list")[0] and table() == {CHILD, "other.example."}, message="the first import")
    d.stop()
    with sqlite3.connect(os.path.join(d.dir, "state", "parentd.db")) as db:
        assert db.execute("DELETE FROM kv WHERE bucket = 'meta' AND CAST(key AS TEXT) = 'import:example.'").rowcount == 1
    db.close()
    for t in ("msproto_delegation", "msproto_delegation_change", "msproto_delegation_child"):
        postgres.sql(f"DELETE FROM {t}")
    d.start()
    h.wait_for(lambda: table() == {CHILD, "other.example."}, message="all of them")


# --- hook -------------------------------------------------------------------------------------------------------------------

HOOK = """#!/usr/bin/python3
import json, os, sys
job = json.load(sys.stdin)
base = {base!r}
with open(base + "/jobs", "a") as f:
    f.write(json.dumps(job) + "\\n")
for name, status in (("refuse", 65), ("fail", 1)):
    path = base + "/" + name
    if os.path.exists(path) and open(path).read().strip() in ("", job["child"]):
        print("registry says: object status prohibits operation", file=sys.stderr)
        sys.exit(status)
"""


def with_hook(base, servers):
    tool = os.path.join(base, "hook")
    h.write(tool, HOOK.format(base=str(base)), 0o755)
    d = h.Parentd(base, parent_settings=f'backends = ( {{ name = "registry"; kind = "hook"; command = [ "{tool}" ]; '
                                        f'retry = 1; retry-max = 1; }} );')
    servers(d).start()
    d.add_child()

    def jobs():
        if not os.path.exists(os.path.join(base, "jobs")):
            return []
        with open(os.path.join(base, "jobs")) as f:
            return [json.loads(x) for x in f]

    return d, jobs


def test_what_a_hook_is_told(servers, base):
    d, jobs = with_hook(base, servers)
    k = trusted(d)
    update(d, k, delegation(n=4))
    h.wait_for(lambda: is_published(d))
    job, = jobs()
    assert (job["version"], job["parent"], job["child"]) == (1, "example.", CHILD) and job["seq"] > 0
    assert job["ds"] == [{"keyTag": 4711, "alg": 13, "digestType": 2, "digest": "a1" * 32}] and job["haveDs"] == []
    assert sorted(x["name"] for x in job["haveNs"]) == ["ns.one.test.", "ns.two.test."]
    assert sorted((x["name"], tuple(x["addresses"])) for x in job["ns"]) == [
        (f"ns.{CHILD}", ("192.0.2.4", "2001:db8::4")), ("ns4.test.", ())]
    assert len(job["want"]) == 5 and len(job["have"]) == 2 and len(job["add"]) == 5 and len(job["remove"]) == 2


def test_a_hook_that_refuses(servers, base):
    d, jobs = with_hook(base, servers)
    k = trusted(d)
    h.write(os.path.join(base, "refuse"), "")
    update(d, k, delegation(n=4))
    h.wait_for(lambda: d.ns() == ["ns.one.test.", "ns.two.test."], message="taken back")
    assert "object status prohibits operation" in json.dumps(d.ctl("parent audit", child=CHILD))
    os.unlink(os.path.join(base, "refuse"))
    update(d, k, delegation(n=5))
    h.wait_for(lambda: is_published(d) and d.ns() == [f"ns.{CHILD}", "ns5.test."])


def test_a_hook_that_fails_for_one_child(servers, base):
    d, jobs = with_hook(base, servers)
    d.add_child("other.example.")
    h.write(os.path.join(base, "fail"), CHILD)
    for child in (CHILD, "other.example."):
        d.ctl("parent set", child=child, how="force", records=f"{child} 300 NS ns1.test.\n{child} 300 NS ns2.test.")
    h.wait_for(lambda: is_published(d, "other.example."), message="the others go on")
    assert not is_published(d)
    h.wait_for(lambda: sum(j["child"] == CHILD for j in jobs()) >= 3, message="it is tried again")
    os.unlink(os.path.join(base, "fail"))
    h.wait_for(lambda: is_published(d))


EPP = os.path.join(h.ROOT, "packaging/examples/parentd-hook-epp")
URN = {"epp": "urn:ietf:params:xml:ns:epp-1.0", "domain": "urn:ietf:params:xml:ns:domain-1.0",
       "sec": "urn:ietf:params:xml:ns:secDNS-1.1"}


def epp(job, *args):
    return subprocess.run([sys.executable, EPP, *args], input=json.dumps(job), text=True, capture_output=True, timeout=h.LIMIT_S)


def test_the_epp_example(servers, base):
    d, jobs = with_hook(base, servers)
    k = trusted(d)
    update(d, k, delegation(n=4))
    h.wait_for(lambda: is_published(d))
    r = epp(jobs()[0], "--print")
    assert r.returncode == 0, r.stderr
    root = xml.fromstring(r.stdout)
    update_ = root.find("epp:command/epp:update/domain:update", URN)
    assert update_.find("domain:name", URN).text == "child.example"
    added = {x.find("domain:hostName", URN).text: [a.text for a in x.findall("domain:hostAddr", URN)]
             for x in update_.findall("domain:add/domain:ns/domain:hostAttr", URN)}
    assert added == {"ns.child.example": ["192.0.2.4", "2001:db8::4"], "ns4.test": []}
    assert sorted(x.text for x in update_.findall("domain:rem/domain:ns/domain:hostAttr/domain:hostName", URN)) == [
        "ns.one.test", "ns.two.test"]
    sec = root.find("epp:command/epp:extension/sec:update", URN)
    ds = sec.find("sec:add/sec:dsData", URN)
    assert [ds.find("sec:" + x, URN).text for x in ("keyTag", "alg", "digestType", "digest")] == [
        "4711", "13", "2", "A1" * 32]
    assert epp({"version": 2}, "--print").returncode == 65
    assert epp([], "--print").returncode == 65


def answers(code, more=""):
    return (f'<epp xmlns="{URN["epp"]}" xmlns:d="{URN["domain"]}" xmlns:s="{URN["sec"]}"><response><result code="{code}">'
            f'<msg>x</msg></result>{more}</response></epp>')


@pytest.mark.parametrize("digest, exit_status", [("a1" * 32, 0), ("b2" * 32, 65)])
def test_an_epp_update_whose_answer_was_lost_is_found_done(base, digest, exit_status):
    """It is sent again, and the registry refuses it: it has it already, or something else."""
    hook = runpy.run_path(EPP, run_name="hook")
    job = dict(version=1, child="child.example.", seq=7, haveNs=[], ns=[dict(name="ns.child.example.", addresses=["192.0.2.4"])],
               ds=[dict(keyTag=4711, alg=13, digestType=2, digest=digest)], haveDs=[])
    has = ('<resData><d:infData><d:ns><d:hostAttr><d:hostName>NS.child.example</d:hostName><d:hostAddr ip="v4">192.0.2.4'
           '</d:hostAddr></d:hostAttr></d:ns></d:infData></resData><extension><s:infData><s:dsData><s:keyTag>4711</s:keyTag>'
           f'<s:alg>13</s:alg><s:digestType>2</s:digestType><s:digest>{"A1" * 32}</s:digest></s:dsData></s:infData></extension>')
    password = os.path.join(str(base), "pass")
    h.write(password, "secret")
    ours, theirs = socket.socketpair()
    for text in ("<epp/>", answers(1000), answers(2306), answers(1000, has)):
        theirs.sendall(struct.pack("!I", len(text) + 4) + text.encode())
    r = hook["converse"](ours, {"client": "R", "password-file": password}, hook["octets"](hook["command"](job)), job)
    ours.close()
    theirs.close()
    assert r == exit_status

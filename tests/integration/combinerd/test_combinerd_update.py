# SPDX-License-Identifier: BSD-2-Clause
"""Instructions: two writers at once, compare and swap, the scope of a key, a frozen zone, the audit trail."""

import os
import threading

import dns.query
import dns.rcode
import dns.rdata
import dns.rdataset
import pytest

import cmbharness as h
import cmbserve as v
from test_combinerd_basic import CDS, CSYNC, DNSKEY, DNSKEY2


def text_of(response):
    for o in response.options:
        if o.otype == 15:
            return o.text
    return None


def digest(writer, turn):
    return f"{turn % 65535} 13 2 {writer:02X}{turn:062X}"


def swap(old, new):
    """Replace a whole CDS set, but only the one that was read (RFC 2136 2.4.2)."""
    u = h.make_update(("delete", "CDS"), ("add", 300, "CDS", new))
    if old is None:
        u.absent(h.ZONE, "CDS")
    else:
        u.present(h.ZONE, dns.rdataset.from_text("IN", "CDS", 0, old))
    return u


def test_of_two_writers_one_wins_each_round(pair):
    _, comb = pair
    barrier, wins, held = threading.Barrier(2), [], [None]
    rounds = 40

    def write(n):
        for turn in range(rounds):
            new = digest(n, turn)
            u = swap(held[0], new)
            barrier.wait(60)
            rcode = dns.rcode.to_text(dns.query.tcp(u, comb.addr, port=comb.port, timeout=20).rcode())
            wins.append((turn, n, rcode))
            if rcode == "NOERROR":
                mine = new
            barrier.wait(60)
            if rcode == "NOERROR":
                held[0] = mine
            barrier.wait(60)

    threads = [threading.Thread(target=write, args=(n,)) for n in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert len(wins) == 2 * rounds
    for turn in range(rounds):
        outcome = sorted(r for t, _, r in wins if t == turn)
        if turn == 0:
            assert outcome == ["NOERROR", "YXRRSET"]  # "absent" was the prerequisite
        else:
            assert outcome == ["NOERROR", "NXRRSET"], (turn, outcome)
    want = dns.rdata.from_text("IN", "CDS", held[0]).to_wire()
    h.wait_for(lambda: h.apex_set(comb.axfr(), "CDS") == {want})


def test_writers_that_read_anew_all_get_through(servers, base):
    """Optimistic concurrency as an agent does it: read by QUERY, swap, begin anew when somebody was faster."""
    owner = servers(h.Nsd(base, "owner", h.zone_text(1000)))
    comb = servers(h.Combinerd(base, [owner.where()], zone_settings="coalesce-ms = 0;"))
    owner.start()
    comb.start()
    count, each = 4, 6

    def add_own(n):
        for turn in range(each):
            for _ in range(400):
                answer = comb.ask("CDS", "msad.", tcp=True, timeout=20).answer
                old = [rd.to_text() for rd in answer[0]] if answer else []
                u = h.make_update(("delete", "CDS"), *(("add", 300, "CDS", rd) for rd in old + [digest(n, turn)]), edns=False)
                if old:
                    u.present(h.ZONE, dns.rdataset.from_text("IN", "CDS", 0, *old))
                else:
                    u.absent(h.ZONE, "CDS")
                rcode = dns.rcode.to_text(dns.query.tcp(u, comb.addr, port=comb.port, timeout=20).rcode())
                if rcode == "NOERROR":
                    break
                assert rcode in ("NXRRSET", "YXRRSET"), rcode
            else:
                raise AssertionError("never got through")

    failures = []

    def guarded(n):
        try:
            add_own(n)
        except BaseException as e:
            failures.append(e)
    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not failures, failures
    want = {dns.rdata.from_text("IN", "CDS", digest(n, t)).to_wire() for n in range(count) for t in range(each)}
    h.wait_for(lambda: h.apex_set(comb.axfr(), "CDS") == want)


def test_prerequisites_over_several_rrsets(pair):
    _, comb = pair
    assert comb.rcode(("add", 300, "CDS", CDS), ("add", 300, "DNSKEY", DNSKEY), ("add", 300, "DNSKEY", DNSKEY2)) == "NOERROR"
    cds = dns.rdataset.from_text("IN", "CDS", 0, CDS)
    both, one = dns.rdataset.from_text("IN", "DNSKEY", 0, DNSKEY2, DNSKEY), dns.rdataset.from_text("IN", "DNSKEY", 0, DNSKEY)
    change = ("add", 300, "CSYNC", CSYNC)
    assert comb.rcode(change, prereq=[("present", one), ("present", cds)]) == "NXRRSET"
    assert comb.rcode(change, prereq=[("present", cds), ("present", one)]) == "NXRRSET"
    assert not h.apex_set(comb.axfr(), "CSYNC")
    assert comb.rcode(change, prereq=[("present", both), ("present", "CDS"), ("absent", "CSYNC"), ("present", cds)]) == "NOERROR"
    assert comb.rcode(change, prereq=[("absent", "CSYNC")]) == "YXRRSET"
    assert comb.rcode(change, prereq=[("present",)]) == "NOERROR"
    assert comb.rcode(change, prereq=[("absent",)]) == "YXDOMAIN"


@pytest.fixture
def scoped(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(1000)))
    comb = servers(v.Server(base, [owner.where()], agents_text='{ tsig-key = "msad."; }, { tsig-key = "other."; types = [ "CDS", "CSYNC" ]; }'))
    owner.start()
    comb.start()
    return comb


def test_a_key_changes_only_the_types_of_its_scope(scoped):
    comb = scoped
    assert comb.rcode(("add", 300, "DNSKEY", DNSKEY)) == "NOERROR"
    assert comb.rcode(("add", 300, "CDS", CDS), key="other.") == "NOERROR"
    r = comb.update(("add", 300, "CSYNC", CSYNC), ("add", 300, "DNSKEY", DNSKEY2), key="other.")
    assert dns.rcode.to_text(r.rcode()) == "REFUSED" and h.ede(r) == 49171 and "DNSKEY" in text_of(r), r
    r = comb.update(("delete",), key="other.")  # all of the name: it would take the DNSKEY along
    assert dns.rcode.to_text(r.rcode()) == "REFUSED" and "DNSKEY" in text_of(r), r
    h.wait_for(lambda: len(h.apex_set(comb.axfr(), "CDS")) == 1)
    records = comb.axfr()
    assert len(h.apex_set(records, "DNSKEY")) == 1 and not h.apex_set(records, "CSYNC")
    assert comb.rcode(("delete", "CDS"), key="other.", prereq=[("present", "DNSKEY")]) == "NOERROR"
    assert "rule=\"E.7: type not in the scope of the key\"" in comb.log_text()
    assert len(comb.ask("DNSKEY", "other.").answer) == 1  # what it may read is another matter


def test_who_set_what_is_kept(scoped):
    comb = scoped
    assert comb.rcode(("add", 300, "DNSKEY", DNSKEY), ("add", 300, "DNSKEY", DNSKEY2)) == "NOERROR"
    assert comb.rcode(("delete", "DNSKEY", DNSKEY), ("add", 300, "CDS", CDS)) == "NOERROR"
    assert comb.rcode(("delete", "CDS"), key="other.") == "NOERROR"
    assert comb.rcode(("delete", "CDS"), key="other.") == "NOERROR"  # changes nothing
    entries = comb.ctl("combiner audit", zone=h.ZONE)
    entries = entries["entries"] if isinstance(entries, dict) else entries
    told = [(e["who"], e["what"]) for e in entries]
    assert told == [("msad.", "DNSKEY set (2)"), ("msad.", "DNSKEY -1, CDS set (1)"), ("other.", "CDS deleted")], entries


def test_a_frozen_zone_takes_nothing(pair):
    _, comb = pair
    comb.ctl("combiner freeze", zone=h.ZONE)
    r = comb.update(("add", 300, "DNSKEY", DNSKEY))
    assert dns.rcode.to_text(r.rcode()) == "REFUSED" and "frozen" in text_of(r), r
    assert not h.apex_set(comb.axfr(), "DNSKEY")
    comb.ctl("combiner thaw", zone=h.ZONE)
    assert comb.rcode(("add", 300, "DNSKEY", DNSKEY)) == "NOERROR"


def test_what_cannot_be_stored_is_not_acknowledged(servers, base):
    lib = os.path.join(h.BUILD, "tests/libfaultio.so")
    if not os.path.exists(lib):
        pytest.skip("no injector")
    owner = servers(h.Nsd(base, "owner", h.zone_text(1000)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.start()
    comb.start()
    db = comb.dir + "/state/combinerd.db"
    with open(db, "rb") as f:  # another writer has the store: busy for as long as it likes
        assert f.read(15) == b"SQLite format 3"
    import sqlite3
    lock = sqlite3.connect(db, isolation_level=None, timeout=1)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        pytest.skip("the store is open exclusively")
    try:
        r = comb.update(("add", 300, "DNSKEY", DNSKEY))
        assert dns.rcode.to_text(r.rcode()) == "SERVFAIL" and h.ede(r) is not None and text_of(r), r
        assert not h.apex_set(comb.axfr(), "DNSKEY")
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert comb.rcode(("add", 300, "DNSKEY", DNSKEY)) == "NOERROR"

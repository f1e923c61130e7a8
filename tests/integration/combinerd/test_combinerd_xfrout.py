# SPDX-License-Identifier: BSD-2-Clause
"""Transfers out: whole zones and differences, to tools and to real secondaries, to slow, half-closed and many clients."""

import base64
import random
import socket
import struct
import subprocess
import threading
import time

import dns.query
import dns.rcode
import dns.rdatatype
import pytest

import cmbharness as h
import cmbliar as l
import cmbmodel as m
import cmbserve as v
import cmbstream as s
from test_combinerd_basic import CDS, DNSKEY

COALESCE = "coalesce-ms = 0;"  # every UPDATE is a version


def a(n, address="192.0.2.1"):
    return m.record(f"n{n}.{h.ZONE} 300 IN A {address}")


def large(count):
    return h.zone_text(1, [f'r{i}.{h.ZONE} 300 IN TXT "{i * 7919 % 1000003} {"x" * 180}"' for i in range(count)])


@pytest.fixture
def fed(servers, base):
    """A primary of ours that gives differences, and a combinerd behind it."""
    def make(records=l.SOURCE, settings=COALESCE, **kw):
        primary = servers(v.Primary(records, 1000)).start()
        comb = servers(h.Combinerd(base, [primary.where()], zone_settings=settings, **kw)).start()
        return primary, comb
    return make


def owner_change(primary, comb, delete=(), add=()):
    primary.change(delete, add)
    before = comb.soa("signer.")
    m.notify(comb.where(), "owner.")
    h.wait_for(lambda: comb.soa("signer.") != before, message="the owner's change")


def instruct(comb, *changes):
    before = comb.soa("signer.")
    assert comb.rcode(*changes) == "NOERROR"
    h.wait_for(lambda: comb.soa("signer.") != before, message="the instruction's version")


def soas(rows):
    return [s.soa_serial(r) for r in rows if r[2] == "SOA"]


def test_tools_see_what_dnspython_sees(pair):
    _, comb = pair
    assert comb.rcode(("add", 300, "DNSKEY", DNSKEY), ("add", 300, "NS", "ns.provider-a.test.")) == "NOERROR"
    h.wait_for(lambda: h.apex_set(comb.axfr(), "DNSKEY"))
    want = len(comb.axfr())
    for argv in (["kdig", f"@{comb.addr}", "-p", str(comb.port), "+noall", "+answer", "-y", f"hmac-sha256:signer.:{h.SECRETS['signer.']}"],
                 ["dig", f"@{comb.addr}", "-p", str(comb.port), "+noall", "+answer", "-y", f"hmac-sha256:signer.:{h.SECRETS['signer.']}"]):
        for what in ("AXFR", "IXFR=1"):
            r = subprocess.run(argv + [h.ZONE, what], capture_output=True, text=True, timeout=20)
            rows = [x for x in r.stdout.splitlines() if x.strip() and x[0] != ";"]
            assert r.returncode == 0 and len(rows) == want, (argv[0], what, r.stdout, r.stderr)


def test_differences_lead_from_every_version_to_the_last(fed):
    """From the owner and from agents, joined as they come; every way through the history ends at the same zone."""
    primary, comb = fed([*l.SOURCE, *(a(i) for i in range(400))])
    rnd = random.Random(7)
    copies = []

    def note():
        copy = s.Copy()
        stream = s.Stream(comb.addr, comb.port)
        copy.update(stream)
        stream.close()
        copies.append(copy)
    note()
    for turn in range(14):
        if turn % 2 == 0:
            gone = rnd.sample(sorted(primary.records() - set(l.SOURCE), key=str), 3)
            owner_change(primary, comb, gone, [a(1000 + turn * 10 + i) for i in range(rnd.randrange(1, 5))])
        else:
            instruct(comb, ("delete", "NS"), *(("add", 60, "NS", f"ns{n}.x.test.") for n in rnd.sample(range(9), 3)))
        note()
    last = copies[-1]
    for copy in copies[:-1]:
        stream = s.Stream(comb.addr, comb.port)
        copy.update(stream)
        assert copy.serial == last.serial and copy.records == last.records
        assert copy.incremental == 1, "the whole zone was sent"
        stream.close()


def test_steps_are_joined_where_that_is_shorter(fed):
    _, comb = fed([*l.SOURCE, *(a(i) for i in range(300))])
    first = comb.soa("signer.")
    for n in range(6):
        instruct(comb, ("delete", "NS"), ("add", 60, "NS", f"ns{n}.x.test."))
    rows = s.Stream(comb.addr, comb.port).transfer(rdtype="IXFR", serial=first)
    now = comb.soa("signer.")
    assert soas(rows) == [now, first, now, now]
    assert sum(r[2] == "NS" for r in rows) == 2 + 1  # the owner's two go, the last one comes
    rows = s.Stream(comb.addr, comb.port).transfer(rdtype="IXFR", serial=now - 1)
    assert soas(rows) == [now, now - 1, now, now]


def test_the_forms_of_an_answer(fed):
    _, comb = fed()
    first = comb.soa("signer.")
    instruct(comb, ("add", 300, "CDS", CDS))
    now = comb.soa("signer.")

    def ask(serial, tcp=True):
        q = v.query("IXFR", "signer.", serial=serial)
        fn = dns.query.tcp if tcp else dns.query.udp
        return fn(q, comb.addr, port=comb.port, timeout=5, one_rr_per_rrset=True)
    for tcp in (True, False):
        assert [x.rdtype for x in ask(now, tcp).answer] == [dns.rdatatype.SOA]        # up to date
        assert [x.rdtype for x in ask(now + 5, tcp).answer] == [dns.rdatatype.SOA]    # ahead of us
        r = ask(first, tcp)
        assert [dns.rdatatype.to_text(x.rdtype) for x in r.answer] == ["SOA", "SOA", "SOA", "CDS", "SOA"]
    r = ask(first - 100)  # nobody knows that version: the whole zone
    assert [dns.rdatatype.to_text(x.rdtype) for x in r.answer][:2] != ["SOA", "SOA"] and len(r.answer) >= 4
    assert [x.rdtype for x in ask(first - 100, False).answer] == [dns.rdatatype.SOA]
    q = v.query("AXFR", "signer.")
    assert dns.rcode.to_text(dns.query.udp(q, comb.addr, port=comb.port, timeout=5).rcode()) == "FORMERR"


def test_differences_too_large_for_udp_come_over_tcp(fed):
    primary, comb = fed([*l.SOURCE, *(a(i) for i in range(300))])
    first = comb.soa("signer.")
    owner_change(primary, comb, add=[a(1000 + i) for i in range(120)])
    q = v.query("IXFR", "signer.", serial=first)
    assert [x.rdtype for x in dns.query.udp(q, comb.addr, port=comb.port, timeout=5).answer] == [dns.rdatatype.SOA]
    rows = s.Stream(comb.addr, comb.port).transfer(rdtype="IXFR", serial=first)
    assert sum(r[2] == "A" for r in rows) == 120


def test_a_datagram_does_not_cause_much_work(fed):
    """Its source may be forged. A long history is joined for those who come over TCP only."""
    many = [a(1000 + i) for i in range(300)]
    primary, comb = fed(l.SOURCE, settings=COALESCE + 'history-size = "10M"; max-shrink = 0;')
    first = comb.soa("signer.")
    for _ in range(6):
        owner_change(primary, comb, add=many)
        owner_change(primary, comb, delete=many)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
        c.settimeout(5)
        c.sendto(v.query("IXFR", "signer.", serial=first).to_wire(), (comb.addr, comb.port))
        assert v.records(c.recv(65535)) == 1
    assert [x[2] for x in s.Stream(comb.addr, comb.port).transfer(rdtype="IXFR", serial=first)] == ["SOA"] * 4


def test_history_longer_than_the_zone_gives_the_zone(fed):
    """All of it replaced: to tell what went and what came is longer than what is there."""
    primary, comb = fed([*l.SOURCE, *(a(i) for i in range(2000))], settings=COALESCE + " history-size = 10000000; max-shrink = 0;")
    first = comb.soa("signer.")
    owner_change(primary, comb, [a(i) for i in range(2000)], [a(i, "192.0.2.2") for i in range(2000)])
    rows = s.Stream(comb.addr, comb.port).transfer(rdtype="IXFR", serial=first)
    assert len(soas(rows)) == 2 and len(rows) > 2000


@pytest.mark.parametrize("kind", [h.Knot, h.Bind, h.Nsd], ids=["knot", "bind", "nsd"])
def test_secondaries_follow_by_differences(servers, base, kind):
    """They are told, fetch the differences, and hold the zone that we serve, after every change."""
    primary = servers(v.Primary([*l.SOURCE, *(a(i) for i in range(500))], 1000)).start()
    comb = h.Combinerd(base, [primary.where()], zone_settings=COALESCE)
    down = servers(kind(base, "down", upstream=comb.where(), key="signer."))
    comb.signers = [down.where()]
    comb.configure()
    servers(comb).start()
    down.start()
    h.wait_for(lambda: down.soa("signer.") == comb.soa("signer."), message="the first transfer")
    rnd = random.Random(3)
    for turn in range(8):
        if turn % 2 == 0:
            owner_change(primary, comb, rnd.sample(sorted(primary.records() - set(l.SOURCE), key=str), 4),
                         [a(2000 + turn * 10 + i) for i in range(3)])
        else:
            instruct(comb, ("delete", "NS"), *(("add", 60, "NS", f"ns{n}.x.test.") for n in rnd.sample(range(9), 3)))
        h.wait_for(lambda: down.soa("signer.") == comb.soa("signer."), message=f"change {turn}; log {down.dir}")
        assert set(down.axfr()) == set(comb.axfr())
    log = comb.log_text()
    assert log.count("form=differences") >= 6, log[-3000:]


def test_a_large_apex_leaves_no_room_for_pages_in_its_chunk(fed, monkeypatch):
    """The apex of a zone is the owner's, and so is its size: around that of a chunk, to the octet."""
    monkeypatch.setattr(m, "BATCH", 30)

    def key(i, size):
        octets = base64.b64encode(i.to_bytes(4, "big") + b"k" * (size - 8)).decode()
        return m.record(f"{h.ZONE} 300 IN DNSKEY 256 3 15 {octets}")
    filler = [m.record(f'r{i}.{h.ZONE} 300 IN TXT "{"x" * 200}"') for i in range(3000)]
    primary, comb = fed([*l.SOURCE, *filler])
    keys = []
    for size in range(300, 3300, 300):
        before, keys = keys, [*(key(i, 2000) for i in range(98)), key(999, size)]
        owner_change(primary, comb, before, keys)
        assert len(h.apex_set(comb.axfr(), "DNSKEY")) == 99


# --- clients that behave badly ---


@pytest.fixture
def big(servers, base):
    def make(count, settings="", **kw):
        owner = servers(h.Nsd(base, "owner", large(count)))
        comb = servers(h.Combinerd(base, [owner.where()], settings=settings, **kw))
        owner.start()
        comb.start(wait=False)
        h.wait_for(lambda: comb.soa("msad."), 60)
        comb.records = count + 8  # SOA twice, NS twice, A, TXT, two HSYNC
        return comb
    return make


def anonymous(comb):
    """KiB of memory that is the process's own."""
    with open(f"/proc/{comb.proc.pid}/smaps_rollup") as f:
        return next(int(x.split()[1]) for x in f if x.startswith("Anonymous:"))


def test_a_slow_reader_gets_all_of_it_and_holds_nobody_up(big):
    comb = big(30_000)
    slow = v.reader(comb, rcvbuf=4096)
    want = v.read_transfer(v.reader(comb, key="signer."), comb.records)
    assert want is not None
    octets = sum(2 + len(w) for w in want)
    got = 0
    while got < 300_000:  # a little at a time
        got += len(slow.recv(2048))
        if got % 100_000 < 2048:
            begin = time.monotonic()
            assert v.read_transfer(v.reader(comb), comb.records) is not None
            assert time.monotonic() - begin < 10
    slow.settimeout(60)
    while got < octets:
        got += len(slow.recv(1 << 20))
    assert got == octets
    slow.close()


def test_clients_that_close_their_half_are_served(big):
    comb = big(20_000)
    c = v.reader(comb)
    c.shutdown(socket.SHUT_WR)
    assert v.read_transfer(c, comb.records) is not None
    c.close()


def test_clients_that_go_away_are_forgotten(big):
    comb = big(20_000)
    for n in range(20):
        c = v.reader(comb, rcvbuf=4096)
        c.recv(1000)
        if n % 2:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
        c.close()
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 0, message="forgotten")
    assert v.read_transfer(v.reader(comb), comb.records) is not None
    assert "result=\"connection closed\"" in comb.log_text()


def test_a_client_that_reads_too_slowly_is_given_up(big):
    """It takes a little all the time, so it has not stalled: the snapshot must go all the same."""
    comb = big(30_000, settings="transfer-out-max = 3;")
    c = v.reader(comb, rcvbuf=4096)

    def reading():
        try:
            c.recv(256)
        except ConnectionError:
            pass
        return comb.ctl("status")["transfers_out_now"] == 0
    assert not reading()
    h.wait_for(reading, 30, message="given up")  # what the kernel has taken already may still come
    c.close()
    assert "no answer in time" in comb.log_text()
    assert v.read_transfer(v.reader(comb), comb.records) is not None


@pytest.mark.parametrize("key", [None, "signer."], ids=["plain", "tsig"])
def test_many_at_once_get_the_same_in_bounded_memory(servers, base, key):
    owner = servers(h.Nsd(base, "owner", large(30_000)))
    comb = servers(v.Server(base, [owner.where()], settings="tcp-per-client-max = 100; transfers-out-max = 60;",
                            zone_settings='allow-transfer = ( { unsigned = true; } );'))
    owner.start()
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."), 60)
    want = v.read_transfer(v.reader(comb, None), 30_008)
    octets = sum(map(len, want))
    before = anonymous(comb)
    clients, results = [v.reader(comb, key, rcvbuf=65536) for _ in range(60)], []

    def read(c):
        out = v.read_transfer(c, 30_008)
        results.append(out is not None and sum(map(len, out)))
        c.close()
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 60, message="all under way")
    grown = anonymous(comb) - before
    assert v.ask(comb, "tcp", v.query("AXFR", "signer.")) == "SERVFAIL"  # one too many
    threads = [threading.Thread(target=read, args=(c,)) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert len(results) == 60 and len(set(results)) == 1
    assert results[0] == octets if key is None else results[0] > octets
    assert grown < 60 * 1024, f"{grown} KiB for 60 transfers"
    h.wait_for(lambda: comb.ctl("status")["transfers_out_now"] == 0, message="all over")


def test_damaged_pages_end_the_transfer_and_are_fetched_anew(big):
    comb = big(20_000)
    whole = set(comb.axfr())
    path = comb.dir + "/state/zones.lmdb"
    with open(path, "r+b") as f:
        data = f.read()
        at = data.find(b"xxxxxxxxxxxx", len(data) // 2)
        assert at > 0
        f.seek(at)
        f.write(b"y")
    c = v.reader(comb)
    out = v.read_transfer(c, comb.records)
    c.close()
    h.wait_for(lambda: "pages-damaged" in comb.log_text() or out is not None, message="noticed")
    h.wait_for(lambda: comb.axfr() and set(comb.axfr()) - whole <= {x for x in comb.axfr() if x[2] == "SOA"}, 60, message="fetched anew")
    assert out is None, "a damaged page was sent"

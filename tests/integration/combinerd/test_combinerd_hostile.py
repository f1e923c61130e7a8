# SPDX-License-Identifier: BSD-2-Clause
"""Everything that is not a fresh, authenticated, authorised instruction: refused with the RCODE of PROTOCOL, nothing changed."""

import base64
import hashlib
import hmac
import os
import random
import socket
import struct
import time

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import pytest

import cmbharness as h
from test_combinerd_basic import CDS, CSYNC, DNSKEY, DNSKEY2


def state(comb):
    s = comb.show()
    return s["serial"], sorted(s["contributions"], key=str), s["served"]


def send(comb, wire, tcp=True, timeout=3, source=None):
    """Raw octets; the answer as a message without TSIG checks, or None."""
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(timeout)
        if source:
            s.bind(source)
        s.connect((comb.addr, comb.port))
        s.sendall(struct.pack("!H", len(wire)) + wire if tcp else wire)
        try:
            data = s.recv(65536)
            if tcp:
                while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
                    more = s.recv(65536)
                    if not more:
                        return None
                    data += more
                data = data[2:]
        except (socket.timeout, ConnectionError):
            return None
    return data


def outcome(data):
    """RCODE and TSIG error of an answer."""
    if data is None:
        return None
    rcode = data[3] & 15
    return dns.rcode.to_text(rcode), tsig_error(data)


def tsig_error(data):
    """Error field of the TSIG record, by hand: dnspython refuses to parse error TSIGs without a key."""
    counts = struct.unpack("!6H", data[:12])[2:]
    at = 12

    def name(at):
        while data[at]:
            if data[at] >= 192:
                return at + 2
            at += data[at] + 1
        return at + 1

    for _ in range(counts[0]):
        at = name(at) + 4
    for _ in range(sum(counts[1:])):
        at = name(at)
        rdtype, rdlen = struct.unpack("!H", data[at:at + 2])[0], struct.unpack("!H", data[at + 8:at + 10])[0]
        at += 10
        if rdtype == 250:
            a = name(at) + 8
            a += 2 + struct.unpack("!H", data[a:a + 2])[0] + 2
            return struct.unpack("!H", data[a:a + 2])[0]
        at += rdlen
    return None


def add(**kw):
    return h.make_update(("add", 10, "DNSKEY", DNSKEY), **kw)


def wrong_secret():
    u = add(key=None)
    u.use_tsig(dns.tsigkeyring.from_text({"msad.": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}), "msad.")
    return u.to_wire()


def unknown_key():
    u = add(key=None)
    u.use_tsig(dns.tsigkeyring.from_text({"nobody.": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}), "nobody.")
    return u.to_wire()


def wrong_algorithm():
    u = add(key=None)
    u.use_tsig(h.KEYRING, "msad.", algorithm=dns.tsig.HMAC_SHA512)
    return u.to_wire()


def at_time(offset):
    u = add(key=None)
    u.use_tsig(h.KEYRING, "msad.")
    real = time.time
    try:
        time.time = lambda: real() + offset
        return u.to_wire()
    finally:
        time.time = real


def flipped():
    wire = bytearray(add().to_wire())
    wire[wire.index(bytes.fromhex("010103")) + 20] ^= 1 if bytes.fromhex("010103") in wire else 0
    return bytes(wire)


CASES = {
    "no TSIG": (lambda: add(key=None).to_wire(), ("REFUSED", None)),
    "wrong secret": (wrong_secret, ("NOTAUTH", 16)),
    "unknown key": (unknown_key, ("NOTAUTH", 17)),
    "wrong algorithm": (wrong_algorithm, ("NOTAUTH", 17)),
    "signed an hour ago": (lambda: at_time(-3600), ("NOTAUTH", 18)),
    "signed in an hour": (lambda: at_time(3600), ("NOTAUTH", 18)),
    "bit flipped": (flipped, ("NOTAUTH", 16)),
    "key of the signer": (lambda: add(key="signer.").to_wire(), ("REFUSED", 0)),
    "key of the owner": (lambda: add(key="owner.").to_wire(), ("REFUSED", 0)),
    "key of another zone": (lambda: add(key="other.").to_wire(), ("REFUSED", 0)),
    "unknown zone": (lambda: h.make_update(("add", 10, "DNSKEY", DNSKEY), zone="x.test.").to_wire(), ("NOTAUTH", None)),
    "zone below ours": (lambda: h.make_update(("add", 10, "DNSKEY", DNSKEY), zone="sub." + h.ZONE).to_wire(), ("NOTAUTH", None)),
    "TXT": (lambda: h.make_update(("add", 10, "TXT", "x")).to_wire(), ("REFUSED", 0)),
    "SOA": (lambda: h.make_update(("add", 10, "SOA", "a. b. 9 1 1 1 1")).to_wire(), ("REFUSED", 0)),
    "HSYNC": (lambda: h.make_update(("add", 10, "TYPE65282", "\\# 4 01020100")).to_wire(), ("REFUSED", 0)),
    "RRSIG": (lambda: h.make_update(("delete", "RRSIG")).to_wire(), ("REFUSED", 0)),
    "CDNSKEY": (lambda: h.make_update(("add", 10, "CDNSKEY", DNSKEY)).to_wire(), ("REFUSED", 0)),
    "name below the apex": (lambda: h.make_update(("add", 10, "NS", "a.test."), name="a." + h.ZONE).to_wire(), ("REFUSED", 0)),
    "name outside": (lambda: h.make_update(("add", 10, "NS", "a.test."), name="other.test.").to_wire(), ("NOTZONE", 0)),
    "name that only ends alike": (lambda: h.make_update(("add", 10, "NS", "a.test."), name="evil" + h.ZONE).to_wire(), ("NOTZONE", 0)),
    "revoked DNSKEY": (lambda: h.make_update(("add", 10, "DNSKEY", "385" + DNSKEY[3:])).to_wire(), ("REFUSED", 0)),
    "DNSKEY without zone bit": (lambda: h.make_update(("add", 10, "DNSKEY", "1" + DNSKEY[3:])).to_wire(), ("REFUSED", 0)),
    "two CSYNC": (lambda: h.make_update(("add", 10, "CSYNC", CSYNC), ("add", 10, "CSYNC", "1 1 NS")).to_wire(), ("REFUSED", 0)),
    "delete CDS beside another": (lambda: h.make_update(("add", 10, "CDS", CDS), ("add", 10, "CDS", "0 0 0 00")).to_wire(), ("REFUSED", 0)),
    "one good and one bad": (lambda: h.make_update(("add", 10, "DNSKEY", DNSKEY), ("add", 10, "TXT", "x")).to_wire(), ("REFUSED", 0)),
    "unmet prerequisite": (lambda: h.make_update(("add", 10, "DNSKEY", DNSKEY), prereq=(("present", "CDS"),)).to_wire(), ("NXRRSET", 0)),
}


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    import shutil
    import tempfile
    base = tempfile.mkdtemp(prefix="cmb")
    owner = h.Nsd(base, "owner", h.zone_text(1000))
    comb = h.Combinerd(base, [owner.where()])
    owner.start()
    comb.start()
    comb.update(("add", 10, "DNSKEY", DNSKEY2), ("add", 10, "NS", "ns.x.test."))
    yield comb
    comb.stop()
    owner.stop()
    shutil.rmtree(base, ignore_errors=True)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "udp"])
def test_refused_and_nothing_changed(one, case, tcp):
    make, want = CASES[case]
    before = state(one)
    got = outcome(send(one, make(), tcp))
    assert got == want, case
    assert state(one) == before


def test_replay_from_elsewhere_is_refused(one):
    """A recorded UPDATE verifies for minutes; carried out once is carried out once, after a restart too."""
    wire = h.make_update(("add", 10, "DNSKEY", DNSKEY)).to_wire()
    assert outcome(send(one, wire)) == ("NOERROR", 0)
    assert one.rcode(("delete", "DNSKEY", DNSKEY)) == "NOERROR"
    before = state(one)[1]
    assert outcome(send(one, wire)) == ("NOTAUTH", 0)
    assert state(one)[1] == before
    one.kill9()
    one.start()
    assert outcome(send(one, wire)) == ("NOTAUTH", 0)
    assert state(one)[1] == before


def with_shorter_mac(wire, keep):
    """The same UPDATE with a part of its MAC (RFC 8945 5.2.2.1): it verifies as well as before, and anybody can make it."""
    at = wire.rindex(b"\x04msad\x00\x00\xfa\x00\xff") + 14
    rdata = wire[at + 2:at + 2 + struct.unpack_from("!H", wire, at)[0]]
    size_at = rdata.index(b"\x00") + 9
    size = struct.unpack_from("!H", rdata, size_at)[0]
    mac = rdata[size_at + 2:size_at + 2 + keep]
    rdata = rdata[:size_at] + struct.pack("!H", keep) + mac + rdata[size_at + 2 + size:]
    return wire[:at] + struct.pack("!H", len(rdata)) + rdata


@pytest.mark.parametrize("keep", [31, 24, 16])
def test_replay_with_a_shortened_mac_is_refused(one, keep):
    wire = h.make_update(("add", 10, "DNSKEY", DNSKEY)).to_wire()
    assert outcome(send(one, wire)) == ("NOERROR", 0)
    assert one.rcode(("delete", "DNSKEY", DNSKEY)) == "NOERROR"
    before = state(one)
    assert outcome(send(one, with_shorter_mac(wire, keep))) == ("NOTAUTH", 0)
    assert state(one) == before


def test_repetition_by_the_sender_gets_the_same_answer(one):
    """nsupdate over UDP repeats the very same message when an answer is lost: the answer again, not the change again."""
    source = (h.address(), 40000)
    wire = h.make_update(("add", 10, "CDS", CDS)).to_wire()
    assert outcome(send(one, wire, tcp=False, source=source)) == ("NOERROR", 0)
    assert one.rcode(("delete", "CDS")) == "NOERROR"
    before = state(one)[1]
    assert outcome(send(one, wire, tcp=False, source=source)) == ("NOERROR", 0)
    assert state(one)[1] == before


def test_malformed_updates_get_formerr_or_silence(one):
    """The wire layer's own tests go deep; here: no malformed message gets anything done or brings it down."""
    good = h.make_update(("add", 10, "NS", "evil.test.")).to_wire()
    before = state(one)
    rnd = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(3000):
            wire = bytearray(good)
            for _ in range(rnd.randrange(1, 4)):
                # not the ID: a forwarder may change it, TSIG covers the original one (RFC 8945 4.3.2)
                wire[rnd.randrange(2, len(wire))] ^= rnd.randrange(1, 256)
            if i % 3 == 0:
                wire = wire[:rnd.randrange(len(wire))]
            s.sendto(bytes(wire), (one.addr, one.port))
            if i % 64 == 0:
                one.soa("msad.")
    h.wait_for(lambda: one.soa("msad."))
    assert state(one) == before


def bad_update(zocount=1, ztype=6, records=b"", count=0, prereqs=b"", pcount=0):
    name = dns.name.from_text(h.ZONE).to_wire()
    head = struct.pack("!6H", 4711, 0x2800, zocount, pcount, count, 0)
    return head + (name + struct.pack("!2H", ztype, 1)) * zocount + prereqs + records


def signed(wire):
    """TSIG by hand: dnspython signs only what it rendered itself."""
    secret = base64.b64decode(h.SECRETS["msad."])
    t = struct.pack("!HIH", 0, int(time.time()), 300)
    alg = dns.name.from_text("hmac-sha256.").to_wire()
    owner = dns.name.from_text("msad.").to_wire()
    var = owner + struct.pack("!HI", 255, 0) + alg + t + struct.pack("!HH", 0, 0)
    mac = hmac.new(secret, wire + var, hashlib.sha256).digest()
    rdata = alg + t + struct.pack("!H", 32) + mac + wire[:2] + struct.pack("!HH", 0, 0)
    ar = struct.unpack("!H", wire[10:12])[0]
    return wire[:10] + struct.pack("!H", ar + 1) + wire[12:] + owner + struct.pack("!HHIH", 250, 255, 0, len(rdata)) + rdata


APEX = dns.name.from_text(h.ZONE).to_wire()


@pytest.mark.parametrize("wire", [
    bad_update(zocount=0), bad_update(zocount=2), bad_update(ztype=1),
    bad_update(records=APEX + struct.pack("!HHIH", 48, 255, 1, 0), count=1),           # delete RRset with TTL
    bad_update(records=APEX + struct.pack("!HHIH", 48, 255, 0, 1) + b"x", count=1),    # delete RRset with RDATA
    bad_update(records=APEX + struct.pack("!HHIH", 48, 254, 5, 5) + b"\1\1\3\15x", count=1),  # delete RR with TTL
    bad_update(records=APEX + struct.pack("!HHIH", 255, 1, 0, 0), count=1),            # add of ANY
    bad_update(records=APEX + struct.pack("!HHIH", 252, 1, 0, 0), count=1),            # add of AXFR
    bad_update(records=APEX + struct.pack("!HHIH", 2, 1, 5, 0), count=1),              # add of nothing
    bad_update(records=APEX + struct.pack("!HHIH", 2, 3, 5, 1) + b"\0", count=1),      # class CH
    bad_update(records=APEX + struct.pack("!HHIH", 2, 1, 5, 3) + b"\5ab", count=1),    # broken name
    bad_update(records=APEX + struct.pack("!HHIH", 2, 1, 0x80000000, 3) + b"\1a\0", count=1),  # TTL over 2^31-1
    bad_update(prereqs=APEX + struct.pack("!HHIH", 48, 255, 9, 0), pcount=1),          # prerequisite with TTL
], ids=lambda w: f"{len(w)}")
def test_formerr(one, wire):
    before = state(one)
    assert outcome(send(one, signed(wire)))[0] == "FORMERR"
    assert state(one) == before


def test_notifies_do_not_become_writes_to_the_disk(pair):
    """Anybody can forge the address of a primary; one write for each would keep the loop waiting for the disk."""
    owner, comb = pair
    q = dns.message.make_query(h.ZONE, "SOA")
    q.set_opcode(dns.opcode.NOTIFY)
    q.flags = dns.opcode.to_flags(dns.opcode.NOTIFY) | dns.flags.AA
    wal = comb.dir + "/state/combinerd.db-wal"
    before = os.path.getsize(wal)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((owner.addr, 0))
        s.connect((comb.addr, comb.port))
        s.settimeout(2)
        for _ in range(3000):
            s.send(q.to_wire())
            assert s.recv(512)[3] & 15 == 0
    assert 0 < comb.log_text().count("notify-in") < 2000
    assert comb.ctl("status")["udp_in"] >= 3000
    assert os.path.getsize(wal) - before < 20000


def test_a_truncated_answer_has_an_opt_when_the_question_had_one(pair):
    _, comb = pair
    keys = [("add", 10, "DNSKEY", "257 3 13 " + base64.b64encode(bytes([n]) * 120).decode()) for n in range(4)]
    assert comb.rcode(*keys) == "NOERROR"
    h.wait_for(lambda: h.apex_set(comb.axfr(), "DNSKEY"), message="served")
    for edns in (0, -1):
        q = dns.message.make_query(h.ZONE, "DNSKEY", use_edns=edns, payload=512)
        q.use_tsig(h.KEYRING, "msad.")
        r = dns.query.udp(q, comb.addr, timeout=10, port=comb.port)
        assert r.flags & dns.flags.TC and not r.answer
        assert r.edns == edns
    assert sum(len(x) for x in dns.query.tcp(q, comb.addr, timeout=10, port=comb.port).answer) == 4


def test_a_flood_from_many_sources_does_not_fill_the_log(pair):
    """Source addresses of datagrams are easily forged: a budget for each is not enough."""
    _, comb = pair
    before = comb.log_text().count("refused")
    for n in range(4000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((f"127.{100 + n // 250}.{n % 250}.1", 0))
            s.sendto(dns.message.make_query("x.test.", "A").to_wire(), (comb.addr, comb.port))
            s.settimeout(5)
            assert s.recv(512)[3] & 15 == 5
    assert 100 < comb.log_text().count("refused") - before < 3500
    assert comb.soa("signer.") is not None


def test_notify_from_strangers_is_refused(one):
    q = dns.message.make_query(h.ZONE, "SOA")
    q.set_opcode(4)
    assert dns.query.udp(q, one.addr, port=one.port, timeout=3, source=h.address()).rcode() == 5
    q.use_tsig(h.KEYRING, "signer.")
    assert dns.query.udp(q, one.addr, port=one.port, timeout=3).rcode() == 5
    q = dns.message.make_query(h.ZONE, "SOA")
    q.set_opcode(4)
    q.use_tsig(h.KEYRING, "owner.")
    assert dns.query.udp(q, one.addr, port=one.port, timeout=3).rcode() == 0


@pytest.mark.parametrize("key,want", [(None, "REFUSED"), ("msad.", "REFUSED"), ("owner.", "REFUSED"), ("other.", "REFUSED")])
@pytest.mark.parametrize("rdtype", ["AXFR", "IXFR"])
def test_transfers_only_for_the_signer(one, key, want, rdtype):
    q = dns.message.make_query(h.ZONE, rdtype)
    if rdtype == "IXFR":
        q.authority.append(dns.rrset.from_text(h.ZONE, 0, "IN", "SOA", ". . 1 0 0 0 0"))
    if key:
        q.use_tsig(h.KEYRING, key)
    r = dns.query.tcp(q, one.addr, port=one.port, timeout=3)
    assert dns.rcode.to_text(r.rcode()) == want and r.answer == []


def test_every_refusal_is_in_the_log_with_its_rule(one):
    for rule in ("E.2 step 2: TSIG required", "C.6: TSIG", "E.7: key is no agent", "E.2 step 1: unknown zone", "E.2 step 3: type not permitted",
                 "E.2 step 3: name not the apex", "E.2 step 3: name outside", "E.4 fence 5", "C.5: replay", "E.7: TSIG required",
                 "E.7: transfers only for signers", "E.7: NOTIFY only from a primary", "prerequisite not met"):
        # Lines are written once a turn of the loop: the last may come after the answer.
        h.wait_for(lambda r=rule: r in one.log_text(), 5, message=rule)
    for line in one.log_text().splitlines():
        assert "refused " not in line or 'rule=' in line


def test_half_open_and_slow_clients_do_not_stop_others(one):
    socks = []
    for _ in range(9):
        s = socket.socket()
        s.connect((one.addr, one.port))
        s.sendall(b"\x00")
        socks.append(s)
    t = time.monotonic()
    assert one.soa("msad.")
    assert time.monotonic() - t < 1
    for s in socks:
        s.close()

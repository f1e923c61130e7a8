# SPDX-License-Identifier: BSD-2-Clause
"""S9: what goes in comes out, apart from the permitted apex RRsets and the SOA serial. Checked with dnspython on both sides."""

import os
import random
import time

import dns.name
import dns.rdatatype
import pytest

import cmbharness as h
from test_combinerd_basic import CDS, CSYNC, DNSKEY

DATA = os.path.join(h.ROOT, "tests/data")
# Types that have no place in a primary's zone file, or that the server named does not load.
NOT_IN_ZONES = {"SOA", "OPT", "TSIG", "TKEY", "ANY", "IXFR", "AXFR", "MAILA", "MAILB", "SIG", "NXT"}
NOT_LOADED = {
    "nsd": set(),
    "knot": {"NSEC3", "NSEC3PARAM", "NSEC", "RRSIG"},  # an unsigned zone with these is not taken
    "bind": {"NSEC3", "NSEC3PARAM", "NSEC", "RRSIG", "MD", "MF", "NULL", "A6"},
}


# Mnemonics of the IANA table that this dnspython does not know.
NUMBERS = {"EID": 31, "NIMLOC": 32, "RKEY": 57, "TALINK": 58, "DSYNC": 66, "UINFO": 100, "UID": 101, "GID": 102, "DOA": 259,
           "RESINFO": 261, "WALLET": 262}


def samples():
    """(type, wire) of everything that dnspython and BIND write."""
    seen = set()
    for name in ("rr-dnspython.txt", "rr-bind.txt"):
        with open(os.path.join(DATA, name)) as f:
            for line in f:
                if line.startswith("#") or not line.strip():
                    continue
                rdtype, _, wire = line.rstrip("\n").split("\t")
                if (rdtype, wire) not in seen:
                    seen.add((rdtype, wire))
                    yield rdtype, wire


def generic(rdtype, wire):
    number = NUMBERS.get(rdtype) or int(dns.rdatatype.from_text(rdtype))
    return f"TYPE{number} \\# {len(wire) // 2} {wire}"


def big_zone(kind, total, serial=1):
    lines = h.zone_text(serial).splitlines()
    n = 0
    for rdtype, wire in samples():
        if rdtype in NOT_IN_ZONES or rdtype in NOT_LOADED[kind] or not wire:
            continue
        n += 1
        lines.append(f"t{n}.{h.ZONE} {n} IN {generic(rdtype, wire)}")
    for i in range(40):  # unknown types, among them the numbers of ours
        lines.append(f"u{i}.{h.ZONE} 5 IN TYPE{60000 + 137 * i} \\# {i} {bytes(range(i)).hex()}")
    for t in (65285, 65286, 65534, 65280):
        lines.append(f"x{t}.{h.ZONE} 5 IN TYPE{t} \\# 3 010203")
    for i in range(256):  # every octet in a label
        lines.append(f"b\\{i:03d}z.{h.ZONE} 5 IN A 192.0.2.1")
        lines.append(f"\\{i:03d}.{h.ZONE} 5 IN AAAA 2001:db8::{i:x}")
    lines += [f'esc\\.aped.{h.ZONE} 5 IN TXT "dot"', f'sp\\032ace\\034q\\092.{h.ZONE} 5 IN TXT "\\000\\255\\"\\\\;"',
              f"*.{h.ZONE} 5 IN MX 10 mail.{h.ZONE}", f"*.wild.{h.ZONE} 5 IN A 192.0.2.9", f"a.*.wild.{h.ZONE} 5 IN A 192.0.2.9",
              f"MiXeD.CaSe.{h.ZONE} 5 IN PTR TaRgEt.ExAmPlE.", f"mixed.other.{h.ZONE} 5 IN NS NS.MiXeD.test.",
              f"one.two.three.ent.{h.ZONE} 5 IN A 192.0.2.3", f"ttl0.{h.ZONE} 0 IN A 192.0.2.3", f"ttlmax.{h.ZONE} 2147483647 IN A 192.0.2.3",
              f"deleg.{h.ZONE} 5 IN NS ns.deleg.{h.ZONE}", f"ns.deleg.{h.ZONE} 5 IN A 192.0.2.4", f"below.deleg.{h.ZONE} 5 IN A 192.0.2.5",
              f"dname.{h.ZONE} 5 IN DNAME else.test.", f"cname.{h.ZONE} 5 IN CNAME {'x' * 63}.{h.ZONE}"]
    # names of 255 octets: labels of 63 and a rest
    room = 255 - len(dns.name.from_text(h.ZONE).to_wire())
    long = ".".join(["l" * 63] * 3 + ["r" * (room - 3 * 64 - 1)])
    assert len(dns.name.from_text(f"{long}.{h.ZONE}").to_wire()) == 255
    lines += [f"{long}.{h.ZONE} 5 IN A 192.0.2.5", f"longns.{h.ZONE} 5 IN NS {long}.{h.ZONE}",
              f"{'.'.join(['m'] * (room // 2))}.{h.ZONE} 5 IN A 192.0.2.6"]
    for i in range(258 if kind != "knot" else 240):  # an RRset of 64 KiB; Knot cannot send one over that
        # (it fills one message with it and gives up: "transfer was not sent")
        lines.append(f'bigset.{h.ZONE} 5 IN TXT "{i:03d}{"y" * 240}"')
    # One record as large as the server can send: NSD and Knot fill messages of 16 KiB only.
    for i, strings in enumerate({"nsd": (60,), "knot": (30,), "bind": (60, 100, 250)}[kind]):
        lines.append(f"bigrr{i}.{h.ZONE} 5 IN TXT " + " ".join('"' + "z" * 255 + '"' for _ in range(strings)))
    rnd = random.Random(1)
    i = 0
    while len(lines) < total:
        i += 1
        lines.append(f"d{i}.{h.ZONE} {rnd.choice((60, 300))} IN NS ns{rnd.randrange(9)}.d{i}.{h.ZONE}")
        lines.append(f"ns0.d{i}.{h.ZONE} 60 IN A 198.51.100.{i % 250}")
        if i % 3 == 0:
            lines.append(f"d{i}.{h.ZONE} 300 IN DS {i % 65535} 13 2 {rnd.randrange(1 << 255):064x}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", ["nsd", "knot", "bind"])
def test_everything_passes_but_the_permitted_apex(servers, base, kind):
    owner = servers(h.OWNERS[kind](base, "owner", big_zone(kind, 100_000)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.notify = comb.where()
    owner.start()
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."), 25, message="zone served")
    before = owner.axfr("owner.", timeout=120)
    assert len(before) >= 99_000, len(before)
    types = {r[2] for r in before}
    print(f"{kind}: {len(before)} records, {len(types)} types")
    after = comb.axfr(timeout=120)
    assert len(after) == len(before)
    assert set(after) == set(before)  # nothing contributed: the very same zone, serial included
    assert comb.nsupdate(f"update add {h.ZONE} 10 DNSKEY {DNSKEY}\nupdate add {h.ZONE} 10 CDS {CDS}\n"
                         f"update add {h.ZONE} 30 CSYNC {CSYNC}\nupdate add {h.ZONE} 60 NS ns.provider-a.test.\n").returncode == 0
    merged = comb.axfr(timeout=120)
    assert h.content(merged) == h.content(before)
    assert {t: len(h.apex_set(merged, t)) for t in h.PERMITTED} == {"DNSKEY": 1, "CDS": 1, "CSYNC": 1, "NS": 1}
    soa_before, soa_after = before[0][3], merged[0][3]
    assert soa_before[:-20] == soa_after[:-20] and soa_before[-16:] == soa_after[-16:]  # only the serial
    assert comb.nsupdate(f"update delete {h.ZONE}").returncode == 0
    h.wait_for(lambda: comb.soa("msad.") == h.serial_of(before) + 2)
    assert h.content(comb.axfr(timeout=120), ()) == h.content(before, ())
    # a restart serves the same from disk, without asking the owner
    owner.stop()
    comb.kill9()
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."), 30)
    assert h.content(comb.axfr(timeout=120), ()) == h.content(before, ())


def test_old_pages_are_deleted_and_transfers_under_way_keep_theirs(servers, base):
    """A reader that is slow sees the version it began with to its end, while new ones come and old pages go."""
    owner = servers(h.Nsd(base, "owner", big_zone("nsd", 60_000)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.notify = comb.where()
    owner.start()
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."), 60)
    before = owner.axfr("owner.", timeout=120)
    slow, records = h.messages(comb.addr, comb.port, "signer.", timeout=120), []

    def take(m):
        for rrset in m.answer:
            records.extend((rrset.name.to_text(), rrset.ttl, dns.rdatatype.to_text(rrset.rdtype), rd.to_wire()) for rd in rrset)

    for _ in range(3):
        take(next(slow))
    sizes = []
    for serial in range(2, 8):
        owner.change(big_zone("nsd", 60_000, serial))
        h.wait_for(lambda s=serial: comb.soa("msad.") == s, 60, message=f"serial {serial}")
        sizes.append(os.path.getsize(comb.dir + "/state/zones.lmdb"))
    for m in slow:
        take(m)
    assert set(records) == set(before)
    time.sleep(1)
    owner.change(big_zone("nsd", 60_000, 9))
    h.wait_for(lambda: comb.soa("msad.") == 9, 60)
    owner.change(big_zone("nsd", 60_000, 10))
    h.wait_for(lambda: comb.soa("msad.") == 10, 60)
    size = os.path.getsize(comb.dir + "/state/zones.lmdb")
    print(f"file sizes {sizes}, then {size}")
    assert size <= sizes[-1] * 2

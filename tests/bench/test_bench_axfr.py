# SPDX-License-Identifier: BSD-2-Clause
"""What the bench measures with, read by an independent implementation: a source that sent nonsense, or a client that counted
wrongly, would make every figure worthless.
"""

import os
import random
import socket
import time

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.xfr
import dns.zone
import pytest

from intermediates import KEY, KEYRING, ZONE, Failed, Process, Replay, Sink, Source, ZoneSource
from measure import client, fetch

RECORDS = 1000
HISTORY = 128


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    for p in list(Process.everything):
        p.stop()


@pytest.fixture
def source(tmp_path):
    return Source(str(tmp_path), RECORDS)


def transfer(source, zone=None, name=ZONE):
    """Into the zone given by IXFR, or into a new one by AXFR. dnspython checks order, serials and signatures."""
    if zone is None:
        zone = dns.zone.Zone(name)
    query, _ = dns.xfr.make_query(zone, keyring=KEYRING, keyname=KEY)
    dns.query.inbound_xfr("127.0.0.1", zone, query, port=source.port, timeout=10, lifetime=20)
    return zone


def serial_of(zone):
    return zone.find_rdataset("@", "SOA")[0].serial


def copy(zone):
    out = dns.zone.Zone(zone.origin)
    with out.writer() as new:
        for name, rdataset in zone.iterate_rdatasets():
            new.add(name, rdataset)
    return out


def records(zone):
    return sum(len(rds) for _, rds in zone.iterate_rdatasets())


def test_an_axfr_has_as_many_records_as_it_says(source):
    assert records(transfer(source)) == RECORDS
    assert fetch(source.port, RECORDS, True)[1] > fetch(source.port, RECORDS, False)[1] > RECORDS * 30


def test_an_ixfr_of_any_length_leads_to_what_an_axfr_says(source):
    versions = [transfer(source)]
    for _ in range(HISTORY + 20):
        source.tell("change 9")
        versions.append(transfer(source, copy(versions[-1])))
    last = transfer(source)
    assert versions[-1] == last and serial_of(last) == serial_of(versions[0]) + HISTORY + 20
    for old in random.Random(1).sample(versions, 20):
        assert transfer(source, copy(old)) == last
    _, axfrs, ixfrs = source.tell("stats")
    too_old = axfrs - 2  # the two that were asked for
    assert 0 < too_old < 20 and ixfrs == HISTORY + 20 + 20 - too_old


def test_a_difference_is_one_record_for_another(source):
    zone = transfer(source)
    serial = serial_of(zone)
    source.tell("change 9")
    q = dns.message.make_query(ZONE, "IXFR")
    q.authority.append(dns.rrset.from_rdata_list(ZONE, 3600, [zone.find_rdataset("@", "SOA")[0]]))
    q.use_tsig(KEYRING, KEY)
    answer = dns.query.tcp(q, "127.0.0.1", port=source.port, timeout=10, one_rr_per_rrset=True)
    kinds = [(dns.rdatatype.to_text(s.rdtype), getattr(s[0], "serial", None)) for s in answer.answer]
    assert kinds == [("SOA", serial + 1), ("SOA", serial), ("DS", None), ("SOA", serial + 1), ("DS", None), ("SOA", serial + 1)]
    assert answer.answer[2].name == answer.answer[4].name and answer.answer[2][0] != answer.answer[4][0]
    assert zone.find_rdataset(answer.answer[2].name.relativize(zone.origin), "DS")[0] == answer.answer[2][0]


def test_a_version_without_history_is_sent_whole(source):
    zone = transfer(source)
    source.tell("change 9")
    source.tell("bump 9")
    before = source.tell("stats")
    transfer(source, zone)
    after = source.tell("stats")
    assert (after[1] - before[1], after[2] - before[2]) == (1, 0)
    assert zone == transfer(source)


def test_a_change_while_a_transfer_is_under_way_does_not_mix(tmp_path):
    source = Source(str(tmp_path), 600000)  # far more octets than sockets hold
    serial, at = source.tell("change 9")
    assert at <= time.monotonic_ns()
    q = dns.message.make_query(ZONE, "AXFR")
    with socket.create_connection(("127.0.0.1", source.port), timeout=10) as s, s.makefile("rb") as stream:
        dns.query.send_tcp(s, q.to_wire())
        first = last = None
        while True:
            m = stream.read(int.from_bytes(stream.read(2), "big"))
            if first is None:
                first = m
                for _ in range(50):
                    source.tell("change 9")
            last = m
            if m[6:8] == b"\0\1":  # the final SOA stands alone
                break
    first, last = dns.message.from_wire(first), dns.message.from_wire(last, xfr=True)
    assert first.answer[0][0].serial == last.answer[0][0].serial == serial
    assert source.tell("change 9")[0] == serial + 51


def test_every_small_zone_is_there_and_counted(tmp_path):
    zones = ZoneSource(str(tmp_path), 30)
    for i in (0, 7, 29, 7):
        zone = transfer(zones, name=f"z{i}.test.")
        assert records(zone) == 7 and serial_of(zone) == 1000
    assert zones.tell("count")[:2] == [3, 4] and zones.tell("last 2") == [29, 7]
    assert client("drain", zones.port, True, 30)[0] > 0
    assert zones.tell("count")[:2] == [30, 34] and zones.tell("reset")[0] == 0
    assert client("sweep", zones.port, True, 0, 30) == [30]
    assert client("sweep", zones.port, True, 25, 10) == [5]  # five of them do not exist


def test_the_sink_acknowledges_and_says_when(tmp_path, source):
    sink = Sink(str(tmp_path))
    serial, at = source.tell(f"bump {sink.port}")
    heard, hint = sink.wait(0, 5)
    assert heard > at and hint == 0  # the source's NOTIFY bears no SOA
    q = dns.message.make_query(ZONE, "SOA")
    q.set_opcode(dns.opcode.NOTIFY)
    q.flags = dns.flags.AA | dns.opcode.to_flags(dns.opcode.NOTIFY)
    q.answer.append(dns.rrset.from_text(ZONE, 60, "IN", "SOA", f"ns. host. {serial} 1 1 1 1"))
    q.use_tsig(KEYRING, KEY)
    answer = dns.query.udp(q, "127.0.0.1", port=sink.port, timeout=5)
    assert answer.rcode() == dns.rcode.NOERROR and answer.had_tsig
    assert sink.wait(serial - 1, 5)[1] == serial
    with pytest.raises(Failed):
        sink.wait(serial, 0.05)


def test_the_bare_loop_writes_the_octets_of_the_file(tmp_path, source):
    first, again = str(tmp_path / "first"), str(tmp_path / "again")
    _, octets = fetch(source.port, RECORDS, True, first)
    loop = Replay(str(tmp_path), first, 1000)
    assert fetch(loop.port, RECORDS, True, again)[1] == octets == os.path.getsize(first)
    with open(first, "rb") as a, open(again, "rb") as b:
        assert a.read() == b.read()


def test_many_clients_all_get_it_and_pings_are_answered(source):
    took = client("many", source.port, True, ZONE, RECORDS + 1, 20)
    assert len(took) == 20 and min(took) > 0
    took = client("many", source.port, True, "other.test.", RECORDS + 1, 3)
    assert took == [0, 0, 0]


def test_what_is_refused_or_short_is_no_figure(source):
    with pytest.raises(Failed):
        client("fetch", source.port, True, "other.test.", RECORDS + 1)

# SPDX-License-Identifier: BSD-2-Clause
"""NOTIFY out: at most so many outstanding, the newest serial, retries, keys of a rollover; NOTIFY in: floods."""

import os
import select
import socket
import struct
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.renderer
import pytest

import cmbharness as h
import cmbmany
import cmbmodel as m
import cmbserve as v
from test_combinerd_basic import CDS


class Sink:
    """A signer's ear. answer(message) -> RCODE name, or None for silence."""

    proc = None

    def __init__(self, answer=lambda q: "NOERROR", keyring=None):
        self.addr, self.port = h.address(), 5300
        self.answer, self.keyring = answer, keyring or h.KEYRING
        self.heard, self.lock, self.running = [], threading.Lock(), False

    def start(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind((self.addr, self.port))
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        if self.running:
            self.running = False
            self.thread.join(5)
            self.socket.close()

    def where(self):
        return self.addr, self.port

    def run(self):
        while self.running:
            if not select.select([self.socket], [], [], 0.05)[0]:
                continue
            data, peer = self.socket.recvfrom(65535)
            try:
                q = dns.message.from_wire(data, keyring=self.keyring)
            except dns.exception.DNSException as e:
                with self.lock:
                    self.heard.append((time.monotonic(), type(e).__name__, None))
                self.socket.sendto(bad_key(data), peer)
                continue
            serial = q.answer[0][0].serial if q.answer else 0
            with self.lock:
                self.heard.append((time.monotonic(), q.question[0].name.to_text(), serial))
            rcode = self.answer(q)
            if rcode is not None:
                r = dns.message.make_response(q)
                r.set_rcode(dns.rcode.from_text(rcode))
                self.socket.sendto(r.to_wire(), peer)

    def count(self):
        with self.lock:
            return len(self.heard)

    def serials(self):
        with self.lock:
            return [x[2] for x in self.heard]


def bad_key(request):
    """NOTAUTH, and a TSIG with BADKEY and without MAC (RFC 8945 5.2.1)."""
    q = dns.message.from_wire(request, keyring=h.KEYRING)
    r = dns.renderer.Renderer(q.id, dns.flags.QR | dns.opcode.to_flags(dns.opcode.NOTIFY) | dns.rcode.NOTAUTH, max_size=65535)
    r.add_question(q.question[0].name, q.question[0].rdtype)
    r.write_header()
    wire = bytearray(r.get_wire())
    rdata = q.keyalgorithm.to_wire() + struct.pack("!HIHHHHH", 0, 0, 300, 0, q.id, 17, 0)
    wire += q.keyname.to_wire() + struct.pack("!HHIH", 250, 255, 0, len(rdata)) + rdata
    struct.pack_into("!H", wire, 10, 1)
    return bytes(wire)


@pytest.fixture
def told(servers, base):
    def make(sinks, settings="", signers_text=None, **kw):
        primary = servers(v.Primary([m.record(f"{h.ZONE} 300 IN NS ns.owner.test."), *HSYNCS], 1000)).start()
        comb = servers(v.Server(base, [primary.where()], settings=settings, signers_text=signers_text,
                                signers=[x.where() for x in sinks], **kw)).start()
        return primary, comb
    return make


HSYNCS = [(dns.name.from_text(h.ZONE), 300, 65282, dns.rdata.from_text("IN", "TYPE65282", x.split("TYPE65282 ")[1]))
          for x in (h.hsync(h.IDENTITY), h.hsync(h.OTHER))]


def test_all_signers_are_told_and_then_it_costs_nothing(servers, told):
    sinks = [servers(Sink()).start() for _ in range(3)]
    _, comb = told(sinks)
    h.wait_for(lambda: all(x.count() == 1 for x in sinks), message="told at the start")
    assert comb.rcode(("add", 300, "CDS", CDS)) == "NOERROR"
    h.wait_for(lambda: all(x.serials()[-1] == 1001 for x in sinks), message="told of the change")
    h.wait_for(lambda: all(x["acknowledged"] for x in comb.show()["signers"]), message="acknowledged")
    assert [x.count() for x in sinks] == [2, 2, 2]
    assert comb.log_text().count("notify-acked") == 6


def test_retries_with_doubling_waits_until_given_up(servers, told):
    silent, refusing, good = Sink(lambda q: None), Sink(lambda q: "REFUSED"), Sink()
    sinks = [servers(x).start() for x in (silent, refusing, good)]
    _, comb = told(sinks, settings="notify-timeout = 1; notify-tries = 3;")
    h.wait_for(lambda: comb.log_text().count("notify-given-up") == 2, 30, message="given up")
    for x in (silent, refusing):
        times = [t for t, _, _ in x.heard]
        assert len(times) == 3
        assert 0.9 < times[1] - times[0] < 1.9 and 1.9 < times[2] - times[1] < 3.5, times
    assert good.count() == 1
    untold = [x for x in comb.show()["signers"] if not x["acknowledged"]]
    assert len(untold) == 2 and all(x["tries"] == 3 and x["last_error"] for x in untold), untold
    silent.answer = refusing.answer = lambda q: "NOERROR"
    assert comb.rcode(("add", 300, "CDS", CDS)) == "NOERROR"  # the next version begins anew
    h.wait_for(lambda: all(x["acknowledged"] for x in comb.show()["signers"]))


def test_the_newest_serial_wins(servers, told):
    sink = servers(Sink(lambda q: None)).start()
    _, comb = told([sink], settings="notify-timeout = 2;", zone_settings="coalesce-ms = 0;")
    h.wait_for(lambda: sink.count() == 1)
    for n in range(5):
        assert comb.rcode(("add", 300 + n, "CDS", CDS)) == "NOERROR"
    h.wait_for(lambda: comb.soa("msad.") == 1005)
    sink.answer = lambda q: "NOERROR"
    h.wait_for(lambda: comb.show()["signers"][0]["acknowledged"], message="acknowledged")
    assert sink.serials()[-1] == 1005 and comb.log_text().count("notify-acked") == 1


class Unsigned(Sink):
    """Answers NOERROR without TSIG, as anybody could."""

    def run(self):
        while self.running:
            if not select.select([self.socket], [], [], 0.05)[0]:
                continue
            data, peer = self.socket.recvfrom(65535)
            q = dns.message.from_wire(data, keyring=h.KEYRING)
            with self.lock:
                self.heard.append((time.monotonic(), q.question[0].name.to_text(), 0))
            r = dns.message.make_query(h.ZONE, "SOA", use_edns=-1)
            r.id = q.id
            r.flags = dns.flags.QR | dns.flags.AA | dns.opcode.to_flags(dns.opcode.NOTIFY)
            self.socket.sendto(r.to_wire(), peer)


def test_answers_must_be_signed(servers, told):
    sink = servers(Unsigned()).start()
    _, comb = told([sink], settings="notify-timeout = 1; notify-tries = 2;")
    h.wait_for(lambda: "notify-given-up" in comb.log_text(), 20)
    assert sink.count() == 2


def test_the_next_key_of_a_rollover_is_used_when_the_first_is_refused(servers, told):
    only_other = {k: x for k, x in h.KEYRING.items() if k == dns.name.from_text("other.")}
    sink = servers(Sink(keyring=only_other)).start()
    text = f'{{ address = "{sink.addr}"; port = {sink.port}; tsig-key = "signer."; tsig-key-next = "other."; }}'
    _, comb = told([sink], signers_text=text)
    h.wait_for(lambda: comb.show()["signers"][0]["acknowledged"], message="acknowledged under the next key")
    assert sink.count() == 2


def test_a_silent_signer_does_not_hold_up_the_others(servers, base):
    """200 zones, two signers, eight NOTIFYs at a time, one signer dead: the other hears of all of them soon."""
    dead, alive = servers(Sink(lambda q: None)).start(), servers(Sink()).start()
    primary = servers(cmbmany.Primary())
    names = [f"z{i}.test." for i in range(200)]
    for n in names:
        primary.put(n, 1)
    signers = ", ".join(f'{{ address = "{x.addr}"; port = {x.port}; tsig-key = "signer."; }}' for x in (dead, alive))
    comb = cmbmany.Many(base, primary, names, settings="notifies-max = 8; notify-timeout = 3;", template=f"signers = ( {signers} );")
    servers(comb).start()
    h.wait_for(lambda: len({x[1] for x in alive.heard}) == 200, 60, message="the living one was told of all")
    assert dead.count() < 200  # it has its share of the places, not all of them


FLOOD = 10000


def test_a_flood_of_notifies_is_coalesced(servers, base):
    primary = servers(v.Primary([m.record(f"{h.ZONE} 300 IN NS ns.owner.test."), *HSYNCS], 1000)).start()
    comb = servers(h.Combinerd(base, [primary.where()]))
    comb.start()
    primary.queries.clear()
    q = v.query("SOA", notify=True)
    q.use_edns(-1)
    wire = q.to_wire()
    sent = got = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        u.bind((primary.addr, 0))
        u.connect((comb.addr, comb.port))
        u.setblocking(False)
        while sent < FLOOD:
            try:
                for _ in range(20):
                    u.send(wire)
                    sent += 1
            except BlockingIOError:
                pass
            while True:
                try:
                    got += u.recv(512)[3] & 15 == 0
                except BlockingIOError:
                    break
            assert comb.proc.poll() is None
    h.wait_for(lambda: comb.soa("msad.") == 1000, message="questions are answered again")
    assert got > 0
    asked = len(primary.queries)
    assert asked < FLOOD / 3, f"{asked} questions to the primary for {FLOOD} NOTIFYs, {got} answered"
    primary.change(add=[m.record(f"n.{h.ZONE} 300 IN A 192.0.2.1")])
    h.wait_for(lambda: m.notify(comb.where(), "owner."), message="a NOTIFY is answered")
    h.wait_for(lambda: comb.soa("msad.") == 1001, message="and a real change comes through")
    assert os.path.getsize(comb.dir + "/state/combinerd.db-wal") < 1 << 20

# SPDX-License-Identifier: BSD-2-Clause
"""GET /metrics and /healthz: read by a strict parser of the text format, and asked by clients that mean ill."""
import http.client
import re
import socket
import time

import pytest

import cmbharness as h

DNSKEY = "257 3 13 " + "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HEAD = re.compile(rf"# (HELP|TYPE) ({NAME}) (.*)\Z")
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)+)\}})? (-?[0-9]+(?:\.[0-9]+)?)\Z')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')


def parse(text):
    """{(name, ((label, value), ...)): number}. HELP, then TYPE, then samples, each family once; no sample twice."""
    assert text.endswith("\n") and "\r" not in text
    out, types, helped, family = {}, {}, set(), None
    for line in text[:-1].split("\n"):
        head = HEAD.match(line)
        if head:
            kind, name, rest = head.groups()
            if kind == "HELP":
                assert name not in helped and rest
                helped.add(name)
                family = name
            else:
                assert name == family and name not in types and rest in ("counter", "gauge")
                types[name] = rest
            continue
        m = SAMPLE.match(line)
        assert m, line
        name, labels, value = m.groups()
        assert name == family and name in types, line
        assert (types[name] == "counter") == name.endswith("_total"), name
        key = (name, tuple(LABEL.findall(labels or "")))
        assert key not in out and not value.startswith("-")
        out[key] = float(value)
    assert set(types) == helped
    return out


class Metrics:
    def __init__(self, addr, port):
        self.where = addr, port

    def get(self, path, method="GET"):
        c = http.client.HTTPConnection(*self.where, timeout=10)
        c.request(method, path)
        r = c.getresponse()
        body = r.read().decode()
        c.close()
        return r, body

    def all(self):
        r, body = self.get("/metrics")
        assert r.status == 200 and r.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert r.getheader("Connection") == "close" and int(r.getheader("Content-Length")) == len(body)
        return parse(body)

    def value(self, name, **labels):
        return self.all()[("combinerd_" + name, tuple(labels.items()))]


def setting(addr):
    return f'metrics = {{ address = "{addr}"; port = 9153; }};'


@pytest.fixture
def measured(servers, base):
    owner = servers(h.Nsd(base, "owner", h.zone_text(1000)))
    where = h.address()
    comb = servers(h.Combinerd(base, [owner.where()], settings=setting(where)))
    owner.notify = comb.where()
    owner.start()
    comb.start()
    return owner, comb, Metrics(where, 9153)


def test_metrics_are_strictly_well_formed_and_complete(measured):
    _, comb, m = measured
    got = m.all()
    names = {k[0] for k in got}
    for name in ("notifies_in_total", "axfr_in_total", "ixfr_in_total", "versions_total", "updates_total", "queries_total",
                 "octets_out_total", "held_back_total", "refused_versions_total", "notifies_failed_total", "server_udp_in_total",
                 "server_tls_failed_total", "store_file_bytes", "store_transactions_total", "store_transaction_seconds_total",
                 "transfers_out_now", "uptime_seconds", "build_info", "running"):
        assert f"combinerd_{name}" in names, name
    with open(f"{h.ROOT}/combinerd/shell.h") as f:
        for member in re.findall(r'^\tX\((\w+), "', f.read(), re.M):
            assert f"combinerd_{member}_total" in names, member
    assert got[("combinerd_zones", (("state", "serving"),))] == 1
    assert got[("process_resident_memory_bytes", ())] > 100000
    assert not any(h.ZONE.rstrip(".") in str(k) for k in got), "no series for each zone"


def test_numbers_move_with_what_happens(measured):
    owner, comb, m = measured
    before = m.all()
    comb.axfr()
    assert comb.rcode(("add", 10, "DNSKEY", DNSKEY)) == "NOERROR"
    assert comb.ask("SOA", "other.").rcode() == 5
    h.wait_for(lambda: comb.soa("msad.") == 1001)
    owner.change(h.zone_text(1002))
    h.wait_for(lambda: comb.soa("msad.") == 1002)
    h.wait_for(lambda: m.value("axfr_out_total") > before[("combinerd_axfr_out_total", ())])
    after = m.all()
    for name in ("versions", "updates", "refusals", "notifies_in", "records_in", "octets_out", "store_transactions", "queries"):
        assert after[(f"combinerd_{name}_total", ())] > before[(f"combinerd_{name}_total", ())], name
    assert all(after[k] >= v for k, v in before.items() if k[0].endswith("_total"))


def test_health_names_what_is_not_well(measured):
    owner, comb, m = measured
    r, body = m.get("/healthz")
    assert (r.status, body) == (200, "ok\n")
    comb.ctl("combiner freeze", zone=h.ZONE)
    r, body = m.get("/healthz")
    assert (r.status, body) == (200, f"{h.ZONE} serving, frozen\n")
    assert m.value("zones_marked", mark="frozen") == 1
    comb.ctl("combiner thaw", zone=h.ZONE)
    assert m.get("/healthz")[1] == "ok\n"


def test_a_daemon_that_serves_nothing_is_not_healthy(servers, base):
    where = h.address()
    comb = servers(h.Combinerd(base, [(h.address(), 5300)], settings=setting(where)))
    comb.start(wait=False)
    m = Metrics(where, 9153)
    r, body = h.wait_for(lambda: m.get("/healthz"))
    assert r.status == 503 and h.ZONE in body and "not transferred yet" in body
    assert m.value("zones", state="never") == 1 and m.value("zones", state="serving") == 0


def test_other_paths_and_methods(measured):
    _, _, m = measured
    assert m.get("/")[0].status == 404
    assert m.get("/metrics/../metrics")[0].status == 404
    r, body = m.get("/metrics", "HEAD")
    assert r.status == 200 and int(r.getheader("Content-Length")) > 1000 and body == ""
    r, _ = m.get("/metrics", "POST")
    assert r.status == 405 and r.getheader("Allow") == "GET, HEAD"
    assert m.get("/metrics", "DELETE")[0].status == 405


def talk(where, octets, read=True):
    s = socket.create_connection(where, timeout=15)
    s.sendall(octets)
    if not read:
        return s
    data = b""
    try:
        s.shutdown(socket.SHUT_WR)
        while more := s.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    s.close()
    return data


@pytest.mark.parametrize("octets,status", [
    (b"GET /metrics HTTP/1.1\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431), (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)], ids=["no-host", "tls", "chunked", "long-field", "long-target", "http2"])
def test_nonsense_is_refused(measured, octets, status):
    _, _, m = measured
    assert talk(m.where, octets).startswith(b"HTTP/1.1 %d " % status)
    assert m.get("/healthz")[0].status == 200


def test_two_requests_at_once_get_one_answer(measured):
    _, _, m = measured
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    assert talk(m.where, one + one).count(b"HTTP/1.1 ") == 1


def test_slow_and_many_clients_keep_nobody_out(measured):
    _, comb, m = measured
    slow = [talk(m.where, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-", read=False) for _ in range(200)]
    begin = time.monotonic()
    assert m.get("/healthz")[0].status == 200
    assert comb.soa("msad.") == 1000
    assert time.monotonic() - begin < 4  # not after the slow ones have timed out
    for s in slow:
        s.close()
    assert m.get("/metrics")[0].status == 200


def test_reload_moves_and_removes_the_endpoint(measured):
    _, comb, m = measured
    other = Metrics(h.address(), 9153)
    comb.settings = setting(other.where[0])
    comb.configure()
    comb.signal(1)
    h.wait_for(lambda: other.get("/healthz")[0].status == 200)
    with pytest.raises(OSError):
        m.get("/healthz")
    comb.settings = ""
    comb.configure()
    comb.signal(1)

    def is_gone():
        try:
            other.get("/healthz")
        except OSError:
            return True
    h.wait_for(is_gone)
    assert comb.soa("msad.") == 1000

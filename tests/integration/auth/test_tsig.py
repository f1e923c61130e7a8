# SPDX-License-Identifier: BSD-2-Clause
"""TSIG against dnspython, BIND and Knot DNS, requests and whole transfers, in both roles. PROTOCOL C.6."""
import base64
import hashlib
import pathlib
import socket
import struct
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.rcode
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import pytest
from authlab import LIMIT_S, Daemon, TsigKey, free_port, need, read_frame, wait_for

ALGORITHMS = ["hmac-sha256", "hmac-sha384", "hmac-sha512"]
RECORDS = 3000  # beside the apex: some 100 KiB, several messages


def make_key(alg):
    secret = base64.b64encode(hashlib.sha256(alg.encode()).digest()).decode()
    return TsigKey(f"key-{alg}.example.", alg, secret)


def keyring(key):
    return {dns.name.from_text(key.name): dns.tsig.Key(key.name, key.secret, key.alg + ".")}


@pytest.fixture(params=ALGORITHMS)
def key(request):
    return make_key(request.param)


def query(rdtype="AXFR"):
    return dns.message.make_query("zone.example.", rdtype, flags=0)


# --- dnspython ---


def test_our_request_verifies_in_dnspython(tool, key):
    client = tool.tsig("client", key)
    client.put(query().to_wire())
    signed = client.get()
    message = dns.message.from_wire(signed, keyring=keyring(key))
    assert message.had_tsig and str(message.keyname) == key.name and message.tsig_error == 0
    changed = bytearray(signed)
    changed[14] ^= 1
    with pytest.raises(dns.tsig.BadSignature):
        dns.message.from_wire(bytes(changed), keyring=keyring(key))
    assert client.verdict().startswith("EUNSIGNED")  # nothing was answered


def dnspython_answers(client, key, contents):
    """Feed the client with a stream: each of contents is a list of records and whether the message is signed."""
    request = dns.message.from_wire(client.get(), keyring=keyring(key))
    context = None
    for records, is_signed in contents:
        response = dns.message.make_response(request)
        response.use_tsig(keyring(key), keyname=key.name)
        response.answer = records
        if is_signed:
            wire = response.to_wire(multi=True, tsig_ctx=context)
            context = response.tsig_ctx
        else:
            response.tsig = None
            wire = response.to_wire()
            context.update(wire)
        client.put(wire)
    return client.verdict()


def text_records(n):
    return [dns.rrset.from_text(f"a{n}.zone.example.", 300, "IN", "TXT", f"text {n}")]


def test_answers_of_dnspython_verify(tool, key):
    client = tool.tsig("client", key)
    client.put(query().to_wire())
    assert dnspython_answers(client, key, [(text_records(0), True)]) == "ok 1"


def test_stream_of_dnspython_verifies_also_with_unsigned_messages(tool, key):
    pattern = [True] + [i % 7 == 0 for i in range(1, 50)] + [True] + [False] * 99 + [True]
    client = tool.tsig("client", key)
    client.put(query().to_wire())
    verdict = dnspython_answers(client, key, [(text_records(i), p) for i, p in enumerate(pattern)])
    assert verdict == f"ok {len(pattern)}"


def test_stream_must_end_signed_and_have_no_long_gaps(tool, key):
    for pattern, count in (([True, True, False], None), ([True] + [False] * 100 + [True], None)):
        client = tool.tsig("client", key)
        client.put(query().to_wire())
        verdict = dnspython_answers(client, key, [(text_records(i), p) for i, p in enumerate(pattern)])
        assert verdict.startswith("EUNSIGNED"), verdict


def test_our_stream_verifies_in_dnspython(tool, key):
    request = query()
    request.use_tsig(keyring(key), keyname=key.name)
    server = tool.tsig("server", key)
    server.put(request.to_wire())
    context = None
    for n in range(20):
        response = dns.message.make_response(query())
        response.id = request.id
        response.answer = text_records(n)
        server.put(response.to_wire())
        got = dns.message.from_wire(server.get(), keyring=keyring(key), request_mac=request.mac, xfr=True,
                                    origin=dns.name.from_text("zone.example."), tsig_ctx=context, multi=True,
                                    one_rr_per_rrset=False)
        assert got.had_tsig
        context = got.tsig_ctx
    assert server.verdict() == "ok 20"


def test_our_badkey_badsig_and_badtime_are_understood_by_dnspython(tool, key, monkeypatch):
    wrong_secret = TsigKey(key.name, key.alg, base64.b64encode(b"wrong").decode())
    wrong_name = TsigKey("other.example.", key.alg, key.secret)
    for client_key, expected, verdict in ((wrong_secret, dns.tsig.PeerBadSignature, "ESIG"),
                                          (wrong_name, dns.tsig.PeerBadKey, "ENOKEY")):
        request = query()
        request.use_tsig(keyring(client_key), keyname=client_key.name)
        server = tool.tsig("server", key)
        server.put(request.to_wire())
        response = dns.message.make_response(query())
        response.id = request.id
        response.set_rcode(dns.rcode.NOTAUTH)
        server.put(response.to_wire())
        with pytest.raises(expected):
            dns.message.from_wire(server.get(), keyring=keyring(client_key), request_mac=request.mac)
        assert server.verdict().startswith(verdict)
    # BADTIME: dnspython signs with a time of an hour ago.
    request = query()
    request.use_tsig(keyring(key), keyname=key.name)
    with monkeypatch.context() as patch:
        patch.setattr(dns.message.time, "time", lambda then=time.time() - 3600: then)
        wire = request.to_wire()
    server = tool.tsig("server", key)
    server.put(wire)
    response = dns.message.make_response(query())
    response.id = request.id
    response.set_rcode(dns.rcode.NOTAUTH)
    server.put(response.to_wire())
    with pytest.raises(dns.tsig.PeerBadTime):
        dns.message.from_wire(server.get(), keyring=keyring(key), request_mac=request.mac)
    assert server.verdict().startswith("ETIME")


# --- BIND and Knot as primaries ---


def zone_text():
    lines = ["$ORIGIN zone.example.", "$TTL 300", "@ SOA ns host 1 3600 900 604800 300", "@ NS ns", "ns A 192.0.2.1"]
    lines += [f"h{i} TXT \"host number {i} of the zone that is to be transferred\"" for i in range(RECORDS)]
    return "\n".join(lines) + "\n"


def bind_keys():
    return "".join(f'key "{k.name}" {{ algorithm {k.alg}; secret "{k.secret}"; }};\n' for k in map(make_key, ALGORITHMS))


def knot_keys():
    return "key:\n" + "".join(f"  - id: {k.name}\n    algorithm: {k.alg}\n    secret: {k.secret}\n"
                              for k in map(make_key, ALGORITHMS))


def start_bind(directory, port, zones):
    conf = directory / "named.conf"
    conf.write_text(bind_keys() + f"""
options {{
    directory "{directory}"; pid-file none; session-keyfile none; recursion no; notify no; empty-zones-enable no;
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; dnssec-validation no; allow-transfer {{ none; }};
    geoip-directory none; max-refresh-time 5; min-retry-time 1; max-retry-time 2;
}};
controls {{ }};
{zones}""")
    return Daemon([need("named"), "-g", "-n", "1", "-c", str(conf)], directory / "named.log")


def start_knot(directory, port, rest):
    conf = directory / "knot.conf"
    conf.write_text(f"""
server:
    listen: 127.0.0.1@{port}
    rundir: "{directory}"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{directory}/db"
{knot_keys()}
{rest}""")
    return Daemon([need("knotd"), "-c", str(conf)], directory / "knot.log")


def tcp_connect(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
    sock.settimeout(LIMIT_S)
    return sock


def soa_answer(port, zone):
    """The server's answer when it has the zone."""
    try:
        answer = dns.query.tcp(dns.message.make_query(zone, "SOA"), "127.0.0.1", port=port, timeout=2)
    except (OSError, EOFError, dns.exception.DNSException):
        return None
    return answer if answer.rcode() == 0 and answer.answer else None


@pytest.fixture(scope="module", params=["bind", "knot"])
def primary(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(f"primary-{request.param}")
    port = free_port()
    (directory / "zone.example.zone").write_text(zone_text())
    if request.param == "bind":
        names = "; ".join(f'key "{make_key(a).name}"' for a in ALGORITHMS)
        daemon = start_bind(directory, port, 'zone "zone.example" { type primary; file "zone.example.zone"; '
                                             f"allow-transfer {{ {names}; }}; }};\n")
    else:
        names = ", ".join(make_key(a).name for a in ALGORITHMS)
        daemon = start_knot(directory, port, f"acl:\n  - id: transfer\n    action: transfer\n    key: [{names}]\n"
                                             f"zone:\n  - domain: zone.example\n    storage: \"{directory}\"\n"
                                             "    file: zone.example.zone\n    acl: transfer\n")
    try:
        wait_for(lambda: daemon.check() or soa_answer(port, "zone.example."), "primary answers")
        yield port
    finally:
        daemon.stop()


def skip_name(wire, at):
    while wire[at] != 0 and wire[at] < 0xc0:
        at += 1 + wire[at]
    return at + (1 if wire[at] == 0 else 2)


def answer_types(wire):
    """Types of the records in the answer section."""
    questions, answers = struct.unpack("!HH", wire[4:8])
    at, types = 12, []
    for _ in range(questions):
        at = skip_name(wire, at) + 4
    for _ in range(answers):
        at = skip_name(wire, at)
        types.append(struct.unpack("!H", wire[at:at + 2])[0])
        at += 10 + struct.unpack("!H", wire[at + 8:at + 10])[0]
    return types


def transfer(client, port, change=lambda n, wire: wire):
    """AXFR from the server; `change` may alter a message, or drop it with None. Number of records, of messages."""
    client.put(query().to_wire())
    signed = client.get()
    records, soas, messages = 0, 0, 0
    with tcp_connect(port) as sock, sock.makefile("rb") as stream:
        sock.sendall(struct.pack("!H", len(signed)) + signed)
        while soas < 2:
            wire = read_frame(stream)
            if wire is None:
                break
            types = answer_types(wire)
            records += len(types)
            soas += types.count(dns.rdatatype.SOA)
            wire = change(messages, wire)
            messages += 1
            if wire is not None:
                client.put(wire)
            if not types:  # refused
                break
    return records, messages


def test_transfer_from_a_real_server_verifies_to_the_last_message(tool, primary, key):
    client = tool.tsig("client", key)
    records, messages = transfer(client, primary)
    assert records == RECORDS + 4
    assert messages >= 2
    assert client.verdict() == f"ok {messages}"


def test_a_changed_or_missing_message_of_a_real_transfer_is_noticed(tool, primary, key):
    def flip(n, wire):
        if n != 1:
            return wire
        changed = bytearray(wire)
        changed[len(wire) // 2] ^= 0x20
        return bytes(changed)

    client = tool.tsig("client", key)
    _, messages = transfer(client, primary, flip)
    assert messages >= 2
    assert not client.verdict().startswith("ok")
    client = tool.tsig("client", key)
    transfer(client, primary, lambda n, wire: None if n == 0 else wire)
    assert client.verdict().startswith("ESIG")


def test_a_real_server_refuses_our_request_with_the_wrong_secret(tool, primary, key):
    client = tool.tsig("client", TsigKey(key.name, key.alg, base64.b64encode(b"wrong").decode()))
    records, messages = transfer(client, primary)
    assert (records, messages) == (0, 1)
    verdict = client.verdict()
    assert verdict.startswith("ESIG") and "TSIG error 16" in verdict, verdict


def test_a_real_server_does_not_know_our_key(tool, primary, key):
    client = tool.tsig("client", TsigKey("unknown.example.", key.alg, key.secret))
    records, messages = transfer(client, primary)
    assert (records, messages) == (0, 1)
    verdict = client.verdict()
    assert verdict.startswith("ENOKEY") and "BADKEY" in verdict, verdict


# --- BIND and Knot as secondaries: our signatures must satisfy them ---


class Primary(threading.Thread):
    """Serves zones zone-<algorithm>.example, each TSIG-protected; every answer is signed by the tool."""

    def __init__(self, tool):
        super().__init__(daemon=True)
        self.tool, self.port, self.served, self.verdicts = tool, free_port(), [], []
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind(("127.0.0.1", self.port))
        self.tcp.listen()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.start()
        threading.Thread(target=self.run_udp, daemon=True).start()

    def answers(self, wire):
        """Signed answer messages to a signed request."""
        ring = {}
        for alg in ALGORITHMS:
            ring.update(keyring(make_key(alg)))
        request = dns.message.from_wire(wire, keyring=ring)  # only to learn what is asked for
        zone = request.question[0].name
        key = make_key(zone.labels[0].decode().removeprefix("zone-"))
        server = self.tool.tsig("server", key)
        server.put(wire)
        soa = dns.rrset.from_text(zone, 300, "IN", "SOA", "ns.example. host.example. 7 3600 900 604800 300")
        ns = dns.rrset.from_text(zone, 300, "IN", "NS", "ns.example.")
        texts = [dns.rrset.from_text(f"h{i}.{zone}", 300, "IN", "TXT", f'"{"x" * 200}"') for i in range(600)]
        if request.question[0].rdtype == dns.rdatatype.SOA:
            parts = [[soa]]
        else:
            parts = [[soa, ns]] + [texts[i:i + 100] for i in range(0, 600, 100)] + [[soa]]
            self.served.append(key.alg)
        for part in parts:
            response = dns.message.QueryMessage(id=request.id)
            response.flags = dns.flags.QR | dns.flags.AA
            response.question = request.question
            response.answer = part
            server.put(response.to_wire())
            yield server.get()
        self.verdicts.append(server.verdict())

    def run_udp(self):
        while True:
            wire, peer = self.udp.recvfrom(65535)
            for answer in self.answers(wire):
                self.udp.sendto(answer, peer)

    def run(self):
        while True:
            conn, _ = self.tcp.accept()
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        conn.settimeout(LIMIT_S)
        with conn, conn.makefile("rb") as stream:
            while True:
                wire = read_frame(stream)
                if wire is None:
                    return
                for answer in self.answers(wire):
                    conn.sendall(struct.pack("!H", len(answer)) + answer)


@pytest.mark.parametrize("kind", ["bind", "knot"])
def test_real_secondaries_accept_the_streams_that_we_sign(tool, tmp_path, kind):
    ours = Primary(tool)
    port = free_port()
    directory = pathlib.Path(tmp_path)
    if kind == "bind":
        zones = "".join(f'zone "zone-{a}.example" {{ type secondary; '
                        f'primaries {{ 127.0.0.1 port {ours.port} key "{make_key(a).name}"; }}; }};\n'
                        for a in ALGORITHMS)
        daemon = start_bind(directory, port, zones)
    else:
        rest = "remote:\n" + "".join(f"  - id: p-{a}\n    address: 127.0.0.1@{ours.port}\n    key: {make_key(a).name}\n"
                                     for a in ALGORITHMS)
        rest += "zone:\n" + "".join(f"  - domain: zone-{a}.example\n    storage: \"{directory}\"\n    master: p-{a}\n"
                                    for a in ALGORITHMS)
        daemon = start_knot(directory, port, rest)
    try:
        for alg in ALGORITHMS:
            wait_for(lambda a=alg: daemon.check() or soa_answer(port, f"zone-{a}.example."), f"zone-{alg} transferred")
            last = dns.query.tcp(dns.message.make_query(f"h599.zone-{alg}.example.", "TXT"), "127.0.0.1", port=port,
                                 timeout=LIMIT_S)
            assert last.answer and last.answer[0][0].strings == (b"x" * 200,)
    finally:
        daemon.stop()
    assert sorted(set(ours.served)) == sorted(ALGORITHMS)
    assert all(v.startswith("ok") for v in ours.verdicts), ours.verdicts

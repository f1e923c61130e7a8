# SPDX-License-Identifier: BSD-2-Clause
"""A real msad on loopback, its signer dead, its combiner empty: what it serves on the zone-listen side, and to whom.

Everything is asked with dnspython, so that no code of ours judges its own octets."""

import base64
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.environ.get("MSP_BUILD", os.path.join(ROOT, "build/release"))
BUILD = BUILD if os.path.isabs(BUILD) else os.path.join(ROOT, BUILD)
MSAD = os.path.join(BUILD, "msad/msad")

APEX = "msa.provider-a.test."
HOST = "dns.msa.provider-a.test."
ZONE = "zone.test."
SECRETS = {n: base64.b64encode(bytes([i + 1]) * 32).decode() for i, n in enumerate(("down.", "signer.", "combiner.", "stranger."))}
CONFIGURED = ("down.", "signer.", "combiner.")
KEYRING = dns.tsigkeyring.from_text(SECRETS)
_numbers = itertools.count(os.getpid() % 200 * 64 + 1)


def address():
    n = next(_numbers)
    return f"127.{140 + n // 60000 % 40}.{n // 250 % 250}.{n % 250 + 1}"


def wait_for(what, timeout=20.0, every=0.05, message=""):
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            last = what()
            if last:
                return last
        except (OSError, EOFError, dns.exception.DNSException) as e:
            last = e
        time.sleep(every)
    raise AssertionError(f"timed out after {timeout} s: {message or what} (last: {last!r})")


def write(path, text, mode=0o644):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)


class EmptyCombiner:
    """Has nothing: answers every question with NOERROR, no records and a TSIG. An agent that starts without a state of its own
    asks it what was contributed before, and takes no NOTIFY until it knows."""

    def __init__(self, where=("127.0.0.1", 0)):
        self.listener = socket.create_server(where)
        self.port = self.listener.getsockname()[1]
        self.asked = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s, s.makefile("rb") as f:
                s.settimeout(5)
                try:
                    while len(head := f.read(2)) == 2:
                        q = dns.message.from_wire(f.read(int.from_bytes(head, "big")), keyring=KEYRING)
                        self.asked += 1
                        wire = self.answer(q).to_wire()
                        s.sendall(len(wire).to_bytes(2, "big") + wire)
                except (OSError, dns.exception.DNSException):
                    continue

    def answer(self, q):
        return dns.message.make_response(q)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class TinySigner(EmptyCombiner):
    """Serves a zone of two records by AXFR."""

    def answer(self, q):
        r = dns.message.make_response(q)
        text = f"{ZONE} 300 IN SOA ns.test. host.test. 7 3600 60 86400 60", f"{ZONE} 300 IN NS ns.test."
        for i in (0, 1, 0):
            owner, ttl, rdclass, rdtype, rdata = text[i].split(None, 4)
            r.answer.append(dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, rdata))
        return r


class Msad:
    """One agent: its directory, its process, and a socket that plays the downstream signer."""

    def __init__(self, base):
        self.dir, self.proc = base, None
        self.addr, self.port, self.peer_port = address(), 5300, 5399
        self.signer = address()
        self.combiner = EmptyCombiner()
        self.down = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.down.bind(("127.0.0.1", 0))
        self.down.settimeout(0.2)
        self.conf, self.control = os.path.join(base, "msad.conf"), os.path.join(base, "c.sock")
        os.makedirs(os.path.join(base, "state"), exist_ok=True)
        for k, v in SECRETS.items():
            write(os.path.join(base, k + "secret"), v + "\n", 0o600)
        out = subprocess.run(["dnssec-keygen", "-q", "-K", base, "-a", "ED25519", "-T", "KEY", "-n", "HOST", HOST], check=True,
                             capture_output=True, text=True).stdout.strip()
        self.key_file = os.path.join(base, out + ".private")
        with open(os.path.join(base, out + ".key")) as f:
            words = [line for line in f if not line.startswith(";")][0].split()
        self.key_rdata = words[words.index("KEY") + 1:]
        self.configure()

    def configure(self, publish=("192.0.2.12", "2001:db8::12"), extra="", ttl=300, more=""):
        keys = ", ".join(f'{{ name = "{k}"; algorithm = "hmac-sha256"; secret-file = "{self.dir}/{k}secret"; }}' for k in CONFIGURED)
        write(self.conf, f"""
identity = "{APEX}"; host = "{HOST}"; sig0-key = "{self.key_file}"; state-dir = "{self.dir}/state"; control = "{self.control}";
log-level = "debug";
listen = ( {{ address = "{self.addr}"; port = {self.peer_port}; }} );
zone-listen = ( {{ address = "{self.addr}"; port = {self.port}; }} );
publish = [ {", ".join(f'"{p}"' for p in publish)} ];
resolver : {{ root-servers = [ "127.0.0.1" ]; }};
tsig-keys = ( {keys} );
identity-zone : {{
  name = "{APEX}"; ns = [ "ns1.provider-a.test.", "ns2.provider-a.test." ]; ttl = {ttl}; {more}
  downstreams = ( {{ address = "127.0.0.1"; port = {self.down.getsockname()[1]}; tsig-key = "down."; }} );
}};
zones = ( {{ name = "{ZONE}"; ns = [ "ns1.provider-a.test." ];
  signer : {{ address = "{self.signer}"; port = 5301; tsig-key = "signer."; }}; 
  combiner : {{ address = "127.0.0.1"; port = {self.combiner.port}; tsig-key = "combiner."; }}; }} );
{extra}
""")

    def start(self):
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0", UBSAN_OPTIONS="print_stacktrace=1")
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen([MSAD, "-c", self.conf], stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                     cwd=self.dir, env=env)
        wait_for(self.ready, message="msad ready")
        return self

    def ready(self):
        assert self.proc.poll() is None, "msad ended: " + self.log_text()[-3000:]
        return self.ask(tcp=True).rcode() == dns.rcode.NOERROR  # over TCP a closed port shows at once

    def log_text(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    def stop(self):
        if self.proc is None:
            return
        self.proc.send_signal(signal.SIGTERM)
        rc = self.proc.wait(20)
        self.proc = None
        self.log.close()
        text = self.log_text()
        assert "ERROR: " not in text and "runtime error" not in text, text[-4000:]
        assert rc == 0

    def reload(self):
        """SIGHUP, then wait until the log says what became of it."""
        before = len(self.log_text())
        self.proc.send_signal(signal.SIGHUP)
        return wait_for(lambda: (m := re.search(r".*reload.*", self.log_text()[before:])) and m.group(0), message="a word on the reload")

    def ask(self, rdtype="SOA", key="down.", name=APEX, tcp=False, rdclass="IN", edns=True):
        q = dns.message.make_query(name, rdtype, rdclass, use_edns=0 if edns else -1)
        if key:
            q.use_tsig(KEYRING, key)
        return (dns.query.tcp if tcp else dns.query.udp)(q, self.addr, timeout=3, port=self.port)

    def soa(self, key="down."):
        r = self.ask("SOA", key)
        assert r.rcode() == dns.rcode.NOERROR and r.had_tsig
        return r.answer[0][0].serial

    def axfr(self, key="down.", rdtype="AXFR", serial=0):
        kw = dict(keyring=KEYRING, keyname=dns.name.from_text(key)) if key else {}
        out = []
        for m in dns.query.xfr(self.addr, APEX, rdtype=rdtype, serial=serial, relativize=False, port=self.port, timeout=5, **kw):
            out += [(rrset.name.to_text(), rrset.ttl, dns.rdatatype.to_text(rrset.rdtype), rd.to_text()) for rrset in m.answer
                    for rd in rrset]
        return out

    def notify(self, name=ZONE, key=None, source=None, tcp=False):
        q = dns.message.make_query(name, "SOA")
        q.set_opcode(dns.opcode.NOTIFY)
        q.flags |= dns.flags.AA
        if key:
            q.use_tsig(KEYRING, key)
        return (dns.query.tcp if tcp else dns.query.udp)(q, self.addr, timeout=3, port=self.port, source=source)

    def ctl(self, cmd, **args):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(self.control)
            s.sendall(json.dumps({"cmd": cmd, "args": args}).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = s.recv(65536)
                if not part:
                    break
                data += part
        return json.loads(data)


@pytest.fixture
def agent():
    base = tempfile.mkdtemp(prefix="msad")
    a = Msad(base)
    a.start()
    yield a
    try:
        a.stop()
    finally:
        if a.proc is not None:
            a.proc.kill()
        a.down.close()
        a.combiner.close()
        if os.environ.get("MSAD_KEEP") is None:
            shutil.rmtree(base, ignore_errors=True)


def test_the_whole_zone_is_transferred_as_published(agent):
    records = agent.axfr()
    assert records[0] == records[-1] and records[0][2] == "SOA"
    serial = agent.soa()
    assert records[0][3].split()[2] == str(serial)
    assert abs(serial - time.time()) < 300
    body = {r for r in records if r[2] != "SOA"}
    assert all(r[1] == 300 for r in records)
    assert {r[3] for r in body if r[2] == "NS"} == {"ns1.provider-a.test.", "ns2.provider-a.test."}
    assert {(r[0], r[3]) for r in body if r[2] == "URI"} == {("_dns._tcp." + APEX, '10 10 "dns://dns.msa.provider-a.test:5399/"')}
    assert {(r[0], r[3]) for r in body if r[2] == "A"} == {(HOST, "192.0.2.12")}
    assert {(r[0], r[3]) for r in body if r[2] == "AAAA"} == {(HOST, "2001:db8::12")}
    svcb = [r for r in body if r[2] == "SVCB"]
    assert [(r[0], r[3]) for r in svcb] == [(HOST, '1 . ipv4hint="192.0.2.12" ipv6hint="2001:db8::12"')]
    key = [r for r in body if r[2] == "KEY"]
    assert [r[0] for r in key] == [HOST]
    flags, protocol, algorithm = (int(w) for w in agent.key_rdata[:3])
    want = flags.to_bytes(2, "big") + bytes([protocol, algorithm]) + base64.b64decode("".join(agent.key_rdata[3:]))
    assert bytes.fromhex(key[0][3].split(None, 2)[2].replace(" ", "")) == want  # dnspython knows no KEY: generic form
    assert {r[2] for r in body} == {"NS", "URI", "A", "AAAA", "SVCB", "KEY"}


def test_ixfr_is_the_whole_zone_over_tcp_and_one_soa_over_udp(agent):
    assert {r for r in agent.axfr(rdtype="IXFR", serial=1)} == set(agent.axfr())
    r = agent.ask("IXFR")
    assert r.rcode() == dns.rcode.NOERROR and r.had_tsig and [x.rdtype for x in r.answer] == [dns.rdatatype.SOA]


@pytest.mark.parametrize("tcp", [False, True])
def test_without_tsig_everything_is_refused(agent, tcp):
    for rdtype in ("SOA", "KEY", "AXFR") if tcp else ("SOA", "KEY", "ANY"):
        r = agent.ask(rdtype, key=None, tcp=tcp)
        assert r.rcode() == dns.rcode.REFUSED and not r.answer and not r.authority
    if tcp:
        with pytest.raises(dns.query.TransferError) as e:
            agent.axfr(key=None)
        assert e.value.rcode == dns.rcode.REFUSED


def tsig_error(agent, q, tcp=True):
    """The answer's octets as they came: dnspython raises where we want to look."""
    with socket.socket() as s:
        s.settimeout(3)
        s.connect((agent.addr, agent.port))
        wire = q.to_wire()
        s.sendall(len(wire).to_bytes(2, "big") + wire)
        f = s.makefile("rb")
        data = f.read(int.from_bytes(f.read(2), "big"))
    return data


def test_a_key_that_is_not_configured_is_badkey(agent):
    with pytest.raises(dns.tsig.PeerBadKey):
        agent.ask("SOA", key="stranger.")
    with pytest.raises(dns.tsig.PeerBadKey):
        agent.axfr(key="stranger.")


def test_a_configured_key_of_another_purpose_does_not_open_the_identity_zone(agent):
    for key in ("signer.", "combiner."):
        with pytest.raises(dns.tsig.PeerBadKey):
            agent.ask("SOA", key=key)


def test_the_right_name_with_the_wrong_secret_is_badsig_and_unsigned(agent):
    q = dns.message.make_query(APEX, "SOA")
    q.use_tsig(dns.tsigkeyring.from_text({"down.": base64.b64encode(b"x" * 32).decode()}), "down.")
    data = tsig_error(agent, q)
    assert data[3] & 15 == dns.rcode.NOTAUTH
    assert data[6:8] == b"\0\0"  # no answer
    assert data[-4:-2] == (16).to_bytes(2, "big") and data[-8:-6] == b"\0\0"  # error BADSIG, MAC size 0


def test_an_old_signature_is_badtime_with_our_clock(agent):
    q = dns.message.make_query(APEX, "SOA")
    q.use_tsig(KEYRING, "down.")
    real, before = time.time, dns.message.time.time
    try:
        dns.message.time.time = lambda: real() - 4000
        q.to_wire()
        data = tsig_error(agent, q)
    finally:
        dns.message.time.time = before
    assert data[3] & 15 == dns.rcode.NOTAUTH and data[6:8] == b"\0\0"
    assert data[-10:-8] == (18).to_bytes(2, "big") and data[-8:-6] == (6).to_bytes(2, "big")
    assert abs(int.from_bytes(data[-6:], "big") - real()) < 60


@pytest.mark.parametrize("name", ["other.test.", "xmsa.provider-a.test.", "provider-a.test.", "test.", ".", ZONE, HOST])
def test_another_zone_is_refused(agent, name):
    for rdtype in ("SOA", "AXFR"):
        q = dns.message.make_query(name, rdtype)
        q.use_tsig(KEYRING, "down.")
        data = tsig_error(agent, q)
        assert data[3] & 15 == dns.rcode.REFUSED and data[6:8] == b"\0\0"


def test_what_is_asked_for_with_the_right_key_but_not_ours_to_answer_is_refused_and_signed(agent):
    for rdtype, rdclass, tcp in (("KEY", "IN", True), ("ANY", "IN", True), ("AXFR", "IN", False), ("SOA", "CH", False)):
        r = agent.ask(rdtype, tcp=tcp, rdclass=rdclass)
        assert r.rcode() == dns.rcode.REFUSED and not r.answer and r.had_tsig, rdtype


def test_updates_and_rubbish_change_nothing_and_do_not_stop_it(agent):
    for wire in (b"", b"\0" * 5, b"\0" * 12, os.urandom(40), b"\1\2\0\0\xff\xff" + b"\0" * 6):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(wire, (agent.addr, agent.port))
    q = dns.message.make_query(APEX, "SOA")
    q.set_opcode(dns.opcode.UPDATE)
    r = dns.query.udp(dns.message.from_wire(q.to_wire()), agent.addr, timeout=3, port=agent.port)
    assert r.rcode() == dns.rcode.NOTIMP
    assert agent.soa()


def test_notify_is_taken_from_the_signer_and_from_nobody_else(agent):
    wait_for(lambda: agent.notify(ZONE, None, agent.signer).rcode() == dns.rcode.NOERROR, message="the signer's NOTIFY taken")
    before = agent.ctl("status")["data"]
    for name, key, source in ((ZONE, None, "127.0.0.1"), (APEX, None, agent.signer), ("xzone.test.", None, agent.signer)):
        assert agent.notify(name, key, source).rcode() == dns.rcode.REFUSED, (name, key, source)
    for key in ("stranger.", "down.", "combiner."):
        # Also from the signer's address: a signature that does not verify is no reason to believe the address.
        for source in ("127.0.0.1", agent.signer):
            q = dns.message.make_query(ZONE, "SOA")
            q.set_opcode(dns.opcode.NOTIFY)
            q.use_tsig(KEYRING, key)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind((source, 0))
                s.settimeout(3)
                s.sendto(q.to_wire(), (agent.addr, agent.port))
                assert s.recv(4096)[3] & 15 == dns.rcode.REFUSED, (key, source)
    after = agent.ctl("status")["data"]
    refused = after["notifies_refused"]
    assert refused - before["notifies_refused"] == after["notifies_in"] - before["notifies_in"] == 9
    assert agent.notify(ZONE, None, agent.signer).rcode() == dns.rcode.NOERROR
    r = agent.notify(ZONE, "signer.", "127.0.0.1")
    assert r.rcode() == dns.rcode.NOERROR and r.had_tsig
    assert agent.ctl("status")["data"]["notifies_refused"] == refused


def test_forged_notifies_do_not_make_it_transfer_all_the_time(agent):
    signer = TinySigner((agent.signer, 5301))
    wait_for(lambda: agent.notify(ZONE, None, agent.signer).rcode() == dns.rcode.NOERROR and signer.asked, message="a transfer")
    q = dns.message.make_query(ZONE, "SOA")
    q.set_opcode(dns.opcode.NOTIFY)
    before, end, sent = signer.asked, time.monotonic() + 3, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((agent.signer, 0))
        while time.monotonic() < end:
            s.sendto(q.to_wire(), (agent.addr, agent.port))
            sent += 1
            time.sleep(0.005)
    signer.close()
    assert sent > 100 and 1 <= signer.asked - before <= 3 / 0.2 + 2, (sent, signer.asked - before)


def received(agent):
    try:
        return agent.down.recvfrom(4096)
    except socket.timeout:
        return None


def test_the_downstream_is_notified_with_tsig_and_again_until_it_answers(agent):
    first, _ = wait_for(lambda: received(agent), message="NOTIFY")
    m = dns.message.from_wire(first, keyring=KEYRING)  # raises when the signature is wrong
    assert m.opcode() == dns.opcode.NOTIFY and m.had_tsig and m.keyname == dns.name.from_text("down.")
    assert m.question[0].name == dns.name.from_text(APEX) and m.question[0].rdtype == dns.rdatatype.SOA
    second, source = wait_for(lambda: received(agent), timeout=30, message="NOTIFY again")
    m = dns.message.from_wire(second, keyring=KEYRING)
    r = dns.message.make_response(m)
    agent.down.sendto(r.to_wire(), source)
    assert received(agent) is None


def test_the_serial_grows_with_the_content_and_only_then(agent):
    first = agent.soa()
    assert "fail" not in agent.reload()
    wait_for(lambda: agent.soa())
    assert agent.soa() == first
    agent.stop()
    agent.start()
    assert agent.soa() == first
    agent.configure(publish=("192.0.2.99",))
    assert "fail" not in agent.reload()
    second = wait_for(lambda: (s := agent.soa()) != first and s, message="a new serial")
    assert second == first + 1
    body = agent.axfr()
    assert {r[3] for r in body if r[2] == "A"} == {"192.0.2.99"} and not [r for r in body if r[2] == "AAAA"]
    agent.stop()
    agent.start()
    assert agent.soa() == second
    agent.configure(publish=("192.0.2.99",), ttl=301)  # a TTL is content
    agent.reload()
    wait_for(lambda: agent.soa() == second + 1, message="a serial for the TTL")
    agent.configure(publish=("192.0.2.99",), ttl=301, more='rname = "somebody.else.test.";')  # so is what else the SOA says
    agent.reload()
    wait_for(lambda: agent.soa() == second + 2, message="a serial for the SOA's other fields")


@pytest.mark.parametrize("extra", ["this is no configuration", "no-such-setting = 1;", "heartbeat = 0;"])
def test_sighup_with_a_bad_file_keeps_the_old_configuration(agent, extra):
    first, records = agent.soa(), agent.axfr()
    agent.configure(publish=("192.0.2.77",), extra=extra)
    assert "fail" in agent.reload() or "refused" in agent.reload()
    assert agent.proc.poll() is None
    assert agent.soa() == first and agent.axfr() == records
    agent.configure(publish=("192.0.2.77",))
    agent.reload()
    wait_for(lambda: agent.soa() == first + 1, message="the good file after the bad one")


def test_sighup_with_a_file_that_cannot_be_opened_goes_back_to_the_old_one(agent):
    first, records = agent.soa(), agent.axfr()
    os.chmod(agent.key_file, 0o644)  # readable by others: no secret any more (PROTOCOL C.4)
    good = agent.key_file
    agent.key_file = os.path.join(agent.dir, "absent.private")
    agent.configure(publish=("192.0.2.78",))
    os.chmod(good, 0o600)
    agent.reload()
    wait_for(lambda: agent.soa() == first)
    assert agent.axfr() == records


def test_secrets_that_others_can_read_are_refused(agent):
    agent.stop()
    for path in (agent.key_file, os.path.join(agent.dir, "down.secret")):
        os.chmod(path, 0o644)
        r = subprocess.run([MSAD, "-c", agent.conf], capture_output=True, text=True, timeout=20)
        assert r.returncode != 0 and path in r.stdout + r.stderr, r.stdout + r.stderr
        os.chmod(path, 0o600)
    agent.start()

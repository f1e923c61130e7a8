# SPDX-License-Identifier: BSD-2-Clause
"""Our TLS (RFC 9103) against other people's: kdig, dig, openssl and named at one end, the library at the other."""
import shutil
import signal
import socket
import subprocess
import time

import pytest

RECORDS = 5000
SECONDS = 20


def until(claim, what):
    """Poll until claim() is true; what it gave comes back."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        got = claim()
        if got:
            return got
        time.sleep(0.02)
    pytest.fail(f"not within {SECONDS} s: {what}")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Serving:
    def __init__(self, tlstool, directory, cert, key, pins="-", ca="-"):
        self.log = directory / "tlstool.log"
        self.process = subprocess.Popen([tlstool, "serve", cert, key, pins, ca], stdout=subprocess.PIPE,
                                        stderr=open(self.log, "w"), text=True)
        self.port = int(self.process.stdout.readline())

    def said(self, text):
        return until(lambda: text in self.log.read_text(), text)

    def close(self):
        self.process.terminate()
        assert self.process.wait(SECONDS) == 0, self.log.read_text()


@pytest.fixture
def serving(tlstool, pki, tmp_path):
    made = []

    def make(**how):
        made.append(Serving(tlstool, tmp_path, pki.pem("server"), pki.key("server"), **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def run(*argv, **more):
    return subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=SECONDS, **more)


def kdig(port, *args):
    return run("kdig", "@127.0.0.1", "-p", port, "+tls", "+retry=0", "+timeout=5", "zone.test.", *args)


def dig(port, *args):
    return run("dig", "@127.0.0.1", "-p", port, "+tls", "+tries=1", "+timeout=5", "zone.test.", *args)


def test_kdig_gets_an_answer_and_a_whole_zone(serving):
    port = serving().port
    assert "status: NOERROR" in kdig(port, "SOA").stdout
    assert "TLS1.3" in kdig(port, "SOA").stdout
    assert kdig(port, "AXFR").stdout.count("IN\tTXT") == RECORDS


def test_kdig_believes_our_pin_and_no_other(serving, pki):
    port = serving().port
    assert "status: NOERROR" in kdig(port, f"+tls-pin={pki.pin('server')}", "SOA").stdout
    assert "status: NOERROR" not in kdig(port, f"+tls-pin={pki.pin('other')}", "SOA").stdout


def test_kdig_believes_our_authority_under_our_name(serving, pki):
    port = serving().port
    ca = f"+tls-ca={pki.pem('ca')}"
    assert "status: NOERROR" in kdig(port, ca, "+tls-hostname=ns.zone.test", "SOA").stdout
    assert "status: NOERROR" not in kdig(port, ca, "+tls-hostname=ns.other.test", "SOA").stdout


def test_dig_transfers_a_whole_zone(serving, pki):
    port = serving().port
    got = dig(port, f"+tls-ca={pki.pem('ca')}", "+tls-hostname=ns.zone.test", "AXFR").stdout
    assert got.count("IN\tTXT") == RECORDS
    assert "(TLS)" in got


def test_dig_shows_its_certificate_when_asked(serving, pki):
    ours = serving(ca=pki.pem("ca"))
    shown = (f"+tls-ca={pki.pem('ca')}", "+tls-hostname=ns.zone.test", f"+tls-certfile={pki.pem('client')}", f"+tls-keyfile={pki.key('client')}")
    assert dig(ours.port, *shown, "AXFR").stdout.count("IN\tTXT") == RECORDS
    ours.said("peer certificate 1 ca 1")
    assert "IN\tTXT" not in dig(ours.port, "AXFR").stdout
    stranger = (f"+tls-ca={pki.pem('ca')}", "+tls-hostname=ns.zone.test", f"+tls-certfile={pki.pem('other')}", f"+tls-keyfile={pki.key('other')}")
    assert "IN\tTXT" not in dig(ours.port, *stranger, "AXFR").stdout


def test_client_pin_is_enough(serving, pki):
    ours = serving(pins=pki.pin("other"))
    shown = (f"+tls-ca={pki.pem('ca')}", "+tls-hostname=ns.zone.test", f"+tls-certfile={pki.pem('other')}", f"+tls-keyfile={pki.key('other')}")
    assert dig(ours.port, *shown, "AXFR").stdout.count("IN\tTXT") == RECORDS
    ours.said("peer certificate 1 ca 0")


def s_client(port, *args):
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", *args, input="")


def test_openssl_s_client_sees_tls_1_3_dot_and_no_ticket(serving):
    port = serving().port
    got = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "dot", input="")
    assert "ALPN protocol: dot" in got.stdout
    assert "TLSv1.3" in got.stdout
    assert "New Session Ticket" not in got.stdout


@pytest.mark.parametrize("args,alert", [
    (("-alpn", "dot", "-tls1_2"), "protocol version"),
    (("-alpn", "h2"), "no application protocol"),
    ((), "no application protocol"),
])
def test_openssl_s_client_is_refused(serving, args, alert):
    got = s_client(serving().port, *args)
    assert alert in got.stderr + got.stdout


def test_new_files_are_shown_after_a_reload(tlstool, pki, tmp_path):
    cert, key = tmp_path / "cert", tmp_path / "key"
    shutil.copy(pki.pem("server"), cert)
    shutil.copy(pki.key("server"), key)
    ours = Serving(tlstool, tmp_path, cert, key)
    try:
        assert "status: NOERROR" in kdig(ours.port, f"+tls-pin={pki.pin('server')}", "SOA").stdout
        shutil.copy(pki.pem("other"), cert)
        shutil.copy(pki.key("other"), key)
        ours.process.send_signal(signal.SIGHUP)
        ours.said("reloaded")
        assert "status: NOERROR" in kdig(ours.port, f"+tls-pin={pki.pin('other')}", "SOA").stdout
        assert "status: NOERROR" not in kdig(ours.port, f"+tls-pin={pki.pin('server')}", "SOA").stdout
    finally:
        ours.close()


# --- our client ---


class Named:
    """A primary that speaks TLS, or a secondary of somebody who does."""

    def __init__(self, directory, options, zone):
        self.port = free_port()
        config = directory / "named.conf"
        config.write_text(f"""
{options}
options {{ directory "{directory}"; pid-file none; session-keyfile none; recursion no; notify no; dnssec-validation no;
    max-records-per-type 0;
    listen-on port {free_port()} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    {f'listen-on port {self.port} tls here {{ 127.0.0.1; }};' if 'tls here' in options else ''} }};
controls {{ }};
zone "zone.test." {{ {zone} }};
""")
        self.log = directory / "named.log"
        self.process = subprocess.Popen(["/usr/sbin/named", "-g", "-n", "1", "-c", str(config)], cwd=directory,
                                        stdout=open(self.log, "w"), stderr=subprocess.STDOUT)
        self.said("running")

    def said(self, text):
        until(lambda: text in self.log.read_text() or self.process.poll() is not None, text)
        assert text in self.log.read_text(), self.log.read_text()

    def close(self):
        self.process.terminate()
        self.process.wait(SECONDS)


@pytest.fixture
def named(pki, tmp_path):
    zone = tmp_path / "zone"
    zone.write_text("$TTL 300\n@ IN SOA ns.zone.test. host.zone.test. 1 2 3 4 5\n@ IN NS ns\nns IN A 192.0.2.1\n")
    one = Named(tmp_path, f'tls here {{ cert-file "{pki.pem("server")}"; key-file "{pki.key("server")}"; protocols {{ TLSv1.3; }}; }};',
                f'type primary; file "{zone}";')
    yield one
    one.close()


def ask(tlstool, port, pki, pins="-", ca="-", auth_name="-", who=None):
    cert, key = (pki.pem(who), pki.key(who)) if who else ("-", "-")
    return run(tlstool, "ask", "127.0.0.1", port, "zone.test.", cert, key, pins, ca, auth_name).stdout.strip()


def test_we_ask_named(tlstool, named, pki):
    assert ask(tlstool, named.port, pki, pins=pki.pin("server")) == "NOERROR 1"
    assert ask(tlstool, named.port, pki, ca=pki.pem("ca"), auth_name="ns.zone.test") == "NOERROR 1"
    assert ask(tlstool, named.port, pki, pins=pki.pin("other")) == "ENOKEY"
    assert ask(tlstool, named.port, pki, ca=pki.pem("ca"), auth_name="ns.other.test") == "ENOKEY"
    assert ask(tlstool, named.port, pki, ca=pki.pem("other"), auth_name="ns.zone.test") == "ENOKEY"


def test_we_ask_ourselves_with_certificates_both_ways(tlstool, serving, pki):
    ours = serving(pins=pki.pin("client"))
    assert ask(tlstool, ours.port, pki, pins=pki.pin("server"), who="client") == "NOERROR 1"
    assert ask(tlstool, ours.port, pki, pins=pki.pin("server"), who="other") in ("EREFUSED", "ECLOSED", "ENET")
    assert ask(tlstool, ours.port, pki, pins=pki.pin("server")) in ("EREFUSED", "ECLOSED", "ENET")


def openssl_server(port, pki, *args):
    return subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(pki.pem("server")), "-key",
                             str(pki.key("server")), "-quiet", *args], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("args,outcome", [
    (("-alpn", "h2"), ("ENOKEY", "EREFUSED")),
    ((), ("ENOKEY",)),
    (("-alpn", "dot", "-tls1_2"), ("EREFUSED", "ENET")),
])
def test_server_without_dot_or_tls_1_3_is_not_talked_to(tlstool, pki, args, outcome):
    port = free_port()
    server = openssl_server(port, pki, *args)
    try:
        def listening():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        until(listening, "s_server listens")
        assert ask(tlstool, port, pki, pins=pki.pin("server")) in outcome
    finally:
        server.terminate()
        server.wait(SECONDS)


def test_named_is_our_secondary_over_tls(serving, pki, tmp_path):
    ours = serving()
    directory = tmp_path / "secondary"
    directory.mkdir()
    one = Named(directory, f'tls upstream {{ ca-file "{pki.pem("ca")}"; remote-hostname "ns.zone.test"; protocols {{ TLSv1.3; }}; }};',
                f'type secondary; file "copy"; masterfile-format text; primaries {{ 127.0.0.1 port {ours.port} tls upstream; }};')
    try:
        one.said("Transfer completed: ")
        assert f"{RECORDS + 2} records" in one.log.read_text()
    finally:
        one.close()

# SPDX-License-Identifier: BSD-2-Clause
"""Our transfers against BIND, Knot and NSD as servers, and against BIND, Knot and dnspython as clients."""
import random
import subprocess

import dns.name
import dns.query
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsigkeyring
import dns.zone
import pytest
from xfrservers import KEY, KEY_ALGORITHM, KEY_NAME, KEY_SECRET, KEYRING, ZONE, Knotd, Named, Nsd, free_port

ORIGIN = dns.name.from_text(ZONE)

TYPES = r"""
@            300 IN NS ns
@            300 IN NS ns2
@            300 IN MX 10 mail
@            300 IN TXT "two strings" "with \"quotes\", \\ and \007\255"
@            300 IN CAA 0 issue "ca.test"
ns           300 IN A 192.0.2.1
ns           300 IN AAAA 2001:db8::1
ns2          300 IN A 192.0.2.2
mail         300 IN A 192.0.2.3
alias        300 IN CNAME a.Very.Different.Name.test.
reverse      300 IN PTR host
_sip._tcp    300 IN SRV 1 2 5060 sip
sub          300 IN DNAME other.test.
child        300 IN NS ns.child
child        300 IN DS 12345 13 2 3B9D8D3A4D6B5C1F8E7A6B5C4D3E2F1A0B9C8D7E6F5A4B3C2D1E0F9A8B7C6D5E
ns.child     300 IN A 192.0.2.4
naptr        300 IN NAPTR 100 10 "u" "sip+E2U" "!^.*$!sip:info@zone.test!" .
loc          300 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
sshfp        300 IN SSHFP 1 1 DD465C09CFA51FB45020CC83316FFF21B9EC74AC
hinfo        300 IN HINFO "cpu" "os"
rp           300 IN RP mbox.zone.test. text.zone.test.
_443._tcp    300 IN TLSA 3 1 1 92003BA34942DC74152E2F2C408D29ECA5A520E7F2E06BB944F4DCA346BAF63C
svc          300 IN SVCB 1 target.test. alpn="h2,h3" port=8443 ipv4hint=192.0.2.9
web          300 IN HTTPS 0 www.zone.test.
uri          300 IN URI 10 1 "https://zone.test/path"
key          300 IN KEY 256 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
cds          300 IN CDS 12345 13 2 3B9D8D3A4D6B5C1F8E7A6B5C4D3E2F1A0B9C8D7E6F5A4B3C2D1E0F9A8B7C6D5E
csync        300 IN CSYNC 66 3 A NS AAAA
unknown      300 IN TYPE65400 \# 5 0102030405
empty        300 IN TYPE65401 \# 0
*            300 IN TXT "wildcard"
*.deep.er    300 IN A 192.0.2.5
a\.b\\c\032d 300 IN A 192.0.2.6
\000\255bin  300 IN A 192.0.2.7
CaSe.KePt    300 IN A 192.0.2.8
{}.{}.{}.x   300 IN A 192.0.2.9
{}
""".format("l" * 63, "m" * 63, "n" * 63, "\n".join(f'fat 300 IN TXT "{i:03}{"y" * 240}"' for i in range(250)))

# One record of 50 KB. NSD 4.6 sends empty messages for ever when a record does not fit into 16 KiB.
HUGE = "huge 300 IN TXT " + " ".join(f'"{i:03}{"z" * 250}"' for i in range(200)) + "\n"


def zone_text(hosts=0, kind=None):
    lines = [f"$ORIGIN {ZONE}", "@ 300 IN SOA ns.zone.test. host.zone.test. 100 1800 900 604800 300", TYPES]
    for i in range(hosts):
        lines.append(f"h{i} 60 IN AAAA 2001:db8::{i & 0xffff:x}\nh{i} 60 IN TXT \"host {i} of many, with some text to fill it\"")
    return "\n".join(lines) + "\n" + ("" if kind is Nsd else HUGE)


def record(name, ttl, rdata):
    """A record as a value: compared by canonical octets, names by case too where they own it."""
    return (name.to_text(), ttl, int(rdata.rdtype), rdata.to_digestable(ORIGIN))


def theirs(port):
    """The zone as dnspython transfers it."""
    zone = dns.zone.Zone(ORIGIN, relativize=False)
    query = dns.query.xfr("127.0.0.1", ORIGIN, port=port, keyring=KEYRING, keyname=KEY_NAME, keyalgorithm=KEY_ALGORITHM,
                          relativize=False, lifetime=60)
    out = set()
    for message in query:
        for rrset in message.answer:
            out.update(record(rrset.name, rrset.ttl, rdata) for rdata in rrset)
    assert zone.origin == ORIGIN
    return out


def parse(line):
    """One of our lines, read by dnspython's own parser."""
    name, ttl, cls, rdtype, rdata = line.split(" ", 4) if line.count(" ") > 3 else [*line.split(" "), ""]
    assert cls == "IN"
    if rdtype == "KEY":  # dnspython does not know it; its text is that of DNSKEY
        key = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DNSKEY, rdata).to_wire()
        return record(dns.name.from_text(name), int(ttl), dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.KEY, key))
    return record(dns.name.from_text(name), int(ttl),
                  dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(rdtype), rdata, origin=ORIGIN, relativize=False))


class Fetched:
    def __init__(self, tool, port, key=KEY, soa=None, zone=ZONE):
        argv = [str(tool), "fetch", "127.0.0.1", str(port), zone, key] + ([soa] if soa else [])
        p = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert p.returncode >= 0 and "Sanitizer" not in p.stderr, p.stderr
        self.status = p.returncode
        self.lines = p.stdout.splitlines()
        self.last = self.lines[-1]
        self.soa = next((x[2:] for x in self.lines if x.startswith("S ")), None)

    def of(self, letter):
        return [parse(x[2:]) for x in self.lines if x.startswith(letter + " ")]

    def zone(self):
        """A whole zone, framing SOA included."""
        records = self.of("F") + self.of("S")
        assert len(records) == len(set(records))
        return set(records)

    def apply(self, zone):
        """Differences in the order given; deleting what is not there, or adding what is, is an error."""
        zone = {r for r in zone if r[2] != dns.rdatatype.SOA}
        for line in self.lines:
            if line.startswith("- "):
                zone.remove(parse(line[2:]))
            elif line.startswith("+ "):
                assert parse(line[2:]) not in zone
                zone.add(parse(line[2:]))
        return zone | set(self.of("S"))


@pytest.fixture(scope="module", params=[Named, Knotd, Nsd], ids=lambda kind: kind.__name__)
def server(request, tmp_path_factory):
    s = request.param(tmp_path_factory.mktemp(request.param.__name__), zone_text(20000, request.param))
    yield s
    s.stop()


@pytest.fixture(params=[Named, Knotd], ids=lambda kind: kind.__name__)
def updatable(request, tmp_path):
    s = request.param(tmp_path, zone_text(200))
    yield s
    s.stop()


def test_axfr_gives_what_dnspython_gets(server, xfrtool):
    ours = Fetched(xfrtool, server.port)
    assert ours.status == 0, ours.last
    want = theirs(server.port)
    assert len(want) > 40000
    assert ours.zone() == want
    assert "out_of_zone=0" in ours.last


def test_unsigned_request_is_refused(server, xfrtool):
    ours = Fetched(xfrtool, server.port, key="-")
    assert ours.status == 3, ours.last
    assert ours.of("F") == []


def test_unknown_key_is_told_as_badkey(server, xfrtool):
    ours = Fetched(xfrtool, server.port, key=f"other.key.:{KEY_ALGORITHM}:{KEY_SECRET}")
    assert ours.status == 3, ours.last
    assert "rcode=9" in ours.last and "BADKEY" in ours.last


def test_wrong_secret_is_told_as_badsig(server, xfrtool):
    ours = Fetched(xfrtool, server.port, key=f"{KEY_NAME}:{KEY_ALGORITHM}:d3Jvbmcgc2VjcmV0IG9mIHRoZSBzYW1lIG5hbWUhISE=")
    assert ours.status == 3, ours.last
    assert "rcode=9" in ours.last and "BADSIG" in ours.last


def test_zone_not_served_is_an_error(server, xfrtool):
    ours = Fetched(xfrtool, server.port, zone="elsewhere.test.")
    assert ours.status == 3, ours.last


def test_ixfr_from_the_current_version_is_up_to_date(server, xfrtool):
    soa = Fetched(xfrtool, server.port).soa
    ours = Fetched(xfrtool, server.port, soa=soa)
    assert ours.status == 2, ours.last


def test_transfers_one_after_the_other_share_a_connection(server, xfrtool):
    """Ten, AXFR and IXFR in turn, from one fixed port: a second connection from there could not be made."""
    argv = [str(xfrtool), "again", "127.0.0.1", str(server.port), ZONE, KEY, str(free_port())]
    p = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    assert p.stdout.splitlines()[-1] == "# left=0 up_to_date=5"


def test_ixfr_after_edits_leads_from_version_to_version(updatable, xfrtool):
    """AXFR(v) + IXFR(v -> w) = AXFR(w), for all pairs of versions."""
    rng = random.Random(20)
    versions = []

    def keep():
        full = Fetched(xfrtool, updatable.port)
        assert full.status == 0, full.last
        assert full.zone() == theirs(updatable.port)
        versions.append(full)

    keep()
    for step in range(5):
        def change(message, step=step):
            for i in rng.sample(range(200), 10):
                message.delete(f"h{i}", "AAAA")
                message.add(f"h{i}", 60, "AAAA", f"2001:db8:{step + 1}::{i:x}")
            message.delete(f"h{100 + step}", "TXT")
            message.add(f"new{step}", 30, "TXT", f"version {step}")
            if step:
                message.delete(f"new{step - 1}")
            message.replace("ns2", 60 + step, "A", "192.0.2.2")  # a change of TTL only
            message.replace("unknown", 300, "TYPE65400", rf"\# 2 00{step:02}")
        updatable.update(change)
        keep()
    now = versions[-1].zone()
    assert versions[0].zone() != now
    for old in versions[:-1]:
        ours = Fetched(xfrtool, updatable.port, soa=old.soa)
        assert ours.status == 0, ours.last
        assert ours.of("-") and ours.of("+") and not ours.of("F")
        assert ours.apply(old.zone()) == now
    assert Fetched(xfrtool, updatable.port, soa=versions[-1].soa).status == 2


def test_ixfr_from_an_unknown_version_brings_the_whole_zone(updatable, xfrtool):
    ours = Fetched(xfrtool, updatable.port, soa=f"{ZONE} 300 IN SOA ns.zone.test. host.zone.test. 3 1800 900 604800 300")
    assert ours.status == 0, ours.last
    assert ours.zone() == theirs(updatable.port)


# --- we serve ---


@pytest.fixture(scope="module")
def ours_served(xfrtool, tmp_path_factory):
    """What BIND reads from the zone file, served by us."""
    directory = tmp_path_factory.mktemp("served")
    origin = Named(directory, zone_text(20000))
    fetched = Fetched(xfrtool, origin.port)
    origin.stop()
    assert fetched.status == 0
    lines = "\n".join(x[2:] for x in fetched.lines if x[0] in "SF")
    p = subprocess.Popen([str(xfrtool), "serve", "127.0.0.1", "0", ZONE, KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    p.stdin.write(lines + "\n")
    p.stdin.close()
    port = int(p.stdout.readline())
    yield port, fetched.zone()
    p.terminate()
    assert p.wait(20) == 0


def test_dnspython_gets_and_verifies_our_zone(ours_served):
    port, want = ours_served
    assert theirs(port) == want


@pytest.mark.parametrize("program", [["dig", "+onesoa", "+nocomments"], ["kdig", "+noall", "+answer"]], ids=["dig", "kdig"])
def test_other_clients_verify_our_transfer(ours_served, program):
    port, want = ours_served
    p = subprocess.run([*program, "@127.0.0.1", "-p", str(port), "-y", f"{KEY_ALGORITHM}:{KEY_NAME}:{KEY_SECRET}", ZONE, "AXFR"],
                       capture_output=True, text=True, timeout=60, check=True)
    text = p.stdout + p.stderr
    for trouble in ("transfer failed", "could not be validated", "verify", "error:", "warning:", "badsig"):
        assert trouble not in text.lower()
    # Each record is there, with the type that was sent.
    owners = sum(1 for line in p.stdout.splitlines() if line and not line.startswith(";") and "TSIG" not in line)
    assert owners in (len(want), len(want) + 1)


def test_named_and_knotd_as_secondaries_of_ours_serve_the_same(ours_served, tmp_path):
    port, want = ours_served

    class SecondaryNamed(Named):
        def config(self):
            text = super().config()
            start = text.index("    type primary")
            return text[:start] + f"""
    type secondary; file "{self.directory}/secondary"; primaries {{ 127.0.0.1 port {port} key "{KEY_NAME}"; }};
    allow-transfer {{ key "{KEY_NAME}"; }};
}};
"""

    class SecondaryKnotd(Knotd):
        def config(self):
            return super().config().replace("zone:\n", f"""remote:
  - id: primary
    address: 127.0.0.1@{port}
    key: {KEY_NAME}
zone:
""").replace(f'    file: "{self.zone_file}"', f'    file: "{self.directory}/secondary"\n    master: primary')

    for kind in (SecondaryNamed, SecondaryKnotd):
        directory = tmp_path / kind.__name__
        directory.mkdir()
        s = kind(directory, "")
        try:
            got = theirs(s.port)
            if kind is SecondaryKnotd:  # keeps owner names in lower case
                assert got == {(name.lower(), *rest) for name, *rest in want}
            else:
                assert got == want
        finally:
            s.stop()


def test_port_of_a_stopped_server_is_a_network_error(xfrtool):
    ours = Fetched(xfrtool, free_port())
    assert ours.status == 1
    assert "err=ENET" in ours.last

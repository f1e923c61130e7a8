# SPDX-License-Identifier: BSD-2-Clause
"""What children have to find: DSYNC, SVCB, KEY and addresses, pasted, put into the parent zone, or served as a zone of its own."""

import os
import struct
import subprocess

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.zone
import pytest

import parent as h
import primaries

WILD, PLAIN = "*._dsync.example.", "_dsync.example."
TSIG = f"""tsig-keys = ( {{ name = "{primaries.KEY}"; algorithm = "hmac-sha256"; secret-file = "@DIR@/tsig"; }} );"""


def parentd(servers, base, publish, more="", **kw):
    p = h.Parentd(base, parent_settings=f"publish : {{ {publish} }}; {more}", **kw)
    h.write(f"{p.dir}/tsig", primaries.SECRET + "\n", 0o600)
    p.settings = TSIG.replace("@DIR@", p.dir) + p.settings
    p.configure()
    return servers(p)


def dsync(rrtype, scheme, port, target):
    """RDATA of PROTOCOL A.3, in hex."""
    return (struct.pack("!HBH", rrtype, scheme, port) + h.wire_name(target)).hex()


def printed(p, zone="example."):
    return sorted(r["record"] for r in p.ctl("parent records", parent=zone))


def test_records_to_paste(servers, base):
    p = parentd(servers, base, 'addresses = [ "192.0.2.53", "2001:db8::53" ]; ttl = 300;',
                policy=dict(bootstrap=["at-apex", "manual"])).start()
    got = printed(p)
    for owner in (WILD, PLAIN):
        for text in ("CDS NOTIFY", "CSYNC NOTIFY", "ANY 2"):
            assert f"{owner} 300 IN DSYNC {text} {p.port} {h.TARGET}" in got
    assert f"{h.TARGET} 300 IN A 192.0.2.53" in got and f"{h.TARGET} 300 IN AAAA 2001:db8::53" in got
    assert f"{h.TARGET} 300 IN KEY {p.key.text}" in got
    assert f'{h.TARGET} 300 IN SVCB 1 . key65282="at-apex,manual"' in got
    assert len(got) == 10
    r = subprocess.run([h.MSCTL, "--socket", p.control, "parent", "records", "example."], text=True, capture_output=True, check=True)
    assert sorted(r.stdout.splitlines()[1:]) == got  # behind the heading


def test_only_what_is_offered_is_published(servers, base):
    p = parentd(servers, base, 'update = false; csync = false; plain = false; bootstrap = [ "manual" ];').start()
    got = printed(p)
    assert f"{WILD} 3600 IN DSYNC CDS NOTIFY {p.port} {h.TARGET}" in got
    assert not any("DSYNC" in r and ("CSYNC" in r or "ANY" in r or r.startswith(PLAIN)) for r in got)
    assert any('"manual"' in r for r in got) and not any(" A " in r for r in got)
    p.add_child()
    a = p.notify(rdtype="CSYNC")
    assert (a.rcode, a.ede_codes) == ("REFUSED", [h.EDE["SCHEME"]])
    assert p.notify(rdtype="CDS").rcode == "NOERROR"


@pytest.mark.parametrize("kind", ["knot", "bind"])
def test_into_the_parent_zone(servers, base, kind):
    """The parent's primary has them, gets them again after a change, and they come back when somebody takes them out."""
    primary = servers(primaries.KINDS[kind](base)).start()
    backend = (f'backends = ( {{ name = "one"; kind = "update"; address = "{primary.addr}"; port = {primary.port}; '
               f'tsig-key = "{primaries.KEY}"; retry = 1; }} );')
    p = parentd(servers, base, 'how = "update"; addresses = [ "192.0.2.53" ];', backend)
    p.start()

    def there(owner, rdtype):
        return [r[2] for r in primary.axfr() if r[0] == owner and r[1] == rdtype]

    h.wait_for(lambda: there(h.TARGET, "KEY") and there(WILD, "TYPE66"), message="published")
    assert len(there(WILD, "TYPE66")) == len(there(PLAIN, "TYPE66")) == 3
    wire = "".join(there(WILD, "TYPE66")).replace(" ", "")
    assert dsync(59, 1, p.port, h.TARGET) in wire and dsync(255, 2, p.port, h.TARGET) in wire
    assert there(h.TARGET, "A") == ["192.0.2.53"]
    # another key beside: both are there, the first one signs
    new = h.ChildKey(h.TARGET, alg=h.P256)
    path = new.save(p.dir)
    with open(p.conf) as f:
        text = f.read()
    h.write(p.conf, text.replace(f'sig0-keys = [ "{p.key_path}" ]', f'sig0-keys = [ "{p.key_path}", "{path}" ]'))
    p.proc.send_signal(1)
    h.wait_for(lambda: len(there(h.TARGET, "KEY")) == 2, message="both keys published")


def transfer(p, zone=PLAIN, keyname=primaries.KEY, secret=primaries.SECRET):
    ring = dns.tsigkeyring.from_text({keyname: secret})
    return dns.zone.from_xfr(dns.query.xfr(p.addr, zone, port=p.port, keyring=ring, keyname=keyname, relativize=False,
                                           lifetime=h.LIMIT_S), relativize=False)


def of(z, rdtype):
    """Records at the zone's apex."""
    return list(z.find_rdataset(PLAIN, rdtype))


PRIMARY = ('how = "primary"; ns = [ "ns.one.test.", "ns.two.test." ]; ttl = 300; '
           'downstreams = ( { address = "127.0.0.1"; port = @PORT@; tsig-key = "primary."; } );')


def test_as_a_zone_of_its_own(servers, base):
    p = parentd(servers, base, PRIMARY.replace("@PORT@", str(primaries.free_port()))).start()
    z = transfer(p)
    types = sorted({(n.to_text(), dns.rdatatype.to_text(r.rdtype)) for n, node in z.items() for r in node})
    assert types == [(WILD, "TYPE66"), (PLAIN, "NS"), (PLAIN, "SOA"), (PLAIN, "TYPE66")]
    serial = of(z, "SOA")[0].serial
    # questions: at the wildcard's expense for a child, and what is not there is denied
    for name, rdtype, count in (("child._dsync.example.", 66, 3), (PLAIN, 66, 3), (PLAIN, "SOA", 1), (PLAIN, "A", 0)):
        a = dns.query.udp(dns.message.make_query(name, rdtype), p.addr, port=p.port, timeout=h.LIMIT_S)
        assert a.rcode() == 0 and sum(len(s) for s in a.answer) == count, (name, a)
        assert count > 0 or a.authority
    # RFC 4592 3.3.1: below a name that exists, the wildcard itself for one, it does not apply
    a = dns.query.udp(dns.message.make_query(f"x.{WILD}", 66), p.addr, port=p.port, timeout=h.LIMIT_S)
    assert a.rcode() == 3 and not a.answer and a.authority, a
    # a restart changes nothing, another content has another serial
    p.stop()
    p.start()
    assert of(transfer(p), "SOA")[0].serial == serial
    p.parent_settings = p.parent_settings.replace("ttl = 300;", "ttl = 300; csync = false;")
    p.reload()
    z = transfer(p)
    assert of(z, "SOA")[0].serial > serial and len(of(z, 66)) == 2


def test_who_has_no_key_gets_no_transfer(servers, base):
    p = parentd(servers, base, PRIMARY.replace("@PORT@", str(primaries.free_port()))).start()
    for keyname, secret in ((primaries.KEY, "AAAA" + primaries.SECRET[4:]), ("other.", primaries.SECRET)):
        with pytest.raises((dns.exception.DNSException, EOFError)):
            transfer(p, keyname=keyname, secret=secret)
    with pytest.raises((dns.exception.DNSException, EOFError)):
        dns.zone.from_xfr(dns.query.xfr(p.addr, PLAIN, port=p.port, relativize=False, lifetime=h.LIMIT_S), relativize=False)
    q = dns.message.make_query(PLAIN, "AXFR")
    assert dns.query.tcp(q, p.addr, port=p.port, timeout=h.LIMIT_S).rcode() == 5


def test_a_real_secondary_takes_the_zone(servers, base):
    """Knot: told by NOTIFY with TSIG, transfers with TSIG, and serves it."""
    d, port = os.path.join(str(base), "secondary"), primaries.free_port()
    os.makedirs(d)
    p = parentd(servers, base, PRIMARY.replace("@PORT@", str(port)))
    h.write(f"{d}/knot.conf", f"""server:
    listen: 127.0.0.1@{port}
    rundir: {d}
database:
    storage: {d}
log:
  - target: stdout
    any: info
key:
  - id: {primaries.KEY}
    algorithm: hmac-sha256
    secret: {primaries.SECRET}
remote:
  - id: up
    address: {p.addr}@{p.port}
    key: {primaries.KEY}
acl:
  - id: up
    key: {primaries.KEY}
    action: notify
zone:
  - domain: {PLAIN}
    storage: {d}
    master: up
    acl: up
""")

    class Secondary(primaries.Primary):
        def start(self):
            self.dir, self.addr, self.port = d, "127.0.0.1", port
            return self.spawn("knotd", "-c", f"{d}/knot.conf")

        def serial(self):
            a = dns.query.udp(dns.message.make_query(PLAIN, "SOA"), self.addr, timeout=2, port=self.port)
            return a.answer[0][0].serial if a.answer else 0

    p.start()
    s = servers(Secondary(base)).start()
    first = h.wait_for(s.serial, message="transferred")
    p.parent_settings = p.parent_settings.replace("ttl = 300;", "ttl = 300; csync = false;")
    p.reload()
    h.wait_for(lambda: s.serial() > first, message="told of the change")

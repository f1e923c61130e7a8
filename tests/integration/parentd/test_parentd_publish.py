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
    lines = r.stdout.splitlines()  # in the form of RFC 3597 where the type is young: test_parentd_records.py
    assert len(lines) == len(got) and [r for r in got if " A " in r or " KEY " in r] == sorted(r for r in lines if " A " in r or " KEY " in r)


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


def backend_at(primary):
    return (f'backends = ( {{ name = "one"; kind = "update"; address = "{primary.addr}"; port = {primary.port}; '
            f'tsig-key = "{primaries.KEY}"; retry = 1; }} );')


class Published:
    """A parentd that publishes into a zone in which others have records at the same names."""

    FOREIGN = dsync(59, 1, 5399, "others.test.")

    def __init__(self, servers, base, kind, publish):
        self.primary = servers(primaries.KINDS[kind](base)).start()
        for owner in (WILD, PLAIN):
            self.primary.nsupdate(f"update add {owner} 300 TYPE66 \\# {len(self.FOREIGN) // 2} {self.FOREIGN}")
        self.primary.nsupdate(f'update add {h.TARGET} 300 TXT "somebody else\'s"')
        self.p = parentd(servers, base, publish, backend_at(self.primary))
        self.p.start()

    def there(self, owner, rdtype):
        return sorted(r[2].replace(" ", "") for r in self.primary.axfr() if r[0] == owner and r[1] == rdtype)

    def dsyncs(self, owner=WILD):
        """Ours."""
        return [r for r in self.there(owner, "TYPE66") if not r.endswith(self.FOREIGN)]

    def types(self):
        """At the target."""
        return sorted({r[1] for r in self.primary.axfr() if r[0] == h.TARGET})

    def ttl(self, owner, rdtype):
        a = dns.query.tcp(dns.message.make_query(owner, rdtype), self.primary.addr, port=self.primary.port, timeout=h.LIMIT_S)
        return a.answer[0].ttl

    def others_are_left_alone(self):
        return all(any(r.endswith(self.FOREIGN) for r in self.there(o, "TYPE66")) for o in (WILD, PLAIN)) \
            and self.there(h.TARGET, "TXT")

    def set(self, before, after):
        assert before in self.p.parent_settings
        self.p.parent_settings = self.p.parent_settings.replace(before, after)


UPDATE = 'how = "update"; addresses = [ "192.0.2.53" ]; ttl = 300;'
ALL = ["A", "KEY", "SVCB", "TXT"]


@pytest.mark.parametrize("kind", ["knot", "bind"])
def test_what_is_switched_off_is_taken_out(servers, base, kind):
    """By a reload, or while it was down; that, and nothing of what others have there."""
    x = Published(servers, base, kind, UPDATE)
    h.wait_for(lambda: len(x.dsyncs()) == len(x.dsyncs(PLAIN)) == 3 and x.types() == ALL, message="published")
    x.set("ttl = 300;", "ttl = 300; csync = false;")
    x.p.reload()
    h.wait_for(lambda: len(x.dsyncs()) == len(x.dsyncs(PLAIN)) == 2, message="CSYNC is gone")
    assert x.others_are_left_alone() and x.types() == ALL
    x.p.kill9()
    x.set('addresses = [ "192.0.2.53" ]; ttl = 300;', "plain = false; ttl = 600;")
    x.p.configure()
    x.p.start()
    h.wait_for(lambda: x.dsyncs(PLAIN) == [] and x.types() == ["KEY", "SVCB", "TXT"], message="gone after a crash")
    assert x.others_are_left_alone() and len(x.dsyncs()) == 2 and x.ttl(WILD, 66) == x.ttl(h.TARGET, "KEY") == 600
    x.set('how = "update";', 'how = "none";')
    x.p.reload()
    h.wait_for(lambda: x.dsyncs() == [] and x.types() == ["TXT"], message="all is gone")
    assert x.others_are_left_alone()
    x.set('how = "none";', 'how = "update";')
    x.p.reload()
    h.wait_for(lambda: len(x.dsyncs()) == 2 and x.types() == ["KEY", "SVCB", "TXT"], message="and there again")
    assert x.others_are_left_alone()


@pytest.mark.parametrize("kind", ["knot", "bind"])
def test_records_of_another_target_take_the_place_of_the_old_ones(servers, base, kind):
    x = Published(servers, base, kind, UPDATE)
    h.wait_for(lambda: len(x.dsyncs()) == 3 and x.types() == ALL, message="published")
    old, new = x.dsyncs(), "u2.example."
    x.p.target, x.p.key = new, h.ChildKey(new)
    x.p.key_path = x.p.key.save(x.p.dir)
    x.p.stop()
    x.p.configure()
    x.p.start()
    h.wait_for(lambda: x.there(new, "KEY") and x.types() == ["TXT"], message="moved")
    assert len(x.dsyncs()) == 3 and not set(old) & set(x.dsyncs()) and x.others_are_left_alone()


def test_what_has_been_taken_out_is_forgotten(servers, base):
    """It is somebody else's when it comes back."""
    x = Published(servers, base, "knot", UPDATE)
    h.wait_for(lambda: x.types() == ALL, message="published")
    x.set('addresses = [ "192.0.2.53" ];', "")
    x.p.reload()
    h.wait_for(lambda: x.types() == ["KEY", "SVCB", "TXT"], message="the address is gone")
    h.wait_for(lambda: "taken-out=1" in x.p.log_text(), message="known at parentd")
    x.p.stop()
    x.primary.nsupdate(f"update add {h.TARGET} 300 A 192.0.2.53")
    said = x.p.log_text().count("published parent=")
    x.p.start()
    h.wait_for(lambda: x.p.log_text().count("published parent=") > said, message="published again")
    assert x.types() == ALL


def test_a_primary_that_was_away_hears_of_it_later(servers, base):
    x = Published(servers, base, "bind", UPDATE)  # it keeps what came by UPDATE
    h.wait_for(lambda: len(x.dsyncs()) == 3, message="published")
    x.primary.stop()
    x.set("ttl = 300;", "ttl = 300; csync = false;")
    x.p.reload()
    h.wait_for(lambda: "publish-failed" in x.p.log_text(), message="it is away")
    x.p.kill9()
    x.primary.start()
    x.p.start()
    h.wait_for(lambda: len(x.dsyncs()) == 2, message="CSYNC is gone")
    assert x.others_are_left_alone()


def test_what_is_outside_of_the_parent_zone_is_said(servers, base):
    """Once at the start and once at each reload."""
    primary = servers(primaries.Knot(base)).start()
    p = parentd(servers, base, 'how = "update"; addresses = [ "192.0.2.53" ];', backend_at(primary), target="updates.other.").start()

    def warnings():
        return [line for line in p.log_text().splitlines() if "publish-left-out" in line]

    h.wait_for(lambda: any(r[0] == WILD for r in primary.axfr()), message="the rest is published")
    line, = warnings()
    for record in ("updates.other. A", "updates.other. KEY", "updates.other. SVCB"):
        assert record in line, line
    assert "example." in line and "DSYNC" not in line
    p.reload()
    assert len(warnings()) == 2
    rows = p.ctl("parent records", parent="example.")
    assert {r["record"].split()[3] for r in rows if r.get("left_out")} == {"A", "KEY", "SVCB"}
    assert {r["record"].split()[3] for r in rows if not r.get("left_out")} == {"DSYNC"}


def transfer(p, zone=PLAIN, keyname=primaries.KEY, secret=primaries.SECRET):
    ring = dns.tsigkeyring.from_text({keyname: secret})
    return dns.zone.from_xfr(dns.query.xfr(p.addr, zone, port=p.port, keyring=ring, keyname=keyname, relativize=False,
                                           lifetime=h.LIMIT_S), relativize=False)


def served(p, newer_than=0):
    """The zone, as soon as it is served: the serial is looked up in the books."""
    return h.wait_for(lambda: (z := transfer(p)) and of(z, "SOA")[0].serial > newer_than and z, message="the zone is served")


def of(z, rdtype):
    """Records at the zone's apex."""
    return list(z.find_rdataset(PLAIN, rdtype))


PRIMARY = ('how = "primary"; ns = [ "ns.one.test.", "ns.two.test." ]; ttl = 300; '
           'downstreams = ( { address = "127.0.0.1"; port = @PORT@; tsig-key = "primary."; } );')


def test_as_a_zone_of_its_own(servers, base):
    p = parentd(servers, base, PRIMARY.replace("@PORT@", str(primaries.free_port()))).start()
    z = served(p)
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
    assert of(served(p), "SOA")[0].serial == serial
    p.parent_settings = p.parent_settings.replace("ttl = 300;", "ttl = 300; csync = false;")
    p.reload()
    assert len(of(served(p, newer_than=serial), 66)) == 2


def test_who_has_no_key_gets_no_transfer(servers, base):
    p = parentd(servers, base, PRIMARY.replace("@PORT@", str(primaries.free_port()))).start()
    served(p)
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
    primaries.knot_secondary(d, port, PLAIN, p)

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

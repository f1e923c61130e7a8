# SPDX-License-Identifier: BSD-2-Clause
"""Records of single children, records to paste, the hidden primary with all that children need, the receiver's key rolled, and
KeyState in the layouts of two drafts."""

import json
import os
import shutil
import subprocess
import threading

import dns.message
import dns.query
import dns.rdatatype
import pytest

import parent as h
import primaries

PLAIN, WILD = "_dsync.example.", "*._dsync.example."
REGISTRAR = "updates.registrar.test."
TSIG = f'tsig-keys = ( {{ name = "{primaries.KEY}"; algorithm = "hmac-sha256"; secret-file = "@DIR@/tsig"; }} );'
CHILDREN = f"""children = (
    {{ zone = "shop.example."; dsync = [ "update" ]; dsync-target = "{REGISTRAR}"; dsync-port = 5301; }},
    {{ zone = "Port.example."; dsync-port = 5302; }},
    {{ zone = "quiet.example."; dsync = [ "none" ]; }},
    {{ zone = "scan.example."; dsync = [ "cds", "csync" ]; policy = "usual"; }},
    {{ zone = "shop.co.example."; dsync = [ "cds" ]; }}
);"""


def parentd(servers, base, publish="", parent="", settings="", **kw):
    """With the TSIG key, started."""
    p = h.Parentd(base, parent_settings=f"publish : {{ {publish} }}; {parent}", **kw)
    h.write(f"{p.dir}/tsig", primaries.SECRET + "\n", 0o600)
    p.settings = TSIG.replace("@DIR@", p.dir) + settings
    p.configure()
    return servers(p).start()


def msctl(p, *args, code=0):
    r = subprocess.run([h.MSCTL, "--socket", p.control, *args], text=True, capture_output=True, timeout=h.LIMIT_S)
    assert r.returncode == code, r
    return r.stdout


def printed(p):
    return sorted(r["record"] for r in p.ctl("parent records", parent="example."))


def dsync_of(p, child="example."):
    """What each name below _dsync announces, as (words, port, target)."""
    out = {}
    for line in printed(p):
        owner, _ttl, _cls, rdtype, text = line.split(None, 4)
        if rdtype == "DSYNC":
            about, scheme, port, target = text.split()
            out.setdefault(owner.lower(), set()).add((f"{about} {scheme}", int(port), target))
    return out


def announced(kinds, port, target=h.TARGET):
    words = dict(cds="CDS NOTIFY", csync="CSYNC NOTIFY", update="ANY 2")
    return {(words[k], port, target) for k in kinds.split()}


def expected(p):
    """Of CHILDREN, and what the others see beside them."""
    everything = announced("cds csync update", p.port)
    return {
        WILD: everything, PLAIN: everything,
        "shop._dsync.example.": announced("update", 5301, REGISTRAR),
        "port._dsync.example.": announced("cds csync update", 5302),
        "quiet._dsync.example.": {("ANY 0", 0, ".")},
        "scan._dsync.example.": announced("cds csync", p.port),
        # RFC 4592 3.3.1: co._dsync.example. exists now, and would hide the wildcard from its other children
        "shop.co._dsync.example.": announced("cds", p.port),
        "*.co._dsync.example.": everything,
    }


def found_by(child, addr, port):
    """By a child: msctl query dsync looks as PROTOCOL G.2 says. (owner, what is of use)."""
    r = subprocess.run([h.MSCTL, "--json", "query", "dsync", child, f"@{addr}", "--port", str(port)], text=True, capture_output=True,
                       timeout=h.LIMIT_S)
    rows = json.loads(r.stdout)["records"]
    owners = {row["owner"].lower() for row in rows}
    use = set()
    for row in rows:
        if row["use"] in ("notify", "update"):
            about, scheme, where, target = row["rdata"].split()
            use.add((f"{about} {scheme}", int(where), target))
    return owners, use


def check_what_children_find(p, addr, port):
    everything = announced("cds csync update", p.port)
    for child, owner, use in (
            ("shop.example.", "shop._dsync.example.", announced("update", 5301, REGISTRAR)),
            ("port.example.", "port._dsync.example.", announced("cds csync update", 5302)),
            ("quiet.example.", "quiet._dsync.example.", set()),
            ("scan.example.", "scan._dsync.example.", announced("cds csync", p.port)),
            ("shop.co.example.", "shop.co._dsync.example.", announced("cds", p.port)),
            ("other.co.example.", "other.co._dsync.example.", everything),
            ("other.example.", "other._dsync.example.", everything)):
        assert found_by(child, addr, port) == ({owner}, use), child


# --- records of single children ---------------------------------------------------------------------------------------


def test_children_with_records_of_their_own(servers, base):
    p = parentd(servers, base, settings=CHILDREN)
    assert dsync_of(p) == expected(p)
    # without the wildcard nothing is hidden, and nothing comes again
    p.parent_settings = p.parent_settings.replace("publish : {", "publish : { wildcard = false;")
    p.reload()
    assert dsync_of(p) == {k: v for k, v in expected(p).items() if "*" not in k}


def test_notify_is_taken_from_whom_it_is_announced_to(servers, base):
    p = parentd(servers, base, "csync = false;", settings=CHILDREN)
    for child, takes in (("shop.example.", ""), ("quiet.example.", ""), ("scan.example.", "CDS CSYNC"), ("shop.co.example.", "CDS"),
                         ("other.example.", "CDS")):
        p.add_child(child)
        for rdtype in ("CDS", "CSYNC"):
            a = p.notify(child, rdtype)
            want = ("NOERROR", []) if rdtype in takes.split() else ("REFUSED", [h.EDE["SCHEME"]])
            assert (a.rcode, a.ede_codes) == want, (child, rdtype)


@pytest.mark.parametrize("kind", ["knot", "bind"])
def test_by_update_into_the_parent_zone(servers, base, kind):
    """At the parent's primary; what is not said any more is taken out there."""
    primary = servers(primaries.KINDS[kind](base)).start()
    backend = (f'backends = ( {{ name = "one"; kind = "update"; address = "{primary.addr}"; port = {primary.port}; '
               f'tsig-key = "{primaries.KEY}"; retry = 1; }} );')
    p = parentd(servers, base, 'how = "update";', backend, CHILDREN)

    def owners():
        return {r[0].lower() for r in primary.axfr() if r[1] in ("TYPE66", "DSYNC")}

    h.wait_for(lambda: owners() == set(expected(p)), message="published")
    check_what_children_find(p, primary.addr, primary.port)
    p.settings = p.settings.replace(CHILDREN, "")
    p.reload()
    h.wait_for(lambda: owners() == {WILD, PLAIN}, message="taken out")
    assert found_by("shop.example.", primary.addr, primary.port) == ({"shop._dsync.example."}, announced("cds csync update", p.port))


PRIMARY = ('how = "primary"; ns = [ "ns.one.test.", "ns.two.test." ]; ttl = 300; addresses = [ "192.0.2.53", "2001:db8::53" ]; '
           f'downstreams = ( {{ address = "127.0.0.1"; port = @PORT@; tsig-key = "{primaries.KEY}"; }} );')


class Secondary(primaries.Primary):
    """Of _dsync.example., for anybody who asks."""

    def __init__(self, base, kind):
        super().__init__(base)
        self.kind, self.addr, self.port = kind, "127.0.0.1", primaries.free_port()

    def start_at(self, up):
        d = self.dir
        if self.kind == "knot":
            primaries.knot_secondary(d, self.port, PLAIN, up)
            return self.spawn("knotd", "-c", f"{d}/knot.conf")
        h.write(f"{d}/named.conf", f"""options {{
  directory "{d}"; pid-file "{d}/named.pid"; session-keyfile "{d}/session.key"; managed-keys-directory "{d}"; lock-file none;
  listen-on port {self.port} {{ {self.addr}; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no;
}};
controls {{ }};
key "{primaries.KEY}" {{ algorithm hmac-sha256; secret "{primaries.SECRET}"; }};
zone "{PLAIN}" {{ type secondary; file "{d}/zone"; notify no; allow-notify {{ key "{primaries.KEY}"; }};
  primaries {{ {up.addr} port {up.port} key "{primaries.KEY}"; }}; }};
""")
        return self.spawn("named", "-g", "-c", f"{d}/named.conf")

    def ask(self, name, rdtype):
        a = dns.query.tcp(dns.message.make_query(name, rdtype), self.addr, timeout=2, port=self.port)
        return sorted(r.to_text() for s in a.answer for r in s) if a.rcode() == 0 else None

    def serial(self):
        a = dns.query.tcp(dns.message.make_query(PLAIN, "SOA"), self.addr, timeout=2, port=self.port)
        return a.answer[0][0].serial if a.answer else None


@pytest.mark.parametrize("kind", ["knot", "bind"])
def test_hidden_primary_has_all_that_children_need(servers, base, kind):
    """With a target below _dsync it is one zone: DSYNC, and KEY, SVCB and addresses of the target, at a real secondary."""
    s = servers(Secondary(base, kind))
    target = f"updates.{PLAIN}"
    p = parentd(servers, base, PRIMARY.replace("@PORT@", str(s.port)), settings=CHILDREN, target=target, policy=dict(bootstrap=["at-apex"]))
    s.start_at(p)
    h.wait_for(lambda: s.ask(target, "KEY"), message="transferred")
    assert s.ask(target, "A") == ["192.0.2.53"] and s.ask(target, "AAAA") == ["2001:db8::53"]
    assert s.ask(target, "SVCB") == ['1 . key65282="at-apex"']
    everything = announced("cds csync update", p.port, target)
    for child, owner, use in (("shop.example.", "shop._dsync.example.", announced("update", 5301, REGISTRAR)),
                              ("other.example.", "other._dsync.example.", everything),
                              ("updates.example.", target, everything)):  # called like the target, whose name exists
        # parentd itself, and the secondary
        assert found_by(child, p.addr, p.port) == ({owner}, use), child
        assert found_by(child, s.addr, s.port) == ({owner}, use), child
    for server in (p, s):  # what is below it is not hidden from the wildcard either
        a = dns.query.tcp(dns.message.make_query(f"a.{target}", 66), server.addr, timeout=h.LIMIT_S, port=server.port)
        assert len(a.answer[0]) == 3
        a = dns.query.tcp(dns.message.make_query(f"a.shop.{PLAIN}", 66), server.addr, timeout=h.LIMIT_S, port=server.port)
        assert a.rcode() == 3 and not a.answer
    # another content: the secondary is told
    first = s.serial()
    p.settings = p.settings.replace(CHILDREN, "")
    p.reload()
    h.wait_for(lambda: s.serial() != first, message="told of the change")
    h.wait_for(lambda: found_by("shop.example.", s.addr, s.port)[1] == everything, message="the common records")
    # a child that takes the receiver's key from there believes its answers
    key = h.ChildKey()
    p.add_child(keys=[key])
    a = dns.query.tcp(dns.message.make_query(target, "KEY"), s.addr, timeout=h.LIMIT_S, port=s.port)
    looked_up = [r.to_wire() for r in a.answer[0]]
    assert looked_up == [p.key.rdata] and p.keystate(key).verify(looked_up[0])


def check_conf(p, code=0):
    r = subprocess.run([h.MSCTL, "conf", "check", "parentd", p.conf], text=True, capture_output=True, timeout=h.LIMIT_S)
    assert r.returncode == code, r
    return r.stderr


def test_conf_check_warns_where_the_target_is_published_nowhere(servers, base):
    p = h.Parentd(base, parent_settings="publish : { " + PRIMARY.replace("@PORT@", "53") + " };")
    h.write(f"{p.dir}/tsig", primaries.SECRET + "\n", 0o600)
    p.settings = TSIG.replace("@DIR@", p.dir)
    p.configure()
    assert f"warning: target {h.TARGET}:" in check_conf(p)
    p.target = f"updates.{PLAIN}"
    p.configure()
    assert check_conf(p) == ""
    p.parent_settings, p.target = "", "updates.elsewhere.test."
    p.configure()
    assert check_conf(p) == ""  # by hand: all of it is printed


@pytest.mark.parametrize("children, text", [
    ('{ zone = "a.example."; dsync = [ "cdnskey" ]; }', "not known: cdnskey"),
    ('{ zone = "a.example."; dsync = [ "none", "cds" ]; }', "none, and others beside it"),
    ('{ zone = "a.example."; dsync-target = "a..b"; }', "not a domain name"),
    ('{ zone = "a.elsewhere.test."; dsync-port = 5300; }', "below no parent"),
    ('{ zone = "a.example."; dsync-port = 70000; }', "dsync-port"),
    ('{ zone = "a.example."; policy = "usual"; }, { zone = "A.example"; policy = "usual"; }', "is there twice"),
    ('{ zone = "a.example."; policy = "none"; }', "no such policy"),
    (", ".join(f'{{ zone = "a{i}.example."; dsync-port = 1; }}' for i in range(257)), "more than 256"),
    (f'{{ zone = "{".".join(["a" * 60] * 4)}.example."; dsync-port = 1; }}', "too long"),
])
def test_conf_check_of_children(base, children, text):
    p = h.Parentd(base, settings=f"children = ( {children} );")
    assert text in check_conf(p, code=1)


def test_as_many_children_as_there_may_be(servers, base):
    """One UPDATE, one transfer, one line of the control socket hold them."""
    primary = servers(primaries.KINDS["knot"](base)).start()
    backend = (f'backends = ( {{ name = "one"; kind = "update"; address = "{primary.addr}"; port = {primary.port}; '
               f'tsig-key = "{primaries.KEY}"; retry = 1; }} );')
    many = ", ".join(f'{{ zone = "child-number-{i:03}.example."; dsync-target = "updates.registrar-{i % 7}.test."; }}' for i in range(256))
    p = parentd(servers, base, 'how = "update";', backend, f"children = ( {many} );")
    h.wait_for(lambda: len({r[0] for r in primary.axfr() if r[1] == "TYPE66"}) == 258, message="published")
    p.settings = p.settings.replace("registrar-", "other-registrar-")
    p.reload()
    h.wait_for(lambda: sum("other-registrar" in line for line in printed(p)) == 768, message="others")
    old = h.wire_name("updates.registrar-0.test.").hex()
    h.wait_for(lambda: not any(old in r[2].replace(" ", "") for r in primary.axfr() if r[1] == "TYPE66"), message="replaced")


# --- to paste ---------------------------------------------------------------------------------------------------------


def checkers(d, zone):
    """Of the servers that are here: what says whether they take a zone file."""
    path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
    h.write(f"{d}/knot-check.conf", f"zone:\n  - domain: example.\n    file: {zone}\n    storage: {d}\n")
    for argv in (["named-checkzone", "example.", zone], ["nsd-checkzone", "example.", zone], ["kzonecheck", "-o", "example.", zone],
                 ["knotc", "-c", f"{d}/knot-check.conf", "zone-check", "example."]):
        found = shutil.which(argv[0], path=path)
        if found:
            yield [found, *argv[1:]]


def test_what_is_printed_can_be_pasted(servers, base):
    p = parentd(servers, base, 'addresses = [ "192.0.2.53", "2001:db8::53" ];', settings=CHILDREN, policy=dict(bootstrap=["at-apex", "manual"]))
    for out in (msctl(p, "parent", "records"), msctl(p, "parent", "records", "example.")):
        assert len(out.splitlines()) == len(printed(p)) and "DSYNC CDS NOTIFY" in out
        h.write(f"{base}/zone", primaries.zone_text() + out)
        done = 0
        for argv in checkers(base, f"{base}/zone"):
            r = subprocess.run(argv, text=True, capture_output=True, timeout=h.LIMIT_S)
            assert r.returncode == 0, (argv, r.stdout, r.stderr)
            done += 1
        assert done >= 2
    # and a server that has it answers as it is meant
    primary = primaries.KINDS["bind"](base, lines=out.splitlines())
    servers(primary).start()
    check_what_children_find(p, primary.addr, primary.port)
    a = dns.query.tcp(dns.message.make_query(h.TARGET, "SVCB"), primary.addr, timeout=h.LIMIT_S, port=primary.port)
    assert a.answer[0][0].to_text() == '1 . key65282="at-apex,manual"'


def test_what_belongs_elsewhere_is_a_comment(servers, base):
    p = parentd(servers, base, 'addresses = [ "192.0.2.53" ];', target="updates.elsewhere.test.", parents=("example.", "test.", "other."))
    out = msctl(p, "parent", "records", "example.").splitlines()
    elsewhere = [line for line in out if line.startswith("; in another zone: updates.elsewhere.test.")]
    assert len(elsewhere) == 3 and sum(line.startswith(("*._dsync.example.", PLAIN)) for line in out) == 6 and len(out) == 9
    every = msctl(p, "parent", "records").splitlines()
    assert [line for line in every if line in ("; example.", "; test.", "; other.")] == ["; example.", "; test.", "; other."]
    assert sum(line.startswith("updates.elsewhere.test.") for line in every) == 3  # in test., once
    msctl(p, "parent", "records", "no..name", code=1)


# --- KeyState of two drafts -------------------------------------------------------------------------------------------

REQUEST_AUTO, REQUEST_MANUAL, INQUIRE = 0, 1, 2


def states(p, key, qtype="KEY"):
    """What is said to each layout: codes 2, 0, 1."""
    out = []
    for code in (INQUIRE, REQUEST_AUTO, REQUEST_MANUAL):
        a = p.keystate(key, state=code, qtype=qtype)
        assert a.is_signed and a.key_id == key.tag and a.state_data == 0, a
        out.append(a.state)
    return out


def test_layout_of_a_child_and_of_a_policy(servers, base):
    """The sibling next to it keeps to draft 03."""
    p = h.Parentd(base, policies=dict(old=dict(keystate_compat_02=True)), settings="""children = (
        { zone = "one.example."; keystate-compat-02 = true; }, { zone = "two.example."; policy = "old"; },
        { zone = "three.example."; policy = "usual"; } );""")
    servers(p).start()
    trusted = h.STATE["TRUSTED"]
    for child, reads_02 in (("one.example.", True), ("two.example.", True), ("three.example.", False), (h.CHILD, False)):
        key = h.ChildKey(child)
        p.add_child(child, keys=[key])
        malformed = h.STATE["MALFORMED"]
        assert states(p, key) == ([trusted] * 3 if reads_02 else [trusted, malformed, malformed]), child
        a = p.keystate(key, state=REQUEST_AUTO)
        assert a.rcode == ("NOERROR" if reads_02 else "FORMERR")
        # as an option of an UPDATE
        a = p.update(key, [h.add(child, "NS", "ns.three.test.")], options=h.keystate_option(key.tag, REQUEST_AUTO))
        assert (a.rcode, a.state) == (("NOERROR", trusted) if reads_02 else ("FORMERR", malformed)), child
    assert p.show("one.example.")["policy"] == "usual" and p.show("two.example.")["policy"] == "old"


def upload_waits(p, key):
    assert p.upload(key).rcode == "NOERROR"
    return key


@pytest.mark.parametrize("compat", [True, False])
def test_every_state_in_both_layouts(servers, base, compat):
    """B.2: with 9, 10, 5 as applies. Without the setting QTYPE ANY tells the old layout, since only that draft asked with it."""
    p = h.Parentd(base, policies=dict(auto=dict(bootstrap=["at-apex"])), settings=f"""
        keystate-compat-02 = {str(compat).lower()}; resolver : {{ root-servers = [ "127.9.9.9" ]; timeout = 60; }};
        children = ( {{ zone = "auto.example."; policy = "auto"; }} );""")
    servers(p).start()
    p.add_child("auto.example.", [f"auto.example. 300 {r}" for r in ("NS ns.one.test.", "NS ns.two.test.", f"DS 1 13 2 {'ab' * 32}")])
    p.add_child()
    auto, manual = upload_waits(p, h.ChildKey("auto.example.")), upload_waits(p, h.ChildKey())
    for key, state in ((auto, "BOOTSTRAP_AUTO"), (manual, "BOOTSTRAP_MANUAL"), (h.ChildKey(), "UNKNOWN")):
        same = [h.STATE[state]] * 3
        assert states(p, key, "ANY") == same, state
        assert states(p, key, "KEY") == (same if compat else [h.STATE[state], h.STATE["MALFORMED"], h.STATE["MALFORMED"]]), state
    # codes that neither draft lets a child send
    for code in (3, 4, 8, 11, 255):
        assert p.keystate(manual, state=code, qtype="ANY").state == h.STATE["MALFORMED"]
    assert p.keystate(manual, state=REQUEST_AUTO, data=1, qtype="ANY").state == h.STATE["MALFORMED"]


# --- the receiver's key -----------------------------------------------------------------------------------------------


class Child(threading.Thread):
    """Asks all the while, and believes only what verifies with the KEYs that it has looked up: of now, or of one step before."""

    def __init__(self, p, key):
        super().__init__(daemon=True)
        self.p, self.key, self.known, self.asked, self.bad, self.ends = p, key, [[], []], 0, [], False

    def learn(self, rdatas):
        self.known = [self.known[1] or rdatas, rdatas]

    def run(self):
        while not self.ends:
            cached, fresh = self.known  # by TTL either may be what the child has
            a = self.p.keystate(self.key)
            for have in (cached, fresh) if self.known == [cached, fresh] else ():
                if a is None or a.state != h.STATE["TRUSTED"] or not any(a.verify(k) for k in have):
                    self.bad.append((a, have))
            self.asked += 1

    def asks(self, more):
        at = self.asked
        h.wait_for(lambda: self.asked >= at + more, message="the child asks")


def test_the_receivers_key_is_rolled_over(servers, base):
    """parentd(8): publish both, sign with the new one, take the old one out. The child's cache is one step behind, and no answer is lost."""
    primary = servers(primaries.KINDS["knot"](base)).start()
    backend = (f'backends = ( {{ name = "one"; kind = "update"; address = "{primary.addr}"; port = {primary.port}; '
               f'tsig-key = "{primaries.KEY}"; retry = 1; }} );')
    p = parentd(servers, base, 'how = "update";', backend)
    key = h.ChildKey()
    p.add_child(keys=[key])
    old, new = p.key, h.ChildKey(h.TARGET, alg=h.P256)
    new_path, key_path = new.save(p.dir), key.save(f"{p.dir}/child")
    paths = {old: p.key_path, new: new_path}

    def shown():
        """KEY RDATAs at the primary."""
        a = dns.query.tcp(dns.message.make_query(h.TARGET, "KEY"), primary.addr, timeout=h.LIMIT_S, port=primary.port)
        return sorted(r.to_wire() for s in a.answer for r in s)

    def step(keys):
        child.learn(child.known[1])  # a TTL has passed
        before = p.log_text().count("daemon-reload ")
        with open(p.conf) as f:
            text = f.read()
        begin = text.index("sig0-keys")
        listed = ", ".join(f'"{paths[k]}"' for k in keys)
        h.write(p.conf, text[:begin] + f"sig0-keys = [ {listed} ];" + text[text.index("\n", begin):])
        p.proc.send_signal(1)
        h.wait_for(lambda: p.log_text().count("daemon-reload ") > before, message="reloaded")
        h.wait_for(lambda: shown() == sorted(k.rdata for k in keys), message="published")
        assert len([r for r in printed(p) if " KEY " in r]) == len(keys)
        child.learn([k.rdata for k in keys])
        child.asks(5)
        raw = p.keystate(key)
        assert raw.verify(keys[0].rdata) and not any(raw.verify(k.rdata) for k in paths if k is not keys[0])
        for k in paths:  # the child's program: the peer key that fits is the one in front
            r = subprocess.run([h.MSCTL, "--json", "query", "keystate", h.CHILD, "--key", key_path, "--peer-key",
                                paths[k].replace(".private", ".key"), "--port", str(p.port), f"@{p.addr}"], text=True, capture_output=True,
                               timeout=h.LIMIT_S)
            assert ('"verified"' in r.stdout and r.returncode == 0) == (k is keys[0]), (k is new, r)

    h.wait_for(lambda: shown() == [old.rdata], message="published")
    child = Child(p, key)
    child.learn([old.rdata])
    child.start()
    try:
        child.asks(5)
        step([old, new])
        step([new, old])
        step([new])
    finally:
        child.ends = True
        child.join(h.LIMIT_S)
    assert not child.bad and child.asked > 20
    assert shown() == [new.rdata]


# --- keys that nobody uses --------------------------------------------------------------------------------------------

CLOCKSHIFT = os.path.join(h.BUILD, "tests/libclockshift.so")
DAY = 86400


@pytest.mark.parametrize("days, is_idle", [(399, False), (401, True)])
def test_a_key_without_use_is_told_of_and_stays_trusted(servers, base, monkeypatch, days, is_idle):
    """PROTOCOL G.6: flagged after 400 days, not removed."""
    if not os.path.exists(CLOCKSHIFT):
        pytest.skip("libclockshift.so is not built")
    p = servers(h.Parentd(base)).start()
    used, unused = h.ChildKey(), h.ChildKey("other.example.")
    p.add_child(keys=[used])
    p.add_child("other.example.", keys=[unused])
    p.stop()
    libraries = subprocess.run(["ldd", h.PARENTD], capture_output=True, text=True, check=True).stdout
    first = [line.split()[2] for line in libraries.splitlines() if "libasan" in line]  # AddressSanitizer insists on that
    monkeypatch.setenv("LD_PRELOAD", " ".join([*first, CLOCKSHIFT]))
    monkeypatch.setenv("CLOCK_SHIFT", str(days * DAY))
    p.start()
    monkeypatch.delenv("LD_PRELOAD")
    a = p.update(used, [h.add(h.CHILD, "NS", "ns.three.test.")], sign=dict(inception=days * DAY - 300, expiration=days * DAY + 300))
    assert a.rcode == "NOERROR"
    rows = json.loads(msctl(p, "--json", "parent", "children", "idle"))
    assert [r["child"] for r in rows] == (["other.example."] if is_idle else [])
    [key] = p.show("other.example.")["keys"]
    assert key["state"] == p.show()["keys"][0]["state"]  # trusted, both
    assert key.get("unused_days") == (days if is_idle else None)
    assert ("unused_days" in msctl(p, "parent", "keys")) == is_idle
    assert "unused_days" not in msctl(p, "parent", "keys", h.CHILD)

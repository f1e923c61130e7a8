# SPDX-License-Identifier: BSD-2-Clause
"""Other people's children: BIND's nsupdate, Perl's Net::DNS::SEC, dnspython; keys made by BIND's dnssec-keygen."""

import base64
import glob
import os
import re
import shutil
import subprocess
import time

import dns.name
import dns.update
import pytest

import parent as h

HERE = os.path.dirname(__file__)


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def bind_key(directory, alg, name=h.CHILD, kind="HOST"):
    """A KEY pair of dnssec-keygen: (path of the .private file, presentation form of the KEY)."""
    need("dnssec-keygen")
    os.makedirs(directory, exist_ok=True)
    size = ["-b", "2048"] if alg == "RSASHA256" else []
    base = subprocess.run(["dnssec-keygen", "-q", "-K", directory, "-T", "KEY", "-n", kind, "-a", alg, *size, name],
                          check=True, capture_output=True, text=True).stdout.strip()
    with open(os.path.join(directory, base + ".key")) as f:
        line = next(x for x in f if not x.startswith(";"))
    return os.path.join(directory, base + ".private"), line.split("KEY", 1)[1].strip()


NSUPDATE = """update delete child.example. NS
update add child.example. 300 NS ns1.child.example.
update add child.example. 300 NS ns.elsewhere.test.
update add ns1.child.example. 300 A 192.0.2.53
update add ns1.child.example. 300 AAAA 2001:db8::53"""


@pytest.mark.parametrize("alg", ["ED25519", "ECDSAP256SHA256", "ECDSAP384SHA384", "ED448", "RSASHA256"])
@pytest.mark.parametrize("kind", ["HOST", "USER"])
def test_nsupdate(parent, base, alg, kind):
    need("nsupdate")
    path, text = bind_key(f"{base}/keys", alg, kind=kind)
    parent.add_child()
    # nsupdate uploads its key (PROTOCOL G.6), an operator approves it, nsupdate changes the delegation.
    r = parent.nsupdate(path, f"update delete {h.CHILD} KEY\nupdate add {h.CHILD} 300 KEY {text}")
    assert r.returncode == 0 and "status: NOERROR" in r.stdout, (r.stdout, r.stderr)
    keys = parent.show()["keys"]
    assert [k["state"] for k in keys] == ["MANUAL"]
    r = parent.nsupdate(path, NSUPDATE)
    assert "REFUSED" in r.stdout + r.stderr
    parent.ctl("parent approve", child=h.CHILD, what=keys[0]["fingerprint"])
    r = parent.nsupdate(path, NSUPDATE)
    assert r.returncode == 0 and "status: NOERROR" in r.stdout, (r.stdout, r.stderr)
    assert parent.ns() == ["ns.elsewhere.test.", "ns1.child.example."]
    assert ("ns1.child.example.", "AAAA", "2001:db8::53") in parent.records()


def test_nsupdate_without_a_key_that_is_known(parent, base):
    need("nsupdate")
    path, _ = bind_key(f"{base}/keys", "ED25519")
    parent.add_child()
    r = parent.nsupdate(path, NSUPDATE)
    assert "NOTAUTH" in r.stdout + r.stderr  # nsupdate sends no OPT: no BADKEY for it
    assert parent.ns() == ["ns.one.test.", "ns.two.test."]


@pytest.mark.parametrize("alg", [h.ED25519, h.P256, h.RSASHA256])
def test_net_dns_sec(parent, base, alg):
    need("perl")
    if subprocess.run(["perl", "-MNet::DNS::SEC", "-e", "1"], capture_output=True).returncode != 0:
        pytest.skip("Net::DNS::SEC is not installed")
    key = h.ChildKey(alg=alg, flags=512)  # as dnssec-keygen -n HOST makes them
    parent.add_child(keys=[key])
    path = key.save(f"{base}/keys")
    command = ["perl", os.path.join(HERE, "netdns_child.pl"), path, parent.addr, str(parent.port), h.PARENT, h.CHILD,
               "ns1.perl.test.", "ns2.perl.test."]
    r = subprocess.run(command, capture_output=True, text=True, timeout=h.LIMIT_S)
    assert r.stdout.strip() == "NOERROR", (r.stdout, r.stderr)
    assert parent.ns() == ["ns1.perl.test.", "ns2.perl.test."]


@pytest.mark.parametrize("tcp", [True, False])
def test_dnspython(parent, key, tcp):
    u = dns.update.UpdateMessage(h.PARENT)
    child = dns.name.from_text(h.CHILD)
    u.present(child, "NS")
    u.replace(child, 300, "NS", "ns1.python.test.", "ns2.python.test.")
    u.use_edns(0)
    a = parent.ask(key.sign(u.to_wire()), tcp=tcp)
    assert a.rcode == "NOERROR" and a.is_signed
    assert parent.ns() == ["ns1.python.test.", "ns2.python.test."]


def test_compressed_names_and_any_case(parent, key):
    """dnspython compresses; names of the child come in any case."""
    u = dns.update.UpdateMessage("EXAMPLE.")
    u.replace(dns.name.from_text("cHiLd.eXaMpLe."), 300, "NS", "ns1.child.example.", "NS2.Test.")
    u.add(dns.name.from_text("NS1.child.example."), 300, "A", "192.0.2.7")
    a = parent.ask(key.sign(u.to_wire(), signer="CHILD.example."))
    assert a.rcode == "NOERROR" and not a.has_opt and a.is_signed
    assert [n.lower() for n in parent.ns()] == ["ns2.test.", "ns1.child.example."] or \
        sorted(n.lower() for n in parent.ns()) == ["ns1.child.example.", "ns2.test."]


# --- captured messages (tests/data/vectors), at the time that they were made for ---

VECTORS = os.path.join(h.ROOT, "tests/data/vectors")
OWNER, THE_CHILD = "parent.example.", "child.parent.example."
THEN = 1795493200  # within the windows of all that are good; README.md there
BEFORE = ["ns.old.example.", "ns.one.test.", "ns.two.test."]
OLD_DS = "4711 15 2 " + "ab" * 32
AFTER = ["ns.provider-b.example.", f"ns1.{THE_CHILD}"]
CLOCKSHIFT = os.path.join(h.BUILD, "tests/libclockshift.so")


def vector(name):
    path, = (p for p in glob.glob(f"{VECTORS}/{name}-*.hex") if ".tbs." not in p)
    with open(path) as f:
        return bytes.fromhex("".join(x.strip() for x in f if not x.startswith("#")))


def key_of(alg, owner=THE_CHILD):
    """(KEY RDATA in presentation form, the same in octets)"""
    with open(glob.glob(f"{VECTORS}/keys/K{owner}+{alg:03}+*.key")[0]) as f:
        text = f.read().split("KEY", 1)[1].strip()
    flags, protocol, _, *base64_text = text.split()
    return text, bytes([int(flags) >> 8, int(flags) & 0xff, int(protocol), alg]) + base64.b64decode("".join(base64_text))


def sanitizer():
    """AddressSanitizer's library, if the daemon has it: it must be loaded first."""
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}  # of the daemon before
    libraries = subprocess.run(["ldd", h.PARENTD], capture_output=True, text=True, check=True, env=env).stdout
    return [line.split()[2] for line in libraries.splitlines() if "libasan" in line]


@pytest.fixture
def then(servers, base, monkeypatch):
    """
    A parentd for parent.example. whose clock is at `now`, with the receiver's key of the vectors. The child's key
    becomes trusted by the hand of another one, which an operator trusts.
    """
    def start(alg=None, now=THEN):
        monkeypatch.setenv("LD_PRELOAD", " ".join([*sanitizer(), CLOCKSHIFT]))
        monkeypatch.setenv("CLOCK_SHIFT", str(now - int(time.time())))
        p = h.Parentd(base, parents=(OWNER,), target=f"updater.{OWNER}", name=f"parentd{alg}")
        p.now = now
        p.key.rdata = key_of(h.ED25519, f"updater.{OWNER}")[1]
        p.key_path = os.path.join(p.dir, "receiver.private")
        for end in ("key", "private"):
            shutil.copy(glob.glob(f"{VECTORS}/keys/Kupdater.*.{end}")[0], p.key_path.replace("private", end))
        os.chmod(p.key_path, 0o600)
        p.configure()
        servers(p).start()
        records = [f"{THE_CHILD} 300 NS {ns}" for ns in BEFORE] + [f"{THE_CHILD} 300 DS {OLD_DS}"]
        p.ctl("parent add", child=THE_CHILD, records="\n".join(records))
        if alg is not None:
            give(p, alg)
        return p
    return start


def give(p, alg):
    hand, text = h.ChildKey(THE_CHILD), key_of(alg)[0]
    sign = dict(now=p.now)
    assert p.update(hand, [h.add(THE_CHILD, "KEY", hand.text)], zone=OWNER, sign=sign).rcode == "NOERROR"
    p.ctl("parent approve", child=THE_CHILD, what=hand.fingerprint)
    assert p.update(hand, [h.add(THE_CHILD, "KEY", text)], zone=OWNER, sign=sign).rcode == "NOERROR"
    tag = h.key_tag(key_of(alg)[1])
    assert (tag, "TRUSTED") in p.keys(THE_CHILD)


def is_refused_by(p, rule):
    """Says the log, which is written beside the answers. Nothing else was refused."""
    h.wait_for(lambda: "refused " in p.log_text(), message="the refusal")
    assert re.findall(r'refused .*rule="([^":]*)', p.log_text()) == [rule]
    return True


def ds_tags(p):
    return sorted(int(text.split()[0]) for _owner, rdtype, text in p.records(THE_CHILD) if rdtype == "DS")


# What nsupdate asked for: NS and glue anew; DS anew; without one NS; without DS, which is to be asked for twice.
CAPTURED = [
    ("u1", h.ED25519, "NOERROR", AFTER, [4711]),
    ("u3", h.RSASHA256, "NOERROR", BEFORE, [12345, 23456]),
    ("u4", h.P384, "NOERROR", BEFORE[1:], [4711]),
    ("u5", h.ED448, "REFUSED", BEFORE, [4711]),
]


@pytest.mark.parametrize("name, alg, rcode, ns, tags", CAPTURED, ids=[c[0] for c in CAPTURED])
def test_captured_from_nsupdate(then, name, alg, rcode, ns, tags):
    """An UPDATE of BIND's nsupdate as it was captured: heard from who has the key, and from nobody else."""
    p = then(alg)
    a = p.ask(vector(name), tcp=name == "u3")
    assert (a.rcode, a.has_opt, a.has_sig) == (rcode, False, True), a
    assert (p.ns(THE_CHILD), ds_tags(p)) == (ns, tags)
    assert (p.show(THE_CHILD).get("pending") is not None) == (rcode == "REFUSED")
    without = then()
    assert without.ask(vector(name)).rcode == "NOTAUTH" and is_refused_by(without, "G.5 step 5")
    assert (without.ns(THE_CHILD), ds_tags(without), without.show(THE_CHILD).get("pending")) == (BEFORE, [4711], None)


@pytest.mark.parametrize("late_s, rcode", [(0, "NOERROR"), (300, "NOTAUTH"), (-700, "NOTAUTH")], ids=["then", "late", "early"])
def test_captured_from_nsupdate_counts_in_its_time_alone(then, late_s, rcode):
    """The same daemon and the same key: nothing but the time is different. u1 ends at 1795493415, and begins at ..2815."""
    p = then(h.ED25519, now=THEN + late_s)
    a = p.ask(vector("u1"))
    assert (a.rcode, p.ns(THE_CHILD)) == (rcode, AFTER if rcode == "NOERROR" else BEFORE)
    assert rcode == "NOERROR" or is_refused_by(p, "C.3 step 5")


def test_captured_bootstrap(then):
    """u2: DEL, ADD of a key, signed by that key, by nsupdate."""
    p = then()
    assert p.ask(vector("u2")).rcode == "NOERROR"
    assert p.keys(THE_CHILD) == [(h.key_tag(key_of(h.P256)[1]), "MANUAL")]


def test_captured_inquiry(then):
    p = then(h.ED25519)
    a = p.ask(vector("q1"))
    assert (a.rcode, a.state, a.key_id) == ("NOERROR", h.STATE["TRUSTED"], 22135), a


@pytest.mark.parametrize("name, rule", [("x1", "C.3 step 9"), ("x2", "C.3 step 5"), ("x3", "C.3 step 1"), ("x4", "C.3 step 1"),
                                        ("x5", "C.3 step 5")])
def test_captured_and_spoiled(then, name, rule):
    """A bit is wrong, expired, an OPT behind the signature, two of them, a window of a day."""
    p = then(h.ED25519)
    a = p.ask(vector(name))
    assert a.rcode == ("FORMERR" if name in ("x3", "x4") else "NOTAUTH") and is_refused_by(p, rule), a
    assert p.ns(THE_CHILD) == BEFORE

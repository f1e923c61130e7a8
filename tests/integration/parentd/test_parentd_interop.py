# SPDX-License-Identifier: BSD-2-Clause
"""Other people's children: BIND's nsupdate, Perl's Net::DNS::SEC, dnspython; keys made by BIND's dnssec-keygen."""

import glob
import os
import shutil
import subprocess

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


def test_captured_from_nsupdate(servers, base):
    """An UPDATE of BIND's nsupdate as it was captured (tests/data), whose time is over: verified up to its time."""
    p = servers(h.Parentd(base, parents=("parent.example.",), target="updater.parent.example.")).start()
    paths = glob.glob(os.path.join(h.ROOT, "tests/data/**/u1-update-ed25519.hex"), recursive=True)
    if not paths:
        pytest.skip("no captured messages")
    with open(paths[0]) as f:
        raw = bytes.fromhex("".join(x.strip() for x in f if not x.startswith("#")))
    p.ctl("parent add", child="child.parent.example.",
          records="child.parent.example. 300 NS ns.one.test.\nchild.parent.example. 300 NS ns.two.test.")
    a = p.ask(raw)
    assert (a.rcode, a.has_opt) == ("NOTAUTH", False)

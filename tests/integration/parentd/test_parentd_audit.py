# SPDX-License-Identifier: BSD-2-Clause
"""What the audit trail says: who, by which message, on what evidence; and nobody's name under what nobody has said."""

import hashlib
import os

import dns.dnssec
import pytest

import family as f
import parent as h
from test_parentd_msctl import msctl

POLICY = dict(checks=True, sources=["update", "cds", "csync"], confirm=1, bootstrap_ds="none")
SETTINGS = f"probe-port = {f.PORT}; probe-ipv6 = false; probe-timeout = 2;"


@pytest.fixture
def parent(servers, base):
    return servers(h.Parentd(base, policy=POLICY, settings=SETTINGS, limits=dict(sweep=0))).start()


@pytest.fixture
def child(servers, base, parent):
    """A secure child with two name servers and a trusted key: the zone, its servers, the key."""
    zone = f.Zone().key()
    zone.hosts = [(f"ns{i}.{zone.name}", h.address()) for i in (1, 2)]
    nodes = [servers(f.Liar(base, zone.copy(), addr)).start() for _, addr in zone.hosts]
    key = h.ChildKey()
    parent.add_child(zone.name, zone.delegation(ds=zone.keys), keys=[key])
    return zone, nodes, key


def rows(parent, verdict, child=h.CHILD):
    return [r for r in msctl(parent, "parent", "audit", child) if r["verdict"] == verdict]


def last(parent, verdict):
    h.wait_for(lambda: rows(parent, verdict), message=f"a record '{verdict}'")
    return rows(parent, verdict)[-1]


def tag(key):
    return dns.dnssec.key_id(key.dnskey)


def replace_ds(*keys):
    return [h.delete(h.CHILD, "DS")] + [h.add(h.CHILD, "DS", k.ds()) for k in keys]


def ask(parent, key, records, tcp=True):
    raw = parent.signed_update(key, records)
    return parent.ask(raw, tcp=tcp), hashlib.sha256(raw).hexdigest()


def test_who_adds_a_child_is_the_operator(parent):
    msctl(parent, "parent", "add", h.CHILD, "-", stdin=f"{h.CHILD} 300 IN NS ns.one.test.\n{h.CHILD} 300 IN NS ns.two.test.\n")
    (row,) = msctl(parent, "parent", "audit", h.CHILD)
    assert (row["verdict"], row["source"], row["rule"]) == ("imported", "operator", "add")
    assert row["who"].startswith("operator ") and row["before"] == [] and len(row["after"]) == 2


@pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "udp"])
def test_an_acceptance_after_checks_names_the_message_and_the_evidence(parent, child, tcp):
    zone, nodes, key = child
    zone.key()
    for n in nodes:
        n.change(zone.copy())
    a, message = ask(parent, key, replace_ds(*zone.keys), tcp)
    assert a.rcode == "NOERROR"
    row = last(parent, "accepted")
    assert (row["who"], row["source"], row["key_tag"]) == (f"key {key.tag}", "update", key.tag)
    assert (row["message"], row["transport"]) == (message, "tcp" if tcp else "udp")
    assert row["peer"].startswith("127.")
    assert "2 of 2 addresses answer; DNSKEY validates by DS " in row["why"]
    assert any(f"{tag(k)}/13" in row["why"] for k in zone.keys)
    assert all(f"{host} {addr}:{f.PORT}" in row["why"] for host, addr in zone.hosts), row["why"]
    (waits,) = rows(parent, "waits")
    assert (waits["message"], waits["peer"]) == (row["message"], row["peer"])


def test_what_is_dropped_after_checks_names_the_message_too(parent, child):
    zone, nodes, key = child
    a, message = ask(parent, key, replace_ds(f.Key(zone.name)))
    row = last(parent, "dropped")
    assert (row["message"], row["transport"], row["who"]) == (message, "tcp", f"key {key.tag}")
    assert a.rcode == "REFUSED" and f"ns1.{h.CHILD}" in row["why"]


def test_a_restart_between_the_message_and_its_checks_forgets_nobody(parent, child):
    zone, nodes, key = child
    zone.key()
    for n in nodes:
        n.delay_s = h.LIMIT_S
    raw = parent.signed_update(key, replace_ds(*zone.keys))
    assert parent.send(raw, timeout=0.2) is None  # it waits for them
    h.wait_for(lambda: rows(parent, "waits"), message="a change that waits")
    parent.kill9()
    for n in nodes:
        n.delay_s = 0
        n.change(zone.copy())
    parent.start()
    parent.approve_change(how="force")  # the checks come after a lease of minutes
    row = last(parent, "accepted")
    assert row["message"] == hashlib.sha256(raw).hexdigest() and row["why"] == f"key {key.tag}"
    assert (row["source"], row["peer"], row["who"][:9]) == ("operator", None, "operator ")


def test_a_look_at_cds_says_what_it_has_seen(parent, child):
    zone, nodes, _ = child
    zone.key().cds()
    for n in nodes:
        n.change(zone.copy())
    assert parent.notify(zone.name, "CDS").rcode == "NOERROR"
    row = last(parent, "accepted")
    assert (row["source"], row["who"], row["peer"], row["message"]) == ("cds", "cds", None, None)
    assert row["why"].startswith("signed at 20") and "; shown by all that answer; 2 of 2 addresses answer; " in row["why"]


def test_what_a_backend_has_done_bears_its_name(servers, base):
    path = os.path.join(base, "delegations.zone")
    p = servers(h.Parentd(base, parent_settings=f'backends = ( {{ name = "registry"; kind = "file"; path = "{path}"; }} );'))
    p.start()
    key = h.ChildKey()
    p.add_child(keys=[key])
    a, message = ask(p, key, h.replace_ns(h.CHILD, ["ns7.test.", "ns8.test."]))
    assert a.rcode == "NOERROR" and last(p, "accepted")["message"] == message
    row = last(p, "published")
    assert (row["who"], row["source"], row["peer"], row["message"]) == ("backend registry", None, None, None)
    assert "backend registry" in msctl(p, "parent", "audit", h.CHILD, as_json=False)
    assert msctl(p, "parent", "verify")["to"] == row["seq"]

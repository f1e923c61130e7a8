# SPDX-License-Identifier: BSD-2-Clause
"""Questions asked by an independent implementation (dnspython), run on a lab host: `ask.py VERB ...`, JSON out.

Namespaces belong to a process, so whoever asks must run inside one: lab.Lab.ask() starts this file there.
"""
import json
import sys

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone


def rrset(server, name, rdtype):
    """Authoritative answer over TCP: sorted RDATA texts."""
    q = dns.message.make_query(name, rdtype, want_dnssec=True)
    r = dns.query.tcp(q, server, timeout=3)
    found = [rr.to_text() for s in r.answer if s.rdtype == dns.rdatatype.from_text(rdtype) for rr in s]
    return {"rcode": dns.rcode.to_text(r.rcode()), "aa": bool(r.flags & dns.flags.AA), "rdata": sorted(found)}


def referral(server, name):
    """What a server of the parent says of a delegation: sorted "TYPE RDATA" and glue as "OWNER TYPE RDATA"."""
    r = dns.query.tcp(dns.message.make_query(name, "NS", want_dnssec=True), server, timeout=3)
    shown = [f"{dns.rdatatype.to_text(s.rdtype)} {rr}" for s in r.answer + r.authority if s.name == dns.name.from_text(name)
             and s.rdtype in (dns.rdatatype.NS, dns.rdatatype.DS) for rr in s]
    glue = [f"{s.name} {dns.rdatatype.to_text(s.rdtype)} {rr}" for s in r.additional for rr in s]
    return {"rcode": dns.rcode.to_text(r.rcode()), "aa": bool(r.flags & dns.flags.AA), "rdata": sorted(shown + glue)}


def ad(server, name, rdtype):
    """A validating resolver's answer."""
    q = dns.message.make_query(name, rdtype, want_dnssec=True)
    r, _ = dns.query.udp_with_fallback(q, server, timeout=5)
    return {"rcode": dns.rcode.to_text(r.rcode()), "ad": bool(r.flags & dns.flags.AD),
            "rdata": sorted(rr.to_text() for s in r.answer for rr in s)}


def each(server, *names):
    """A validating resolver's answers for addresses, one by one."""
    return {name: attempt(ad, server, name, "A") for name in names}


def fetch(server, zone):
    z = dns.zone.Zone(zone, relativize=False)
    dns.query.inbound_xfr(server, z, lifetime=20)
    return z


def validate(zone, copy, keys):
    """(valid, [what failed]) of every signed RRset in `copy` against a DNSKEY RRset."""
    apex = dns.name.from_text(zone)
    good, bad = 0, []
    for name, node in copy.nodes.items():
        for rds in node.rdatasets:
            if rds.rdtype == dns.rdatatype.RRSIG:
                continue
            sigs = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.RRSIG, rds.rdtype)
            if sigs is None:
                continue  # glue and delegations are not signed
            try:
                dns.dnssec.validate((name, rds), (name, sigs), {apex: keys})
                good += 1
            except dns.dnssec.ValidationFailure as e:
                bad.append(f"{name} {dns.rdatatype.to_text(rds.rdtype)}: {e}")
    return good, bad


def cross(zone, *servers):
    """Every copy of the zone against every server's DNSKEY RRset."""
    copies = {s: fetch(s, zone) for s in servers}
    out = {}
    for key_server in servers:
        keys = copies[key_server].find_rdataset(zone, "DNSKEY")
        for data_server in servers:
            data = copies[data_server]
            good, bad = validate(zone, data, keys)
            out[f"{data_server} data, {key_server} keys"] = {"valid": good, "bad": bad}
    return out


def chain(zone, server, *ds_texts):
    """Whether the DNSKEY RRset a server gives out is signed by a key that one of the DS names."""
    q = dns.message.make_query(zone, "DNSKEY", want_dnssec=True)
    r = dns.query.tcp(q, server, timeout=3)
    apex = dns.name.from_text(zone)
    keys = r.find_rrset(r.answer, apex, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    sigs = r.find_rrset(r.answer, apex, dns.rdataclass.IN, dns.rdatatype.RRSIG, dns.rdatatype.DNSKEY)
    trusted = dns.rrset.RRset(apex, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    for k in keys:
        if dns.dnssec.make_ds(apex, k, "SHA256").to_text() in ds_texts:
            trusted.add(k, keys.ttl)
    if not len(trusted):
        return {"ok": False, "why": "no DS names a key of this DNSKEY RRset"}
    try:
        dns.dnssec.validate(keys, sigs, {apex: trusted})
    except dns.dnssec.ValidationFailure as e:
        return {"ok": False, "why": str(e)}
    return {"ok": True, "why": ""}


def attempt(question, *args):
    """Whatever went wrong is the answer: the asker polls."""
    try:
        return question(*args)
    except Exception as e:
        return {"error": f"{type(e).__name__}: {e}"}


VERBS = {f.__name__: f for f in (rrset, referral, ad, each, cross, chain)}


def main():
    if sys.argv[1] not in VERBS:
        sys.exit(2)
    print(json.dumps(attempt(VERBS[sys.argv[1]], *sys.argv[2:])))


if __name__ == "__main__":
    main()

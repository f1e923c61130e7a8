# SPDX-License-Identifier: BSD-2-Clause
"""The lab's parent operator, until parentd exists: installs the DS set that both providers' CDS agree on.

    parent_operator.py BASE      one line per decision on standard output

It believes provider A's CDS through the DS it has, and provider B's through the DNSKEY RRset so validated (which holds B's
keys by then); it never installs an empty set, and never one without a DS of a key that signs A's DNSKEY RRset.
"""
import os
import subprocess
import sys
import time

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.rrset

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lab.topology import HOSTS, PARENT, TTL, ZONE  # noqa: E402

APEX = dns.name.from_text(ZONE)


def ask(server, rdtype):
    r = dns.query.tcp(dns.message.make_query(ZONE, rdtype, want_dnssec=True), server, timeout=3)
    kind = dns.rdatatype.from_text(rdtype)
    data = next((s for s in r.answer if s.rdtype == kind), None)
    sigs = next((s for s in r.answer if s.rdtype == dns.rdatatype.RRSIG and s.covers == kind), None)
    return data, sigs


def ds_texts(rrset):
    return sorted(rr.to_text() for rr in rrset)


def look():
    """The DS texts both agree on, or (None, why not)."""
    have, _ = ask(HOSTS["parent"], "DS")
    if have is None:
        return None, "no DS at the parent"
    keys, key_sigs = ask(HOSTS["a-ns"], "DNSKEY")
    trusted = dns.rrset.RRset(APEX, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    for k in keys or ():
        if dns.dnssec.make_ds(APEX, k, "SHA256").to_text() in ds_texts(have):
            trusted.add(k, TTL)
    dns.dnssec.validate(keys, key_sigs, {APEX: trusted})
    seen = []
    for host in ("a-ns", "b-ns"):
        cds, sigs = ask(HOSTS[host], "CDS")
        if cds is None:
            return None, f"no CDS at {host}"
        dns.dnssec.validate(cds, sigs, {APEX: keys})
        seen.append(ds_texts(cds))
    if seen[0] != seen[1]:
        return None, f"CDS differ: {seen[0]} / {seen[1]}"
    if not set(seen[0]) & {dns.dnssec.make_ds(APEX, k, "SHA256").to_text() for k in trusted}:
        return None, "CDS would drop every key in use"
    if seen[0] == ds_texts(have):
        return None, "DS is up to date"
    return seen[0], ""


def install(base, texts):
    def knotc(*args):
        subprocess.run(["/usr/sbin/knotc", "-c", f"{base}/parent/knot.conf", *args], check=True,
                       stdout=subprocess.DEVNULL)
    knotc("zone-begin", PARENT)
    knotc("zone-unset", PARENT, ZONE, "DS")
    for t in texts:
        knotc("zone-set", PARENT, ZONE, str(TTL), "DS", t)
    knotc("zone-commit", PARENT)


def main():
    last = None
    while True:
        try:
            texts, why = look()
        except (dns.exception.DNSException, OSError, AttributeError, TypeError) as e:
            texts, why = None, f"{type(e).__name__}: {e}"
        if texts is not None:
            install(sys.argv[1], texts)
            why = f"installed {len(texts)} DS: {' | '.join(t.split()[0] for t in texts)}"
        if why != last:
            print(time.strftime("%H:%M:%S"), why, flush=True)
            last = why
        time.sleep(1)


if __name__ == "__main__":
    main()

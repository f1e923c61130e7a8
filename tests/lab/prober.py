# SPDX-License-Identifier: BSD-2-Clause
"""Asks the lab's validating resolvers all the time, with cold and with warm caches, and counts what comes back.

    prober.py BASE      BASE/active: the resolvers to ask, a line each; BASE/prober.json: the counters, replaced every second
"""
import json
import os
import random
import subprocess
import sys
import time

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lab.topology import HOSTS, ZONE  # noqa: E402

QUESTIONS = (("", "SOA"), ("", "DNSKEY"), ("", "MX"), ("www.", "A"), ("www.", "AAAA"), ("x.wild.", "TXT"),
             ("missing.", "A"), ("ent.", "A"), ("alias.", "A"), ("odd.", "TYPE65400"))
WANTED = {"missing.": "NXDOMAIN"}


def main():
    base = sys.argv[1]
    rng = random.Random(1)
    counters = {}
    bad = []
    last_write = 0.0
    round_no = 0
    while True:
        with open(f"{base}/active") as f:
            active = f.read().split()
        for host in active:
            c = counters.setdefault(host, {"asked": 0, "secure": 0, "timeout": 0, "bad": 0, "cold": 0})
            cold = round_no % 2 == 0
            if cold:
                subprocess.run(["/usr/sbin/unbound-control", "-c", f"{base}/{host}/unbound.conf", "flush_zone", ZONE],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            label, rdtype = rng.choice(QUESTIONS)
            q = dns.message.make_query(label + ZONE, rdtype, want_dnssec=True)
            c["asked"] += 1
            c["cold"] += cold
            try:
                r, _ = dns.query.udp_with_fallback(q, HOSTS[host], timeout=5)
            except (dns.exception.Timeout, OSError):
                c["timeout"] += 1
                continue
            rcode = dns.rcode.to_text(r.rcode())
            if rcode == WANTED.get(label, "NOERROR") and r.flags & dns.flags.AD:
                c["secure"] += 1
            else:
                c["bad"] += 1
                bad.append(f"{time.strftime('%H:%M:%S')} {host} {label}{ZONE} {rdtype}: {rcode}"
                           f"{'' if r.flags & dns.flags.AD else ', not AD'}")
                del bad[:-50]
        round_no += 1
        if time.monotonic() - last_write > 1:
            last_write = time.monotonic()
            with open(f"{base}/prober.json.new", "w") as f:
                json.dump({"resolvers": counters, "bad": bad}, f)
            os.replace(f"{base}/prober.json.new", f"{base}/prober.json")
        time.sleep(0.03)


if __name__ == "__main__":
    main()

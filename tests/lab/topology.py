# SPDX-License-Identifier: BSD-2-Clause
"""Who is where in the lab, and what the zones are called. Facts only."""

ZONE = "zone.parent.example."
PARENT = "parent.example."
TLD = "example."
TTL = 10  # of everything that a change waits for

HOSTS = {
    "root": "10.53.0.1",
    "tld": "10.53.0.2",
    "parent": "10.53.0.3",
    "registry": "10.53.0.4",       # parentd: receives what children ask for, and has the parent's primary changed
    "kids": "10.53.0.5",           # one server for more children of the parent
    "kids-2": "10.53.0.6",         # a second one for some of them, with a file of its own
    "owner": "10.53.0.10",
    "resolver": "10.53.0.53",      # follows the delegation
    "resolver-b": "10.53.0.54",    # asks provider B's server only
    "resolver-ab": "10.53.0.55",   # asks both providers' servers in turn: mixes their DNSKEY and data
    "a-comb": "10.53.1.10",
    "a-sign": "10.53.1.11",
    "a-msa": "10.53.1.12",
    "a-ns": "10.53.1.13",
    "b-comb": "10.53.2.10",
    "b-sign": "10.53.2.11",
    "b-msa": "10.53.2.12",
    "b-ns": "10.53.2.13",
}
PROVIDERS = ("a", "b")
RESOLVERS = ("resolver", "resolver-b", "resolver-ab")
MSA_PORT = 5399
KIDS_NS, KIDS_NS_2 = "ns.kids.example.", "ns2.kids.example."
SIGNED, PLAIN, BOOT = (f"{kind}.{PARENT}" for kind in ("signed", "plain", "boot"))  # at kids; boot: signed, no DS yet
OPEN, TORN = (f"{kind}.{PARENT}" for kind in ("open", "torn"))  # unsigned, at both; torn: they show different keys
TARGET = f"updates.{PARENT}"  # of the parent's DSYNC records
TARGET_PORT = 5300


def identity(p):
    return f"msa.provider-{p}.example."


def msa_host(p):
    return f"dns.msa.provider-{p}.example."


def ns_name(p):
    return f"ns.provider-{p}.example."


# TSIG keys: name -> the hosts that hold it
TSIG = {f"{role}-{p}.": f"{role}-{p}" for p in PROVIDERS for role in ("owner", "signer", "msad")}
TSIG["registry."] = "registry"


def hsync_rdata(state, nsmgmt, sign, ident):
    """HSYNC in the generic form of RFC 3597, which every primary can load (PROTOCOL A.1)."""
    wire = bytes([state, nsmgmt, sign])
    for label in ident.rstrip(".").split("."):
        wire += bytes([len(label)]) + label.encode()
    wire += b"\0"
    return f"TYPE65282 \\# {len(wire)} {wire.hex()}"

# SPDX-License-Identifier: BSD-2-Clause
"""The project's main job: two providers, two unmodified signers, one zone, and a resolver that never sees a bogus answer."""
import re
import subprocess

import pytest

from lab import net
from lab.topology import HOSTS, PROVIDERS, ZONE, identity, msa_host


def msctl(lab, *args):
    return subprocess.run([lab.program("msctl"), *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)


def dig(host, *args):
    return net.enter(host, ["dig", "+time=3", "+tries=2", *args]).stdout


def test_lab_up_exits_0_and_says_so(lab):
    assert lab.exit == 0, lab.output
    assert "two providers sign one zone" in lab.output
    assert not re.search(r"\bFAIL\b", lab.output)


def test_every_claim_of_the_lab_holds_when_looked_at_again(lab):
    rows = list(lab.checks())
    assert len(rows) >= 16
    assert [r for r in rows if not r[1]] == []


@pytest.mark.parametrize("resolver", ["resolver", "resolver-b", "resolver-ab"])
@pytest.mark.parametrize("name,rdtype", [(f"www.{ZONE}", "A"), (ZONE, "DNSKEY"), (f"x.wild.{ZONE}", "TXT"), (ZONE, "CDS"),
                                         (ZONE, "TYPE65282"), (f"odd.{ZONE}", "TYPE65400")])
def test_dig_gets_ad_through_both_providers(lab, resolver, name, rdtype):
    out = dig("owner", f"@{HOSTS[resolver]}", "+dnssec", name, rdtype)
    flags = next(line for line in out.splitlines() if "flags:" in line)
    assert " ad" in flags.split("QUERY")[0], out
    assert "status: NOERROR" in out and "RRSIG" in out


@pytest.mark.parametrize("p", PROVIDERS)
def test_dig_dnskey_shows_the_union_at_each_provider(lab, p):
    out = dig("owner", f"@{HOSTS[p + '-ns']}", "+short", "+tcp", ZONE, "DNSKEY").split("\n")
    keys = sorted("".join(line.split()[3:]) for line in out if line)
    want = sorted("".join(k.split()[3:]) for k in lab.keys()["a"] + lab.keys()["b"])
    assert keys == want and len(keys) == 4


@pytest.mark.parametrize("p,other", [("a", "b"), ("b", "a")])
def test_msctl_peer_list_says_operational(lab, p, other):
    out = msctl(lab, "--socket", lab.host[f"{p}-msa"].socket, "peer", "list")
    assert out.returncode == 0
    row = next(line for line in out.stdout.splitlines() if identity(other) in line)
    assert "OPERATIONAL" in row and "GREEN" in row


@pytest.mark.parametrize("p,other", [("a", "b"), ("b", "a")])
def test_msctl_zone_show_says_which_keys_are_whose(lab, p, other):
    shown = lab.msctl(f"{p}-msa", "zone", "show", ZONE)
    own = {"".join(k.split()[3:]) for k in lab.keys()[p]}
    foreign = {"".join(k.split()[3:]) for k in lab.keys()[other]}
    rows = shown["keys"]
    assert len(rows) == 4
    assert {r["key"] for r in rows if r["owner"] == identity(p)} == own
    assert {r["key"] for r in rows if r["owner"] == identity(other)} == foreign
    assert all(r["served"] for r in rows)
    text = msctl(lab, "--socket", lab.host[f"{p}-msa"].socket, "zone", "show", ZONE).stdout
    assert identity(p) in text and identity(other) in text


@pytest.mark.parametrize("p", PROVIDERS)
def test_the_combiner_holds_foreign_keys_only(lab, p):
    shown = lab.msctl(f"{p}-comb", "combiner", "show", ZONE)
    text = str(shown)
    own = ["".join(k.split()[3:]) for k in lab.keys()[p]]
    assert not any(k in text.replace(" ", "") for k in own)


def test_msctl_query_hsync_reads_the_owners_word(lab):
    out = net.enter("owner", [lab.program("msctl"), "query", "hsync", ZONE, f"@{HOSTS['resolver']}"], check=False)
    assert out.returncode == 0, out.stderr
    assert "dnssec: yes" in out.stdout
    for p in PROVIDERS:
        assert f"ON OWNER YES {identity(p)}" in out.stdout


def test_msctl_query_hello_from_an_unlisted_identity_is_refused_and_says_why(lab, tmp_path):
    key = msctl(lab, "--json", "key", "generate", "--dir", str(tmp_path), "dns.msa.stranger.example.")
    assert key.returncode == 0
    path = next(tmp_path.glob("*.private"))
    before = lab.msctl("a-msa", "zone", "show", ZONE)["group"]
    out = net.enter("b-msa", [lab.program("msctl"), "query", "hello", ZONE, "--key", str(path), "--identity", "msa.stranger.example.",
                              f"@{HOSTS['a-msa']}", "--port", "5399"], check=False)
    assert out.returncode == 1
    assert "REFUSED" in out.stdout and "MSA_NOT_DESIGNATED" in out.stdout
    strip = [{k: r[k] for k in ("identity", "membership") if k in r} for r in before]
    after = [{k: r[k] for k in ("identity", "membership") if k in r} for r in lab.msctl("a-msa", "zone", "show", ZONE)["group"]]
    assert strip == after


def test_agents_publish_what_discovery_needs(lab):
    for p in PROVIDERS:
        for name, rdtype in ((f"_dns._tcp.{identity(p)}", "URI"), (msa_host(p), "SVCB"), (msa_host(p), "KEY")):
            ok, seen = lab.secure("resolver", name, rdtype)
            assert ok, (name, rdtype, seen)


def test_down_leaves_nothing_and_a_second_up_works():
    """Runs the whole walk once more: the next module starts from it."""
    from conftest import BASE, tool
    import os
    assert tool("down").returncode == 0
    assert net.existing() == [] and not os.path.exists(BASE)
    assert "msproto-lab" not in subprocess.run(["ps", "axww", "-o", "args"], text=True, stdout=subprocess.PIPE, check=True).stdout

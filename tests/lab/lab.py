# SPDX-License-Identifier: BSD-2-Clause
"""Two providers sign one zone: the real thing on network namespaces.

    lab up [--stop-before STAGE]     set everything up and walk from one signer to two; exit 0 only if all of it was seen
    lab down                         leave nothing behind
    lab status                       who runs, what is served
    lab exec HOST CMD...             run a command on a host
    lab logs HOST                    what a host's program printed
"""
import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lab import net  # noqa: E402
from lab.hosts import (Agent, Combiner, Kids, Kids2, KnotServer, KnotSigner, LabError, NsdServer, Owner, PdnsSigner, Registry,  # noqa: E402
                       Resolver, random_secret, tree, wait_for, write)
from lab.topology import HOSTS, PARENT, PROVIDERS, TLD, TSIG, TTL, ZONE, identity  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BASE = "/run/msproto-lab"
PYTHON = "/usr/bin/python3"


class Lab:
    def __init__(self):
        self.base = BASE
        self.build = os.environ.get("MSP_BUILD", os.path.join(ROOT, "build", "release"))
        self.started = time.monotonic()
        self.host = {}
        hosts = [Owner(self), Registry(self), Kids(self), Kids2(self), KnotSigner(self), PdnsSigner(self),
                 NsdServer(self, "a"), KnotServer(self, "b")]
        for p in PROVIDERS:
            hosts += [Combiner(self, p), Agent(self, p)]
        hosts += [Resolver(self, "resolver"), Resolver(self, "resolver-b", ("b-ns",)),
                  Resolver(self, "resolver-ab", ("a-ns", "b-ns"))]
        self.tree = tree(self)
        for h in hosts + self.tree:
            self.host[h.name] = h

    # -- small services for hosts.py

    def program(self, name):
        where = {"msctl": "tools/msctl/msctl"}.get(name, f"{name}/{name}")
        return os.path.join(self.build, where)

    def secret(self, key):
        with open(f"{self.base}/secrets/{TSIG[key]}") as f:
            return f.read().strip()

    def tsig_settings(self, directory, keys):
        rows = []
        for k in keys:
            path = f"{directory}/{TSIG[k]}.secret"
            write(path, self.secret(k) + "\n", 0o600)
            rows.append(f'{{ name = "{k}"; algorithm = "hmac-sha256"; secret-file = "{path}"; }}')
        return ", ".join(rows)

    # -- asking

    def ask(self, host, *args):
        out = self.host[host].run(PYTHON, os.path.join(HERE, "ask.py"), *args, check=False)
        return json.loads(out.stdout) if out.stdout.strip() else {"error": out.stderr.strip()[-300:]}

    def served(self, host, rdtype, name=ZONE):
        return self.ask("owner", "rrset", HOSTS[host], name, rdtype).get("rdata", [])

    def msctl(self, host, *args):
        out = net.run(self.program("msctl"), "--json", "--socket", self.host[host].socket, *args, check=False)
        try:
            return json.loads(out.stdout)
        except ValueError:
            return {"error": (out.stderr or out.stdout).strip()[-300:]}

    def prober(self):
        try:
            with open(f"{self.base}/prober.json") as f:
                return json.load(f)
        except (OSError, ValueError):
            return {"resolvers": {}, "bad": []}

    def set_active(self, names):
        write(f"{self.base}/active.new", "\n".join(names) + "\n")
        os.replace(f"{self.base}/active.new", f"{self.base}/active")

    def say(self, stage, seen):
        print(f"[{time.monotonic() - self.started:6.1f} s] {stage:<34} {seen}", flush=True)

    # -- up

    def prepare(self):
        os.makedirs(f"{self.base}/secrets", mode=0o700)
        os.chmod(self.base, 0o755)
        for key, filename in TSIG.items():
            write(f"{self.base}/secrets/{filename}", random_secret() + "\n", 0o600)
        write(f"{self.base}/build", self.build + "\n")
        net.switch_up()
        for i, (name, addr) in enumerate(HOSTS.items()):
            net.host_up(name, i, [addr])
        for h in self.host.values():
            h.configure()
        for h in self.tree:
            h.write_zone()
        write(f"{self.base}/anchor", "".join(f". 3600 IN DS {r}\n" for r in self.host["root"].ds(".")))
        for h in self.host.values():
            if not isinstance(h, Resolver):
                h.start()
        self.say("hosts", f"{len(HOSTS)} namespaces, every server started")

    def start_resolvers(self):
        """Only once there is something to validate, so that their logs tell of the lab's work and not of its start."""
        wanted = [("root", "."), ("tld", TLD), ("parent", PARENT), ("a-ns", ZONE)]
        wanted += [(f"{p}-ns", z) for p in PROVIDERS for z in (ZONE, identity(p))]
        for host, zone in wanted:
            wait_for(f"{zone} served by {host}", lambda: (bool(self.served(host, "DNSKEY", zone)), "no DNSKEY"), 60)
        for h in self.host.values():
            if isinstance(h, Resolver):
                h.start()
        self.set_active(["resolver"])

    def helpers(self):
        net.popen("resolver", [PYTHON, os.path.join(HERE, "prober.py"), self.base], f"{self.base}/prober.log")

    def secure(self, resolver, name, rdtype):
        r = self.ask("owner", "ad", HOSTS[resolver], name, rdtype)
        return r.get("ad", False) and r["rcode"] == "NOERROR" and bool(r["rdata"]), r

    def up(self):
        self.prepare()
        self.start_resolvers()
        seen = wait_for("zone secure through A", lambda: self.secure("resolver", f"www.{ZONE}", "A"), 60)
        self.say("one signer: resolver says AD", f"www.{ZONE} A {seen['rdata'][0]}")
        for p in PROVIDERS:
            wait_for(f"identity zone of {p}", lambda p=p: self.secure("resolver", f"_dns._tcp.{identity(p)}", "URI"), 60)
        self.say("identity zones", "URI of both agents secure")
        keys = {}
        for p in PROVIDERS:
            keys[p] = wait_for(f"keys of {p}", lambda p=p: (len(self.served(f"{p}-ns", "DNSKEY")) == 2,
                                                            self.served(f"{p}-ns", "DNSKEY")), 60)
        write(f"{self.base}/keys.json", json.dumps(keys))
        self.say("before", "each provider serves its own two keys only")
        self.helpers()
        wait_for("prober", lambda: (self.prober()["resolvers"].get("resolver", {}).get("secure", 0) >= 20, self.prober()), 60)

        serial = self.host["owner"].edit(PROVIDERS)
        self.say("owner adds B's HSYNC", f"serial {serial}; nobody touches anything from here on")
        seen = wait_for("HSYNC at both", lambda: self.hsync_at_both(), 60)
        self.say("HSYNC at both signers", seen)
        seen = wait_for("peers OPERATIONAL", self.peers_operational, 90)
        self.say("agents greeted each other", seen)
        seen = wait_for("DNSKEY union", self.union_served, 90)
        self.say("DNSKEY union at both", seen)
        seen = wait_for("CDS agree", self.cds_agree, 90)
        self.say("CDS agree", seen)
        seen = wait_for("DS of both", self.ds_of_both, 60)
        self.say("parent has DS of both", seen)
        settle = 2 * TTL + 1  # W_ds and W_key of PROTOCOL F.1, with the lab's TTLs
        end = time.monotonic() + settle
        seen = wait_for("keys of both trusted", self.keys_trusted, 60)
        self.say("parent trusts both agents' keys", seen)
        wait_for("caches run out", lambda: (time.monotonic() >= end, "waiting for DS and DNSKEY TTL"), settle + 5)
        self.set_active(["resolver", "resolver-b", "resolver-ab"])
        seen = wait_for("answers through both", self.probed_enough, 60)
        self.say("validated through A, B, both mixed", seen)
        return self.verdict()

    def hsync_at_both(self):
        n = [len(self.served(f"{p}-ns", "TYPE65282")) for p in PROVIDERS]
        return n == [2, 2], f"{n[0]} and {n[1]} records"

    def peers_operational(self):
        seen = {}
        for p in PROVIDERS:
            answer = self.msctl(f"{p}-msa", "peer", "list")
            rows = answer if isinstance(answer, list) else answer.get("peers", [])
            other = identity("b" if p == "a" else "a")
            row = next((r for r in rows if r.get("identity") == other), {})
            seen[p] = row.get("state", answer.get("error", "unknown") if isinstance(answer, dict) else "unknown")
            if row.get("health"):
                seen[p] += "/" + row["health"]
        return all(s.startswith("OPERATIONAL/GREEN") for s in seen.values()), f"A sees B {seen['a']}, B sees A {seen['b']}"

    def keys(self):
        with open(f"{self.base}/keys.json") as f:
            return json.load(f)

    def union_served(self):
        want = sorted(self.keys()["a"] + self.keys()["b"])
        got = [self.served(f"{p}-ns", "DNSKEY") for p in PROVIDERS]
        return all(g == want for g in got), f"{len(got[0])} and {len(got[1])} of {len(want)} keys"

    def cds_agree(self):
        got = [self.served(f"{p}-ns", "CDS") for p in PROVIDERS]
        return got[0] == got[1] and len(got[0]) == 2, f"{[g.split()[0] for g in got[0]]} and {[g.split()[0] for g in got[1]]}"

    def ds_of_both(self):
        ds, cds = self.served("parent", "DS"), self.served("a-ns", "CDS")
        return len(ds) == 2 and ds == cds, f"DS {[d.split()[0] for d in ds]}"

    def parent_keys(self, child=ZONE):
        """SIG(0) keys at the parent: fingerprint -> state."""
        rows = self.msctl("registry", "parent", "keys", child)
        return {k["fingerprint"]: k["state"] for k in (rows if isinstance(rows, list) else rows.get("rows", []))}

    def agent_key(self, p):
        """Fingerprint of the key with which an agent speaks to the parent."""
        keys = self.msctl(f"{p}-msa", "parent", "status", ZONE).get("keys", [])
        return next((k["sha256"] for k in keys if k["in_use"]), None)

    def keys_trusted(self):
        """Each provider's agent has a key of its own, and may act at the parent when the other one is gone."""
        held, own = self.parent_keys(), {p: self.agent_key(p) for p in PROVIDERS}
        ok = len(set(own.values())) == len(PROVIDERS) and all(held.get(k) == "TRUSTED" for k in own.values())
        return ok, ", ".join(f"{p.upper()}'s {(k or 'none')[:8]} {held.get(k, 'unknown')}" for p, k in own.items())

    def probed_enough(self):
        r = self.prober()["resolvers"]
        counts = {h: r.get(h, {}).get("secure", 0) for h in ("resolver", "resolver-b", "resolver-ab")}
        return all(c >= 40 for c in counts.values()), ", ".join(f"{h} {c} secure" for h, c in counts.items())

    def checks(self):
        """Every claim of the lab, each looked at afresh: (name, whether it holds, what was seen)."""
        yield ("peers OPERATIONAL", *self.peers_operational())
        yield ("DNSKEY RRset holds all keys", *self.union_served())
        yield ("CDS the same at both", *self.cds_agree())
        yield ("DS names both providers' keys", *self.ds_of_both())
        ds = self.served("parent", "DS")
        for p in PROVIDERS:
            r = self.ask("owner", "chain", ZONE, HOSTS[f"{p}-ns"], *ds)
            yield (f"DS chain to {p}-ns", r.get("ok", False), r.get("why") or r.get("error") or "DNSKEY RRset validates")
        r = self.ask("owner", "cross", ZONE, HOSTS["a-ns"], HOSTS["b-ns"])
        names = {HOSTS["a-ns"]: "A", HOSTS["b-ns"]: "B"}
        for pair, v in r.items() if "error" not in r else ():
            words = pair.split()
            label = f"{names[words[0]]}'s data with {names[words[2]]}'s keys"
            yield (label, v["valid"] > 0 and not v["bad"], f"{v['valid']} RRsets valid, {len(v['bad'])} bad {v['bad'][:2] or ''}")
        if "error" in r:
            yield ("cross-validation", False, r["error"])
        for h in ("resolver", "resolver-b", "resolver-ab"):
            ok, seen = self.secure(h, f"www.{ZONE}", "A")
            yield (f"AD from {h}", ok, seen.get("rcode") or seen.get("error"))
            lines = self.host[h].servfails()
            yield (f"log of {h}", not lines, f"{len(lines)} SERVFAIL {lines[:1] or ''}")
        p = self.prober()
        total = {k: sum(c[k] for c in p["resolvers"].values()) for k in ("asked", "secure", "timeout", "bad", "cold")} \
            if p["resolvers"] else {"asked": 0, "secure": 0, "timeout": 0, "bad": 0, "cold": 0}
        yield ("questions all the while", total["asked"] > 0 and total["bad"] == 0,
               f"{total['asked']} asked, {total['cold']} cold, {total['secure']} secure, {total['timeout']} timed out, "
               f"{total['bad']} bad {p['bad'][:2] or ''}")

    def verdict(self):
        ok = True
        print(f"\n{'check':<36} {'':<5} seen")
        # The last one may take an hour after an agent has lost its key: the parent takes three new ones in that time.
        for name, good, seen in [*self.checks(), ("parent trusts both agents' keys", *self.keys_trusted())]:
            ok = ok and good
            print(f"{name:<36} {'ok' if good else 'FAIL':<5} {seen}")
        print(f"\n{'two providers sign one zone' if ok else 'NOT as it should be'}; "
              f"{time.monotonic() - self.started:.0f} s. The lab goes on running: tools/lab status | exec | logs | down")
        return ok

    # -- the rest

    def attach(self):
        """Work with a lab that is up."""
        try:
            with open(f"{self.base}/build") as f:
                self.build = f.read().strip()
        except OSError:
            raise LabError("the lab is not up") from None
        return self

    def status(self):
        self.attach()
        print(f"{'host':<12} {'address':<12} {'program':<10} state")
        for name, h in self.host.items():
            print(f"{name:<12} {h.addr:<12} {os.path.basename(h.argv()[0]):<10} {'running' if h.is_running() else 'DOWN'}")
        print()
        return self.verdict()

    def down(self):
        net.down()
        shutil.rmtree(self.base, ignore_errors=True)
        left = net.existing()
        if left or os.path.exists(self.base):
            raise LabError(f"left behind: {left} {self.base}")


def main(argv):
    if os.geteuid() != 0:
        print("network namespaces need root: sudo tools/lab ...", file=sys.stderr)
        return 2
    verb, rest = (argv[0], argv[1:]) if argv else ("help", [])
    lab = Lab()
    try:
        if verb == "up":
            lab.down()
            return 0 if lab.up() else 1
        if verb == "down":
            lab.down()
            return 0
        if verb == "status":
            return 0 if lab.status() else 1
        if verb == "exec" and len(rest) >= 2 and rest[0] in HOSTS:
            os.execvp("ip", ["ip", "netns", "exec", net.ns(rest[0]), *rest[1:]])
        if verb == "logs" and len(rest) == 1 and rest[0] in HOSTS:
            with open(lab.host[rest[0]].log, errors="replace") as f:
                shutil.copyfileobj(f, sys.stdout)
            return 0
    except (LabError, net.CommandFailed) as e:
        print(f"lab: {e}", file=sys.stderr)
        print("lab: it is left as it is; look with tools/lab logs HOST, then tools/lab down", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: BSD-2-Clause
"""What runs on each host: its configuration, how it is started, stopped and asked. One class per program."""
import base64
import json
import os
import signal
import sqlite3
import time

from lab import net
from lab.topology import (BOOT, HOSTS, KIDS_NS, KIDS_NS_2, MSA_PORT, OPEN, PARENT, PLAIN, SIGNED, TARGET, TARGET_PORT, TLD, TORN,
                          TSIG, TTL, ZONE, hsync_rdata, identity, msa_host, ns_name)

KEYMGR, KNOTC, KNOTD = "/usr/sbin/keymgr", "/usr/sbin/knotc", "/usr/sbin/knotd"
PDNSUTIL, PDNS_CONTROL, PDNS_SERVER = "/usr/bin/pdnsutil", "/usr/bin/pdns_control", "/usr/sbin/pdns_server"
PDNS_SCHEMA = "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql"


class LabError(Exception):
    """Something did not come about; the text says what was last seen."""


def wait_for(what, predicate, timeout=60.0, pause=0.1):
    """Poll a condition. The predicate returns (done, what was seen)."""
    end = time.monotonic() + timeout
    while True:
        done, seen = predicate()
        if done:
            return seen
        if time.monotonic() > end:
            raise LabError(f"{what}: not within {timeout:.0f} s; last seen: {seen}")
        time.sleep(pause)


def write(path, text, mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as f:
        f.write(text)


class Host:
    """A host with one main program. `base` is the directory of the whole lab."""

    def __init__(self, lab, name):
        self.lab, self.name, self.addr = lab, name, HOSTS[name]
        self.dir = os.path.join(lab.base, name)
        self.log = os.path.join(self.dir, "log")
        self.pidfile = os.path.join(self.dir, "lab.pid")

    def argv(self):
        raise NotImplementedError

    def configure(self):
        os.makedirs(self.dir, exist_ok=True)

    def start(self):
        pid = net.popen(self.name, self.argv(), self.log)
        write(self.pidfile, f"{pid}\n")

    def pid(self):
        with open(self.pidfile) as f:
            return int(f.read())

    def is_running(self):
        try:
            with open(f"/proc/{self.pid()}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] != "Z"
        except (OSError, ValueError):
            return False

    def kill(self, sig=signal.SIGKILL):
        """The main program and what it has started; waits until they are gone."""
        for pid in net.pids(self.name):
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
        wait_for(f"{self.name}: processes gone", lambda: (not net.pids(self.name), net.pids(self.name)), 20)

    def run(self, *argv, **kw):
        return net.enter(self.name, argv, **kw)


class Knot(Host):
    """knotd: authoritative, signing or not. `zones` is a list of dicts: domain, and lines of its own."""
    policies = ""
    remotes = ()   # (id, address, port, tsig)
    tsig = ()      # names of TSIG keys held
    actions = "notify, transfer"  # what their holders may do
    sign_alg = "ecdsap256sha256"

    def zones(self):
        raise NotImplementedError

    def configure(self):
        super().configure()
        d = self.dir
        os.makedirs(f"{d}/db", exist_ok=True)
        keys = "".join(f"  - id: {k}\n    algorithm: hmac-sha256\n    secret: {self.lab.secret(k)}\n" for k in self.tsig)
        remotes = "".join(f"  - id: {i}\n    address: {a}@{p}\n    via: {self.addr}\n" + (f"    key: {k}\n" if k else "")
                          for i, a, p, k in self.remotes)
        acls = "".join(f"  - id: acl-{k.rstrip('.')}\n    key: {k}\n    action: [ {self.actions} ]\n" for k in self.tsig)
        text = f"""server:
    rundir: "{d}"
    listen: [ {self.addr}@53 ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{d}/db"
    kasp-db-max-size: 20M
    journal-db-max-size: 50M
    timer-db-max-size: 10M
"""
        text += f"key:\n{keys}" if keys else ""
        text += f"remote:\n{remotes}" if remotes else ""
        text += ("acl:\n" + acls + f"""  - id: acl-lab
    address: 10.53.0.0/16
    action: transfer
""")
        text += f"policy:\n{self.policies}" if self.policies else ""
        text += "zone:\n" + "".join("".join(("  - " if i == 0 else "    ") + line + "\n" for i, line in enumerate(z))
                                    for z in self.zones())
        write(f"{d}/knot.conf", text, 0o600)

    def argv(self):
        return [KNOTD, "-c", f"{self.dir}/knot.conf"]

    def keymgr(self, zone, *args):
        return net.run(KEYMGR, "-c", f"{self.dir}/knot.conf", zone, *args).stdout

    def knotc(self, *args, check=True):
        return net.run(KNOTC, "-c", f"{self.dir}/knot.conf", *args, check=check).stdout

    def make_keys(self, zone):
        for ksk, zsk in (("yes", "no"), ("no", "yes")):
            self.keymgr(zone, "generate", f"algorithm={self.sign_alg}", f"ksk={ksk}", f"zsk={zsk}")

    def ds(self, zone):
        """DS RDATA of digest type 2 for the zone's KSKs."""
        rows = [line.split(None, 2)[2] for line in self.keymgr(zone, "ds").splitlines() if line.strip()]
        return [r for r in rows if r.split()[2] == "2"]


class TreeHost(Knot):
    """Root, TLD or parent: a small zone from a file, signed by Knot."""
    policies = f"""  - id: tree
    manual: on
    dnskey-ttl: {TTL}
    zone-max-ttl: 3600
    propagation-delay: 0
"""

    acls = "acl-lab"
    more = ()

    def __init__(self, lab, name, zone, records):
        super().__init__(lab, name)
        self.zone, self.records = zone, records  # records: function -> list of lines, called when everything below has keys

    def zones(self):
        return [[f"domain: {self.zone}", f"file: \"{self.dir}/zone\"", "zonefile-load: difference-no-serial",
                 "journal-content: all", "zonefile-sync: -1", "dnssec-signing: on", "dnssec-policy: tree",
                 f"acl: [ {self.acls} ]", "semantic-checks: off", *self.more]]

    def configure(self):
        super().configure()
        self.make_keys(self.zone)

    def write_zone(self):
        ns = "a.root." if self.zone == "." else f"ns.{self.zone}"
        lines = [f"$ORIGIN {self.zone}", f"$TTL {TTL}", f"@ SOA {ns} hostmaster.example. 1 3600 600 864000 {TTL}",
                 f"@ NS {ns}", f"{ns} A {self.addr}"]
        write(f"{self.dir}/zone", "\n".join(lines + self.records()) + "\n")


class ParentPrimary(TreeHost):
    """The parent zone's primary: unmodified Knot, which parentd transfers from and updates."""
    tsig = ("registry.",)
    actions = "transfer, update"
    acls = "acl-registry, acl-lab"
    more = ("notify: registry",)

    def __init__(self, lab, records):
        super().__init__(lab, "parent", PARENT, records)
        self.remotes = (("registry", HOSTS["registry"], TARGET_PORT, "registry."),)


class KidsServer(Knot):
    """A server for children of the parent that have no agents."""
    served, signed = (), ()

    def zones(self):
        file = ["zonefile-load: difference-no-serial", "journal-content: all", "zonefile-sync: -1", "acl: acl-lab"]
        return [[f"domain: {z}", f"file: \"{self.dir}/{z}zone\"", *file,
                 *(["dnssec-signing: on", "dnssec-policy: tree"] if z in self.signed else [])] for z in self.served]

    def write_child(self, zone, servers, keys, more=()):
        """keys: KEY RDATA at the apex; more: other lines of the file."""
        write(f"{self.dir}/{zone}zone", "\n".join(
            [f"$ORIGIN {zone}", f"$TTL {TTL}", f"@ SOA {KIDS_NS} hostmaster.example. 1 3600 600 864000 {TTL}", "www A 192.0.2.7"] +
            [f"@ NS {ns}" for ns in servers] + [f"@ KEY {k}" for k in keys] + list(more)) + "\n")


class Kids(KidsServer):
    """One child that is secure, one that wants to be, and unsigned ones; the SIG(0) keys of all."""
    policies = TreeHost.policies + "    cds-cdnskey-publish: always\n"
    served, signed = (SIGNED, PLAIN, BOOT, OPEN, TORN), (SIGNED, BOOT)
    # at the apex of their zones, but for those that are called absent; torn-other: at the second server only
    sig0 = {"first": SIGNED, "second": SIGNED, "absent": SIGNED, "plain": PLAIN, "plain-absent": PLAIN, "open": OPEN,
            "torn": TORN, "torn-other": TORN}

    def __init__(self, lab):
        super().__init__(lab, "kids")

    def configure(self):
        super().configure()
        for z in self.signed:
            self.make_keys(z)
        write(f"{self.dir}/keys.json", json.dumps({name: self.make_sig0(zone) for name, zone in self.sig0.items()}))
        for z in self.served:
            self.write_child(z, [KIDS_NS, KIDS_NS_2] if z in (OPEN, TORN) else [KIDS_NS], self.keys_of(z))

    def keys_of(self, zone):
        """KEY RDATA at the apex."""
        return [self.sig0_record(k) for k, of in self.sig0.items() if of == zone and not k.endswith(("absent", "other"))]

    def add_server(self, zone):
        """One more name server, below the child itself, and CSYNC that asks the parent to follow: NS "ns.<zone>" and its glue."""
        self.write_child(zone, [KIDS_NS, f"ns.{zone}"], self.keys_of(zone), [f"ns A {self.addr}", "@ CSYNC 0 1 NS A"])
        self.knotc("zone-reload", zone)

    def add_ksk(self, zone):
        """A KSK that signs beside the others, and which CDS names instead of them. Its ID."""
        key = self.keymgr(zone, "generate", f"algorithm={self.sign_alg}", "ksk=yes", "publish=+0", "ready=+0", "active=+10y")
        self.knotc("zone-sign", zone)
        return key.split()[-1]

    def drop_ksk(self, zone, tag, successor):
        self.keymgr(zone, "set", successor, "active=+0")
        self.keymgr(zone, "delete", tag)
        self.knotc("zone-sign", zone)

    def make_sig0(self, zone):
        out = net.run(self.lab.program("msctl"), "--json", "key", "generate", "--dir", self.dir, zone)
        return json.loads(out.stdout)["file"]

    def key_file(self, key):
        with open(f"{self.dir}/keys.json") as f:
            return json.load(f)[key]

    def sig0_record(self, key):
        """KEY RDATA."""
        with open(self.key_file(key).replace(".private", ".key")) as f:
            return next(line.split(" KEY ", 1)[1].strip() for line in f if " KEY " in line)

    def signals(self):
        """What the name server's own zone says for its children: RFC 9615, PROTOCOL G.6."""
        lines = [f"_sig0key.{PLAIN.rstrip('.')}._signal.{KIDS_NS} KEY {self.sig0_record('plain')}"]
        at = f"_dsboot.{BOOT.rstrip('.')}._signal.{KIDS_NS}"
        lines += [f"{at} CDS {ds}" for ds in self.ds(BOOT)]
        lines += [f"{at} CDNSKEY {line.split(' DNSKEY ', 1)[1]}" for line in self.keymgr(BOOT, "dnskey").splitlines()
                  if " DNSKEY 257 " in line]
        return lines


class Kids2(KidsServer):
    """The second server of the unsigned children. PLAIN may move here."""
    served = (PLAIN, OPEN, TORN)

    def __init__(self, lab):
        super().__init__(lab, "kids-2")

    def configure(self):
        super().configure()
        first = self.lab.host["kids"]
        self.write_child(PLAIN, [KIDS_NS], [first.sig0_record("plain")])
        self.write_child(OPEN, [KIDS_NS, KIDS_NS_2], [first.sig0_record("open")])
        self.show_torn("torn-other")

    def show_torn(self, key):
        self.write_child(TORN, [KIDS_NS, KIDS_NS_2], [self.lab.host["kids"].sig0_record(key)])


class Nsd(Host):
    """nsd: authoritative, on its own address."""

    def server_section(self):
        d = self.dir
        return f"""server:
  ip-address: {self.addr}
  zonesdir: "{d}"
  database: ""
  pidfile: "{d}/nsd.pid"
  xfrdfile: "{d}/xfrd.state"
  zonelistfile: "{d}/zone.list"
  xfrdir: "{d}"
  username: ""
  server-count: 1
  verbosity: 1
  logfile: ""
"""

    def argv(self):
        return ["/usr/sbin/nsd", "-d", "-c", f"{self.dir}/nsd.conf"]


class Owner(Nsd):
    """The zone owner's primary: NSD, TSIG to each provider's combiner. Edits HSYNC, nothing else."""

    def __init__(self, lab):
        super().__init__(lab, "owner")

    def configure(self):
        super().configure()
        d = self.dir
        keys = "".join(f"key:\n  name: \"{k}\"\n  algorithm: hmac-sha256\n  secret: \"{self.lab.secret(k)}\"\n"
                       for k in ("owner-a.", "owner-b."))
        peers = "".join(f"  notify: {HOSTS[p + '-comb']} owner-{p}.\n  provide-xfr: {HOSTS[p + '-comb']} owner-{p}.\n"
                        for p in ("a", "b"))
        write(f"{d}/nsd.conf", f"""{self.server_section()}remote-control:
  control-enable: yes
  control-interface: "{d}/nsd.sock"
{keys}zone:
  name: {ZONE}
  zonefile: zone
{peers}""", 0o600)
        self.serial = 1
        self.write_zone(("a",))

    def write_zone(self, providers, extra=()):
        lines = [f"$ORIGIN {ZONE}", f"$TTL {TTL}",
                 f"@ SOA ns.owner.example. hostmaster.example. {self.serial} 30 5 864000 {TTL}",
                 f"@ NS {ns_name('a')}", "@ MX 10 mail", "@ A 192.0.2.1", "mail A 192.0.2.2", "www AAAA 2001:db8::3",
                 "www A 192.0.2.3", "*.wild TXT \"wildcard\"", "a.ent A 192.0.2.4", "deleg NS ns.deleg",
                 "ns.deleg A 192.0.2.5", "alias CNAME www", "odd TYPE65400 \\# 3 010203"]
        lines += ["@ " + hsync_rdata(1, 1, 1, identity(p)) for p in providers]
        write(f"{self.dir}/zone", "\n".join(lines + list(extra)) + "\n")
        write(f"{self.dir}/serial", f"{self.serial}\n")

    def edit(self, providers, extra=()):
        """The owner's one act: another HSYNC RRset, a new serial, reload."""
        with open(f"{self.dir}/serial") as f:
            self.serial = int(f.read()) + 1
        self.write_zone(providers, extra)
        self.run("/usr/sbin/nsd-control", "-c", f"{self.dir}/nsd.conf", "reload", ZONE)
        return self.serial


class KnotSigner(Knot):
    """Provider A's signer: Knot, unmodified, as SIGNERS 4.1: the agent is the clock for the customer's zone."""
    tsig = ("signer-a.",)
    policies = f"""  - id: multisigner
    manual: on
    dnskey-management: incremental
    delete-delay: 1d
    cds-cdnskey-publish: rollover
    dnskey-ttl: {TTL}
    zone-max-ttl: 300
    propagation-delay: 1
  - id: own
    manual: on
    dnskey-ttl: {TTL}
    cds-cdnskey-publish: none
"""

    def __init__(self, lab):
        super().__init__(lab, "a-sign")
        self.remotes = (("combiner", HOSTS["a-comb"], 53, "signer-a."), ("msa", HOSTS["a-msa"], 53, "signer-a."),
                        ("ns", HOSTS["a-ns"], 53, "signer-a."))

    def zones(self):
        common = ["acl: [ acl-signer-a, acl-lab ]", "dnssec-signing: on", "zonefile-load: none", "zonefile-sync: -1",
                  "journal-content: all", "serial-policy: unixtime", "semantic-checks: off",
                  "refresh-min-interval: 2", "retry-min-interval: 2"]
        return [[f"domain: {ZONE}", "master: combiner", "notify: [ msa, ns ]", "dnssec-policy: multisigner"] + common,
                [f"domain: {identity('a')}", "master: msa", "notify: [ ns ]", "dnssec-policy: own"] + common]

    def configure(self):
        super().configure()
        for zone in (ZONE, identity("a")):
            self.make_keys(zone)


class PdnsSigner(Host):
    """Provider B's signer: PowerDNS, unmodified, live-signing secondary as SIGNERS 4.2."""

    def __init__(self, lab):
        super().__init__(lab, "b-sign")

    def configure(self):
        super().configure()
        d = self.dir
        os.makedirs(f"{d}/run", exist_ok=True)
        write(f"{d}/pdns.conf", f"""launch=gsqlite3
gsqlite3-database={d}/pdns.db
gsqlite3-dnssec=yes
local-address={self.addr}:53
query-local-address={self.addr}
socket-dir={d}/run
daemon=no
guardian=no
setuid=
setgid=
secondary=yes
primary=yes
secondary-do-renotify=yes
allow-notify-from=10.53.0.0/16
allow-axfr-ips=10.53.0.0/16
also-notify={HOSTS['b-msa']}:53,{HOSTS['b-ns']}:53
only-notify=
xfr-cycle-interval=2
direct-dnskey=yes
default-ksk-algorithm=ecdsa256
default-zsk-algorithm=ecdsa256
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
zone-metadata-cache-ttl=0
dnssec-key-cache-ttl=0
""", 0o600)
        db = sqlite3.connect(f"{d}/pdns.db")
        with open(PDNS_SCHEMA) as f:
            db.executescript(f.read())
        db.execute("pragma journal_mode=wal")
        db.close()
        self.util("import-tsig-key", "signer-b", "hmac-sha256", self.lab.secret("signer-b."))
        for zone, primary in ((ZONE, HOSTS["b-comb"]), (identity("b"), HOSTS["b-msa"])):
            z = zone.rstrip(".")
            self.util("create-secondary-zone", z, f"{primary}:53")
            self.util("activate-tsig-key", z, "signer-b", "secondary")
            self.util("activate-tsig-key", z, "signer-b", "primary")
            self.util("set-meta", z, "SOA-EDIT", "EPOCH")
            self.util("add-zone-key", z, "ksk", "active", "ecdsa256")
            self.util("add-zone-key", z, "zsk", "active", "ecdsa256")

    def util(self, *args):
        return net.run(PDNSUTIL, f"--config-dir={self.dir}", *args).stdout

    def argv(self):
        return [PDNS_SERVER, f"--config-dir={self.dir}"]

    def ds(self, zone):
        rows = [line.split(" DS ")[1].split(";")[0].split() for line in
                self.util("export-zone-ds", zone.rstrip(".")).splitlines() if " DS " in line]
        return [" ".join(r[:3]) + " " + "".join(r[3:]) for r in rows if r[2] == "2"]


class NsdServer(Nsd):
    """Provider A's public name server: NSD, secondary of the signer."""

    def __init__(self, lab, p):
        super().__init__(lab, f"{p}-ns")
        self.p = p

    def configure(self):
        super().configure()
        d, k, sign = self.dir, f"signer-{self.p}.", HOSTS[f"{self.p}-sign"]
        zones = "".join(f"""zone:
  name: {z}
  zonefile: {z}zone
  allow-notify: {sign} {k}
  request-xfr: AXFR {sign} {k}
  provide-xfr: 10.53.0.0/16 NOKEY
  min-refresh-time: 1
  max-refresh-time: 30
  min-retry-time: 1
  max-retry-time: 2
""" for z in (ZONE, identity(self.p)))
        write(f"{d}/nsd.conf", f"""{self.server_section()}key:
  name: "{k}"
  algorithm: hmac-sha256
  secret: "{self.lab.secret(k)}"
{zones}""", 0o600)


class KnotServer(Knot):
    """Provider B's public name server: Knot, secondary of the signer."""

    def __init__(self, lab, p):
        super().__init__(lab, f"{p}-ns")
        self.p, self.tsig = p, (f"signer-{p}.",)
        self.remotes = (("signer", HOSTS[f"{p}-sign"], 53, f"signer-{p}."),)

    def zones(self):
        return [[f"domain: {z}", "master: signer", f"acl: [ acl-signer-{self.p}, acl-lab ]", "zonefile-load: none",
                 "zonefile-sync: -1", "journal-content: all", "semantic-checks: off", "refresh-min-interval: 2",
                 "refresh-max-interval: 30", "retry-min-interval: 2", "retry-max-interval: 2"]
                for z in (ZONE, identity(self.p))]


class Combiner(Host):
    """combinerd of one provider."""

    def __init__(self, lab, p):
        super().__init__(lab, f"{p}-comb")
        self.p, self.socket = p, f"{self.dir}/control.sock"

    def configure(self):
        super().configure()
        p = self.p
        os.makedirs(f"{self.dir}/state", exist_ok=True)
        keys = self.lab.tsig_settings(self.dir, (f"owner-{p}.", f"signer-{p}.", f"msad-{p}."))
        write(f"{self.dir}/combinerd.conf", f"""state-dir = "{self.dir}/state";
control   = "{self.socket}";
log-level = "info";
listen    = ( {{ address = "{self.addr}"; port = 53; }} );
tsig-keys = ( {keys} );
zones = ( {{
    name      = "{ZONE}";
    identity  = "{identity(p)}";
    primaries = ( {{ address = "{HOSTS['owner']}"; port = 53; tsig-key = "owner-{p}."; }} );
    signers   = ( {{ address = "{HOSTS[p + '-sign']}"; port = 53; tsig-key = "signer-{p}."; }} );
    agents    = ( {{ tsig-key = "msad-{p}."; }} );
    extra-types = [ "KEY" ];
    refresh-min = 1;
}} );
""")

    def argv(self):
        return [self.lab.program("combinerd"), "-c", f"{self.dir}/combinerd.conf"]


class Agent(Host):
    """msad of one provider."""

    def __init__(self, lab, p):
        super().__init__(lab, f"{p}-msa")
        self.p, self.socket = p, f"{self.dir}/control.sock"

    def configure(self):
        super().configure()
        p = self.p
        os.makedirs(f"{self.dir}/state", exist_ok=True)
        keys = self.lab.tsig_settings(self.dir, (f"signer-{p}.", f"msad-{p}."))
        out = net.run(self.lab.program("msctl"), "--json", "key", "generate", "--dir", self.dir, msa_host(p))
        self.key = json.loads(out.stdout)["file"]
        if p == "a":
            adapter = (f'adapter = "knot"; keymgr = "{KEYMGR}"; knotc = "{KNOTC}"; '
                       f'knot-conf = "{self.lab.base}/a-sign/knot.conf";')
        else:
            adapter = (f'adapter = "pdns"; pdnsutil = "{PDNSUTIL}"; pdns-control = "{PDNS_CONTROL}"; '
                       f'pdns-config-dir = "{self.lab.base}/b-sign";')
        write(f"{self.dir}/msad.conf", f"""identity  = "{identity(p)}";
host      = "{msa_host(p)}";
sig0-key  = "{self.key}";
state-dir = "{self.dir}/state";
control   = "{self.socket}";
log-level = "info";
listen      = ( {{ address = "{self.addr}"; port = {MSA_PORT}; }} );
zone-listen = ( {{ address = "{self.addr}"; port = 53; }} );
publish     = [ "{self.addr}" ];
resolver : {{ trust-anchor-file = "{self.lab.base}/anchor"; root-servers = [ "{HOSTS['root']}" ]; }};
tsig-keys = ( {keys} );
identity-zone : {{
    name  = "{identity(p)}";
    ns    = [ "{ns_name(p)}" ];
    mname = "{ns_name(p)}";
    rname = "hostmaster.provider-{p}.example.";
    ttl   = {TTL};
    downstreams = ( {{ address = "{HOSTS[p + '-sign']}"; port = 53; tsig-key = "signer-{p}."; }} );
}};
zones = ( {{
    name       = "{ZONE}";
    ns         = [ "{ns_name(p)}" ];
    dnskey-ttl = {TTL};
    signer   : {{ address = "{HOSTS[p + '-sign']}"; port = 53; tsig-key = "signer-{p}."; {adapter} }};
    combiner : {{ address = "{HOSTS[p + '-comb']}"; port = 53; tsig-key = "msad-{p}."; }};
}} );
parent : {{ delay = 1; observe = 1; poll = 1; poll-max = 5; key-poll = 1; key-poll-max = 5; }};
heartbeat = 2; hello-retry = 2; hello-retry-max = 10; discovery-retry = 1; discovery-retry-max = 5; discovery-cache-min = 5;
""")

    def argv(self):
        return [self.lab.program("msad"), "-c", f"{self.dir}/msad.conf"]


class Registry(Host):
    """parentd, in front of the parent's primary."""

    def __init__(self, lab):
        super().__init__(lab, "registry")
        self.socket = f"{self.dir}/control.sock"

    def configure(self):
        super().configure()
        os.makedirs(f"{self.dir}/state", exist_ok=True)
        keys = self.lab.tsig_settings(self.dir, ("registry.",))
        out = net.run(self.lab.program("msctl"), "--json", "key", "generate", "--dir", self.dir, TARGET)
        primary = f'address = "{HOSTS["parent"]}"; port = 53; tsig-key = "registry.";'
        write(f"{self.dir}/parentd.conf", f"""target    = "{TARGET}";
sig0-keys = [ "{json.loads(out.stdout)['file']}" ];
state-dir = "{self.dir}/state";
control   = "{self.socket}";
log-level = "info";
listen    = ( {{ address = "{self.addr}"; port = {TARGET_PORT}; }} );
resolver : {{ trust-anchor-file = "{self.lab.base}/anchor"; root-servers = [ "{HOSTS['root']}" ]; }};
tsig-keys = ( {keys} );
policies = ( {{
    name = "lab"; sources = [ "update", "cds", "dsboot", "csync" ]; bootstrap = [ "at-apex", "at-ns", "manual" ];
    ns-min = 1; private-addresses = true; cooldown = 0; changes-per-day = 0; confirm = 5; bootstrap-retry = 2;
    ds-ttl = {TTL}; ds-ttl-changed = 0;
}}, {{
    name = "unsigned"; sources = [ "update" ]; bootstrap = [ "unsigned", "manual" ];
    unsigned-vantages = 2; unsigned-rounds = 3; unsigned-span = 4; bootstrap-retry = 1;  # in real life: a day
    ns-min = 1; private-addresses = true; cooldown = 0; changes-per-day = 0;
}}, {{
    name = "asks"; sources = [ "update" ]; bootstrap = [ "unsigned", "manual" ]; mode = "propose";
    unsigned-vantages = 2; unsigned-rounds = 2; unsigned-span = 2; bootstrap-retry = 1;
    ns-min = 1; private-addresses = true; cooldown = 0; changes-per-day = 0;
}} );
children = ( {{ zone = "{OPEN}"; policy = "unsigned"; }}, {{ zone = "{TORN}"; policy = "asks"; }} );
vantages = ( {{ address = "{HOSTS['resolver']}"; }} );
parents = ( {{
    zone = "{PARENT}"; policy = "lab";
    primary : {{ {primary} interval = 30; }};
    backends = ( {{ name = "primary"; kind = "update"; retry = 1; {primary} }} );
    publish : {{ how = "update"; addresses = [ "{self.addr}" ]; ttl = {TTL}; }};
}} );
probe-ipv6 = false;
limits : {{ sweep = 0; }};  # what happens here happens because somebody asked for it
""")

    def argv(self):
        return [self.lab.program("parentd"), "-c", f"{self.dir}/parentd.conf"]


class Resolver(Host):
    """A validating unbound whose only trust anchor is the lab's root. stub: servers of ZONE to ask instead of the delegation's."""

    def __init__(self, lab, name, stub=()):
        super().__init__(lab, name)
        self.stub = stub

    def configure(self):
        super().configure()
        d = self.dir
        write(f"{d}/root.hints", f". 3600 NS a.root.\na.root. 3600 A {HOSTS['root']}\n")
        stub = ""
        if self.stub:
            stub = f"stub-zone:\n  name: {ZONE}\n" + "".join(f"  stub-addr: {HOSTS[s]}\n" for s in self.stub)
        write(f"{d}/unbound.conf", f"""server:
  directory: "{d}"
  pidfile: "{d}/unbound.pid"
  chroot: ""
  username: ""
  use-syslog: no
  logfile: ""
  log-servfail: yes
  val-log-level: 2
  verbosity: 1
  interface: {self.addr}
  access-control: 10.53.0.0/16 allow
  root-hints: "{d}/root.hints"
  trust-anchor-file: "{self.lab.base}/anchor"
  do-ip6: no
  num-threads: 1
  infra-host-ttl: 5
  minimal-responses: no
remote-control:
  control-enable: yes
  control-interface: "{d}/unbound.sock"
  control-use-cert: no
{stub}""")

    def argv(self):
        return ["/usr/sbin/unbound", "-d", "-c", f"{self.dir}/unbound.conf"]

    def control(self, *args):
        return self.run("/usr/sbin/unbound-control", "-c", f"{self.dir}/unbound.conf", *args, check=False).stdout

    def servfails(self):
        """Lines of its log that tell of an answer it could not give or a validation that failed."""
        with open(self.log, errors="replace") as f:
            return [line.strip() for line in f if "SERVFAIL" in line or "validation failure" in line]


def random_secret():
    return base64.b64encode(os.urandom(32)).decode()


def tree(lab):
    """Root, TLD and parent, from below: each zone's records name the DS of what is delegated."""
    def ds(host, zone):
        return [f"{zone} DS {r}" for r in lab.host[host].ds(zone)]

    def root():
        return [f"{TLD} NS ns.{TLD}", f"ns.{TLD} A {HOSTS['tld']}"] + ds("tld", TLD)

    def tld():
        lines = [f"{PARENT} NS ns.{PARENT}", f"ns.{PARENT} A {HOSTS['parent']}"] + ds("parent", PARENT)
        for p in ("a", "b"):
            lines += [f"{ns_name(p)} A {HOSTS[p + '-ns']}", f"{identity(p)} NS {ns_name(p)}"]
            lines += ds(f"{p}-sign", identity(p))
        lines += [f"{KIDS_NS} A {HOSTS['kids']}", f"{KIDS_NS_2} A {HOSTS['kids-2']}"]
        return lines + lab.host["kids"].signals()

    def parent():
        lines = [f"{ZONE} NS {ns_name('a')}"] + ds("a-sign", ZONE)
        lines += [f"{z} NS {KIDS_NS}" for z in (SIGNED, PLAIN, BOOT, OPEN, TORN)]
        return lines + [f"{z} NS {KIDS_NS_2}" for z in (OPEN, TORN)] + ds("kids", SIGNED)

    return [TreeHost(lab, "root", ".", root), TreeHost(lab, "tld", TLD, tld), ParentPrimary(lab, parent)]

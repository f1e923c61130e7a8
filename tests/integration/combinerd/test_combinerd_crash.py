# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 at any moment: nothing acknowledged is lost, no serial goes backwards, damage is found and repaired."""

import contextlib
import glob
import os
import random
import shutil
import sqlite3
import threading
import time

import dns.exception

import cmbharness as h

KEYS = [f"257 3 13 {i:02d}" + "sswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==" for i in range(60)]


def ahead(a, b):
    return a == b or (a - b) & 0xffffffff < 1 << 31


def test_reply_means_on_disk(pair):
    """Killed right after the answer, the instruction is there after the restart, and is served at once."""
    _, comb = pair
    for i in range(10):
        assert comb.rcode(("add", 10, "NS", f"n{i}.x.test.")) == "NOERROR"
        comb.kill9()
        comb.start()
        served = {r[3] for r in comb.axfr() if r[2] == "NS"}
        assert len(served) == i + 1, i


def test_serial_never_goes_back_and_nothing_is_lost_over_20_kills(servers, base):
    seed = int(os.environ.get("MSP_SEED", "0")) or random.randrange(1 << 30)
    print(f"seed {seed}")
    rnd = random.Random(seed)
    owner = servers(h.Nsd(base, "owner", h.zone_text(5000, refresh=1)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.notify = comb.where()
    owner.start()
    comb.start()
    acked, lock, stop = {}, threading.Lock(), threading.Event()
    serials = []

    def instruct():
        n = 0
        while not stop.is_set():
            n += 1
            name = f"n{n % 15}.x.test."
            change = ("add", 10, "NS", name) if n % 3 else ("delete", "NS", name)
            unknown = False
            try:
                ok = comb.update(change).rcode() == 0
            except (OSError, EOFError, dns.exception.DNSException):
                ok, unknown = False, True
            with lock:
                if unknown:
                    acked[name] = None  # may or may not have happened
                elif ok:
                    acked[name] = change[0] == "add"
            if unknown:
                time.sleep(0.02)

    def watch():
        while not stop.is_set():
            try:
                serials.append(comb.soa("msad."))
            except (OSError, EOFError, dns.exception.DNSException):
                time.sleep(0.005)

    def edit():
        s = 5000
        while not stop.is_set():
            s += rnd.choice((1, 1, 1, 50))
            owner.change(h.zone_text(s, [f"e{s}.{h.ZONE} 60 IN A 192.0.2.9"], refresh=1))
            time.sleep(0.3)

    threads = [threading.Thread(target=f, daemon=True) for f in (instruct, watch, edit)]
    for t in threads:
        t.start()
    for _ in range(20):
        time.sleep(rnd.uniform(0.02, 0.4))
        comb.kill9()
        comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."))
    stop.set()
    for t in threads:
        t.join(10)
    serials = [s for s in serials if s is not None]
    assert len(serials) > 50
    for a, b in zip(serials, serials[1:]):
        assert ahead(b, a), (seed, a, b)
    h.wait_for(lambda: h.content(comb.axfr()) == h.content(owner.axfr("owner.")), message="owner's last version")
    time.sleep(0.7)  # the quiet time
    served = {r[3] for r in comb.axfr() if r[2] == "NS"}
    held = {c["type"]: c["records"] for c in comb.show()["contributions"]}
    for name, state in acked.items():
        if state is None:
            continue
        wire = __import__("dns.name", fromlist=["x"]).from_text(name).to_wire()
        assert (wire in served) == state, (seed, name, state, held)


def test_serials_survive_the_loss_of_the_zone_store(pair):
    _, comb = pair
    for i in range(5):
        comb.update(("add", 10, "NS", f"n{i}.x.test."))
    h.wait_for(lambda: len(comb.ask("NS", "msad.").answer[0]) == 5)
    last = comb.soa("msad.")
    before = h.content(comb.axfr(), ())
    comb.kill9()
    for f in glob.glob(comb.dir + "/state/zones.lmdb*"):
        os.unlink(f)
    comb.start()
    assert last < comb.soa("msad.") <= last + 101  # serials are reserved in steps of 100
    assert h.content(comb.axfr(), ()) == before


def test_garbage_in_place_of_the_zone_store_is_moved_aside(pair):
    _, comb = pair
    before = h.content(comb.axfr(), ())
    comb.kill9()
    with open(comb.dir + "/state/zones.lmdb", "wb") as f:
        f.write(os.urandom(65536))
    comb.start()
    assert h.content(comb.axfr(), ()) == before
    assert os.path.exists(comb.dir + "/state/zones.lmdb.damaged")


def test_damaged_page_is_not_served_but_fetched_again(pair):
    """A flipped bit in the content of a page: the checksum finds it."""
    _, comb = pair
    before = h.content(comb.axfr(), ())
    comb.kill9()
    path = comb.dir + "/state/zones.lmdb"
    data = open(path, "rb").read()
    at = data.rindex(b"\x03www") + 2 if b"\x03www" in data else None
    assert at is not None
    with open(path, "r+b") as f:
        start = 0
        while True:  # every copy, stale ones too
            i = data.find(b"\x03www", start)
            if i < 0:
                break
            f.seek(i + 2)
            f.write(b"W")
            start = i + 1
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."))
    try:
        records = comb.axfr()
    except (EOFError, OSError, dns.exception.DNSException):
        records = None
    if records is not None:
        assert not any(b"wWw" in r[0].encode() for r in records), "damaged data was served"
    h.wait_for(lambda: h.content(comb.axfr(), ()) == before, message="fetched anew")
    assert "pages-damaged" in comb.log_text()


def test_damaged_page_is_fetched_again_once_the_primary_is_back(pair):
    """The first attempts fail; asking for the serial alone would then find nothing new for ever."""
    owner, comb = pair
    before = h.content(comb.axfr(), ())
    comb.kill9()
    path = comb.dir + "/state/zones.lmdb"
    with open(path, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(data.replace(b"\x03www", b"\x03wWw"))
    owner.stop()
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad."))
    try:
        comb.axfr()
    except (EOFError, OSError, dns.exception.DNSException):
        pass
    h.wait_for(lambda: comb.show()["refresh_failures"] >= 2, message="attempts failed")
    assert "damaged" in comb.show()["state"]
    owner.start()
    h.wait_for(lambda: h.content(comb.axfr(), ()) == before, message="fetched anew")


def test_signed_zone_survives_a_kill_between_pages_and_state(servers, base):
    """The pages are of the new version, the state of the old one: the new serial was not handed out yet and is the only one
    that fits the signatures."""
    rrsig = f"{h.ZONE} 300 IN RRSIG SOA 13 2 300 20400101000000 20200101000000 1 {h.ZONE} {'A' * 86}=="
    owner = servers(h.Nsd(base, "owner", h.zone_text(1000, [rrsig])))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.notify = comb.where()
    owner.start()
    comb.start()
    comb.stop()
    db = comb.dir + "/state/combinerd.db"
    shutil.copy(db, db + ".old")
    comb.start()
    owner.change(h.zone_text(2000, [rrsig]))
    h.wait_for(lambda: comb.soa("msad.") == 2000)
    comb.stop()
    owner.stop()
    shutil.move(db + ".old", db)
    comb.start(wait=False)
    h.wait_for(lambda: comb.soa("msad.") == 2000, message="served with the owner's serial")


def test_zones_that_could_not_be_taken_leave_no_pages_behind(servers, base):
    """Somebody holds the state's lock: the zone is written, its version is not. Attempt after attempt takes the same room."""
    def text(serial):
        extra = [f"f{i}.{h.ZONE} 60 IN TXT {'y' * 200}" for i in range(20000)]
        return h.zone_text(serial, extra, refresh=1).replace(" 1 5 ", " 1 1 ")

    def size():
        return os.stat(comb.dir + "/state/zones.lmdb").st_blocks * 512

    owner = servers(h.Nsd(base, "owner", text(1000)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.start()
    comb.start()
    with contextlib.closing(sqlite3.connect(comb.dir + "/state/combinerd.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        owner.change(text(2000))
        h.wait_for(lambda: "storing the zone" in comb.log_text(), 40)
        before = size()
        h.wait_for(lambda: comb.log_text().count("storing the zone") >= 2, 40)
        assert size() < before + (1 << 20)
        assert comb.soa("msad.") == 1000
    h.wait_for(lambda: comb.soa("msad.") == 2000)
    assert len(comb.axfr()) > 20000


def test_damaged_instructions_stop_the_start(pair):
    """Contributions may not be lost silently: without them nothing is served."""
    _, comb = pair
    comb.update(("add", 10, "NS", "n.x.test."))
    comb.stop()
    with open(comb.dir + "/state/combinerd.db", "r+b") as f:
        f.seek(0)
        f.write(os.urandom(4096))
    comb.spawn(h.COMBINERD, "-c", comb.conf)
    assert comb.join() not in (0, None)
    assert "combinerd.db" in comb.log_text()


def test_clean_stop_and_restart_keep_everything(pair):
    _, comb = pair
    comb.update(("add", 10, "NS", "n.x.test."))
    records, history = comb.axfr(), comb.axfr(rdtype="IXFR", serial=1000)
    assert comb.stop() == 0
    comb.start()
    assert comb.axfr() == records
    assert comb.axfr(rdtype="IXFR", serial=1000) == history


def test_zone_expires_and_comes_back(servers, base):
    text = h.zone_text(5, refresh=1).replace(" 86400 60", " 3 60").replace(" 1 5 ", " 1 1 ")
    owner = servers(h.Nsd(base, "owner", text))
    comb = servers(h.Combinerd(base, [owner.where()], zone_settings="expire-min = 1;"))
    owner.start()
    comb.start()
    owner.stop()
    h.wait_for(lambda: comb.ask("SOA", "msad.").rcode() == 2, message="SERVFAIL after expiry")
    assert comb.show()["state"] == "expired"
    h.wait_for(lambda: "zone-expired" in comb.log_text())
    comb.kill9()  # a restart does not make an old zone young again
    comb.start(wait=False)
    assert comb.ask("SOA", "msad.").rcode() == 2
    owner.start()
    h.wait_for(lambda: comb.soa("msad.") == 5)


def test_full_disk_refuses_and_keeps_what_it_has(servers, base):
    """Nothing is acknowledged that could not be written; when there is room again, things go on."""
    import subprocess
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        import pytest
        pytest.skip("needs a mount namespace")
    owner = servers(h.Nsd(base, "owner", h.zone_text(1000)))
    comb = servers(h.Combinerd(base, [owner.where()]))
    owner.notify = comb.where()
    owner.start()
    # the small file system lives and dies with the process
    comb.spawn("unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=2m tmpfs {comb.dir}/state && exec {h.COMBINERD} -c {comb.conf}")
    h.wait_for(comb.ready)
    h.wait_for(lambda: comb.soa("msad."))
    assert comb.rcode(("add", 10, "NS", "n0.x.test.")) == "NOERROR"
    filler = f"/proc/{comb.proc.pid}/root{comb.dir}/state/filler"
    try:
        with open(filler, "wb", buffering=0) as f:
            while True:
                f.write(b"x" * 4096)
    except OSError:
        pass
    outcomes = [comb.rcode(("add", 10, "NS", f"n{i}.x.test.")) for i in range(1, 19)]
    assert "SERVFAIL" in outcomes, outcomes
    accepted = {"n0.x.test."} | {f"n{i}.x.test." for i, o in enumerate(outcomes, 1) if o == "NOERROR"}

    def held():
        return {r.split()[-1] for c in comb.show()["contributions"] for r in c["records"]}

    assert held() == accepted
    records = comb.axfr()  # what is there is still served
    owner.change(h.zone_text(2000, [f"f{i}.{h.ZONE} 60 IN TXT {'y' * 200}" for i in range(9000)]))
    h.wait_for(lambda: "error" in str(comb.show().get("last_error", "")) or "fit" in str(comb.show().get("last_error", "")))
    assert h.content(comb.axfr()) == h.content(records)
    os.unlink(filler)
    h.wait_for(lambda: comb.rcode(("add", 10, "NS", "last.x.test.")) == "NOERROR")
    assert held() == accepted | {"last.x.test."}

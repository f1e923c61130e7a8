# SPDX-License-Identifier: BSD-2-Clause
"""Usage, keys and configuration files: what needs nobody else."""
import base64
import hashlib
import os
import shutil
import stat
import struct
import subprocess

import dns.rdata
import dns.rdatatype
import pytest
from ctlharness import MSCTL, ROOT, msctl

ALGORITHMS = {"ED25519": 15, "ECDSAP256SHA256": 13, "ECDSAP384SHA384": 14, "ED448": 16, "RSASHA256": 8}


def key_tag(rdata):
    total = sum(b << 8 if i % 2 == 0 else b for i, b in enumerate(rdata))
    return (total + (total >> 16)) & 0xffff


@pytest.mark.parametrize("args,code", [
    ([], 2), (["--help"], 0), (["--version"], 0), (["nonsense"], 2), (["zone"], 2), (["zone", "nonsense"], 2), (["zone", "show"], 2),
    (["zone", "show", "a.", "b."], 2), (["--nonsense", "status"], 2), (["--port", "0", "status"], 2), (["--port", "65536", "status"], 2),
    (["--timeout", "x", "status"], 2), (["key", "generate", "a..b."], 2), (["key", "generate", "--algorithm", "DSA", "a."], 2),
    (["query", "hsync", "a..b.", "@127.0.0.1"], 2), (["query", "hsync", "a.", "@not-an-address"], 2), (["query", "dsync", ".", "@127.0.0.1"], 2),
    (["query", "keystate", "a.", "@127.0.0.1"], 2), (["query", "hello", "a."], 2), (["conf", "check", "named", "x"], 2),
])
def test_exit_code_of_usage(args, code):
    r = msctl(*args)
    assert r.code == code
    assert bool(r.out) == (code == 0) and bool(r.err) == (code != 0)


def test_control_characters_on_the_command_line_are_escaped_in_the_complaint():
    r = msctl("query", "hsync", "\x1b[2J..", "@127.0.0.1")
    assert r.code == 2 and "\\027[2J" in r.err


def test_a_full_disk_is_noticed(tmp_path):
    with open("/dev/full", "w") as full:
        p = subprocess.run([str(MSCTL), "key", "generate", "--dir", str(tmp_path), "a."], stdout=full, stderr=subprocess.PIPE)
    assert p.returncode == 1 and b"cannot write" in p.stderr


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_key_generate_and_show(tmp_path, algorithm):
    made = msctl("--json", "key", "generate", "--algorithm", algorithm, "--dir", tmp_path, "host.example.")
    assert made.code == 0
    k = made.json
    private = tmp_path / f"Khost.example.+{ALGORITHMS[algorithm]:03}+{k['tag']:05}.private"
    assert k["file"] == str(private) and k["owner"] == "host.example." and k["algorithm"] == algorithm
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    public = private.with_suffix(".key")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([private.name, public.name])
    # Tag and fingerprint by other means. (dnspython reads no KEY; DNSKEY has the same layout.)
    owner, ttl, cls, rrtype, rdata = k["record"].split(" ", 4)
    assert (owner, cls, rrtype) == ("host.example.", "IN", "KEY")
    wire = dns.rdata.from_text("IN", dns.rdatatype.DNSKEY, rdata).to_wire()
    assert struct.unpack("!HBB", wire[:4]) == (0, 3, ALGORITHMS[algorithm])
    assert k["tag"] == key_tag(wire) and k["fingerprint"] == hashlib.sha256(wire).hexdigest()
    assert base64.b64encode(wire[4:]).decode() in public.read_text().replace(" ", "")
    shown = msctl("--json", "key", "show", private)
    assert shown.code == 0 and shown.json == k
    for line in private.read_text().splitlines():  # nothing private is printed
        if line.startswith("Private"):
            assert line.split(": ")[1] not in made.out + shown.out


def test_key_table_is_aligned(tmp_path):
    lines = msctl("key", "generate", "--dir", tmp_path, "host.example.").out.splitlines()
    assert len({line.index(line.split(":", 1)[1].lstrip()[:1], line.index(":") + 1) for line in lines}) == 1


@pytest.mark.parametrize("suffix", ["private", "key"])
def test_key_files_are_never_overwritten(tmp_path, suffix):
    """Whatever tag the new key has: a file of that name is there already."""
    taken = {f"Ka.example.+015+{tag:05}.{suffix}" for tag in range(65536)}
    for name in taken:
        os.close(os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY, 0o600))
    r = msctl("key", "generate", "--dir", tmp_path, "a.example.")
    assert r.code == 1 and not r.out and str(tmp_path) in r.err
    left = set(os.listdir(tmp_path))
    shutil.rmtree(tmp_path)
    assert left == taken


@pytest.mark.parametrize("directory", ["/proc/self", "/no/such/directory"])
def test_key_generate_names_the_directory_that_it_cannot_use(directory):
    r = msctl("key", "generate", "--dir", directory, "a.example.")
    assert r.code == 1 and not r.out and directory in r.err


@pytest.mark.parametrize("spoil,word", [
    (lambda p: os.chmod(p, 0o644), "mode"), (lambda p: p.with_suffix(".key").unlink(), ".key"), (lambda p: p.write_text("rubbish\n"), ""),
    (lambda p: p.unlink(), "No such file"), (lambda p: p.with_suffix(".key").write_text("a.example. IN KEY 0 3 15 AAAA\n"), ""),
])
def test_key_show_of_damaged_files(tmp_path, spoil, word):
    k = msctl("--json", "key", "generate", "--dir", tmp_path, "a.example.").json
    path = tmp_path / os.path.basename(k["file"])
    spoil(path)
    r = msctl("key", "show", path)
    assert r.code == 1 and not r.out and word in r.err
    assert r.err.count(str(path)) <= 1


@pytest.fixture
def good_conf(tmp_path):
    """The example of a daemon, with files that exist."""
    def make(daemon):
        text = (ROOT / "packaging" / "examples" / f"{daemon}.conf").read_text()
        (tmp_path / "secret").write_text(base64.b64encode(bytes(32)).decode() + "\n")
        (tmp_path / "secret").chmod(0o600)
        path = tmp_path / f"{daemon}.conf"
        path.write_text(text)
        return path
    return make


@pytest.mark.parametrize("daemon", ["msad", "combinerd", "parentd"])
def test_conf_check_of_the_example(good_conf, daemon):
    r = msctl("conf", "check", daemon, good_conf(daemon))
    assert (r.code, r.out, r.err) == (0, "", "")


@pytest.mark.parametrize("daemon", ["msad", "combinerd", "parentd"])
def test_conf_check_names_file_and_line_of_every_problem(good_conf, daemon):
    path = good_conf(daemon)
    lines = path.read_text().splitlines()
    lines += ["no-such-setting = 1;", 'nor-this = "x";']
    path.write_text("\n".join(lines) + "\n")
    r = msctl("conf", "check", daemon, path)
    assert r.code == 1 and not r.out
    assert f"{path}:{len(lines) - 1}: no-such-setting" in r.err and f"{path}:{len(lines)}: nor-this" in r.err
    path.write_text("\n".join(lines[:3] + ["}}"] + lines[3:]))
    r = msctl("conf", "check", daemon, path)
    assert r.code == 1 and f"{path}:4:" in r.err


def test_conf_check_of_no_file():
    r = msctl("conf", "check", "msad", "/no/such/file")
    assert r.code == 1 and "/no/such/file" in r.err


def test_conf_check_without_the_daemon(tmp_path):
    """A copy of msctl far from any daemon says what it looked for. Where a daemon is installed, it is found."""
    copy = tmp_path / "bin" / "msctl"
    copy.parent.mkdir()
    shutil.copy(MSCTL, copy)
    env = dict(os.environ, LD_LIBRARY_PATH=str(MSCTL.parents[2] / "libmsproto"))
    p = subprocess.run([str(copy), "conf", "check", "combinerd", "/no/such/file"], capture_output=True, env=env, text=True)
    assert p.returncode == 1 and ("not installed" in p.stderr or "/no/such/file" in p.stderr)

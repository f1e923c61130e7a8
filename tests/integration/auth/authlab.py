# SPDX-License-Identifier: BSD-2-Clause
"""The test tool as a Python object, servers, free ports, waiting on conditions."""
import pathlib
import shutil
import socket
import struct
import subprocess
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LIMIT_S = 30  # no condition is waited for longer


class Tool:
    def __init__(self, path):
        self.path = str(path)

    def run(self, *args, stdin=b""):
        return subprocess.run([self.path, *map(str, args)], input=stdin, capture_output=True, timeout=LIMIT_S)

    def verify(self, key, message, *args):
        """(True, "SIGNER ALG TAG") or (False, name of the error)."""
        r = self.run("verify", key, *args, stdin=message)
        assert r.returncode in (0, 1), r.stderr
        if r.returncode == 0:
            word, rest = r.stdout.decode().split(" ", 1)
            assert word == "ok"
            return True, rest.strip()
        return False, r.stderr.decode().split()[0]

    def sign(self, key, message, *args):
        r = self.run("sign", key, *args, stdin=message)
        assert r.returncode == 0, r.stderr
        return r.stdout

    def keygen(self, name, alg, directory):
        r = self.run("keygen", name, alg, directory)
        assert r.returncode == 0, r.stderr
        return r.stdout.decode().strip()

    def tsig(self, side, key):
        return TsigProcess([self.path, f"tsig-{side}", key.name, key.alg, key.secret])


class TsigProcess:
    """One transaction of `tsig-client` or `tsig-server`."""

    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def put(self, message):
        try:
            self.p.stdin.write(struct.pack("!H", len(message)) + message)
            self.p.stdin.flush()
        except BrokenPipeError:
            pass  # it has its verdict and left

    def get(self):
        """The next message it writes; None at the end."""
        return read_frame(self.p.stdout)

    def verdict(self):
        """"ok 3" or "ESIG reason"."""
        try:
            self.p.stdin.close()
        except BrokenPipeError:
            pass
        self.p.stdout.read()
        text = self.p.stderr.read().decode()
        self.p.wait(LIMIT_S)
        return text.strip()


class TsigKey:
    def __init__(self, name, alg, secret):
        self.name, self.alg, self.secret = name, alg, secret


def read_frame(stream):
    head = stream.read(2)
    if len(head) < 2:
        return None
    length = struct.unpack("!H", head)[0]
    body = stream.read(length)
    return body if len(body) == length else None


def wait_for(condition, what):
    """Poll until condition() is true; its value."""
    end = time.monotonic() + LIMIT_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"waited {LIMIT_S} s for: {what}")
        time.sleep(0.05)


def free_port():
    """A port that is free for UDP and TCP."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as t, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            t.bind(("127.0.0.1", 0))
            port = t.getsockname()[1]
            try:
                u.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no free port")


def need(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


class Daemon:
    """A name server in its own directory; stopped by the process id that we started."""

    def __init__(self, command, log):
        self.log = log
        self.out = open(log, "wb")
        self.p = subprocess.Popen(command, stdout=self.out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def check(self):
        if self.p.poll() is not None:
            pytest.fail(f"server ended: {self.log.read_text()[-2000:]}")

    def stop(self):
        self.p.terminate()
        try:
            self.p.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.out.close()

# SPDX-License-Identifier: BSD-2-Clause
"""Where the build is, and certificates made for one run."""
import base64
import hashlib
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def tlstool():
    build = ROOT / os.environ.get("MSP_BUILD", "build/release")
    path = build / "tests" / "tlstool"
    if not path.exists():
        pytest.fail(f"no tlstool below {build}: build it first, or set MSP_BUILD")
    return path


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True).stdout


class Pki:
    """An authority, a server and a client of it, and a server that nobody knows: NAME.pem, NAME.key, pin(NAME)."""

    def __init__(self, directory):
        self.directory = directory
        self.make("ca", None, "basicConstraints=critical,CA:TRUE")
        self.make("server", "ca", "subjectAltName=DNS:ns.zone.test")
        self.make("client", "ca", "basicConstraints=critical,CA:FALSE")
        self.make("other", None, "subjectAltName=DNS:ns.zone.test")

    def make(self, name, issuer, extension):
        key, cert = self.key(name), self.pem(name)
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        os.chmod(key, 0o600)
        args = ["req", "-new", "-key", key, "-subj", f"/CN={name} of a test"]
        if issuer is None:
            openssl(*args, "-x509", "-days", "2", "-addext", extension, "-out", cert)
            return
        request, extra = self.directory / "request", self.directory / "extra"
        openssl(*args, "-out", request)
        extra.write_text(extension + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.pem(issuer), "-CAkey", self.key(issuer), "-CAcreateserial",
                "-days", "2", "-extfile", extra, "-out", cert)

    def pem(self, name):
        return self.directory / f"{name}.pem"

    def key(self, name):
        return self.directory / f"{name}.key"

    def pin(self, name):
        public = openssl("x509", "-in", self.pem(name), "-noout", "-pubkey")
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True, capture_output=True).stdout
        return base64.b64encode(hashlib.sha256(der).digest()).decode()


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))

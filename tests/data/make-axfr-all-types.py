#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Asks a server for a zone and writes the messages of the AXFR as lines of base16, one message per line.

The zone holds the lines of rr-dnspython.txt and rr-bind.txt, each under an owner of its own; `--zone` prints it.
  ./make-axfr-all-types.py --zone > all.zone      then serve it as all.example on 127.0.0.1, and
  ./make-axfr-all-types.py PORT "BIND 9.18" > axfr-all-types-bind.hex
"""
import os
import socket
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def zone():
    print("$ORIGIN all.example.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1")
    count = 0
    for name in ("rr-dnspython.txt", "rr-bind.txt"):
        for line in open(os.path.join(HERE, name)):
            if line.startswith("#"):
                continue
            mnemonic, text, hexed = line.rstrip("\n").split("\t")
            if mnemonic in ("SOA", "NULL", "MD", "MF", "DNSKEY", "CDS", "CDNSKEY", "CSYNC", "NSEC3PARAM", "ZONEMD", "RRSIG", "NSEC", "NSEC3") or len(hexed) < 2:
                continue  # meaningful to the server, or refused by it
            print(f"{mnemonic.lower()}-{count} {mnemonic} {text}")
            count += 1


def axfr(port):
    s = socket.create_connection(("127.0.0.1", port))
    q = struct.pack(">6H", 4711, 0, 1, 0, 0, 0) + b"\3all\7example\0" + struct.pack(">2H", 252, 1)
    s.sendall(struct.pack(">H", len(q)) + q)
    s.settimeout(3)
    f = s.makefile("rb")
    try:
        while head := f.read(2):
            print(f.read(struct.unpack(">H", head)[0]).hex())
    except TimeoutError:
        pass


if sys.argv[1] == "--zone":
    zone()
else:
    print(f"# AXFR of all.example (see make-axfr-all-types.py) from {sys.argv[2]}; one message per line")
    axfr(int(sys.argv[1]))

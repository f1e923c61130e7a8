#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes rr-dnspython.txt: TYPE<TAB>presentation<TAB>hex of the uncompressed RDATA, as dnspython reads and writes them.

Each input line is parsed by dnspython; recorded are the input text and, where it differs, dnspython's own text for it.
Run once: ./make-rr-dnspython.py > rr-dnspython.txt
"""
import sys

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.version

B64 = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
HEX = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

INPUT = {
    "A": ["192.0.2.1", "0.0.0.0", "255.255.255.255"],
    "NS": ["ns1.Example.", ".", r"a\.b.example.", r"\000\255.example."],
    "CNAME": ["target.example."],
    "SOA": ["ns.example. host\\.master.example. 4294967295 7200 3600 1209600 300", "ns. h. 1 1h 15m 2w 1d"],
    "PTR": ["host.example."],
    "HINFO": ['"PC-Intel" "Linux"', 'a "b c"'],
    "MX": ["0 .", "10 mail.example.", "65535 MAIL.example."],
    "TXT": ['"hello"', '"a" "b" "c"', 'bare words', '"quote \\" back \\\\ semi ; paren ( )"', r'"\000\001\127\255"', '""',
            '"' + "x" * 255 + '"', " ".join(['"' + "y" * 255 + '"'] * 20)],
    "RP": ["mbox.example. txt.example."],
    "AFSDB": ["1 afs.example."],
    "X25": ['"311061700956"', "311061700956"],
    "ISDN": ['"150862028003217" "004"', '"150862028003217"'],
    "RT": ["10 relay.example."],
    "NSAP": ["0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00"],
    "NSAP-PTR": ["foo.example."],
    "PX": ["10 map822.example. mapx400.example."],
    "GPOS": ['"10.0" "20.0" "10.0"'],
    "AAAA": ["2001:db8::1", "::", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8", "fe80::1:0:0:1"],
    "SRV": ["0 0 0 .", "1 2 5060 sip.example."],
    "NAPTR": ['100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .', '0 0 "" "" "" foo.example.'],
    "KX": ["1 kx.example."],
    "CERT": ["1 1234 8 " + B64, "PKIX 0 RSASHA256 " + B64, "65000 1 0 " + B64],
    "DNAME": ["target.example."],
    "APL": ["1:192.168.32.0/21", "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00:0:0:0:0:0:0:0/8", "1:0.0.0.0/0"],
    "DS": ["12345 8 2 " + HEX, "12345 RSASHA256 2 " + HEX[:32] + " " + HEX[32:], "1 13 4 " + HEX + HEX[:32]],
    "SSHFP": ["1 1 " + HEX[:40], "4 2 " + HEX],
    "IPSECKEY": ["10 1 2 192.0.2.38 " + B64, "10 0 2 . " + B64, "10 2 2 2001:db8::1 " + B64, "10 3 2 gw.example. " + B64],
    "RRSIG": ["A 8 3 86400 20301231235959 20250101000000 12345 example. " + B64,
              "TYPE65282 15 2 0 21060207062815 19700101000000 0 . " + B64, "NSEC3PARAM 13 1 1 1795492981 1795493415 1 Ex.ample. " + B64],
    "NSEC": ["a.example. A NS SOA MX RRSIG NSEC DNSKEY", "\\000.example. A TYPE1234 TYPE65535 URI CAA", "B.example. RRSIG NSEC"],
    "DNSKEY": ["257 3 15 " + B64, "256 3 8 " + B64, "385 3 ECDSAP256SHA256 AQIDBAUG BwgJCgsM"],
    "DHCID": [B64],
    "NSEC3": ["1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG", "1 0 0 - 2vptu5timamqttgl4luu9kg21e0aor3s NS",
              "1 0 0 - 2vptu5timamqttgl4luu9kg21e0aor3s"],
    "NSEC3PARAM": ["1 0 12 aabbccdd", "1 0 0 -"],
    "TLSA": ["3 1 1 " + HEX, "0 0 0 00"],
    "SMIMEA": ["3 1 1 " + HEX],
    "HIP": ["2 200100107b1a74df365639cc39f1d578 " + B64, "2 200100107b1a74df365639cc39f1d578 " + B64 + " rvs1.example. rvs2.example."],
    "NINFO": ['"status" "ok"'],
    "CDS": ["0 0 0 00", "12345 13 2 " + HEX],
    "CDNSKEY": ["0 3 0 AA==", "257 3 13 " + B64],
    "OPENPGPKEY": [B64],
    "CSYNC": ["66 3 A NS AAAA", "0 1 NS", "4294967295 65535 A"],
    "ZONEMD": ["2018031500 1 1 " + HEX + HEX[:32], "1 1 2 " + HEX + HEX],
    "SVCB": ["0 foo.example.", "1 .", "16 foo.example. port=53", '1 foo.example. key667=hello', r'1 foo.example. key667="hello\210qoo"',
             '1 foo.example. ipv6hint="2001:db8::1,2001:db8::53:1"', '16 foo.example. alpn="h2,h3-19" mandatory="ipv4hint,alpn" ipv4hint="192.0.2.1"',
             r'16 foo.example. alpn="f\\\\oo\\,bar,h2"', "1 . no-default-alpn alpn=h2", "1 . ech=" + B64, "1 . key65282=\"at-apex,at-ns,manual\"",
             "1 . key65281", "1 . ipv4hint=192.0.2.1,192.0.2.2 port=8443 alpn=h3"],
    "HTTPS": ["1 . alpn=h2,h3", "0 svc.example."],
    "SPF": ['"v=spf1 -all"'],
    "NID": ["10 0014:4fff:ff20:ee64"],
    "L32": ["10 10.1.2.0"],
    "L64": ["10 2001:0db8:1140:1000"],
    "LP": ["10 l64-subnet1.example."],
    "EUI48": ["00-00-5e-00-53-2a"],
    "EUI64": ["00-00-5e-ef-10-00-00-2a"],
    "URI": ['10 1 "ftp://ftp1.example.com/public"', '0 0 "a\\"b\\\\c"', '10 10 "dns://dns.msa.provider-a.example:5399/"'],
    "CAA": ['0 issue "ca.example.net"', '128 iodef "mailto:security@example.com"', '0 issue ";"', r'0 issuewild "\127"'],
    "AVC": ['"app-name:WOLFGANG|app-class:OAM"'],
    "AMTRELAY": ["10 0 1 203.0.113.15", "10 1 2 2001:db8::15", "128 1 3 amt.example.", "10 0 0 ."],
    "DLV": ["12345 8 2 " + HEX],
}


def reads_back(rdtype, text, rdata):
    """Some versions print what they cannot read, e.g. a URI with a quotation mark in it."""
    try:
        return dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, origin=dns.name.root, relativize=False) == rdata
    except Exception:
        return False


def main():
    print("# Made by make-rr-dnspython.py with dnspython " + dns.version.version + ". TYPE<TAB>presentation<TAB>hex")
    skipped = []
    for mnemonic, lines in INPUT.items():
        rdtype = dns.rdatatype.from_text(mnemonic)
        for text in lines:
            try:
                rdata = dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, origin=dns.name.root, relativize=False)
            except Exception as e:  # the list above may name what a dnspython version cannot read
                skipped.append(f"{mnemonic} {text}: {e}")
                continue
            wire = rdata.to_wire().hex()
            print(f"{mnemonic}\t{text}\t{wire}")
            own = rdata.to_text()
            if own != text and reads_back(rdtype, own, rdata):
                print(f"{mnemonic}\t{own}\t{wire}")
    for s in skipped:
        print("skipped: " + s, file=sys.stderr)


main()

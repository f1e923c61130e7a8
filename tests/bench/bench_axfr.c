/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C side of the transfer bench: both ends of a server under test, neither of which may be the bottleneck. KEY is
 * the name of an hmac-sha256 key or "-", SECRET its base64. Each says "ready" when it has prepared everything. Times
 * are nanoseconds of the monotonic clock.
 *
 * Servers (see bench_service.c), told what to do by lines on stdin, each answered by one line:
 *   source PORT KEY SECRET ZONE RECORDS   a primary that generates one zone and sends it from memory. Answers SOA and
 * AXFR; IXFR by the differences from one of its last versions, or by the whole zone; signed when the request is. "bump
 * P"    a new version that has no history, NOTIFY to port P      -> SERIAL TIME "change P"  one record replaced by
 * another, NOTIFY to port P         -> SERIAL TIME "notify P"  NOTIFY again -> SERIAL TIME "stats"     answered so far
 * -> SOA AXFR IXFR-BY-DIFFERENCES zones PORT KEY SECRET COUNT           a primary for z0.test. ... of seven records
 * each. "reset" forgets who took what, "count" -> ZONES TRANSFERS TIME-OF-THE-LAST, "last N" -> the numbers of the
 * zones that were transferred last sink PORT KEY SECRET [quiet]          a signer that acknowledges NOTIFY, and says
 * "TIME SERIAL" for each (0: no SOA) replay PORT FILE CHUNK                answers any request by the octets of FILE: a
 * bare write loop
 *
 * Clients, which begin at a line on stdin and count what they read: frame length, RCODE, ANCOUNT; nothing else.
 *   fetch PORT KEY SECRET ZONE RECORDS [FILE]  one AXFR: "TIME OCTETS MESSAGES RECORDS RCODE"; FILE keeps the octets.
 *                                              RECORDS: with the final SOA.
 *   many PORT KEY SECRET ZONE RECORDS COUNT    COUNT AXFRs at once: "TIME..." in the order of their ends, 0 = failed
 *   drain PORT KEY SECRET COUNT                AXFR of every small zone, each on a connection of its own: "TIME"
 *   ping PORT KEY SECRET ZONE RATE             SOA over UDP, RATE a second until the next line: "SENT TIME..." of
 * answers sweep PORT KEY SECRET FIRST COUNT          SOA of small zones: how many are served
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#define RECORDS_MAX 20000000u
#define ZONES_MAX   1000000u
#define CLIENTS_MAX 1000u

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct msp_tsig_key *key = NULL;
	struct msp_name zone;
	uint64_t port;

	if (argc < 5)
		goto usage;
	port = bench_number(argv[2], 65535);
	if (argc == 5 && strcmp(what, "replay") == 0)
		return bench_replay(port, argv[3], (size_t)bench_number(argv[4], 1u << 30));
	key = bench_key(argv[3], argv[4]);
	if (argc <= 6 && strcmp(what, "sink") == 0)
		return bench_sink(port, key, argc == 6);
	if (argc == 6 && strcmp(what, "zones") == 0)
		return bench_zones(port, bench_number(argv[5], ZONES_MAX), key);
	if (argc == 6 && strcmp(what, "drain") == 0)
		return bench_drain(port, bench_number(argv[5], ZONES_MAX), key);
	if (argc == 7 && strcmp(what, "sweep") == 0)
		return bench_sweep(port, bench_number(argv[5], ZONES_MAX), bench_number(argv[6], ZONES_MAX), key);
	if (argc < 7)
		goto usage;
	zone = bench_name(argv[5]);
	if (argc == 7 && strcmp(what, "ping") == 0)
		return bench_ping(port, &zone, bench_number(argv[6], 10000), key);
	if (argc == 7 && strcmp(what, "source") == 0)
		return bench_source(port, &zone, bench_number(argv[6], RECORDS_MAX), key);
	if (argc <= 8 && strcmp(what, "fetch") == 0)
		return bench_fetch(port, &zone, bench_number(argv[6], RECORDS_MAX + 1), key,
				   argc == 8 ? argv[7] : NULL);
	if (argc == 8 && strcmp(what, "many") == 0)
		return bench_many(port, &zone, bench_number(argv[6], RECORDS_MAX + 1),
				  (size_t)bench_number(argv[7], CLIENTS_MAX), key);
usage:
	fputs("usage: bench_axfr source|zones|sink|replay|fetch|many|drain|ping|sweep ... (see the head of "
	      "bench_axfr.c)\n",
	      stderr);
	return 2;
}

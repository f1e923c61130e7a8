/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store of parentd with children, for the bench: as if a registry had used it for years.
 *
 *     parent_children load STORE PARENT FIRST COUNT KEYDIR ADDRESS ADDRESSES DNSKEY
 *         children c<n>.PARENT as bench_farm has them, which began with ADDRESS: two name servers with glue, the DS of
 *         DNSKEY (RDATA in hex), and a trusted key of KEYDIR each
 *     parent_children show STORE PARENT FIRST COUNT     "c<n> digest" of the DS of each, a line each
 */
#include "bench.h"

#include "books.h"

#include <msproto/auth/dnssec.h>
#include <msproto/base/enc.h>
#include <msproto/base/mem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK    20000u
#define KEYS_MAX BENCH_FILES_MAX
#define SERVERS  2

struct loader {
	struct msp_name parent;
	struct msp_buf key[KEYS_MAX];
	size_t keys;
	struct msp_addr addr; /* the farm's first */
	uint64_t addresses;
	struct msp_buf dnskey;
};

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "parent_children: %s\n", what);
	exit(1);
}

static void must(enum msp_err err, const char *what)
{
	char text[300];

	if (err == MSP_OK)
		return;
	(void)snprintf(text, sizeof(text), "%.200s: %s", what, msp_err_text(err));
	die(text);
}

static uint64_t number(const char *text)
{
	uint64_t n = 0;

	must(msp_u64_parse(msp_span_str(text), UINT32_MAX, &n), text);
	return n;
}

static struct msp_name child_name(uint64_t n, const struct msp_name *parent)
{
	struct msp_name child;
	char label[32];

	(void)snprintf(label, sizeof(label), "c%llu", (unsigned long long)n);
	must(msp_name_prepend(label, parent, &child), label);
	return child;
}

static void load_keys(struct loader *l, const char *dir)
{
	static char path[BENCH_FILES_MAX][BENCH_FILE_LEN];

	for (size_t n = bench_key_files(dir, path); l->keys < n; l->keys++) {
		struct msp_why why = { "" };
		struct msp_key *key = NULL;

		must(msp_key_load(path[l->keys], &key, &why), why.text);
		msp_buf_init(&l->key[l->keys], PRT_KEY_RDATA_MAX);
		msp_buf_add_span(&l->key[l->keys], msp_key_rdata(key));
		msp_key_free(&key);
	}
	if (l->keys == 0)
		die("no keys");
}

static void add_record(struct prt_delegation *d, const struct msp_name *owner, uint16_t type, struct msp_span rdata)
{
	struct msp_rr rr = { .owner = *owner, .type = type, .cls = MSP_CLASS_IN, .ttl = 3600, .rdata = rdata };

	must(prt_delegation_add(d, &rr), "record");
}

/* The key of c<n> is the (n mod keys)th. */
static uint64_t number_of(const struct msp_name *child)
{
	return strtoull(MSP_NAME(child) + 1, NULL, 10);
}

/* Child i is at the farm's addresses i and i + 1, counted round. */
static void add_server(const struct loader *l, struct prt_delegation *d, uint64_t n, unsigned host)
{
	uint64_t add = (n + host) % l->addresses;
	uint8_t oct[4];
	struct msp_name ns;
	uint32_t v = 0;

	must(msp_name_prepend(host == 0 ? "ns1" : "ns2", &d->child, &ns), "name server");
	for (size_t i = 0; i < 4; i++)
		v = v << 8 | l->addr.oct[i];
	v += (uint32_t)add;
	for (size_t i = 0; i < 4; i++)
		oct[i] = (uint8_t)(v >> (24 - 8 * i));
	add_record(d, &d->child, MSP_TYPE_NS, msp_name_span(&ns));
	add_record(d, &ns, MSP_TYPE_A, msp_span(oct, sizeof(oct)));
}

static enum msp_err make(void *arg, struct prt_child *c, bool exists, struct msp_wall now, struct prt_outcome *out)
{
	const struct loader *l = arg;
	uint64_t n = number_of(&c->name);
	struct msp_span key = msp_buf_span(&l->key[n % l->keys]);
	struct prt_key *k = &c->keys.key[0];
	uint8_t ds[MSP_DS_MAX];
	size_t ds_len = 0;

	if (exists)
		return MSP_OK;
	for (unsigned i = 0; i < SERVERS; i++)
		add_server(l, &c->registered, n, i);
	must(msp_ds_from_dnskey(&c->name, msp_buf_span(&l->dnskey), MSP_DIGEST_SHA256, ds, &ds_len), "DS");
	add_record(&c->registered, &c->name, MSP_TYPE_DS, msp_span(ds, ds_len));
	must(prt_delegation_dup(&c->registered, &c->published), "copy");
	memcpy(k->rdata, key.ptr, key.len);
	k->rdata_len = (uint16_t)key.len;
	k->state = PRT_KEY_TRUSTED;
	k->method = PRT_METHOD_MANUAL;
	k->since = now;
	c->keys.count = 1;
	out->is_changed = true;
	return MSP_OK;
}

static void load(struct prt_books *b, struct loader *l, uint64_t first, uint64_t count)
{
	struct msp_name *name = msp_alloc(CHUNK, sizeof(*name));
	const struct msp_name **at = msp_alloc(CHUNK, sizeof(const struct msp_name *));
	void **arg = msp_alloc(CHUNK, sizeof(void *));

	if (name == NULL || at == NULL || arg == NULL)
		die("memory");
	for (uint64_t done = 0; done < count;) {
		size_t n = 0;

		for (; n < CHUNK && done < count; n++, done++) {
			name[n] = child_name(first + done, &l->parent);
			at[n] = &name[n];
			arg[n] = l;
		}
		must(prt_books_do_many(b, &l->parent, at, n, make, arg), "load");
	}
	msp_free(name);
	msp_free(at);
	msp_free(arg);
}

static void show(struct prt_books *b, const struct msp_name *parent, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		struct msp_name name = child_name(i, parent);
		const struct msp_rrset *ds;
		struct prt_child c;
		enum msp_err err = prt_books_peek(b, &name, &c);

		if (err == MSP_ENOTFOUND)
			continue;
		must(err, "peek");
		ds = prt_delegation_ds(c.pending.wait != PRT_WAIT_NONE ? &c.pending.wanted : &c.registered);
		printf("c%llu ", (unsigned long long)i);
		for (size_t k = 4; ds != NULL && k < ds->rdata[0].len; k++)
			printf("%02x", ds->rdata[0].ptr[k]);
		putchar('\n');
		prt_child_fini(&c);
	}
}

int main(int argc, char **argv)
{
	static struct loader l;
	struct prt_store_where where = { .kind = PRT_STORE_SQLITE };
	struct msp_loop *loop = NULL;
	struct prt_books *books = NULL;
	struct msp_why why = { "" };
	struct msp_log log;

	if (argc != (argc > 1 && strcmp(argv[1], "load") == 0 ? 10 : 6)) {
		fprintf(stderr, "usage: see the head of parent_children.c\n");
		return 2;
	}
	where.path = argv[2];
	must(msp_name_from_text(argv[3], &l.parent), argv[3]);
	msp_log_init_null(&log);
	must(msp_loop_new(&log, &loop), "loop");
	must(prt_books_open(loop, &where, 0, &books, &why), why.text);
	if (strcmp(argv[1], "load") == 0) {
		load_keys(&l, argv[6]);
		msp_buf_init(&l.dnskey, PRT_KEY_RDATA_MAX);
		must(msp_addr_parse(argv[7], 53, &l.addr), argv[7]);
		l.addresses = number(argv[8]);
		must(l.addresses > 0 ? MSP_OK : MSP_EVALUE, argv[8]);
		must(msp_hex_parse(msp_span_str(argv[9]), &l.dnskey), argv[9]);
		load(books, &l, number(argv[4]), number(argv[5]));
	} else {
		show(books, &l.parent, number(argv[4]), number(argv[5]));
	}
	prt_books_close(&books);
	msp_loop_free(&loop);
	return 0;
}

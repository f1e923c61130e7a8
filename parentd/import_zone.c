/* SPDX-License-Identifier: BSD-2-Clause */
#include "import_priv.h"

#include <msproto/base/mem.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE     (256u << 10) /* octets in one write */
#define FORGET    (16u << 20)  /* octets read between two hints that they are not needed again */
#define GROUP_MAX 1024         /* records at one name */
#define PATH_LEN  4096

/* A record in the file: lengths in host order; the file never leaves this process. */
struct head {
	uint16_t key_len, type, owner_len, rdata_len;
	uint32_t ttl;
};
struct rec {
	struct msp_span key, owner, rdata;
	uint16_t type;
	uint32_t ttl;
	size_t len;
};

/* --- writing ---------------------------------------------------------------------------------------------------------
 */

enum msp_err prt_zonefile_open(struct prt_zonefile *z, const char *directory, const struct msp_name *parent,
			       struct msp_why *why)
{
	char path[PATH_LEN];

	memset(z, 0, sizeof(*z));
	z->parent = *parent;
	z->is_sorted = true;
	z->fd = -1;
	msp_buf_init(&z->out, 2 * PIECE);
	if (snprintf(path, sizeof(path), "%s/import.XXXXXX", directory) >= (int)sizeof(path))
		return msp_fail(why, MSP_ELIMIT, "state-dir is too long");
	z->fd = mkostemp(path, O_CLOEXEC);
	if (z->fd < 0)
		return msp_fail(why, MSP_EIO, "%.180s: %s", path, strerror(errno));
	(void)unlink(path);
	return MSP_OK;
}

static enum msp_err flush(struct prt_zonefile *z)
{
	if (z->out.err != MSP_OK)
		return z->out.err;
	for (size_t at = 0; at < z->out.len;) {
		ssize_t n = write(z->fd, z->out.ptr + at, z->out.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return MSP_EIO;
		at += (size_t)n;
	}
	z->size += z->out.len;
	msp_buf_reset(&z->out);
	return MSP_OK;
}

static bool is_wanted(uint16_t type)
{
	return type == MSP_TYPE_NS || type == MSP_TYPE_DS || type == MSP_TYPE_A || type == MSP_TYPE_AAAA;
}

/* The key of the owner, kept in z->last; records at one name mostly come together. */
static void take_owner(struct prt_zonefile *z, const struct msp_name *owner)
{
	struct msp_name_key key;

	if (msp_name_same(owner, &z->last_owner))
		return;
	key = msp_name_key(owner);
	z->is_sorted = z->is_sorted && msp_span_cmp(msp_name_key_span(&z->last), msp_name_key_span(&key)) <= 0;
	z->last = key;
	z->last_owner = *owner;
}

enum msp_err prt_zonefile_add(struct prt_zonefile *z, const struct msp_rr *rr)
{
	struct head h = { .type = rr->type, .owner_len = rr->owner.len, .ttl = rr->ttl };

	if (!is_wanted(rr->type))
		return MSP_OK;
	if (msp_name_equal(&rr->owner, &z->parent)) {
		z->has_apex_ns |= rr->type == MSP_TYPE_NS;
		return MSP_OK;
	}
	take_owner(z, &rr->owner);
	h.key_len = z->last.len;
	h.rdata_len = (uint16_t)rr->rdata.len;
	msp_buf_add(&z->out, &h, sizeof(h));
	msp_buf_add_span(&z->out, msp_name_key_span(&z->last));
	msp_buf_add_span(&z->out, msp_name_span(&rr->owner));
	msp_buf_add_span(&z->out, rr->rdata);
	z->records++;
	return z->out.len >= PIECE ? flush(z) : z->out.err;
}

/* --- reading
 * ---------------------------------------------------------------------------------------------------------- */

/* What this process wrote is well-formed. */
static struct rec rec_at(const uint8_t *at)
{
	struct head h;
	struct rec r;

	memcpy(&h, at, sizeof(h));
	at += sizeof(h);
	r.key = msp_span(at, h.key_len);
	r.owner = msp_span(at + h.key_len, h.owner_len);
	r.rdata = msp_span(at + h.key_len + h.owner_len, h.rdata_len);
	r.type = h.type;
	r.ttl = h.ttl;
	r.len = sizeof(h) + h.key_len + h.owner_len + h.rdata_len;
	return r;
}

static int compare(const void *a, const void *b)
{
	const uint8_t *const *x = a, *const *y = b;

	return msp_span_cmp(rec_at(*x).key, rec_at(*y).key);
}

enum msp_err prt_zonefile_seal(struct prt_zonefile *z)
{
	enum msp_err err = flush(z);
	void *map;

	msp_buf_fini(&z->out);
	if (err != MSP_OK || z->size == 0)
		return err;
	map = mmap(NULL, z->size, PROT_READ, MAP_PRIVATE, z->fd, 0);
	if (map == MAP_FAILED)
		return MSP_ENOMEM;
	z->map = map;
	if (z->is_sorted) {
		(void)madvise(map, z->size, MADV_SEQUENTIAL);
		return MSP_OK;
	}
	z->index = msp_alloc(z->records, sizeof(const uint8_t *));
	if (z->index == NULL)
		return MSP_ENOMEM;
	for (uint64_t n = 0, at = 0; n < z->records; n++) {
		z->index[n] = z->map + at;
		at += rec_at(z->index[n]).len;
	}
	qsort(z->index, z->records, sizeof(const uint8_t *), compare);
	return MSP_OK;
}

void prt_zonefile_rewind(struct prt_zonefile *z)
{
	z->at = z->dropped = 0;
	z->has_cut = false;
}

static bool peek(const struct prt_zonefile *z, struct rec *out)
{
	if (z->at >= (z->index != NULL ? z->records : z->size))
		return false;
	*out = rec_at(z->index != NULL ? z->index[z->at] : z->map + z->at);
	return true;
}

static void step(struct prt_zonefile *z, const struct rec *r)
{
	long page = sysconf(_SC_PAGESIZE);

	z->at += z->index != NULL ? 1 : r->len;
	if (z->index != NULL || z->at - z->dropped < FORGET || page <= 0)
		return;
	z->dropped = z->at / (uint64_t)page * (uint64_t)page;
	(void)madvise((void *)(uintptr_t)z->map, z->dropped, MADV_DONTNEED);
}

/* All records at the next name. What is over GROUP_MAX is not looked at: more than a delegation holds anyway. */
static size_t read_group(struct prt_zonefile *z, struct rec group[GROUP_MAX], struct msp_name *owner)
{
	size_t count = 0, all = 0;
	struct rec r, first;

	while (peek(z, &r) && (all == 0 || msp_span_equal(r.key, first.key))) {
		if (all++ == 0)
			first = r;
		if (count < GROUP_MAX)
			group[count++] = r;
		step(z, &r);
	}
	if (count > 0 && msp_name_from_wire(first.owner, owner) != MSP_OK)
		return 0; /* cannot be */
	return count;
}

static enum msp_err add_group(struct prt_delegation *d, const struct rec *group, size_t count,
			      const struct msp_name *owner)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		struct msp_rr rr = { .owner = *owner,
				     .type = group[i].type,
				     .cls = MSP_CLASS_IN,
				     .ttl = group[i].ttl,
				     .rdata = group[i].rdata };

		if (prt_delegation_has_place(&d->child, owner, rr.type))
			err = prt_delegation_add(d, &rr);
	}
	return err;
}

static bool has_ns(const struct rec *group, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (group[i].type == MSP_TYPE_NS)
			return true;
	return false;
}

static bool is_below_cut(struct prt_zonefile *z)
{
	struct rec r;
	struct msp_name owner;

	return peek(z, &r) && msp_name_from_wire(r.owner, &owner) == MSP_OK && msp_name_is_under(&owner, &z->cut);
}

/* A server's addresses only; the first pass does not know the servers yet when the records come in another order, so
 * all are taken that fit, and what is over is forgiven when it is idle. */
static enum msp_err add_below(struct prt_delegation *d, const struct rec *group, size_t count,
			      const struct msp_name *owner)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);
	struct msp_name host;

	for (size_t i = 0; ns != NULL && i < ns->count; i++)
		if (msp_rdata_name_parse(ns->rdata[i], &host) == MSP_OK && msp_name_equal(&host, owner))
			return add_group(d, group, count, owner);
	return MSP_OK;
}

enum msp_err prt_zonefile_next(struct prt_zonefile *z, struct prt_delegation *d)
{
	struct rec *group = msp_alloc(GROUP_MAX, sizeof(*group));
	struct msp_name owner;
	enum msp_err err = group != NULL ? MSP_ENOTFOUND : MSP_ENOMEM;
	size_t count = 0;

	prt_delegation_init(d, &z->parent, &z->parent);
	while (err == MSP_ENOTFOUND && (count = read_group(z, group, &owner)) > 0) {
		if (!has_ns(group, count)) /* ordinary data of the parent zone */
			continue;
		z->cut = owner;
		prt_delegation_init(d, &z->parent, &owner);
		err = add_group(d, group, count, &owner);
	}
	if (count > 0 && err != MSP_ENOMEM) {
		while (is_below_cut(z)) { /* glue; and NS, DS below the cut, which nobody sees */
			enum msp_err more = MSP_OK;

			count = read_group(z, group, &owner);
			if (err == MSP_OK)
				more = add_below(d, group, count, &owner);
			if (more != MSP_OK)
				err = more;
		}
		prt_delegation_drop_idle_glue(d);
	}
	msp_free(group);
	if (err != MSP_OK)
		prt_delegation_clear(d);
	return err == MSP_EVALUE ? MSP_ELIMIT : err;
}

void prt_zonefile_close(struct prt_zonefile *z)
{
	msp_buf_fini(&z->out);
	if (z->map != NULL)
		(void)munmap((void *)(uintptr_t)z->map, z->size);
	z->map = NULL;
	msp_free(z->index);
	z->index = NULL;
	if (z->fd >= 0)
		(void)close(z->fd);
	z->fd = -1;
}

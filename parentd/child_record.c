/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child as octets. First what a signature is verified with: name, flags, keys. Then whatever there is, each part with
 * its tag and length; what is not there costs nothing. A registry has more than a million of them.
 */
#include "child.h"
#include "pack.h"

#include <string.h>

#define VERSION     1
#define DAY_S       86400
#define FLAGS_ALL   (PRT_CHILD_LOCKED | PRT_CHILD_GONE | PRT_CHILD_NOTICED)
#define SAME        1u /* lowest bit beside the flags: what is published is what is registered */
#define PART_HEAD   3  /* tag, 16-bit length */
#define STARTED_MAX (sizeof((struct prt_scan *)0)->started / sizeof(struct msp_wall))

/* In the order in which they are written. */
enum part {
	PART_LOCK = 1,
	PART_REGISTERED,
	PART_PUBLISHED,
	PART_BOOT,
	PART_PENDING,
	PART_SCAN,
	PART_SEEN,
	PART_CHANGES,
	PART_TTL,
	PART_SEQ,
	PART_NOTE,
	PART_ASKER, /* of what waits: records from before it was kept have none */
	PART__N
};

/* --- keys --- */

#define KEY_METHOD_SHIFT 3
#define KEY_REPLACES     0x40

static void write_key(const struct prt_key *k, struct msp_buf *out)
{
	msp_buf_add_u8(out, (uint8_t)(k->state | (unsigned)k->method << KEY_METHOD_SHIFT |
				      (k->replaces ? KEY_REPLACES : 0)));
	msp_buf_add_u8(out, k->attempts);
	prt_pack_time(out, k->since);
	prt_pack_time(out, k->used);
	prt_pack_octets(out, prt_key_rdata(k));
}

static void read_key(struct msp_rd *rd, struct prt_key *k)
{
	uint8_t head = msp_rd_u8(rd);
	unsigned state = head & 7, method = head >> KEY_METHOD_SHIFT & 7;
	struct msp_span rdata;

	k->attempts = msp_rd_u8(rd);
	k->since = prt_unpack_time(rd);
	k->used = prt_unpack_time(rd);
	rdata = prt_unpack_octets(rd);
	if (state == PRT_KEY_ABSENT || state >= PRT_KEY__N || method >= PRT_METHOD__N || (head & 0x80) != 0 ||
	    rdata.len > PRT_KEY_RDATA_MAX) {
		msp_rd_fail(rd, MSP_EVALUE);
		return;
	}
	k->state = (enum prt_key_state)state;
	k->method = (enum prt_method)method;
	k->replaces = (head & KEY_REPLACES) != 0;
	k->rdata_len = (uint16_t)rdata.len;
	if (rdata.len > 0)
		memcpy(k->rdata, rdata.ptr, rdata.len);
}

static void write_keys(const struct prt_keyset *keys, struct msp_buf *out)
{
	unsigned begun = 0;

	for (unsigned i = 0; i < PRT_BOOTSTRAPS_PER_H; i++)
		begun |= keys->bootstraps[i].s != 0 ? 1u << i : 0;
	msp_buf_add_u8(out, (uint8_t)keys->count);
	msp_buf_add_u8(out, (uint8_t)begun);
	for (unsigned i = 0; i < PRT_BOOTSTRAPS_PER_H; i++)
		if ((begun & 1u << i) != 0)
			prt_pack_time(out, keys->bootstraps[i]);
	for (size_t i = 0; i < keys->count; i++)
		write_key(&keys->key[i], out);
}

static void read_keys(struct msp_rd *rd, struct prt_keyset *keys)
{
	size_t count = msp_rd_u8(rd);
	unsigned begun = msp_rd_u8(rd);

	if (count > PRT_KEYS_MAX || begun >= 1u << PRT_BOOTSTRAPS_PER_H) {
		msp_rd_fail(rd, MSP_EVALUE);
		return;
	}
	for (unsigned i = 0; i < PRT_BOOTSTRAPS_PER_H; i++)
		if ((begun & 1u << i) != 0)
			keys->bootstraps[i] = prt_unpack_time(rd);
	for (; rd->err == MSP_OK && keys->count < count; keys->count++)
		read_key(rd, &keys->key[keys->count]);
}

/* --- parts: what writes one adds nothing when there is nothing to say --- */

static void write_delegation(const struct prt_delegation *d, struct msp_buf *out)
{
	struct prt_packer p;

	prt_packer_init(&p, &d->child, out);
	for (size_t i = 0; i < d->count; i++)
		for (size_t j = 0; j < d->set[i]->count; j++)
			prt_packer_add(&p, &d->set[i]->owner, d->set[i]->type, d->set[i]->ttl, d->set[i]->rdata[j]);
}

/* d is initialised. */
static enum msp_err read_delegation(struct msp_rd *rd, struct prt_delegation *d)
{
	struct prt_unpacker u;
	struct msp_rr rr;

	prt_unpacker_init(&u, &d->child, msp_rd_rest(rd));
	while (prt_unpacker_next(&u, &rr)) {
		enum msp_err err = msp_rdata_check(rr.type, rr.rdata);

		if (err == MSP_OK)
			err = prt_delegation_add(d, &rr);
		if (err != MSP_OK)
			return err;
	}
	return u.rd.err;
}

static void write_boot(const struct prt_child *c, struct msp_buf *out)
{
	for (size_t i = 0; i < c->keys.count; i++) {
		const struct prt_boot *b = &c->boot[i];

		if (b->method == PRT_METHOD_NONE && b->rounds == 0 && b->first.s == 0 && b->next.s == 0)
			continue;
		msp_buf_add_u8(out, (uint8_t)i);
		msp_buf_add_u8(out, (uint8_t)b->method);
		prt_pack_number(out, b->rounds);
		prt_pack_time(out, b->first);
		prt_pack_time(out, b->next);
	}
}

static void read_boot(struct msp_rd *rd, struct prt_child *c)
{
	while (msp_rd_left(rd) > 0) {
		uint8_t i = msp_rd_u8(rd), method = msp_rd_u8(rd);
		struct prt_boot b = { 0 };

		b.rounds = (unsigned)prt_unpack_up_to(rd, UINT32_MAX);
		b.first = prt_unpack_time(rd);
		b.next = prt_unpack_time(rd);
		b.method = (enum prt_method)method;
		if (i < c->keys.count && method < PRT_METHOD__N)
			c->boot[i] = b;
		else
			msp_rd_fail(rd, MSP_EVALUE);
	}
}

static void write_pending(const struct prt_pending *p, struct msp_buf *out)
{
	if (p->wait == PRT_WAIT_NONE)
		return;
	msp_buf_add_u8(out, (uint8_t)p->wait);
	msp_buf_add_u8(out, (uint8_t)p->source);
	prt_pack_time(out, p->since);
	prt_pack_time(out, p->next);
	prt_pack_number(out, p->tries);
	prt_pack_number(out, p->key_tag);
	prt_pack_text(out, p->who);
	prt_pack_text(out, p->why);
	write_delegation(&p->wanted, out);
}

static enum msp_err read_pending(struct msp_rd *rd, struct prt_child *c)
{
	uint8_t wait = msp_rd_u8(rd), source = msp_rd_u8(rd);
	struct prt_pending *p = &c->pending;

	p->since = prt_unpack_time(rd);
	p->next = prt_unpack_time(rd);
	p->tries = (unsigned)prt_unpack_up_to(rd, UINT32_MAX);
	p->key_tag = (uint16_t)prt_unpack_up_to(rd, UINT16_MAX);
	prt_unpack_text(rd, p->who, sizeof(p->who));
	prt_unpack_text(rd, p->why, sizeof(p->why));
	if (rd->err != MSP_OK || wait == PRT_WAIT_NONE || wait >= PRT_WAIT__N || source >= PRT_SRC__N)
		return MSP_EVALUE;
	p->source = (enum prt_source)source;
	prt_delegation_init(&p->wanted, &c->parent, &c->name);
	p->wait = (enum prt_wait)wait; /* from here on `wanted` is freed with the child */
	return read_delegation(rd, &p->wanted);
}

#define ASKER_TCP     1u
#define ASKER_MESSAGE 2u
#define ASKER_ALL     3u

static void write_asker(const struct prt_pending *p, struct msp_buf *out)
{
	static const uint8_t none[PRT_HASH_LEN];
	bool has_message = memcmp(p->message, none, sizeof(none)) != 0;

	if (p->wait == PRT_WAIT_NONE || (p->peer.family == MSP_FAMILY_NONE && !has_message))
		return;
	msp_buf_add_u8(out, (uint8_t)((p->is_tcp ? ASKER_TCP : 0) | (has_message ? ASKER_MESSAGE : 0)));
	prt_pack_addr(out, &p->peer);
	if (has_message)
		msp_buf_add(out, p->message, sizeof(p->message));
}

static void read_asker(struct msp_rd *rd, struct prt_pending *p)
{
	unsigned has = msp_rd_u8(rd);
	struct msp_span message;

	p->peer = prt_unpack_addr(rd);
	message = msp_rd_take(rd, (has & ASKER_MESSAGE) != 0 ? PRT_HASH_LEN : 0);
	if (p->wait == PRT_WAIT_NONE || (has & ~ASKER_ALL) != 0)
		msp_rd_fail(rd, MSP_EVALUE);
	p->is_tcp = (has & ASKER_TCP) != 0;
	if (message.len > 0)
		memcpy(p->message, message.ptr, message.len);
}

static void write_scan(const struct prt_scan *s, struct msp_buf *out)
{
	size_t started = STARTED_MAX;

	while (started > 0 && s->started[started - 1].s == 0)
		started--;
	if (s->last.s == 0 && s->next.s == 0 && s->failures == 0 && s->inception == 0 && !s->has_csync &&
	    started == 0 && s->result[0] == '\0')
		return;
	prt_pack_time(out, s->last);
	prt_pack_time(out, s->next);
	msp_buf_add_u8(out, s->failures);
	prt_pack_number(out, s->inception);
	msp_buf_add_u8(out, s->has_csync);
	if (s->has_csync)
		prt_pack_number(out, s->csync_serial);
	prt_pack_text(out, s->result);
	for (size_t i = 0; i < started; i++)
		prt_pack_time(out, s->started[i]);
}

static void read_scan(struct msp_rd *rd, struct prt_scan *s)
{
	uint8_t has_csync;

	s->last = prt_unpack_time(rd);
	s->next = prt_unpack_time(rd);
	s->failures = msp_rd_u8(rd);
	s->inception = (uint32_t)prt_unpack_up_to(rd, UINT32_MAX);
	has_csync = msp_rd_u8(rd);
	if (has_csync > 1)
		msp_rd_fail(rd, MSP_EVALUE);
	s->has_csync = has_csync == 1;
	if (s->has_csync)
		s->csync_serial = (uint32_t)prt_unpack_up_to(rd, UINT32_MAX);
	prt_unpack_text(rd, s->result, sizeof(s->result));
	for (size_t i = 0; msp_rd_left(rd) > 0; i++) {
		if (i == STARTED_MAX) {
			msp_rd_fail(rd, MSP_ELIMIT);
			return;
		}
		s->started[i] = prt_unpack_time(rd);
	}
}

static void write_seen(const struct prt_child *c, struct msp_wall now, struct msp_buf *out)
{
	for (size_t i = 0; i < c->seen_count; i++) {
		const struct prt_seen *s = &c->seen[i];

		if (s->until.s < now.s) /* its signature is refused for its age */
			continue;
		msp_buf_add(out, s->digest, sizeof(s->digest));
		msp_buf_add(out, s->source, sizeof(s->source));
		prt_pack_time(out, s->at);
		prt_pack_time(out, s->until);
		prt_pack_number(out, s->rcode);
		prt_pack_number(out, (uint64_t)s->ede << 1 | s->is_standard_ede);
	}
}

static void read_seen(struct msp_rd *rd, struct prt_child *c)
{
	while (msp_rd_left(rd) > 0) {
		struct msp_span digest = msp_rd_take(rd, PRT_SEEN_DIGEST), source = msp_rd_take(rd, 8);
		struct prt_seen *s = &c->seen[c->seen_count];
		uint64_t ede;

		if (rd->err != MSP_OK || c->seen_count == PRT_SEEN_MAX) {
			msp_rd_fail(rd, MSP_ELIMIT);
			return;
		}
		memcpy(s->digest, digest.ptr, sizeof(s->digest));
		memcpy(s->source, source.ptr, sizeof(s->source));
		s->at = prt_unpack_time(rd);
		s->until = prt_unpack_time(rd);
		s->rcode = (uint16_t)prt_unpack_up_to(rd, UINT16_MAX);
		ede = prt_unpack_up_to(rd, UINT64_C(2) * UINT16_MAX + 1);
		s->ede = (uint16_t)(ede >> 1);
		s->is_standard_ede = (ede & 1) != 0;
		c->seen_count++;
	}
}

static void write_changes(const struct prt_child *c, struct msp_wall now, struct msp_buf *out)
{
	/* The newest one stays however old it is: a cool-down may be longer than a day. */
	for (size_t i = 0; i < c->change_count; i++)
		if (c->changes[i].s + DAY_S > now.s || i + 1 == c->change_count)
			prt_pack_time(out, c->changes[i]);
}

static void read_changes(struct msp_rd *rd, struct prt_child *c)
{
	for (; msp_rd_left(rd) > 0; c->change_count++) {
		if (c->change_count == PRT_CHANGES_MAX) {
			msp_rd_fail(rd, MSP_ELIMIT);
			return;
		}
		c->changes[c->change_count] = prt_unpack_time(rd);
	}
}

/* --- the whole --- */

static void write_part(const struct prt_child *c, enum part part, struct msp_wall now, struct msp_buf *out)
{
	switch (part) {
	case PART_LOCK:
		msp_buf_add_str(out, c->lock_why);
		break;
	case PART_REGISTERED:
		write_delegation(&c->registered, out);
		break;
	case PART_PUBLISHED:
		write_delegation(&c->published, out);
		break;
	case PART_BOOT:
		write_boot(c, out);
		break;
	case PART_PENDING:
		write_pending(&c->pending, out);
		break;
	case PART_SCAN:
		write_scan(&c->scan, out);
		break;
	case PART_SEEN:
		write_seen(c, now, out);
		break;
	case PART_CHANGES:
		write_changes(c, now, out);
		break;
	case PART_TTL:
		if (c->ttl_back.s != 0)
			prt_pack_time(out, c->ttl_back);
		break;
	case PART_SEQ:
		if (c->last_seq != 0)
			prt_pack_number(out, c->last_seq);
		break;
	case PART_NOTE:
		msp_buf_add_str(out, c->note);
		break;
	case PART_ASKER:
		write_asker(&c->pending, out);
		break;
	case PART__N:
		break;
	}
}

static void add_part(const struct prt_child *c, enum part part, struct msp_wall now, struct msp_buf *out)
{
	static const uint8_t head[PART_HEAD];
	size_t at = out->len, len;

	msp_buf_add(out, head, PART_HEAD);
	write_part(c, part, now, out);
	if (out->err != MSP_OK)
		return;
	len = out->len - at - PART_HEAD;
	if (len > UINT16_MAX) {
		out->err = MSP_ELIMIT;
	} else if (len == 0) {
		out->len = at;
	} else {
		out->ptr[at] = (uint8_t)part;
		out->ptr[at + 1] = (uint8_t)(len >> 8);
		out->ptr[at + 2] = (uint8_t)len;
	}
}

enum msp_err prt_child_write(const struct prt_child *c, struct msp_wall now, struct msp_buf *out)
{
	bool is_same = !prt_child_is_unpublished(c);

	if (!msp_name_is_under(&c->name, &c->parent) || (c->flags & ~FLAGS_ALL) != 0)
		return MSP_EVALUE;
	msp_buf_add_u8(out, VERSION);
	msp_buf_add_span(out, msp_name_span(&c->name));
	msp_buf_add_u8(out, (uint8_t)(msp_name_labels(&c->name) - msp_name_labels(&c->parent)));
	prt_pack_number(out, c->flags << 1 | (is_same ? SAME : 0));
	write_keys(&c->keys, out);
	for (enum part part = PART_LOCK; part < PART__N; part++)
		if (part != PART_PUBLISHED || !is_same)
			add_part(c, part, now, out);
	return out->err;
}

static enum msp_err read_part(struct msp_rd *rd, enum part part, struct prt_child *c)
{
	struct msp_span s;

	switch (part) {
	case PART_LOCK:
	case PART_NOTE: {
		char *text = part == PART_LOCK ? c->lock_why : c->note;

		s = msp_rd_rest(rd);
		if (s.len >= (part == PART_LOCK ? sizeof(c->lock_why) : sizeof(c->note)) ||
		    memchr(s.ptr, 0, s.len) != NULL)
			return MSP_EVALUE;
		memcpy(text, s.ptr, s.len);
		break;
	}
	case PART_REGISTERED:
		return read_delegation(rd, &c->registered);
	case PART_PUBLISHED:
		return read_delegation(rd, &c->published);
	case PART_BOOT:
		read_boot(rd, c);
		break;
	case PART_PENDING:
		return read_pending(rd, c);
	case PART_SCAN:
		read_scan(rd, &c->scan);
		break;
	case PART_SEEN:
		read_seen(rd, c);
		break;
	case PART_CHANGES:
		read_changes(rd, c);
		break;
	case PART_TTL:
		c->ttl_back = prt_unpack_time(rd);
		break;
	case PART_SEQ:
		c->last_seq = prt_unpack_number(rd);
		break;
	case PART_ASKER:
		read_asker(rd, &c->pending);
		break;
	case PART__N:
		break;
	}
	return msp_rd_done(rd);
}

/* Name, flags and keys. */
static enum msp_err read_head(struct msp_rd *rd, struct msp_name *name, struct msp_name *parent, unsigned *flags,
			      struct prt_keyset *keys)
{
	unsigned labels;

	if (msp_rd_u8(rd) != VERSION)
		return MSP_ECORRUPT;
	msp_name_read(rd, MSP_NAME_PLAIN, name);
	labels = msp_rd_u8(rd);
	*flags = (unsigned)prt_unpack_up_to(rd, FLAGS_ALL << 1 | SAME);
	read_keys(rd, keys);
	return rd->err == MSP_OK && msp_name_parent(name, labels, parent) == MSP_OK ? MSP_OK : MSP_ECORRUPT;
}

static enum msp_err read_parts(struct msp_rd *rd, struct prt_child *c)
{
	uint8_t last = 0;

	while (msp_rd_left(rd) > 0) {
		uint8_t tag = msp_rd_u8(rd);
		struct msp_rd part = msp_rd_sub(rd, msp_rd_u16(rd));

		enum msp_err err = MSP_EFORMAT;

		if (rd->err == MSP_OK && tag > last && tag < PART__N && msp_rd_left(&part) > 0)
			err = read_part(&part, (enum part)tag, c);
		if (err != MSP_OK)
			return err == MSP_ENOMEM ? err : MSP_ECORRUPT;
		last = tag;
	}
	return rd->err == MSP_OK ? MSP_OK : MSP_ECORRUPT;
}

enum msp_err prt_child_read(struct msp_span octets, struct prt_child *c)
{
	static const struct msp_name root = { .len = 1 };
	struct msp_rd rd;
	enum msp_err err;
	bool is_same;

	prt_child_init(c, &root, &root);
	msp_rd_init(&rd, octets);
	err = read_head(&rd, &c->name, &c->parent, &c->flags, &c->keys);
	if (err != MSP_OK)
		return err;
	is_same = (c->flags & SAME) != 0;
	c->flags >>= 1;
	prt_delegation_init(&c->registered, &c->parent, &c->name);
	prt_delegation_init(&c->published, &c->parent, &c->name);
	err = read_parts(&rd, c);
	if (err == MSP_OK && is_same && c->published.count > 0)
		err = MSP_ECORRUPT;
	if (err == MSP_OK && is_same)
		err = prt_delegation_dup(&c->registered, &c->published);
	if (err != MSP_OK)
		prt_child_fini(c);
	return err;
}

enum msp_err prt_child_read_keys(struct msp_span octets, struct prt_keyset *keys, unsigned *flags)
{
	struct msp_name name, parent;
	struct msp_rd rd;
	enum msp_err err;

	memset(keys, 0, sizeof(*keys));
	msp_rd_init(&rd, octets);
	err = read_head(&rd, &name, &parent, flags, keys);
	*flags >>= 1;
	return err;
}

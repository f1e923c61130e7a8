/* SPDX-License-Identifier: BSD-2-Clause */
#include "actions.h"

#include <string.h>

#include <msproto/base/mem.h>

#include "parent.h"
#include "peer.h"

#define ACTIONS_MAX   (1u << 22)
#define STORED_MAX    (512 * 1024)
#define STORED_FORM   1
#define FILE_TEXT_MAX 1100 /* K<name>.+alg+tag.private, every octet escaped */

void msa_actions_init(struct msa_actions *a)
{
	*a = (struct msa_actions){ 0 };
}

static void drop_octets(struct msp_span *s)
{
	union {
		const uint8_t *borrowed;
		uint8_t *owned;
	} u = { .borrowed = s->ptr };

	msp_free(u.owned);
	*s = msp_span(NULL, 0);
}

void msa_actions_clear(struct msa_actions *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct msa_action *it = &a->item[i];

		drop_octets(&it->octets);
		drop_octets(&it->key);
		for (size_t k = 0; k < it->combine_count; k++)
			msp_rrset_free(&it->combine[k].set);
		msp_rrset_free(&it->signer_keys);
	}
	a->count = 0;
}

void msa_actions_fini(struct msa_actions *a)
{
	msa_actions_clear(a);
	msp_free(a->item);
	msa_actions_init(a);
}

struct msa_action *msa_act(struct msa_core *c, enum msa_action_kind kind)
{
	struct msa_actions *a = c->out;

	if (a->count == a->size) {
		size_t size = a->size == 0 ? 16 : a->size * 2;
		struct msa_action *grown = size > ACTIONS_MAX ? NULL : msp_realloc(a->item, size, sizeof(*grown));

		if (grown == NULL) {
			msa_core_note(c, MSP_ENOMEM);
			return NULL;
		}
		a->item = grown;
		a->size = size;
	}
	a->item[a->count] = (struct msa_action){ .kind = kind };
	return &a->item[a->count++];
}

/** A copy for the action list. */
static bool keep(struct msa_core *c, struct msp_span from, struct msp_span *to)
{
	uint8_t *copy = msp_memdup(from.ptr, from.len);

	if (copy == NULL) {
		msa_core_note(c, MSP_ENOMEM);
		return false;
	}
	*to = msp_span(copy, from.len);
	return true;
}

void msa_act_reply(struct msa_core *c, uint64_t request_id, struct msp_span octets)
{
	struct msa_action *a = msa_act(c, MSA_ACT_REPLY);

	if (a == NULL)
		return;
	a->id = request_id;
	if (octets.len > 0)
		keep(c, octets, &a->octets); /* without memory the request is dropped */
}

void msa_act_transfer(struct msa_core *c, const struct msp_name *zone)
{
	struct msa_action *a = msa_act(c, MSA_ACT_TRANSFER);

	if (a != NULL)
		a->name = *zone;
}

static struct msp_span id_key(uint64_t id, uint8_t oct[8])
{
	for (unsigned i = 0; i < 8; i++)
		oct[i] = (uint8_t)(id >> (56 - 8 * i));
	return msp_span(oct, 8);
}

bool msa_pend_start(struct msa_core *c, struct msa_pend *p, enum msa_pend_kind kind, void *owner)
{
	uint8_t oct[8];
	enum msp_err err;

	msa_pend_stop(c, p);
	err = msp_map_put(&c->pends, id_key(c->last_id + 1, oct), p, NULL);
	if (err != MSP_OK) {
		msa_core_note(c, err == MSP_ELIMIT ? MSP_ENOMEM : err);
		return false;
	}
	p->id = ++c->last_id;
	p->kind = kind;
	p->owner = owner;
	p->since = c->now;
	return true;
}

void msa_pend_stop(struct msa_core *c, struct msa_pend *p)
{
	uint8_t oct[8];

	if (p->id != 0)
		msp_map_del(&c->pends, id_key(p->id, oct));
	msp_free(p->request);
	p->request = NULL;
	p->request_len = 0;
	p->id = 0;
	p->kind = MSA_PEND_NONE;
}

struct msa_pend *msa_pend_find(const struct msa_core *c, uint64_t id)
{
	uint8_t oct[8];

	return id == 0 ? NULL : msp_map_get(&c->pends, id_key(id, oct));
}

void msa_act_lookup(struct msa_core *c, struct msa_pend *p, const struct msp_name *name, uint16_t type)
{
	struct msa_action *a;

	p->type = type;
	p->is_open = false;
	a = msa_act(c, MSA_ACT_LOOKUP);
	if (a == NULL) {
		msa_pend_stop(c, p);
		return;
	}
	a->id = p->id;
	a->name = *name;
	a->type = type;
	c->count.lookups++;
}

void msa_act_lookup_open(struct msa_core *c, struct msa_pend *p, const struct msp_name *name, uint16_t type)
{
	msa_act_lookup(c, p, name, type);
	if (p->id == 0)
		return;
	p->is_open = true;
	c->out->item[c->out->count - 1].kind = MSA_ACT_LOOKUP_OPEN;
}

void msa_act_key(struct msa_core *c, struct msa_pend *p, const struct msp_name *zone, enum msa_key_verb verb,
		 const char *file)
{
	struct msa_action *a = msa_act(c, MSA_ACT_KEY);

	if (a != NULL && file != NULL && !keep(c, msp_span_str(file), &a->octets)) {
		c->out->count--;
		a = NULL;
	}
	if (a == NULL) {
		if (p != NULL)
			msa_pend_stop(c, p);
		return;
	}
	a->id = p == NULL ? 0 : p->id;
	a->name = *zone;
	a->key_verb = verb;
}

void msa_act_send(struct msa_core *c, struct msa_pend *p, const struct msp_addr *to, bool tcp_only,
		  struct msp_span octets)
{
	msa_act_send_once(c, p, to, tcp_only, 0, octets);
}

void msa_act_send_once(struct msa_core *c, struct msa_pend *p, const struct msp_addr *to, bool tcp_only,
		       uint32_t timeout_ms, struct msp_span octets)
{
	struct msa_action *a;

	p->request = msp_memdup(octets.ptr, octets.len);
	p->request_len = octets.len;
	a = p->request == NULL ? NULL : msa_act(c, MSA_ACT_SEND);
	if (a == NULL || !keep(c, octets, &a->octets)) {
		if (a != NULL)
			c->out->count--;
		msa_core_note(c, MSP_ENOMEM);
		msa_pend_stop(c, p);
		return;
	}
	a->id = p->id;
	a->addr = *to;
	a->tcp_only = tcp_only;
	a->timeout_ms = timeout_ms;
	c->count.sent++;
}

/* ---- stored entries
 * -------------------------------------------------------------------------------------------------- */

static void put_u32(struct msp_buf *b, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		msp_buf_add_u8(b, (uint8_t)(v >> (24 - 8 * i)));
}

static void put_u64(struct msp_buf *b, uint64_t v)
{
	put_u32(b, (uint32_t)(v >> 32));
	put_u32(b, (uint32_t)v);
}

static void put_name(struct msp_buf *b, const struct msp_name *n)
{
	struct msp_name lower = *n;

	msp_name_lower(&lower);
	msp_buf_add_span(b, msp_name_span(&lower));
}

static void put_set(struct msa_core *c, struct msp_buf *b, const struct msp_rrset *set)
{
	struct msp_buf one;

	msp_buf_init(&one, STORED_MAX);
	if (set != NULL)
		msa_core_note(c, msp_rrset_write(set, &one));
	put_u32(b, (uint32_t)one.len);
	msp_buf_add_span(b, msp_buf_span(&one));
	msp_buf_fini(&one);
}

static void put_history(struct msp_buf *b, const struct msa_history *h)
{
	msp_buf_add_u8(b, (uint8_t)(h->ever_on | h->ever_signed << 1));
	msp_buf_add_u8(b, (uint8_t)h->last);
	msp_buf_add_u8(b, h->nsmgmt);
	msp_buf_add_u8(b, h->sign);
}

/** Start a value, and its key: letter, zone, identity (either may be NULL). */
static void open_entry(struct msp_buf *key, struct msp_buf *value, char letter, const struct msp_name *zone,
		       const struct msp_name *identity)
{
	msp_buf_init(key, 1 + 2 * MSP_NAME_MAX);
	msp_buf_init(value, STORED_MAX);
	msp_buf_add_u8(key, (uint8_t)letter);
	if (zone != NULL)
		put_name(key, zone);
	if (identity != NULL)
		put_name(key, identity);
	msp_buf_add_u8(value, STORED_FORM);
}

static bool close_entry(struct msa_core *c, struct msp_buf *key, struct msp_buf *value)
{
	struct msa_action *a = NULL;
	bool is_kept = true;

	if (key->err == MSP_OK && value->err == MSP_OK)
		a = msa_act(c, MSA_ACT_STORE);
	if (a == NULL || !keep(c, msp_buf_span(key), &a->key) || !keep(c, msp_buf_span(value), &a->octets)) {
		msa_core_note(c, MSP_ENOMEM);
		if (a != NULL) {
			drop_octets(&a->key);
			c->out->count--;
		}
		is_kept = false;
	}
	msp_buf_fini(key);
	msp_buf_fini(value);
	return is_kept;
}

void msa_store_epoch(struct msa_core *c)
{
	struct msp_buf key, value;

	open_entry(&key, &value, 'E', NULL, NULL);
	put_u64(&value, c->epoch);
	close_entry(c, &key, &value);
}

void msa_store_own(struct msa_core *c, const struct msa_zone *z)
{
	struct msp_buf key, value;

	open_entry(&key, &value, 'O', &z->name, NULL);
	put_u64(&value, z->own.version);
	msp_buf_add(&value, z->own.digest, sizeof(z->own.digest));
	close_entry(c, &key, &value);
}

void msa_store_zone(struct msa_core *c, const struct msa_zone *z)
{
	struct msp_buf key, value;

	open_entry(&key, &value, 'Z', &z->name, NULL);
	msp_buf_add_u8(&value, z->is_managed);
	msp_buf_add_u8(&value, z->gate_open);
	msp_buf_add(&value, z->gate_signers, sizeof(z->gate_signers));
	close_entry(c, &key, &value);
}

bool msa_store_put(struct msa_core *c, const struct msa_zone *z)
{
	struct msp_buf key, value;
	enum msp_err before = c->err;

	open_entry(&key, &value, 'C', &z->name, NULL);
	put_set(c, &value, z->put_dnskey);
	put_set(c, &value, z->put_cds);
	put_set(c, &value, z->put_cdnskey);
	put_set(c, &value, z->withdrawn);
	put_set(c, &value, z->dropping);
	put_u64(&value, (uint64_t)z->withdrawn_s);
	if (c->err != before) /* a set that did not fit into memory */
		value.err = MSP_ENOMEM;
	return close_entry(c, &key, &value);
}

void msa_store_self(struct msa_core *c, const struct msa_zone *z)
{
	struct msp_buf key, value;

	open_entry(&key, &value, 'S', &z->name, NULL);
	put_history(&value, &z->self);
	close_entry(c, &key, &value);
}

void msa_store_member(struct msa_core *c, const struct msa_member *m)
{
	struct msp_buf key, value;

	open_entry(&key, &value, 'M', &m->zone->name, &m->peer->identity);
	put_history(&value, &m->history);
	msp_buf_add_u8(&value, m->was_member);
	put_u64(&value, m->epoch);
	put_u64(&value, m->sequence);
	close_entry(c, &key, &value);
}

void msa_store_held(struct msa_core *c, const struct msa_member *m)
{
	struct msp_buf key, value;

	open_entry(&key, &value, 'P', &m->zone->name, &m->peer->identity);
	msa_core_note(c, msa_contribution_write(&m->held, &value));
	close_entry(c, &key, &value);
}

static void put_text(struct msp_buf *b, const char *text)
{
	struct msp_span s = msp_span_str(text == NULL ? "" : text);

	put_u32(b, (uint32_t)s.len);
	msp_buf_add_span(b, s);
}

void msa_store_parent(struct msa_core *c, const struct msa_parent *p)
{
	struct msp_buf key, value;

	open_entry(&key, &value, 'D', &p->zone->name, NULL);
	msp_buf_add(&value, p->digest, sizeof(p->digest));
	msp_buf_add_u8(&value, (uint8_t)(p->is_done | p->is_stopped << 1));
	msp_buf_add_u8(&value, (uint8_t)p->roll);
	put_u64(&value, (uint64_t)p->sent_s);
	put_u64(&value, (uint64_t)p->uploaded_s);
	put_u64(&value, (uint64_t)p->refused_s);
	put_u32(&value, p->sends);
	put_u32(&value, p->refused);
	put_text(&value, p->key_file);
	put_text(&value, p->next_file);
	put_set(c, &value, p->pub);
	close_entry(c, &key, &value);
}

/* ---- and back
 * -------------------------------------------------------------------------------------------------------- */

static enum msp_err get_set(struct msp_rd *rd, struct msp_rrset **out)
{
	uint32_t len = msp_rd_u32(rd);
	struct msp_span octets = msp_rd_take(rd, len);
	enum msp_err err;

	msp_rrset_free(out);
	if (rd->err != MSP_OK)
		return MSP_ECORRUPT;
	err = msp_rrset_read(octets, out);
	return err == MSP_OK || err == MSP_ENOMEM ? err : MSP_ECORRUPT;
}

static void get_history(struct msp_rd *rd, struct msa_history *h)
{
	uint8_t last, flags;

	flags = msp_rd_u8(rd);
	h->ever_on = (flags & 1) != 0;
	h->ever_signed = (flags & 2) != 0;
	last = msp_rd_u8(rd);
	if (last > MSA_LAST_VANISHED)
		msp_rd_fail(rd, MSP_EVALUE);
	else
		h->last = (enum msa_last)last;
	h->nsmgmt = msp_rd_u8(rd);
	h->sign = msp_rd_u8(rd);
}

static void get_digest(struct msp_rd *rd, uint8_t out[32])
{
	struct msp_span s = msp_rd_take(rd, 32);

	if (rd->err == MSP_OK)
		memcpy(out, s.ptr, 32);
}

static enum msp_err restore_put(struct msp_rd *rd, struct msa_zone *z)
{
	enum msp_err err = get_set(rd, &z->put_dnskey);

	if (err == MSP_OK)
		err = get_set(rd, &z->put_cds);
	if (err == MSP_OK)
		err = get_set(rd, &z->put_cdnskey);
	if (err == MSP_OK)
		err = get_set(rd, &z->withdrawn);
	if (err == MSP_OK)
		err = get_set(rd, &z->dropping);
	z->has_put = z->put_stored = true;
	z->withdrawn_s = (int64_t)msp_rd_u64(rd);
	return err;
}

/** A file name; empty = none. */
static enum msp_err get_text(struct msp_rd *rd, char **out)
{
	uint32_t len = msp_rd_u32(rd);
	struct msp_span s = msp_rd_take(rd, len);
	char text[FILE_TEXT_MAX + 1];

	msp_free(*out);
	*out = NULL;
	if (rd->err != MSP_OK || s.len > FILE_TEXT_MAX)
		return MSP_ECORRUPT;
	if (s.len == 0)
		return MSP_OK;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	*out = msp_strdup(text);
	return *out == NULL ? MSP_ENOMEM : MSP_OK;
}

static enum msp_err restore_parent(struct msp_rd *rd, struct msa_parent *p)
{
	enum msp_err err;
	uint8_t flags, roll;

	get_digest(rd, p->digest);
	flags = msp_rd_u8(rd);
	p->is_done = (flags & 1) != 0;
	p->is_stopped = (flags & 2) != 0;
	roll = msp_rd_u8(rd);
	p->sent_s = (int64_t)msp_rd_u64(rd);
	p->uploaded_s = (int64_t)msp_rd_u64(rd);
	p->refused_s = (int64_t)msp_rd_u64(rd);
	p->sends = msp_rd_u32(rd);
	p->refused = msp_rd_u32(rd);
	if (rd->err != MSP_OK || roll > MSA_ROLL_SWITCHED)
		return MSP_ECORRUPT;
	p->roll = (enum msa_roll)roll;
	err = get_text(rd, &p->key_file);
	if (err == MSP_OK)
		err = get_text(rd, &p->next_file);
	return err == MSP_OK ? get_set(rd, &p->pub) : err;
}

static enum msp_err restore_zone(struct msp_rd *rd, uint8_t letter, struct msa_zone *z)
{
	if (letter == 'D' && z->parent == NULL) { /* switched off meanwhile; kept for the day it is on again */
		(void)msp_rd_rest(rd);
		return MSP_OK;
	}
	switch (letter) {
	case 'D':
		return restore_parent(rd, z->parent);
	case 'O':
		z->own.version = msp_rd_u64(rd);
		get_digest(rd, z->own.digest);
		return MSP_OK;
	case 'Z':
		z->is_managed = msp_rd_u8(rd) != 0;
		z->gate_open = msp_rd_u8(rd) != 0;
		get_digest(rd, z->gate_signers);
		return MSP_OK;
	case 'C':
		return restore_put(rd, z);
	default: /* 'S' */
		get_history(rd, &z->self);
		return MSP_OK;
	}
}

static enum msp_err restore_member(struct msa_core *c, struct msp_rd *rd, uint8_t letter, struct msa_zone *z,
				   const struct msp_name *identity)
{
	struct msa_member *m = NULL;
	struct msa_contribution held = { 0 };
	enum msp_err err = msa_member_get(c, z, identity, &m);

	if (err != MSP_OK)
		return err;
	if (letter == 'M') {
		get_history(rd, &m->history);
		m->was_member = msp_rd_u8(rd) != 0;
		m->epoch = msp_rd_u64(rd);
		m->sequence = msp_rd_u64(rd);
		return MSP_OK;
	}
	err = msa_contribution_read(msp_rd_rest(rd), &held);
	if (err != MSP_OK)
		return err;
	msa_contribution_fini(&m->held);
	m->held = held;
	return MSP_OK;
}

enum msp_err msa_core_restore(struct msa_core *core, struct msp_span key, struct msp_span value)
{
	struct msp_rd k, v;
	struct msp_name zone, identity;
	struct msa_zone *z;
	uint8_t letter;
	enum msp_err err = MSP_OK;

	msp_rd_init(&k, key);
	msp_rd_init(&v, value);
	letter = msp_rd_u8(&k);
	if (k.err != MSP_OK || strchr("EOZCSMPD", letter) == NULL || letter == 0) {
		msp_log(core->log, MSP_LOG_INFO, "stored-entry-ignored", MSP_F_HEX("key", key));
		return MSP_OK;
	}
	if (msp_rd_u8(&v) != STORED_FORM)
		return MSP_ECORRUPT;
	if (letter == 'E') {
		uint64_t epoch = msp_rd_u64(&v);

		if (msp_rd_done(&k) != MSP_OK || msp_rd_done(&v) != MSP_OK || epoch == UINT64_MAX)
			return MSP_ECORRUPT;
		if (core->epoch <= epoch)
			core->epoch = epoch + 1; /* a clock set back, or two starts in one second */
		return MSP_OK;
	}
	msp_name_read(&k, MSP_NAME_PLAIN, &zone);
	if (letter == 'M' || letter == 'P')
		msp_name_read(&k, MSP_NAME_PLAIN, &identity);
	if (msp_rd_done(&k) != MSP_OK)
		return MSP_ECORRUPT;
	z = msa_core_find_zone(core, &zone);
	if (z == NULL) {
		msp_log(core->log, MSP_LOG_INFO, "stored-zone-ignored", MSP_F_STR("zone", MSP_NAME(&zone)));
		return MSP_OK;
	}
	if (letter == 'M' || letter == 'P')
		err = restore_member(core, &v, letter, z, &identity);
	else
		err = restore_zone(&v, letter, z);
	if (err == MSP_OK && msp_rd_done(&v) != MSP_OK)
		err = MSP_ECORRUPT;
	return err;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UPDATEs seen before. TSIG has a window of minutes in which a recorded UPDATE verifies again; an old deletion or
 * addition must not come back through it. The identity of a message is its key and the beginning of its MAC: the rest
 * may be cut off by anybody (RFC 8945 5.2.2.1), and the message still verifies.
 *
 * One map holds two keys for each: by time (to forget the oldest without looking at the others), and by identity.
 */
#include "shell.h"

#include <msproto/base/mem.h>

#include <string.h>

#define SWEEP_MAX 512 /* entries removed per sweep, at most; more than come in between two of them */
#define TIME_LEN  8
#define KEY_MAX   (1 + TIME_LEN + CMB_SEEN_ID_MAX)
#define MAC_LEAST 16 /* what verification demands of the shortest MAC in use, hmac-sha256's */

bool cmb_seen_identity(struct cmb_app *app, const struct msp_msg *m, uint8_t id[CMB_SEEN_ID_MAX], size_t *len,
		       struct msp_wall *until)
{
	struct msp_name alg;
	struct msp_span mac;
	struct msp_rd rd;
	struct msp_wr wr;
	struct msp_rr rr;
	uint64_t time;
	uint16_t fudge;

	if (m->tsig_at == 0)
		return false;
	msp_rd_init(&rd, m->raw);
	rd.pos = m->tsig_at;
	msp_rr_read(&rd, &app->scratch, &rr);
	if (rd.err != MSP_OK)
		return false;
	msp_rd_init(&rd, rr.rdata);
	msp_name_read(&rd, MSP_NAME_PLAIN, &alg);
	time = msp_rd_u48(&rd);
	fudge = msp_rd_u16(&rd);
	mac = msp_rd_take(&rd, msp_rd_u16(&rd));
	if (rd.err != MSP_OK || mac.len < MAC_LEAST || mac.len > MSP_TSIG_MAC_MAX)
		return false;
	msp_name_lower(&rr.owner);
	msp_wr_init(&wr, id, CMB_SEEN_ID_MAX);
	msp_wr_octets(&wr, msp_name_span(&rr.owner));
	msp_wr_octets(&wr, msp_span(mac.ptr, MAC_LEAST));
	*len = wr.pos;
	until->s = (int64_t)time + (fudge < MSP_TSIG_FUDGE_S ? fudge : MSP_TSIG_FUDGE_S) + 1;
	return wr.err == MSP_OK;
}

/* --- the map ------------------------------------------------------------------------------------------------------ */

enum key_kind { BY_TIME, BY_ID };

struct key {
	uint8_t oct[KEY_MAX];
	size_t len;
};

static struct msp_span key_span(const struct key *k)
{
	return msp_span(k->oct, k->len);
}

static struct key key_by_id(struct msp_span id)
{
	struct key k;
	struct msp_wr wr;

	msp_wr_init(&wr, k.oct, sizeof(k.oct));
	msp_wr_u8(&wr, BY_ID);
	msp_wr_octets(&wr, id);
	k.len = wr.err == MSP_OK ? wr.pos : 0;
	return k;
}

static struct key key_by_time(struct msp_wall until, struct msp_span id)
{
	struct key k;
	struct msp_wr wr;

	msp_wr_init(&wr, k.oct, sizeof(k.oct));
	msp_wr_u8(&wr, BY_TIME);
	msp_wr_u64(&wr, (uint64_t)until.s);
	msp_wr_octets(&wr, id);
	k.len = wr.err == MSP_OK ? wr.pos : 0;
	return k;
}

static struct cmb_seen *get(const struct cmb_app *app, struct msp_span id)
{
	struct key k = key_by_id(id);

	return msp_map_get(&app->seen, key_span(&k));
}

const struct cmb_seen *cmb_seen_get(const struct cmb_app *app, struct msp_span id)
{
	return get(app, id);
}

static enum msp_err insert(struct cmb_app *app, struct msp_span id, struct cmb_seen *s)
{
	struct key by_id = key_by_id(id), by_time = key_by_time(s->until, id);
	enum msp_err err = msp_map_put(&app->seen, key_span(&by_id), s, NULL);

	if (err != MSP_OK)
		return err;
	err = msp_map_put(&app->seen, key_span(&by_time), s, NULL);
	if (err != MSP_OK)
		(void)msp_map_del(&app->seen, key_span(&by_id));
	return err;
}

static enum msp_err add(struct cmb_app *app, struct msp_span id, const struct cmb_seen *seen)
{
	struct cmb_seen *s = msp_memdup(seen, sizeof(*seen));
	enum msp_err err;

	if (s == NULL)
		return MSP_ENOMEM;
	err = insert(app, id, s);
	if (err == MSP_ELIMIT) { /* what is out of date may not have been swept yet */
		cmb_seen_sweep(app);
		err = insert(app, id, s);
	}
	if (err != MSP_OK)
		msp_free(s);
	return err == MSP_ELIMIT ? MSP_EBUSY : err;
}

enum msp_err cmb_seen_put(struct cmb_app *app, struct msp_span id, struct msp_wall until, const struct msp_addr *peer,
			  unsigned rcode)
{
	struct cmb_seen seen = { .until = until, .rcode = rcode }, *s = get(app, id);

	if (peer != NULL)
		seen.peer = *peer;
	if (s == NULL)
		return add(app, id, &seen);
	/* The time of a message is part of it, and its identity is its MAC: it cannot have changed. */
	s->rcode = rcode;
	if (peer != NULL)
		s->peer = *peer;
	return MSP_OK;
}

static enum msp_err load_one(void *arg, struct msp_span id, struct msp_wall until)
{
	struct cmb_app *app = arg;

	/* Those out of date too: the first sweep removes them. */
	/* No peer: after a restart a repetition is refused instead of answered as before. */
	return cmb_seen_put(app, id, until, NULL, MSP_RCODE_NOTAUTH);
}

enum msp_err cmb_seen_load(struct cmb_app *app)
{
	return cmb_state_each_seen(app->store, load_one, app);
}

/* --- forgetting --------------------------------------------------------------------------------------------------- */

static size_t collect_dead(const struct cmb_app *app, struct key *dead, size_t max)
{
	struct msp_wall now = msp_wall_now();
	struct msp_map_it it;
	size_t count = 0;

	for (bool ok = msp_map_first(&app->seen, msp_span(NULL, 0), &it);
	     ok && count < max && it.key.ptr[0] == BY_TIME && ((const struct cmb_seen *)it.value)->until.s < now.s;
	     ok = msp_map_next(&app->seen, &it)) {
		memcpy(dead[count].oct, it.key.ptr, it.key.len);
		dead[count++].len = it.key.len;
	}
	return count;
}

static void sweep(struct cmb_app *app, const struct key *dead, size_t count)
{
	enum msp_err err = msp_store_begin(app->store);

	if (err != MSP_OK)
		return;
	for (size_t i = 0; i < count; i++) {
		struct msp_span id = msp_span(dead[i].oct + 1 + TIME_LEN, dead[i].len - 1 - TIME_LEN);
		struct key by_id = key_by_id(id);

		msp_free(msp_map_del(&app->seen, key_span(&dead[i])));
		(void)msp_map_del(&app->seen, key_span(&by_id));
		if (err == MSP_OK)
			err = cmb_state_del_seen(app->store, id);
	}
	/* What stays on disk after a failure is too old to matter, and goes with the next start's sweep. */
	if (err != MSP_OK || msp_store_commit(app->store) != MSP_OK)
		msp_store_rollback(app->store);
}

void cmb_seen_sweep(struct cmb_app *app)
{
	struct key *dead = msp_alloc(SWEEP_MAX, sizeof(*dead));
	size_t count = dead != NULL ? collect_dead(app, dead, SWEEP_MAX) : 0;

	if (count > 0)
		sweep(app, dead, count);
	msp_free(dead);
}

void cmb_seen_fini(struct cmb_app *app)
{
	struct msp_map_it it;

	/* each value is there twice */
	for (bool ok = msp_map_first(&app->seen, msp_span(NULL, 0), &it); ok && it.key.ptr[0] == BY_TIME;
	     ok = msp_map_next(&app->seen, &it))
		msp_free(it.value);
	msp_map_fini(&app->seen, NULL);
}

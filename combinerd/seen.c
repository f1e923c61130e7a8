/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UPDATEs seen before. TSIG has a window of minutes in which a recorded UPDATE verifies again; an old deletion or
 * addition must not come back through it. The identity of a message is its key and the beginning of its MAC: the rest
 * may be cut off by anybody (RFC 8945 5.2.2.1), and the message still verifies.
 */
#include "shell.h"

#include <msproto/base/mem.h>

#include <string.h>

#define SWEEP_EVERY 64 /* entries removed per sweep, at most */
#define MAC_LEAST   16 /* what verification demands of the shortest MAC in use, hmac-sha256's */

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
	until->s = (int64_t)time + fudge + 1;
	return wr.err == MSP_OK;
}

const struct cmb_seen *cmb_seen_get(const struct cmb_app *app, struct msp_span id)
{
	return msp_map_get(&app->seen, id);
}

enum msp_err cmb_seen_put(struct cmb_app *app, struct msp_span id, struct msp_wall until, const struct msp_addr *peer,
			  unsigned rcode)
{
	struct cmb_seen *s = msp_map_get(&app->seen, id);
	enum msp_err err;

	if (s == NULL) {
		s = msp_alloc(1, sizeof(*s));
		if (s == NULL)
			return MSP_ENOMEM;
		err = msp_map_put(&app->seen, id, s, NULL);
		if (err != MSP_OK) {
			msp_free(s);
			return err == MSP_ELIMIT ? MSP_EBUSY : err;
		}
	}
	s->until = until;
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

struct dead {
	uint8_t id[CMB_SEEN_ID_MAX];
	size_t len;
};

static size_t collect_dead(const struct cmb_app *app, struct dead *dead, size_t max)
{
	struct msp_wall now = msp_wall_now();
	struct msp_map_it it;
	size_t count = 0;

	for (bool ok = msp_map_first(&app->seen, msp_span(NULL, 0), &it); ok && count < max;
	     ok = msp_map_next(&app->seen, &it)) {
		const struct cmb_seen *s = it.value;

		if (s->until.s >= now.s || it.key.len > sizeof(dead->id))
			continue;
		memcpy(dead[count].id, it.key.ptr, it.key.len);
		dead[count++].len = it.key.len;
	}
	return count;
}

void cmb_seen_sweep(struct cmb_app *app)
{
	struct dead dead[SWEEP_EVERY];
	size_t count = collect_dead(app, dead, SWEEP_EVERY);
	enum msp_err err;

	if (count == 0 || msp_store_begin(app->store) != MSP_OK)
		return;
	err = MSP_OK;
	for (size_t i = 0; i < count; i++) {
		msp_free(msp_map_del(&app->seen, msp_span(dead[i].id, dead[i].len)));
		if (err == MSP_OK)
			err = cmb_state_del_seen(app->store, msp_span(dead[i].id, dead[i].len));
	}
	/* What stays on disk after a failure is too old to matter, and goes with the next start's sweep. */
	if (err != MSP_OK || msp_store_commit(app->store) != MSP_OK)
		msp_store_rollback(app->store);
}

void cmb_seen_fini(struct cmb_app *app)
{
	msp_map_fini(&app->seen, msp_free);
}

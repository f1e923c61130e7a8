/* SPDX-License-Identifier: BSD-2-Clause */
/* The environment, and what all values have in common. */
#include "pages_priv.h"

#include <msproto/base/mem.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT       2 /* 1 had no number */
#define GROW_TIMES   8 /* doublings of the map */
#define PATH_MAX_OWN 4096
#define DBS_MAX      4

enum msp_err cmb_pages_translate(int rc)
{
	switch (rc) {
	case 0:
		return MSP_OK;
	case MDB_NOTFOUND:
		return MSP_ENOTFOUND;
	case MDB_MAP_FULL:
	case ENOSPC:
		return MSP_ENOSPACE;
	case ENOMEM:
		return MSP_ENOMEM;
	case EFBIG:
		return MSP_ELIMIT;
	case MDB_READERS_FULL:
		return MSP_EBUSY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return MSP_ECORRUPT;
	default:
		return MSP_EIO;
	}
}

int cmb_pages_rc(enum msp_err err)
{
	switch (err) {
	case MSP_OK:
		return 0;
	case MSP_ENOMEM:
		return ENOMEM;
	case MSP_ELIMIT:
		return EFBIG;
	case MSP_ECORRUPT:
		return MDB_CORRUPTED;
	default:
		return EIO;
	}
}

/* --- checksum ----------------------------------------------------------------------------------------------------- */

#define LANES 8 /* multiplications that do not wait for each other */

static inline uint64_t mix(uint64_t h, uint64_t w)
{
	h ^= w;
	h = h << 29 | h >> 35;
	return h * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t cmb_pages_sum(struct msp_span octets, uint64_t seed)
{
	const uint8_t *at = octets.ptr;
	size_t left = octets.len;
	uint64_t lane[LANES], w, h = mix(seed, left);

	for (unsigned i = 0; i < LANES; i++)
		lane[i] = seed + i;
	for (; left >= sizeof(lane); at += sizeof(lane), left -= sizeof(lane))
		for (unsigned i = 0; i < LANES; i++) {
			memcpy(&w, at + i * sizeof(w), sizeof(w));
			lane[i] = mix(lane[i], w);
		}
	for (; left >= sizeof(w); at += sizeof(w), left -= sizeof(w)) {
		memcpy(&w, at, sizeof(w));
		h = mix(h, w);
	}
	w = 0;
	if (left > 0)
		memcpy(&w, at, left);
	h = mix(h, w);
	for (unsigned i = 0; i < LANES; i++)
		h = mix(h, lane[i]);
	return mix(h, h >> 32);
}

/* --- values ------------------------------------------------------------------------------------------------------- */

int cmb_value_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, uint64_t seed, struct msp_span head, struct msp_span body)
{
	MDB_val val = { CMB_SUM_LEN + head.len + body.len, NULL };
	int rc = mdb_put(txn, dbi, key, &val, MDB_RESERVE);
	uint8_t *at = val.mv_data;
	uint64_t sum;

	if (rc != 0)
		return rc;
	if (head.len > 0)
		memcpy(at + CMB_SUM_LEN, head.ptr, head.len);
	if (body.len > 0)
		memcpy(at + CMB_SUM_LEN + head.len, body.ptr, body.len);
	sum = cmb_pages_sum(cmb_value_octets(val), seed);
	memcpy(at, &sum, CMB_SUM_LEN);
	return 0;
}

struct msp_span cmb_value_octets(MDB_val val)
{
	const uint8_t *at = val.mv_data;

	return val.mv_size < CMB_SUM_LEN ? msp_span(NULL, 0) : msp_span(at + CMB_SUM_LEN, val.mv_size - CMB_SUM_LEN);
}

enum msp_err cmb_value_check(MDB_val val, uint64_t seed, struct msp_span *out)
{
	uint64_t sum;

	*out = cmb_value_octets(val);
	if (out->len == 0)
		return MSP_ECORRUPT;
	memcpy(&sum, val.mv_data, CMB_SUM_LEN);
	return sum == cmb_pages_sum(*out, seed) ? MSP_OK : MSP_ECORRUPT;
}

static void key_end(struct cmb_key *k, const struct msp_wr *wr)
{
	k->val = (MDB_val){ wr->pos, k->mem };
}

void cmb_key_page(struct cmb_key *k, uint64_t gen, uint64_t number)
{
	struct msp_wr wr;

	msp_wr_init(&wr, k->mem, sizeof(k->mem));
	msp_wr_u64(&wr, gen);
	msp_wr_u64(&wr, number);
	key_end(k, &wr);
}

/* Names in wire form end in a zero octet and none is the beginning of another: a number may follow. */
static void key_zone(struct cmb_key *k, const struct msp_name *zone, struct msp_wr *wr)
{
	struct msp_name lower = *zone;

	msp_name_lower(&lower);
	msp_wr_init(wr, k->mem, sizeof(k->mem));
	msp_wr_octets(wr, msp_name_span(&lower));
}

void cmb_key_zone(struct cmb_key *k, const struct msp_name *zone)
{
	struct msp_wr wr;

	key_zone(k, zone, &wr);
	key_end(k, &wr);
}

void cmb_key_entry(struct cmb_key *k, const struct msp_name *zone, uint64_t seq)
{
	struct msp_wr wr;

	key_zone(k, zone, &wr);
	msp_wr_u64(&wr, seq);
	key_end(k, &wr);
}

bool cmb_key_number(MDB_val key, const struct cmb_key *like, uint64_t *number)
{
	struct msp_rd rd;

	if (key.mv_size != like->val.mv_size || memcmp(key.mv_data, like->mem, key.mv_size - sizeof(*number)) != 0)
		return false;
	msp_rd_init(&rd, msp_span(key.mv_data, key.mv_size));
	(void)msp_rd_take(&rd, key.mv_size - sizeof(*number));
	*number = msp_rd_u64(&rd);
	return true;
}

uint64_t cmb_seed_page(uint64_t gen, uint64_t number)
{
	return mix(mix(0, gen), number);
}

uint64_t cmb_seed_key(MDB_val key)
{
	return cmb_pages_sum(msp_span(key.mv_data, key.mv_size), 0);
}

int cmb_page_put(MDB_txn *txn, struct cmb_pages *p, uint64_t gen, uint64_t number, struct msp_span msg)
{
	struct cmb_key key;

	cmb_key_page(&key, gen, number);
	return cmb_value_put(txn, p->pages, &key.val, cmb_seed_page(gen, number), msg, msp_span(NULL, 0));
}

/* --- environment -------------------------------------------------------------------------------------------------- */

static int check_format(struct cmb_pages *p, MDB_txn *txn)
{
	char name[] = "format";
	uint32_t format = FORMAT;
	MDB_val key = { sizeof(name), name }, val;
	int rc = mdb_dbi_open(txn, "meta", 0, &p->meta);

	if (rc == MDB_NOTFOUND && mdb_dbi_open(txn, "zones", 0, &p->zones) == 0)
		return MDB_VERSION_MISMATCH;
	if (rc == MDB_NOTFOUND) {
		rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &p->meta);
		val = (MDB_val){ sizeof(format), &format };
		return rc == 0 ? mdb_put(txn, p->meta, &key, &val, 0) : rc;
	}
	if (rc == 0)
		rc = mdb_get(txn, p->meta, &key, &val);
	if (rc == MDB_NOTFOUND ||
	    (rc == 0 && (val.mv_size != sizeof(format) || memcmp(val.mv_data, &format, sizeof(format)) != 0)))
		return MDB_VERSION_MISMATCH;
	return rc;
}

static int open_dbs(struct cmb_pages *p)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(p->env, NULL, 0, &txn);

	if (rc == 0)
		rc = check_format(p, txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "zones", MDB_CREATE, &p->zones);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "pages", MDB_CREATE, &p->pages);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "history", MDB_CREATE, &p->history);
	if (rc == 0)
		return mdb_txn_commit(txn);
	if (txn != NULL)
		mdb_txn_abort(txn);
	return rc;
}

/* A file that was cut off would be read beyond its end, which is a signal and not an error. What is missing reads as
 * zeros, and those as damage. */
static int mend_length(MDB_env *env)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	int fd, rc = mdb_env_info(env, &info);
	off_t need;

	if (rc == 0)
		rc = mdb_env_stat(env, &stat);
	if (rc == 0)
		rc = mdb_env_get_fd(env, &fd);
	if (rc != 0)
		return rc;
	need = (off_t)((info.me_last_pgno + 1) * stat.ms_psize);
	if (fstat(fd, &st) != 0 || (st.st_size < need && ftruncate(fd, need) != 0))
		return errno;
	return 0;
}

static int open_env(struct cmb_pages *p, const struct cmb_pages_conf *conf)
{
	/* NOTLS: a snapshot belongs to a transfer, not to the thread. */
	int rc = mdb_env_create(&p->env), dead;

	if (rc == 0)
		rc = mdb_env_set_mapsize(p->env, (size_t)conf->map_size);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(p->env, conf->readers_max);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(p->env, DBS_MAX);
	if (rc == 0)
		rc = mdb_env_open(p->env, conf->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (rc == 0)
		rc = mend_length(p->env);
	if (rc == 0)
		rc = mdb_reader_check(p->env, &dead); /* slots of a process that was killed */
	if (rc == 0)
		rc = open_dbs(p);
	if (rc != 0 && p->env != NULL) {
		mdb_env_close(p->env);
		p->env = NULL;
	}
	return rc;
}

/* What was in the transaction that failed may be there or not: whoever made it looks. */
static int open_anew(struct cmb_pages *p)
{
	struct cmb_pages_conf conf = { .path = p->path, .map_size = p->map_size, .readers_max = p->readers_max };

	mdb_env_close(p->env);
	p->env = NULL;
	p->used.octets = 0;
	return open_env(p, &conf);
}

int cmb_pages_begin(struct cmb_pages *p, unsigned flags, MDB_txn **txn)
{
	int rc = p->env != NULL ? mdb_txn_begin(p->env, NULL, flags, txn) : MDB_PANIC;

	if (rc != MDB_PANIC || p->snaps != 0)
		return rc;
	rc = open_anew(p);
	return rc == 0 ? mdb_txn_begin(p->env, NULL, flags, txn) : EIO;
}

static bool move_aside(const char *path)
{
	char to[PATH_MAX_OWN];
	int n = snprintf(to, sizeof(to), "%s.damaged", path);

	return n > 0 && (size_t)n < sizeof(to) && rename(path, to) == 0;
}

enum msp_err cmb_pages_open(const struct cmb_pages_conf *conf, struct cmb_pages **out, bool *started_anew,
			    struct msp_why *why)
{
	struct cmb_pages *p = msp_alloc(1, sizeof(*p));
	int rc;

	*started_anew = false;
	*out = NULL;
	if (p == NULL)
		return MSP_ENOMEM;
	msp_rand_init_system(&p->rand);
	p->map_size = conf->map_size;
	p->readers_max = conf->readers_max;
	p->path = msp_strdup(conf->path);
	if (p->path == NULL) {
		msp_free(p);
		return MSP_ENOMEM;
	}
	rc = open_env(p, conf);
	if (cmb_pages_translate(rc) == MSP_ECORRUPT && move_aside(conf->path)) {
		*started_anew = true;
		rc = open_env(p, conf);
	}
	if (rc != 0) {
		msp_free(p->path);
		msp_free(p);
		return msp_fail(why, cmb_pages_translate(rc), "%s: %s", conf->path, mdb_strerror(rc));
	}
	*out = p;
	return MSP_OK;
}

void cmb_pages_close(struct cmb_pages **p)
{
	if (*p == NULL)
		return;
	mdb_env_close((*p)->env);
	msp_free((*p)->retired);
	msp_free((*p)->path);
	msp_free(*p);
	*p = NULL;
}

/* The map is address space; growing it moves it, which no reader may see. */
static bool grow(struct cmb_pages *p)
{
	if (p->snaps != 0 || p->grown == GROW_TIMES || p->map_size > UINT64_MAX / 2 ||
	    mdb_env_set_mapsize(p->env, (size_t)(p->map_size * 2)) != 0)
		return false;
	p->map_size *= 2;
	p->grown++;
	p->used.octets = 0; /* it was elsewhere */
	return true;
}

enum msp_err cmb_pages_write(struct cmb_pages *p, unsigned flags, cmb_write_fn *fn, void *arg)
{
	struct msp_mono from = msp_mono_now();
	int rc;

	do {
		MDB_txn *txn = NULL;

		rc = cmb_pages_begin(p, flags, &txn);
		if (rc != 0)
			break;
		rc = fn(txn, p, arg);
		if (rc == 0)
			rc = mdb_txn_commit(txn); /* with fsync */
		else
			mdb_txn_abort(txn);
	} while (rc == MDB_MAP_FULL && grow(p));
	p->commits++;
	p->commit_us += (uint64_t)(msp_mono_now().ms - from.ms) * 1000;
	return cmb_pages_translate(rc);
}

static uint64_t used_pages(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_stat st;

	return mdb_stat(txn, dbi, &st) == 0 ? st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages : 0;
}

struct cmb_pages_stats cmb_pages_stats(struct cmb_pages *p)
{
	struct cmb_pages_stats s = { .commits = p->commits,
				     .commit_us = p->commit_us,
				     .snapshots = p->snaps,
				     .retired = p->retired_count,
				     .damaged = p->damaged };
	MDB_txn *txn = NULL;
	MDB_envinfo info;
	MDB_stat st;

	if (mdb_env_info(p->env, &info) != 0 || mdb_env_stat(p->env, &st) != 0 ||
	    cmb_pages_begin(p, MDB_RDONLY, &txn) != 0)
		return s;
	s.file_octets = (info.me_last_pgno + 1) * (uint64_t)st.ms_psize;
	s.used_octets = (used_pages(txn, p->meta) + used_pages(txn, p->zones) + used_pages(txn, p->pages) +
			 used_pages(txn, p->history)) *
			st.ms_psize;
	mdb_txn_abort(txn);
	return s;
}

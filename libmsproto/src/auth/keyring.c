/* SPDX-License-Identifier: BSD-2-Clause */
#include "auth/trustint.h"

#include <msproto/base/mem.h>

struct owner_keys {
	size_t count;
	struct msp_key *keys[MSP_KEYRING_PER_OWNER]; /* owned */
};

struct msp_keyring {
	struct msp_map owners; /* name key -> struct owner_keys, owned */
};

static void free_owner(void *value)
{
	struct owner_keys *o = value;

	if (o == NULL)
		return;
	for (size_t i = 0; i < o->count; i++)
		msp_key_free(&o->keys[i]);
	msp_free(o);
}

enum msp_err msp_keyring_new(size_t max_owners, struct msp_keyring **out)
{
	*out = msp_alloc(1, sizeof(**out));
	if (*out == NULL)
		return MSP_ENOMEM;
	msp_map_init(&(*out)->owners, max_owners);
	return MSP_OK;
}

void msp_keyring_free(struct msp_keyring **ring)
{
	if (*ring == NULL)
		return;
	msp_map_fini(&(*ring)->owners, free_owner);
	msp_free(*ring);
	*ring = NULL;
}

static bool is_sig0_key(struct msp_span rdata)
{
	struct msp_dnskey k;

	return msp_dnskey_parse(rdata, &k) == MSP_OK && (k.flags & MSP_DNSKEY_ZONE) == 0;
}

static bool has_rdata(const struct owner_keys *o, struct msp_span rdata)
{
	for (size_t i = 0; i < o->count; i++)
		if (msp_span_equal(msp_key_rdata(o->keys[i]), rdata))
			return true;
	return false;
}

static size_t same_tag(const struct owner_keys *o, uint8_t alg, uint16_t tag, const struct msp_key **out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < o->count; i++) {
		if (msp_key_alg(o->keys[i]) != alg || msp_key_id(o->keys[i]) != tag)
			continue;
		if (n < max)
			out[n] = o->keys[i];
		n++;
	}
	return n;
}

/* One more key, when it is usable; what is not usable is passed over. */
static enum msp_err add(struct owner_keys *o, const struct msp_name *owner, struct msp_span rdata)
{
	struct msp_key *key;
	enum msp_err err;

	if (!is_sig0_key(rdata) || has_rdata(o, rdata))
		return MSP_OK;
	err = msp_key_from_rdata(owner, rdata, &key);
	if (err != MSP_OK)
		return err == MSP_ENOMEM ? err : MSP_OK;
	/* Each candidate of one tag costs a verification (PROTOCOL C.3 step 7): refuse here what would be too many
	 * there. */
	if (o->count == MSP_KEYRING_PER_OWNER ||
	    same_tag(o, msp_key_alg(key), msp_key_id(key), NULL, 0) == MSP_KEYRING_SAME_TAG) {
		msp_key_free(&key);
		return MSP_ELIMIT;
	}
	o->keys[o->count++] = key;
	return MSP_OK;
}

enum msp_err msp_keyring_set(struct msp_keyring *ring, const struct msp_name *owner, const struct msp_span *rdata,
			     size_t count, size_t *usable)
{
	struct msp_name_key name = msp_name_key(owner);
	struct owner_keys *o = msp_alloc(1, sizeof(*o));
	enum msp_err err = o == NULL ? MSP_ENOMEM : MSP_OK;
	void *old = NULL;

	*usable = 0;
	for (size_t i = 0; i < count && err == MSP_OK; i++)
		err = add(o, owner, rdata[i]);
	if (err != MSP_OK)
		goto out;
	if (o->count == 0) {
		old = msp_map_del(&ring->owners, msp_name_key_span(&name));
		goto out;
	}
	err = msp_map_put(&ring->owners, msp_name_key_span(&name), o, &old);
	if (err != MSP_OK)
		goto out;
	*usable = o->count;
	o = NULL; /* the map's now */
out:
	free_owner(old);
	free_owner(o);
	return err;
}

void msp_keyring_drop(struct msp_keyring *ring, const struct msp_name *owner)
{
	struct msp_name_key name = msp_name_key(owner);

	free_owner(msp_map_del(&ring->owners, msp_name_key_span(&name)));
}

bool msp_keyring_has(const struct msp_keyring *ring, const struct msp_name *owner)
{
	struct msp_name_key name = msp_name_key(owner);

	return msp_map_get(&ring->owners, msp_name_key_span(&name)) != NULL;
}

size_t msp_keyring_find(const struct msp_keyring *ring, const struct msp_name *owner, uint8_t alg, uint16_t tag,
			const struct msp_key *out[MSP_KEYRING_SAME_TAG])
{
	struct msp_name_key name = msp_name_key(owner);
	const struct owner_keys *o = msp_map_get(&ring->owners, msp_name_key_span(&name));
	size_t n = o == NULL ? 0 : same_tag(o, alg, tag, out, MSP_KEYRING_SAME_TAG);

	return n < MSP_KEYRING_SAME_TAG ? n : MSP_KEYRING_SAME_TAG;
}

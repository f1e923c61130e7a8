/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of a child at the desk: UPDATEs of class KEY, KeyState, bootstrap looks. PROTOCOL G.6, B.2. */
#include "desk_priv.h"

#include <msproto/auth/digest.h>
#include <msproto/auth/key.h>

#include <stdio.h>
#include <string.h>

enum msp_err prt_key_print(struct msp_span rdata, uint8_t print[PRT_HASH_LEN])
{
	return msp_sha256(&rdata, 1, print);
}

enum msp_keystate_state prt_desk_keystate(const struct prt_keyset *keys, struct msp_span key)
{
	struct msp_dnskey k;

	for (size_t i = 0; i < keys->count; i++)
		if (msp_span_equal(prt_key_rdata(&keys->key[i]), key))
			return prt_key_keystate(&keys->key[i]);
	if (key.len > 0 && msp_dnskey_parse(key, &k) != MSP_OK)
		return MSP_KEYSTATE_INVALID;
	return MSP_KEYSTATE_UNKNOWN;
}

/* --- the trail ------------------------------------------------------------------------------------------------------
 */

static void write_keys(const struct prt_keyset *k, struct msp_buf *out)
{
	for (size_t i = 0; i < k->count; i++) {
		msp_buf_add_u8(out, (uint8_t)(k->key[i].rdata_len >> 8));
		msp_buf_add_u8(out, (uint8_t)k->key[i].rdata_len);
		msp_buf_add_span(out, prt_key_rdata(&k->key[i]));
	}
}

static const struct prt_key *find(const struct prt_keyset *k, const struct prt_key *key)
{
	for (size_t i = 0; i < k->count; i++)
		if (msp_span_equal(prt_key_rdata(&k->key[i]), prt_key_rdata(key)))
			return &k->key[i];
	return NULL;
}

/* What looks and messages change: not when a key was used last. */
static bool is_same(const struct prt_keyset *a, const struct prt_keyset *b)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct prt_key *o = find(b, &a->key[i]);

		if (o == NULL || o->state != a->key[i].state || o->replaces != a->key[i].replaces ||
		    o->method != a->key[i].method)
			return false;
	}
	return a->count == b->count;
}

/* "key 12345: KNOWN -> TRUSTED, key 4711 gone" */
static struct msp_why differences(const struct prt_keyset *before, const struct prt_keyset *after)
{
	struct msp_why why = { "" };
	size_t len = 0;

	for (size_t i = 0; i < after->count && len < sizeof(why.text); i++) {
		const struct prt_key *key = &after->key[i], *was = find(before, key);

		if (was != NULL && was->state == key->state)
			continue;
		len += (size_t)snprintf(why.text + len, sizeof(why.text) - len, "%skey %u: %s -> %s",
					len > 0 ? ", " : "", msp_key_tag(prt_key_rdata(key)),
					prt_key_state_name(was != NULL ? was->state : PRT_KEY_ABSENT),
					prt_key_state_name(key->state));
	}
	for (size_t i = 0; i < before->count && len < sizeof(why.text); i++)
		if (find(after, &before->key[i]) == NULL)
			len += (size_t)snprintf(why.text + len, sizeof(why.text) - len, "%skey %u gone",
						len > 0 ? ", " : "", msp_key_tag(prt_key_rdata(&before->key[i])));
	return why;
}

enum msp_err prt_desk_key_entry(const struct prt_desk *k, const struct prt_asker *by, const char *rule, const char *why,
				const struct prt_keyset *before)
{
	struct msp_why text = differences(before, &k->c->keys);
	size_t len = strlen(text.text);
	struct prt_audit *a;
	enum msp_err err;

	if (why[0] != '\0')
		(void)snprintf(text.text + len, sizeof(text.text) - len, "; %s", why);
	err = prt_desk_entry(k, PRT_VERDICT_KEY, by, rule, text.text, NULL, NULL);
	if (err != MSP_OK)
		return err;
	a = &k->out->entry[k->out->entries - 1];
	write_keys(before, &a->before);
	write_keys(&k->c->keys, &a->after);
	return a->before.err != MSP_OK ? a->before.err : a->after.err;
}

/* --- looks ----------------------------------------------------------------------------------------------------------
 */

static struct prt_boot_child boot_child(const struct prt_child *c)
{
	const struct msp_rrset *ns = prt_delegation_ns(&c->registered);
	struct prt_boot_child b = { .is_secure = prt_delegation_ds(&c->registered) != NULL };

	for (size_t i = 0; ns != NULL && i < ns->count; i++) {
		struct msp_name host;

		b.outside_ns +=
			msp_rdata_name_parse(ns->rdata[i], &host) == MSP_OK && !msp_name_is_under(&host, &c->name);
	}
	return b;
}

/* Methods whose word policy would not take are not tried. */
static struct prt_boot_rules boot_rules(const struct prt_rules *r)
{
	struct prt_boot_rules b = r->boot;

	b.methods &= r->policy.methods;
	return b;
}

/* A method other than the one that the child's state leaves now has nothing to say: a child that has become secure is
 * not to be vouched for by what is unsigned. */
static void arrange(const struct prt_desk *k, size_t i, const struct prt_boot_rules *rules,
		    const struct prt_boot_child *child, int64_t lease_s)
{
	struct prt_boot *b = &k->c->boot[i];
	enum prt_boot_step step = prt_boot_due(b, k->now);

	if (b->method == PRT_METHOD_NONE || b->method != prt_boot_method(rules, child)) {
		step = prt_boot_begin(b, rules, child, k->now);
		k->out->is_changed = true;
	}
	if (step == PRT_BOOT_HUMAN)
		k->out->is_changed |=
			prt_key_event(&k->c->keys, &k->c->keys.key[i], PRT_KEV_NEEDS_HUMAN, PRT_METHOD_MANUAL, k->now);
	if (step != PRT_BOOT_LOOK)
		return;
	k->out->need |= PRT_NEED_LOOK;
	if (lease_s > 0) {
		b->next.s = k->now.s + lease_s;
		k->out->is_changed = true;
	}
}

void prt_desk_arrange_looks(const struct prt_desk *k, int64_t lease_s)
{
	const struct prt_boot_rules rules = boot_rules(k->r);
	const struct prt_boot_child child = boot_child(k->c);

	for (size_t i = 0; i < k->c->keys.count; i++)
		if (k->c->keys.key[i].state == PRT_KEY_KNOWN)
			arrange(k, i, &rules, &child, lease_s);
}

/* The round has shown that the key is the child's; what that is worth is policy's to say. */
static bool promote(const struct prt_desk *k, struct prt_key *key, enum prt_method method, struct prt_ruling *ruling)
{
	prt_policy_key(&k->r->policy, method, ruling);
	return prt_key_event(&k->c->keys, key, ruling->decision == PRT_ALLOW ? PRT_KEV_VALIDATED : PRT_KEV_NEEDS_HUMAN,
			     method, k->now);
}

/* What has shown that the key is the child's. */
static void say_shown(const struct prt_boot *b, const struct prt_boot_seen *seen, struct msp_wall now,
		      struct msp_why *why)
{
	size_t spoke = 0;

	for (size_t i = 0; i < seen->signals; i++)
		spoke += !seen->signal[i].is_zone_unsigned;
	if (b->method == PRT_METHOD_APEX)
		(void)snprintf(why->text, sizeof(why->text), "shown at-apex: KEY at the apex, secure");
	else if (b->method == PRT_METHOD_NS)
		(void)snprintf(why->text, sizeof(why->text),
			       "shown at-ns: KEY at %zu signal names, secure, and at the apex", spoke);
	else
		(void)snprintf(why->text, sizeof(why->text),
			       "shown unsigned: KEY at the apex, %zu looks in the last of %u rounds in %lld s",
			       seen->plains, b->rounds, (long long)(now.s - b->first.s));
}

enum msp_err prt_desk_looked(const struct prt_rules *r, struct prt_child *c, struct msp_span key,
			     const struct prt_boot_seen *seen, struct msp_wall now, struct prt_outcome *out)
{
	const struct prt_desk k = { r, c, now, out };
	const struct prt_boot_rules rules = boot_rules(r);
	const struct prt_boot_child child = boot_child(c);
	struct prt_asker by = prt_desk_nobody(PRT_SRC_NONE, "bootstrap");
	struct prt_key *found = prt_keyset_find(&c->keys, key);
	struct prt_ruling ruling = { .rule = "G.6: bootstrap" };
	struct msp_why why = { "" };
	struct prt_keyset before;
	struct prt_boot *b;

	prt_desk_heal(&k);
	if (found == NULL || found->state != PRT_KEY_KNOWN || !prt_desk_is_delegated(c))
		return MSP_OK;
	b = &c->boot[found - c->keys.key];
	if (b->method != prt_boot_method(&rules, &child)) { /* looked at in another way than holds now */
		prt_desk_arrange_looks(&k, 0);
		return MSP_OK;
	}
	out->is_changed = true;
	if ((c->flags & PRT_CHILD_LOCKED) != 0) { /* what may not be uploaded does not become trusted either */
		b->next.s = now.s + (int64_t)r->boot.retry_s;
		return MSP_OK;
	}
	before = c->keys;
	by.key_tag = msp_key_tag(key);
	switch (prt_boot_look(b, &rules, key, seen, now, &why)) {
	case PRT_BOOT_AGAIN:
		break;
	case PRT_BOOT_VALIDATED:
		say_shown(b, seen, now, &why);
		(void)promote(&k, found, b->method, &ruling);
		break;
	case PRT_BOOT_MISSED:
		(void)prt_key_event(&c->keys, found, PRT_KEV_ATTEMPT, b->method, now);
		break;
	}
	if (is_same(&before, &c->keys))
		return MSP_OK;
	prt_child_realign(c, &before);
	return prt_desk_key_entry(&k, &by, ruling.rule, why.text, &before);
}

enum msp_err prt_desk_sweep_keys(const struct prt_desk *k)
{
	const struct prt_asker by = prt_desk_nobody(PRT_SRC_NONE, "parentd");
	struct prt_keyset before;

	if (prt_keyset_count(&k->c->keys, PRT_KEY_FAILED) == 0)
		return MSP_OK;
	before = k->c->keys;
	prt_keyset_sweep(&k->c->keys, k->now);
	if (is_same(&before, &k->c->keys))
		return MSP_OK;
	prt_child_realign(k->c, &before);
	k->out->is_changed = true;
	return prt_desk_key_entry(k, &by, "G.6: failed keys are kept for 30 days", "", &before);
}

/* --- UPDATE of class KEY --------------------------------------------------------------------------------------------
 */

/* Keys are no delegation: cool-down, and what is proposed to an operator, are about other things. */
static bool may_change_keys(const struct prt_desk *k, const struct prt_update_in *in)
{
	const struct prt_case q = {
		.source = in->asker.source,
		.touch = PRT_TOUCH_KEY,
		.is_locked = (k->c->flags & PRT_CHILD_LOCKED) != 0,
	};
	struct prt_ruling ruling;

	if (in->is_tsig)
		return prt_refuse_own(&k->out->refusal, MSP_EDE_UPDATE_TYPE, "G.6: a key speaks for itself",
				      "KEY is not changed by others than the child's keys");
	prt_policy_change(&k->r->policy, &q, k->now, &ruling);
	if (ruling.decision == PRT_REFUSE)
		k->out->refusal = ruling.refusal;
	return ruling.decision != PRT_REFUSE;
}

enum msp_err prt_desk_update_keys(const struct prt_desk *k, const struct prt_update_in *in, bool is_trusted,
				  bool *is_changed)
{
	struct prt_child *c = k->c;
	struct prt_boot boots[PRT_KEYS_MAX];
	struct prt_keyset before;
	enum msp_err err;

	*is_changed = false;
	if (!may_change_keys(k, in))
		return MSP_EREFUSED;
	before = c->keys;
	memcpy(boots, c->boot, sizeof(boots));
	err = prt_keys_update(&c->keys, in->msg, &c->name, in->key, &k->r->keys, k->now, in->scratch, &k->out->refusal);
	if (err != MSP_OK || is_same(&before, &c->keys))
		return err;
	*is_changed = true;
	k->out->is_changed = true;
	prt_child_realign(c, &before);
	/* What failed and is tried anew begins anew. */
	for (size_t i = 0; i < c->keys.count; i++) {
		const struct prt_key *was = find(&before, &c->keys.key[i]);

		if (was != NULL && was->state != PRT_KEY_KNOWN && c->keys.key[i].state == PRT_KEY_KNOWN)
			memset(&c->boot[i], 0, sizeof(c->boot[i]));
	}
	prt_desk_arrange_looks(k, 0);
	err = prt_desk_key_entry(k, &in->asker, is_trusted ? "G.6: rollover by a trusted key" : "G.6: upload", "",
				 &before);
	if (err != MSP_OK) {
		c->keys = before;
		memcpy(c->boot, boots, sizeof(boots));
	}
	return err;
}

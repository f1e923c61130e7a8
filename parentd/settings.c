/* SPDX-License-Identifier: BSD-2-Clause */
#include "settings.h"

#include <msproto/base/map.h>
#include <msproto/base/mem.h>

#include <string.h>

/* A policy that has been read. */
struct made {
	const char *name;               /* borrowed from the configuration */
	struct prt_rules rules, compat; /* compat: with KeyState of draft 02 */
};
/* An entry of `children`. */
struct exception {
	const struct made *made;             /* NULL: its parent's */
	const struct prt_dsync_child *dsync; /* NULL: what all children are told */
	bool compat_02;
};

struct prt_settings {
	size_t refs;
	struct prt_conf conf;
	struct msp_tsig_ring *ring;
	struct msp_key *key[PRT_KEYS_OWN_MAX];
	size_t key_count;
	struct msp_sig0_policy sig0;
	struct made *policy; /* owned, one for each entry of conf.policies */
	struct made closed;
	struct exception *exception;            /* owned, one for each entry of conf.children */
	struct prt_dsync_child *dsync;          /* owned, grouped by parent */
	size_t dsync_from[PRT_PARENTS_MAX + 1]; /* where those of each parent begin; then their number */
	struct msp_map parents;                 /* struct prt_conf_parent of conf, by name */
	struct msp_map exceptions;              /* struct exception by the child's name */
	struct msp_map registrars;              /* struct prt_conf_registrar by key and child: see registrar_key */
	struct msp_map tsig;                    /* struct msp_conf_tsig by name: the algorithm of a key */
};

#define PAIR_MAX (2 * sizeof(struct msp_name_key))
/* A registrar's key and a child, or the key alone: it speaks for all. */
struct pair {
	uint8_t octets[PAIR_MAX];
	size_t len;
};

static struct pair registrar_key(const struct msp_name *key, const struct msp_name *child)
{
	struct msp_name_key k = msp_name_key(key);
	struct msp_span s = msp_name_key_span(&k);
	struct pair p = { .len = s.len };

	memcpy(p.octets, s.ptr, s.len);
	if (child != NULL) {
		struct msp_name_key c = msp_name_key(child);
		struct msp_span t = msp_name_key_span(&c);

		p.octets[p.len++] = 0xff; /* in no key: labels are at most 63 octets long */
		memcpy(p.octets + p.len, t.ptr, t.len);
		p.len += t.len;
	}
	return p;
}

/* --- looking up --------------------------------------------------------------------------------------------------- */

const struct prt_conf *prt_settings_conf(const struct prt_settings *s)
{
	return &s->conf;
}

const struct prt_conf_parent *prt_settings_parent(const struct prt_settings *s, const struct msp_name *zone)
{
	struct msp_name_key k = msp_name_key(zone);

	return msp_map_get(&s->parents, msp_name_key_span(&k));
}

const struct prt_conf_parent *prt_settings_parent_of(const struct prt_settings *s, const struct msp_name *child)
{
	const struct prt_conf_parent *p = NULL;
	struct msp_name up;

	for (unsigned labels = 1; p == NULL && msp_name_parent(child, labels, &up) == MSP_OK; labels++)
		p = prt_settings_parent(s, &up);
	return p;
}

static const struct exception *exception_of(const struct prt_settings *s, const struct msp_name *child)
{
	struct msp_name_key k;

	if (s->exceptions.count == 0)
		return NULL;
	k = msp_name_key(child);
	return msp_map_get(&s->exceptions, msp_name_key_span(&k));
}

static const struct made *made_named(const struct prt_settings *s, const char *policy)
{
	for (size_t i = 0; policy != NULL && i < s->conf.policies.count; i++)
		if (strcmp(s->policy[i].name, policy) == 0)
			return &s->policy[i];
	return NULL;
}

static const struct made *made_of(const struct prt_settings *s, const struct prt_conf_parent *parent,
				  const struct exception *x)
{
	const struct made *m = x != NULL && x->made != NULL ? x->made : made_named(s, parent->policy);

	return m != NULL ? m : &s->closed;
}

const struct prt_rules *prt_settings_rules(const struct prt_settings *s, const struct prt_conf_parent *parent,
					   const struct msp_name *child)
{
	const struct exception *x = exception_of(s, child);
	const struct made *m = made_of(s, parent, x);

	return x != NULL && x->compat_02 ? &m->compat : &m->rules;
}

const char *prt_settings_policy_name(const struct prt_settings *s, const struct prt_conf_parent *parent,
				     const struct msp_name *child)
{
	return made_of(s, parent, exception_of(s, child))->name;
}

static size_t place_of(const struct prt_settings *s, const struct prt_conf_parent *parent)
{
	return (size_t)(parent - prt_conf_parent_at(&s->conf, 0));
}

const struct prt_dsync_child *prt_settings_dsync(const struct prt_settings *s, const struct prt_conf_parent *parent,
						 size_t *count)
{
	size_t i = place_of(s, parent);

	*count = s->dsync_from[i + 1] - s->dsync_from[i];
	return *count > 0 ? &s->dsync[s->dsync_from[i]] : NULL;
}

bool prt_settings_announces(const struct prt_settings *s, const struct prt_conf_parent *parent,
			    const struct msp_name *child, uint16_t type)
{
	const struct exception *x = exception_of(s, child);
	bool has_own = x != NULL && x->dsync != NULL;

	if (type == MSP_TYPE_CDS)
		return has_own ? x->dsync->cds : parent->publish.cds;
	return type == MSP_TYPE_CSYNC && (has_own ? x->dsync->csync : parent->publish.csync);
}

const struct msp_key *prt_settings_key(const struct prt_settings *s, size_t i)
{
	return i < s->key_count ? s->key[i] : NULL;
}

size_t prt_settings_key_count(const struct prt_settings *s)
{
	return s->key_count;
}

const struct msp_sig0_policy *prt_settings_sig0(const struct prt_settings *s)
{
	return &s->sig0;
}

const struct msp_tsig_key *prt_settings_tsig(const struct prt_settings *s, const struct msp_name *name,
					     enum msp_tsig_alg alg)
{
	struct msp_name_key k = msp_name_key(name);
	const struct msp_conf_tsig *t = msp_map_get(&s->tsig, msp_name_key_span(&k));

	/* A key is a name and an algorithm: with another algorithm it is not ours. */
	return t != NULL && t->algorithm == (int)alg ? msp_tsig_ring_get(s->ring, name) : NULL;
}

const struct msp_tsig_key *prt_settings_tsig_named(const struct prt_settings *s, const struct msp_name *name)
{
	return msp_tsig_ring_get(s->ring, name);
}

const struct msp_tsig_key *prt_settings_find_tsig(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	return prt_settings_tsig(arg, name, alg);
}

bool prt_settings_registrar(const struct prt_settings *s, const struct msp_name *key, const struct msp_name *child)
{
	struct pair all = registrar_key(key, NULL), one = registrar_key(key, child);

	return msp_map_get(&s->registrars, msp_span(all.octets, all.len)) != NULL ||
	       msp_map_get(&s->registrars, msp_span(one.octets, one.len)) != NULL;
}

/* --- making ------------------------------------------------------------------------------------------------------- */

static enum msp_err make_policies(struct prt_settings *s, struct msp_why *why)
{
	const struct prt_conf_policy *p = s->conf.policies.item;
	const struct prt_conf_policy shut = { .ns_min = 1, .ns_max = PRT_NS_MAX, .ds_max = PRT_DS_MAX, .checks = true };
	size_t count = s->conf.policies.count;
	enum msp_err err;

	s->policy = count > 0 ? msp_alloc(count, sizeof(*s->policy)) : NULL;
	if (count > 0 && s->policy == NULL)
		return MSP_ENOMEM;
	/* Nothing is configured: nothing may be done, not even by an operator (RFC 3007 3, PROTOCOL G.1). */
	err = prt_rules_from_conf(&shut, &s->conf, &s->closed.rules, why);
	s->closed.name = "closed";
	s->closed.rules.policy = prt_policy_closed;
	s->closed.rules.boot.methods = 0;
	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		s->policy[i].name = p[i].name;
		err = prt_rules_from_conf(&p[i], &s->conf, &s->policy[i].rules, why);
	}
	for (size_t i = 0; i < count; i++) {
		s->policy[i].compat = s->policy[i].rules;
		s->policy[i].compat.keystate_compat_02 = true;
	}
	s->closed.compat = s->closed.rules;
	s->closed.compat.keystate_compat_02 = true;
	return err;
}

static enum msp_err make_children(struct prt_settings *s)
{
	const struct prt_conf_child *c = s->conf.children.item;
	size_t count = s->conf.children.count;
	enum msp_err err = MSP_OK;

	s->exception = count > 0 ? msp_alloc(count, sizeof(*s->exception)) : NULL;
	if (count > 0 && s->exception == NULL)
		return MSP_ENOMEM;
	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		struct msp_name_key k = msp_name_key(&c[i].zone);

		s->exception[i].made = made_named(s, c[i].policy);
		s->exception[i].compat_02 = c[i].keystate_compat_02;
		err = msp_map_put(&s->exceptions, msp_name_key_span(&k), &s->exception[i], NULL);
	}
	return err;
}

static enum msp_err make_dsync_child(const struct prt_settings *s, const struct prt_conf_child *c,
				     const struct prt_conf_parent *parent, struct prt_dsync_child *out,
				     struct msp_why *why)
{
	const struct prt_conf_publish *p = &parent->publish;
	const struct msp_conf_listen *listen = s->conf.listen.item;
	unsigned kinds = 0, common = (p->update ? PRT_DSYNC_UPDATE : 0) | (p->cds ? PRT_DSYNC_CDS : 0) |
				     (p->csync ? PRT_DSYNC_CSYNC : 0);
	enum msp_err err = prt_conf_dsync_kinds(&c->dsync, common, &kinds, why);

	*out = (struct prt_dsync_child){
		.zone = c->zone,
		.target = s->conf.target,
		.port = c->dsync_port != 0 ? c->dsync_port : msp_conf_listen_addr(&listen[0]).port,
		.update = (kinds & PRT_DSYNC_UPDATE) != 0,
		.cds = (kinds & PRT_DSYNC_CDS) != 0,
		.csync = (kinds & PRT_DSYNC_CSYNC) != 0,
	};
	if (err == MSP_OK && c->dsync_target != NULL)
		err = msp_name_from_text(c->dsync_target, &out->target);
	return err;
}

/* Those of the first parent, of the second one, ...: numbers first, then each at its place. */
static enum msp_err make_dsync(struct prt_settings *s, struct msp_why *why)
{
	const struct prt_conf_child *c = s->conf.children.item;
	size_t *from = s->dsync_from, at[PRT_PARENTS_MAX];
	const struct prt_conf_parent *p;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; i < s->conf.children.count; i++)
		if (prt_conf_child_has_dsync(&c[i]) && (p = prt_settings_parent_of(s, &c[i].zone)) != NULL)
			from[place_of(s, p) + 1]++;
	for (size_t i = 0; i < PRT_PARENTS_MAX; i++) {
		at[i] = from[i];
		from[i + 1] += from[i];
	}
	if (from[PRT_PARENTS_MAX] == 0)
		return MSP_OK;
	s->dsync = msp_alloc(from[PRT_PARENTS_MAX], sizeof(*s->dsync));
	if (s->dsync == NULL)
		return MSP_ENOMEM;
	for (size_t i = 0; err == MSP_OK && i < s->conf.children.count; i++)
		if (prt_conf_child_has_dsync(&c[i]) && (p = prt_settings_parent_of(s, &c[i].zone)) != NULL) {
			struct prt_dsync_child *d = &s->dsync[at[place_of(s, p)]++];

			err = make_dsync_child(s, &c[i], p, d, why);
			s->exception[i].dsync = d;
		}
	return err;
}

static enum msp_err add_registrar(struct prt_settings *s, struct prt_conf_registrar *r)
{
	struct pair p = registrar_key(&r->tsig_key, NULL);
	enum msp_err err = MSP_OK;

	if (r->all)
		return msp_map_put(&s->registrars, msp_span(p.octets, p.len), r, NULL);
	for (size_t i = 0; err == MSP_OK && i < r->children.count; i++) {
		struct msp_name child;

		err = msp_name_from_text(r->children.item[i], &child);
		if (err == MSP_OK) {
			p = registrar_key(&r->tsig_key, &child);
			err = msp_map_put(&s->registrars, msp_span(p.octets, p.len), r, NULL);
		}
	}
	return err;
}

static enum msp_err make_maps(struct prt_settings *s, struct msp_why *why)
{
	struct prt_conf_parent *p = s->conf.parents.item;
	struct prt_conf_registrar *r = s->conf.registrars.item;
	struct msp_conf_tsig *t = s->conf.tsig_keys.item;
	enum msp_err err = make_children(s);

	for (size_t i = 0; err == MSP_OK && i < s->conf.parents.count; i++) {
		struct msp_name_key k = msp_name_key(&p[i].zone);

		err = msp_map_put(&s->parents, msp_name_key_span(&k), &p[i], NULL);
	}
	if (err == MSP_OK)
		err = make_dsync(s, why);
	for (size_t i = 0; err == MSP_OK && i < s->conf.tsig_keys.count; i++) {
		struct msp_name_key k = msp_name_key(&t[i].name);

		err = msp_map_put(&s->tsig, msp_name_key_span(&k), &t[i], NULL);
	}
	for (size_t i = 0; err == MSP_OK && i < s->conf.registrars.count; i++)
		err = add_registrar(s, &r[i]);
	return err;
}

static enum msp_err load_keys(struct prt_settings *s, struct msp_why *why)
{
	enum msp_err err = msp_tsig_ring_load(&s->conf.tsig_keys, &s->ring, why);

	for (size_t i = 0; err == MSP_OK && i < s->conf.sig0_keys.count; i++) {
		err = msp_key_load(s->conf.sig0_keys.item[i], &s->key[i], why);
		if (err != MSP_OK)
			break;
		s->key_count++;
		if (!msp_name_equal(msp_key_owner(s->key[i]), &s->conf.target))
			err = msp_fail(why, MSP_ECONF, "%.200s: its owner is not target", s->conf.sig0_keys.item[i]);
	}
	return err;
}

static void drop(struct prt_settings *s)
{
	for (size_t i = 0; i < s->key_count; i++)
		msp_key_free(&s->key[i]);
	msp_map_fini(&s->parents, NULL);
	msp_map_fini(&s->exceptions, NULL);
	msp_map_fini(&s->registrars, NULL);
	msp_map_fini(&s->tsig, NULL);
	msp_free(s->policy);
	msp_free(s->exception);
	msp_free(s->dsync);
	msp_tsig_ring_free(&s->ring);
	msp_conf_fini(&prt_conf_schema, &s->conf);
	msp_free(s);
}

enum msp_err prt_settings_load(const char *conf_path, struct prt_settings **out, struct msp_buf *errors)
{
	struct prt_settings *s = msp_alloc(1, sizeof(*s));
	struct msp_why why = { "" };
	enum msp_err err;

	*out = NULL;
	if (s == NULL)
		return MSP_ENOMEM;
	s->refs = 1;
	err = prt_conf_load(conf_path, &s->conf, errors);
	if (err != MSP_OK) {
		msp_free(s);
		return err;
	}
	msp_map_init(&s->parents, s->conf.parents.count);
	msp_map_init(&s->exceptions, s->conf.children.count);
	msp_map_init(&s->registrars, SIZE_MAX);
	msp_map_init(&s->tsig, s->conf.tsig_keys.count);
	s->sig0 = msp_sig0_policy_default;
	s->sig0.skew_s = s->conf.sig0_skew_s;
	s->sig0.max_window_s = s->conf.sig0_window_s;
	err = make_policies(s, &why);
	if (err == MSP_OK)
		err = make_maps(s, &why);
	if (err == MSP_OK)
		err = load_keys(s, &why);
	if (err != MSP_OK) {
		msp_buf_printf(errors, "%s: %s\n", conf_path, why.text[0] ? why.text : msp_err_text(err));
		drop(s);
		return err;
	}
	*out = s;
	return MSP_OK;
}

struct prt_settings *prt_settings_ref(struct prt_settings *s)
{
	s->refs++;
	return s;
}

void prt_settings_unref(struct prt_settings **s)
{
	struct prt_settings *gone = *s;

	*s = NULL;
	if (gone != NULL && --gone->refs == 0)
		drop(gone);
}

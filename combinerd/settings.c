/* SPDX-License-Identifier: BSD-2-Clause */
/* Profiles: one for each template, and one for each different set of settings that zones' entries say themselves. */
#include "settings.h"

#include <msproto/base/map.h>
#include <msproto/base/mem.h>

#include <string.h>

#define SHOWN_MAX (4u << 20) /* octets of one zone's settings in file syntax */
#define OWN_MAX   1000000

/** Settings together with the profile that is made from them. */
struct own {
	struct cmb_profile profile;
	struct cmb_conf_template conf; /* owned; name NULL */
};
/** Contexts of one entry of `tls`, made when something names it. */
struct tls_pair {
	struct msp_tls *server, *client; /* owned */
};

struct cmb_settings {
	size_t refs;
	struct cmb_conf conf;
	struct msp_tsig_ring *ring;
	struct msp_map key_conf;       /* struct msp_conf_tsig of conf by name: the algorithm of a key */
	struct tls_pair *tls;          /* owned, one for each entry of conf.tls */
	struct cmb_profile *templates; /* owned, one for each entry of conf.templates */
	struct own **own;              /* owned */
	size_t own_count, own_size;
	struct msp_map own_by_text; /* struct own by its settings in file syntax; only while zones are taken */
};

/* --- looking up --------------------------------------------------------------------------------------------------- */

const struct cmb_conf *cmb_settings_conf(const struct cmb_settings *s)
{
	return &s->conf;
}

const struct cmb_profile *cmb_settings_profile(const struct cmb_settings *s, const char *template)
{
	const struct cmb_conf_template *t = template ? cmb_conf_template_named(&s->conf, template) : NULL;

	return t ? &s->templates[t - (const struct cmb_conf_template *)s->conf.templates.item] : NULL;
}

const struct msp_tsig_key *cmb_settings_key(const struct cmb_settings *s, const struct msp_name *name,
					    enum msp_tsig_alg alg)
{
	struct msp_name_key k = msp_name_key(name);
	const struct msp_conf_tsig *t = msp_map_get(&s->key_conf, msp_name_key_span(&k));

	/* A key is a name and an algorithm: with another algorithm it is not ours. */
	return t != NULL && t->algorithm == (int)alg ? msp_tsig_ring_get(s->ring, name) : NULL;
}

static struct tls_pair *tls_of(const struct cmb_settings *s, const char *name)
{
	const struct msp_conf_tls *t = name ? cmb_conf_tls_named(&s->conf, name) : NULL;

	return t ? &s->tls[t - (const struct msp_conf_tls *)s->conf.tls.item] : NULL;
}

struct msp_tls *cmb_settings_server_tls(const struct cmb_settings *s, const char *name)
{
	const struct tls_pair *p = tls_of(s, name);

	return p ? p->server : NULL;
}

enum msp_err cmb_settings_each_tlsa(const struct cmb_settings *s, cmb_settings_tlsa_fn *fn, void *arg)
{
	const struct msp_conf_tls *t = s->conf.tls.item;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < s->conf.tls.count; i++)
		if (t[i].tlsa && s->tls[i].client != NULL)
			err = fn(arg, s->tls[i].client, t[i].auth_name);
	return err;
}

/* --- making ------------------------------------------------------------------------------------------------------- */

static enum msp_err need_tls(struct cmb_settings *s, const char *name, bool is_server, struct msp_tls **out,
			     struct msp_why *why)
{
	struct tls_pair *p = tls_of(s, name);
	struct msp_tls **at = p == NULL ? NULL : is_server ? &p->server : &p->client;
	enum msp_err err = MSP_OK;

	*out = NULL;
	if (at == NULL)
		return msp_fail(why, MSP_ECONF, "no such entry in tls: %.100s", name);
	if (*at == NULL)
		err = msp_conf_tls_open(cmb_conf_tls_named(&s->conf, name), is_server, at, why);
	*out = *at;
	return err;
}

static enum msp_err make_targets(struct cmb_settings *s, const struct msp_conf_list *remotes, struct cmb_target **out,
				 size_t *count, struct msp_why *why)
{
	struct cmb_target *t = remotes->count > 0 ? msp_alloc(remotes->count, sizeof(*t)) : NULL;
	enum msp_err err = MSP_OK;

	*out = t;
	*count = t ? remotes->count : 0;
	if (t == NULL)
		return remotes->count > 0 ? MSP_ENOMEM : MSP_OK;
	for (size_t i = 0; err == MSP_OK && i < remotes->count; i++) {
		const struct cmb_conf_remote *r = cmb_conf_remote_at(remotes, i);

		t[i].conf = r;
		if (msp_name_is_set(&r->tsig_key))
			t[i].key = msp_tsig_ring_get(s->ring, &r->tsig_key);
		if (msp_name_is_set(&r->tsig_key_next))
			t[i].key_next = msp_tsig_ring_get(s->ring, &r->tsig_key_next);
		if (r->transport == MSP_TRANSPORT_TLS)
			err = need_tls(s, r->tls, false, &t[i].tls, why);
	}
	return err;
}

static enum msp_err make_profile(struct cmb_settings *s, const struct cmb_conf_settings *conf, struct cmb_profile *p,
				 struct msp_why *why)
{
	enum msp_err err;

	p->settings = s;
	p->conf = conf;
	cmb_conf_rules(&s->conf, conf, &p->rules);
	cmb_conf_limits(conf, &p->limits);
	p->needs_inspection = conf->verifier.count > 0 || conf->zonemd == CMB_ZONEMD_RECOMPUTE;
	err = make_targets(s, &conf->primaries, &p->primary, &p->primary_count, why);
	if (err == MSP_OK)
		err = make_targets(s, &conf->signers, &p->signer, &p->signer_count, why);
	return err;
}

static void profile_fini(struct cmb_profile *p)
{
	msp_free(p->primary);
	msp_free(p->signer);
}

static enum msp_err make_templates(struct cmb_settings *s, struct msp_why *why)
{
	size_t count = s->conf.templates.count;
	enum msp_err err = MSP_OK;

	s->templates = count > 0 ? msp_alloc(count, sizeof(*s->templates)) : NULL;
	if (count > 0 && s->templates == NULL)
		return MSP_ENOMEM;
	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		const struct cmb_conf_template *t = (const struct cmb_conf_template *)s->conf.templates.item + i;

		s->templates[i].template = t->name;
		err = make_profile(s, &t->set, &s->templates[i], why);
	}
	return err;
}

static enum msp_err make_listeners_tls(struct cmb_settings *s, struct msp_why *why)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < s->conf.listen.count; i++) {
		const struct msp_conf_listen *l = (const struct msp_conf_listen *)s->conf.listen.item + i;
		struct msp_tls *tls;

		if (l->transport == MSP_TRANSPORT_TLS)
			err = need_tls(s, l->tls, true, &tls, why);
	}
	return err;
}

static enum msp_err load_keys(struct cmb_settings *s, struct msp_why *why)
{
	struct msp_conf_tsig *t = s->conf.tsig_keys.item;
	enum msp_err err = msp_tsig_ring_load(&s->conf.tsig_keys, &s->ring, why);

	for (size_t i = 0; err == MSP_OK && i < s->conf.tsig_keys.count; i++) {
		struct msp_name_key k = msp_name_key(&t[i].name);

		err = msp_map_put(&s->key_conf, msp_name_key_span(&k), &t[i], NULL);
	}
	return err;
}

static enum msp_err open_files(struct cmb_settings *s, struct msp_why *why)
{
	size_t count = s->conf.tls.count;
	enum msp_err err = load_keys(s, why);

	if (err != MSP_OK)
		return err;
	s->tls = count > 0 ? msp_alloc(count, sizeof(*s->tls)) : NULL;
	if (count > 0 && s->tls == NULL)
		return MSP_ENOMEM;
	err = make_listeners_tls(s, why);
	return err == MSP_OK ? make_templates(s, why) : err;
}

static void drop(struct cmb_settings *s)
{
	for (size_t i = 0; s->templates != NULL && i < s->conf.templates.count; i++)
		profile_fini(&s->templates[i]);
	msp_free(s->templates);
	for (size_t i = 0; i < s->own_count; i++) {
		profile_fini(&s->own[i]->profile);
		msp_conf_fini(&cmb_conf_template_schema, &s->own[i]->conf);
		msp_free(s->own[i]);
	}
	msp_free(s->own);
	for (size_t i = 0; s->tls != NULL && i < s->conf.tls.count; i++) {
		msp_tls_unref(&s->tls[i].server);
		msp_tls_unref(&s->tls[i].client);
	}
	msp_free(s->tls);
	msp_map_fini(&s->key_conf, NULL);
	msp_tsig_ring_free(&s->ring);
	cmb_conf_fini(&s->conf);
	msp_free(s);
}

/* Zones with the same settings share a profile, however they came to them. Takes *set. */
static enum msp_err own_profile(struct cmb_settings *s, struct cmb_conf_settings *set, struct msp_buf *text,
				const struct cmb_profile **out, struct msp_why *why)
{
	struct cmb_conf_template conf = { .name = NULL, .set = *set };
	struct own *o;
	enum msp_err err;

	memset(set, 0, sizeof(*set));
	msp_buf_reset(text);
	err = msp_conf_show(&cmb_conf_template_schema, &conf, text);
	o = err == MSP_OK ? msp_map_get(&s->own_by_text, msp_buf_span(text)) : NULL;
	if (err != MSP_OK || o != NULL) {
		msp_conf_fini(&cmb_conf_template_schema, &conf);
		*out = o ? &o->profile : NULL;
		return err;
	}
	if (s->own_count == s->own_size) {
		size_t size = s->own_size ? s->own_size * 2 : 16;
		struct own **grown = msp_realloc(s->own, size, sizeof(*grown));

		err = grown ? MSP_OK : MSP_ENOMEM;
		s->own = grown ? grown : s->own;
		s->own_size = grown ? size : s->own_size;
	}
	o = err == MSP_OK ? msp_alloc(1, sizeof(*o)) : NULL;
	if (o == NULL) {
		msp_conf_fini(&cmb_conf_template_schema, &conf);
		return MSP_ENOMEM;
	}
	o->conf = conf;
	s->own[s->own_count++] = o;
	err = make_profile(s, &o->conf.set, &o->profile, why);
	if (err == MSP_OK)
		err = msp_map_put(&s->own_by_text, msp_buf_span(text), o, NULL);
	*out = &o->profile;
	return err;
}

/* Every profile is made while a failure still changes nothing: key and certificate files are read here. */
static enum msp_err make_own(struct cmb_settings *s, struct msp_why *why)
{
	struct cmb_conf_zone *z = s->conf.zones.item;
	struct msp_buf text;
	enum msp_err err = MSP_OK;

	msp_map_init(&s->own_by_text, OWN_MAX);
	msp_buf_init(&text, SHOWN_MAX);
	for (size_t i = 0; err == MSP_OK && i < s->conf.zones.count; i++) {
		const struct cmb_profile *p = NULL;

		if (z[i].template.is_bare)
			continue;
		err = own_profile(s, &z[i].set, &text, &p, why);
		z[i].profile = p;
	}
	msp_buf_fini(&text);
	msp_map_fini(&s->own_by_text, NULL);
	return err;
}

enum msp_err cmb_settings_load(const char *conf_path, struct cmb_settings **out, struct msp_buf *errors)
{
	struct cmb_settings *s = msp_alloc(1, sizeof(*s));
	struct msp_why why = { "" };
	enum msp_err err;

	*out = NULL;
	if (s == NULL)
		return MSP_ENOMEM;
	s->refs = 1;
	err = cmb_conf_load(conf_path, &s->conf, errors);
	if (err != MSP_OK) {
		msp_free(s);
		return err;
	}
	msp_map_init(&s->key_conf, s->conf.tsig_keys.count);
	err = open_files(s, &why);
	if (err == MSP_OK)
		err = make_own(s, &why);
	if (err != MSP_OK) {
		msp_buf_printf(errors, "%s: %s\n", conf_path, why.text[0] ? why.text : msp_err_text(err));
		drop(s);
		return err;
	}
	*out = s;
	return MSP_OK;
}

struct cmb_settings *cmb_settings_ref(struct cmb_settings *s)
{
	s->refs++;
	return s;
}

void cmb_settings_unref(struct cmb_settings **s)
{
	struct cmb_settings *gone = *s;

	*s = NULL;
	if (gone != NULL && --gone->refs == 0)
		drop(gone);
}

enum msp_err cmb_settings_take_zones(struct cmb_settings *s, cmb_settings_zone_fn *fn, void *arg)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < s->conf.zones.count; i++) {
		const struct cmb_conf_zone *z = cmb_conf_zone_at(&s->conf, i);

		err = fn(arg, &z->name, z->template.is_bare ? cmb_settings_profile(s, z->template.name) : z->profile);
	}
	cmb_conf_drop_zones(&s->conf);
	return err;
}

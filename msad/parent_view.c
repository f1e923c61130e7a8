/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include <msproto/auth/digest.h>
#include <msproto/wire/text.h>

#include "parent.h"
#include "view.h"

static const char *mode_name(enum msa_parent_mode mode)
{
	static const char *const name[] = { [MSA_PARENT_OFF] = "off",
					    [MSA_PARENT_AUTO] = "auto",
					    [MSA_PARENT_UPDATE] = "update",
					    [MSA_PARENT_NOTIFY] = "notify" };

	return name[mode];
}

static void append_record(struct view *w, const struct msa_core *c, const struct msp_name *owner, uint16_t type,
			  uint32_t ttl, struct msp_span rdata)
{
	struct msp_rr rr = { .owner = *owner, .type = type, .cls = MSP_CLASS_IN, .ttl = ttl, .rdata = rdata };
	struct msp_buf text;

	msp_buf_init(&text, 8192);
	msp_rr_print(&text, &c->numbers, &rr);
	append(w, json_string(msp_buf_text(&text)));
	msp_buf_fini(&text);
}

/** Records of `from` that are not in `without` (NULL = all), as a zone file has them. */
static void append_records(struct view *w, const struct msa_core *c, const struct msa_records *from,
			   const struct msa_records *without)
{
	for (size_t i = 0; i < from->count; i++)
		if (without == NULL || !msa_records_has(without, &from->item[i]))
			append_record(w, c, &from->item[i].owner, from->item[i].type, from->item[i].ttl,
				      from->item[i].rdata);
}

static json_t *records(const struct msa_core *c, const struct msa_parent *p, bool is_remove)
{
	struct view w = array();

	for (size_t i = 0; i < MSA_SHOWN__N; i++)
		if (i == MSA_SHOWN_DS ? p->seen.has_ds : p->seen.has_ns)
			append_records(&w, c, is_remove ? &p->seen.any[i] : &p->seen.want[i],
				       is_remove ? &p->seen.want[i] : &p->seen.all[i]);
	return done(&w);
}

static json_t *wanted(const struct msa_core *c, const struct msa_parent *p)
{
	struct view w = array();

	for (size_t i = 0; i < MSA_SHOWN__N; i++)
		if (i == MSA_SHOWN_DS ? p->seen.has_ds : p->seen.has_ns)
			append_records(&w, c, &p->seen.want[i], NULL);
	return done(&w);
}

/** What a person compares before the key is approved by hand (G.6). */
static void set_fingerprint(struct view *w, const char *key, struct msp_span rdata)
{
	uint8_t digest[32];

	if (msp_sha256(&rdata, 1, digest) == MSP_OK)
		set_digest(w, key, digest);
}

static json_t *own_keys(const struct msa_core *c, const struct msa_parent *p)
{
	struct view list = array();

	for (size_t i = 0; p->pub != NULL && i < p->pub->count; i++) {
		struct msp_span rdata = p->pub->rdata[i];
		struct view w = object(), line = array();
		bool is_present = p->key == NULL || msp_span_equal(rdata, msp_key_rdata(p->key));

		set_int(&w, "tag", msp_key_tag(rdata));
		set_fingerprint(&w, "sha256", rdata);
		set_bool(&w, "in_use", is_present);
		set_bool(&w, "served", p->zone->apex_key != NULL && msp_rrset_has(p->zone->apex_key, rdata));
		append_record(&line, c, &p->zone->name, MSP_TYPE_KEY, p->pub->ttl, rdata);
		set(&w, "record", line.err == MSP_OK ? json_incref(json_array_get(line.v, 0)) : NULL);
		json_decref(line.v);
		append(&list, done(&w));
	}
	return done(&list);
}

static json_t *receiver(const struct msa_parent *p)
{
	static const struct {
		unsigned bit;
		const char *word;
	} word[] = { { MSA_METHOD_APEX, "at-apex" },
		     { MSA_METHOD_NS, "at-ns" },
		     { MSA_METHOD_UNSIGNED, "unsigned" },
		     { MSA_METHOD_MANUAL, "manual" } };
	const struct msa_parent_run *r = p->run;
	struct view w, keys, methods;

	if (r == NULL || r->dsync.kind[r->kind].count == 0)
		return json_null();
	w = object();
	keys = array();
	methods = array();
	set_name(&w, "name", &r->dsync.kind[r->kind].at[r->endpoint].target);
	set_int(&w, "port", r->dsync.kind[r->kind].at[r->endpoint].port);
	set_str(&w, "scheme", r->kind == MSA_DSYNC_UPDATE ? "UPDATE" : "NOTIFY");
	set_bool(&w, "dsync_secure", r->dsync_secure);
	set_int(&w, "addresses", (int64_t)r->target_count);
	for (size_t i = 0; r->receiver != NULL && i < r->receiver->count; i++)
		append(&keys, json_integer(msp_key_tag(r->receiver->rdata[i])));
	set(&w, "key_tags", done(&keys));
	set_bool(&w, "answers_verified", r->has_receiver);
	set_bool(&w, "by_fingerprint", r->by_fingerprint);
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if ((r->methods & word[i].bit) != 0)
			append(&methods, json_string(word[i].word));
	set(&w, "bootstrap", done(&methods));
	return done(&w);
}

/** What is missing for our KEY to be at the apex. */
static const char *key_missing(const struct msa_parent *p)
{
	if (p->pub == NULL || msp_rrset_contains(p->zone->apex_key, p->pub))
		return "";
	if (!p->publish_key)
		return "the owner has to publish the KEY record at the apex (publish-parent-key is off)";
	return p->combine_why[0] != '\0'
		       ? "the combiner does not take KEY: allow it in extra-types, or let the owner publish the record"
		       : "the signer does not serve it yet";
}

json_t *msa_core_parent(const struct msa_core *core, const struct msp_name *zone, struct msp_mono now)
{
	const struct msa_zone *z = msa_core_find_zone(core, zone);
	const struct msa_parent *p = z == NULL ? NULL : z->parent;
	struct view w;

	if (z == NULL)
		return json_null();
	w = object();
	set_name(&w, "zone", &z->name);
	set_str(&w, "mode", mode_name(p == NULL ? MSA_PARENT_OFF : p->mode));
	if (p == NULL)
		return done(&w);
	set_str(&w, "phase", msa_phase_name(p->phase));
	set_str(&w, "doing", msa_phase_text(p->phase));
	set_age(&w, "phase_for_s", true, p->phase_since, now);
	set_until(&w, "next_in_s", p->due, now);
	set_str(&w, "waiting_for", p->why);
	set_bool(&w, "in_sync", p->is_done);
	set_str(&w, "ns_not_sent", p->no_ns_why);
	set(&w, "parent", msp_name_is_set(&p->seen.parent) ? json_string(MSP_NAME(&p->seen.parent)) : json_null());
	set_int(&w, "parent_servers", (int64_t)p->seen.servers);
	set_int(&w, "unreachable", p->run == NULL ? 0 : (int64_t)p->run->round.unreachable);
	set(&w, "receiver", receiver(p));
	set_str(&w, "answer", p->answer);
	set_age(&w, "answer_s", p->answer[0] != '\0', p->answer_at, now);
	set(&w, "key_state", p->has_state ? json_string(msp_keystate_name(p->key_state)) : json_null());
	set_int(&w, "sends", p->sends);
	set(&w, "sent_at", p->sent_s == 0 ? json_null() : json_integer(p->sent_s));
	set_int(&w, "refused", p->refused);
	set(&w, "keys", own_keys(core, p));
	set_bool(&w, "rolling", p->roll != MSA_ROLL_NONE);
	set_str(&w, "key_missing", key_missing(p));
	set_str(&w, "key_trouble", p->key_why);
	set_str(&w, "combiner_error", p->combine_why);
	set(&w, "wanted", wanted(core, p));
	set(&w, "to_add", records(core, p, false));
	set(&w, "to_remove", records(core, p, true));
	return done(&w);
}

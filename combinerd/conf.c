/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf.h"

#include <msproto/base/log.h>
#include <msproto/base/map.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ZONES_MAX 1000000
#define DAY_S     86400

#define TRANSFER_MAX_S (UINT32_MAX / 1000) /* counted in milliseconds, in 32 bits */

static const struct msp_conf_row remote_rows[] = {
	{ "address", MSP_CONF_ADDR, MSP_CONF_REQUIRED, 0, 0, NULL, offsetof(struct cmb_conf_remote, addr), NULL, NULL,
	  "Address of the name server" },
	{ "port", MSP_CONF_PORT, 0, 1, 65535, "53", offsetof(struct cmb_conf_remote, addr), NULL, NULL, "Its port" },
	{ "source", MSP_CONF_ADDR, 0, 0, 0, NULL, offsetof(struct cmb_conf_remote, source), NULL, NULL,
	  "Local address to speak to it from" },
	{ "tsig-key", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, offsetof(struct cmb_conf_remote, tsig_key), NULL,
	  NULL, "Key shared with it" },
	{ .key = NULL }
};
static const struct msp_conf_schema remote_schema = { sizeof(struct cmb_conf_remote), remote_rows };

static const struct msp_conf_row agent_rows[] = { { "tsig-key", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL,
						    offsetof(struct cmb_conf_agent, tsig_key), NULL, NULL,
						    "Key that may UPDATE and QUERY the zone" },
						  { .key = NULL } };
static const struct msp_conf_schema agent_schema = { sizeof(struct cmb_conf_agent), agent_rows };

static const struct msp_conf_word zonemd_words[] = { { "strip", CMB_ZONEMD_STRIP },
						     { "keep", CMB_ZONEMD_KEEP },
						     { NULL, 0 } };

#define ZONE(key, kind, flags, min, max, def, field, sub, words, help)                                                 \
	{                                                                                                              \
		key, kind, flags, min, max, def, offsetof(struct cmb_conf_zone, field), sub, words, help               \
	}
#define ZONE_TIME(key, min, def, field, help)                                                                          \
	ZONE(key, MSP_CONF_SECONDS, 0, min, INT32_MAX, def, field, NULL, NULL, help)
static const struct msp_conf_row zone_rows[] = {
	ZONE("name", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, name, NULL, NULL, "Name of the zone"),
	ZONE("identity", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, identity, NULL, NULL,
	     "This provider's name in the zone's HSYNC RRset"),
	ZONE("primaries", MSP_CONF_LIST, MSP_CONF_REQUIRED, 1, 16, NULL, primaries, &remote_schema, NULL,
	     "Where the owner's zone is transferred from, in order of preference"),
	ZONE("signers", MSP_CONF_LIST, 0, 0, 64, NULL, signers, &remote_schema, NULL,
	     "Who is notified and may transfer the combined zone"),
	ZONE("agents", MSP_CONF_LIST, 0, 0, 16, NULL, agents, &agent_schema, NULL, "Who may change the apex RRsets"),
	ZONE("extra-types", MSP_CONF_STRS, 0, 0, 2, NULL, extra_types, NULL, NULL,
	     "Types beyond DNSKEY, CDS, CSYNC, NS that agents may contribute: CDNSKEY, KEY"),
	ZONE("zonemd", MSP_CONF_ENUM, 0, 0, 0, "strip", zonemd, NULL, zonemd_words,
	     "The owner's ZONEMD when it no longer fits: strip or keep"),
	ZONE("coalesce-ms", MSP_CONF_INT, 0, 0, 5000, "500", coalesce_ms, NULL, NULL,
	     "Changes that follow a change within this time make one version"),
	ZONE("max-records", MSP_CONF_INT, 0, 0, 0, "20000000", max_records, NULL, NULL,
	     "Largest zone accepted; 0 = any"),
	ZONE("max-size", MSP_CONF_BYTES, 0, 0, 0, "4G", max_octets, NULL, NULL, "Largest transfer accepted; 0 = any"),
	ZONE_TIME("refresh-min", 1, "60", refresh_min, "Lower bound of the SOA's refresh"),
	ZONE_TIME("refresh-max", 1, "14d", refresh_max, "Upper bound of the SOA's refresh"),
	ZONE_TIME("retry-min", 0, "0", retry_min, "Lower bound of the SOA's retry; 0 = as refresh-min"),
	ZONE_TIME("retry-max", 1, "14d", retry_max, "Upper bound of the SOA's retry"),
	ZONE_TIME("expire-min", 1, "60", expire_min, "Lower bound of the SOA's expire"),
	ZONE_TIME("expire-max", 1, "14d", expire_max, "Upper bound of the SOA's expire"),
	ZONE("transfer-idle", MSP_CONF_SECONDS, 0, 1, TRANSFER_MAX_S, "30", transfer_idle_s, NULL, NULL,
	     "Longest silence of a primary during a transfer"),
	ZONE("transfer-max", MSP_CONF_SECONDS, 0, 0, TRANSFER_MAX_S, "2h", transfer_max_s, NULL, NULL,
	     "Longest transfer from a primary; 0 = any"),
	{ .key = NULL }
};
static const struct msp_conf_schema zone_schema = { sizeof(struct cmb_conf_zone), zone_rows };

static const struct msp_conf_word level_words[] = { { "error", MSP_LOG_ERROR },   { "warning", MSP_LOG_WARNING },
						    { "notice", MSP_LOG_NOTICE }, { "info", MSP_LOG_INFO },
						    { "debug", MSP_LOG_DEBUG },   { NULL, 0 } };

#define TOP(key, kind, flags, min, max, def, field, sub, words, help)                                                  \
	{                                                                                                              \
		key, kind, flags, min, max, def, offsetof(struct cmb_conf, field), sub, words, help                    \
	}
static const struct msp_conf_row top_rows[] = {
	TOP("state-dir", MSP_CONF_PATH, MSP_CONF_REQUIRED, 0, 0, NULL, state_dir, NULL, NULL,
	    "Directory for zones and instructions"),
	TOP("control", MSP_CONF_PATH, 0, 0, 0, NULL, control, NULL, NULL, "Control socket for msctl"),
	TOP("log-level", MSP_CONF_ENUM, 0, 0, 0, "notice", log_level, NULL, level_words,
	    "error, warning, notice, info or debug"),
	TOP("listen", MSP_CONF_LIST, MSP_CONF_REQUIRED, 1, 16, NULL, listen, &msp_conf_listen_schema, NULL,
	    "Addresses to answer on, UDP and TCP"),
	TOP("tsig-keys", MSP_CONF_LIST, MSP_CONF_REQUIRED, 1, 100000, NULL, tsig_keys, &msp_conf_tsig_schema, NULL,
	    "TSIG keys"),
	TOP("zones", MSP_CONF_LIST, MSP_CONF_REQUIRED, 0, ZONES_MAX, NULL, zones, &zone_schema, NULL, "Zones"),
	TOP("numbers", MSP_CONF_GROUP, 0, 0, 0, NULL, numbers, &msp_conf_numbers_schema, NULL,
	    "Protocol numbers without IANA assignment"),
	TOP("map-size", MSP_CONF_BYTES, 0, 1 << 20, INT64_MAX, "64G", map_size, NULL, NULL,
	    "Address space for the zone store; the file is only as large as its content"),
	TOP("transfers-out-max", MSP_CONF_INT, 0, 1, 10000, "100", transfers_out_max, NULL, NULL,
	    "Outgoing transfers at one time"),
	TOP("transfer-out-max", MSP_CONF_SECONDS, 0, 1, DAY_S, "1h", transfer_out_max_s, NULL, NULL,
	    "Longest outgoing transfer"),
	TOP("stall-max", MSP_CONF_SECONDS, 0, 1, 3600, "60", stall_s, NULL, NULL,
	    "A client that takes nothing of an answer for this long is cut off"),
	TOP("tcp-connections-max", MSP_CONF_INT, 0, 1, 100000, "512", tcp_connections_max, NULL, NULL,
	    "TCP connections at one time"),
	TOP("tcp-per-client-max", MSP_CONF_INT, 0, 1, 100000, "10", tcp_per_client_max, NULL, NULL,
	    "TCP connections of one address"),
	TOP("notify-timeout", MSP_CONF_SECONDS, 0, 1, 3600, "15", notify_timeout_s, NULL, NULL,
	    "Wait for the answer to a NOTIFY; doubles with each try"),
	TOP("notify-tries", MSP_CONF_INT, 0, 1, 20, "5", notify_tries, NULL, NULL, "NOTIFYs sent before giving up"),
	{ .key = NULL }
};
const struct msp_conf_schema cmb_conf_schema = { sizeof(struct cmb_conf), top_rows };

const struct cmb_conf_zone *cmb_conf_zone_at(const struct cmb_conf *c, size_t i)
{
	return (const struct cmb_conf_zone *)c->zones.item + i;
}

const struct cmb_conf_remote *cmb_conf_remote_at(const struct msp_conf_list *l, size_t i)
{
	return (const struct cmb_conf_remote *)l->item + i;
}

const struct cmb_conf_agent *cmb_conf_agent_at(const struct msp_conf_list *l, size_t i)
{
	return (const struct cmb_conf_agent *)l->item + i;
}

/* --- what the schema cannot say --------------------------------------------------------------------------------------
 */

struct checker {
	const char *path;
	const struct cmb_conf *conf;
	struct msp_buf *errors;
	struct msp_map keys, zones;
	size_t problems;
};

static void complain(struct checker *ch, const struct msp_name *zone, const char *what, const char *value)
{
	ch->problems++;
	msp_buf_printf(ch->errors, "%s: zone %s: %s%s%s\n", ch->path, zone ? MSP_NAME(zone) : "-", what,
		       value ? " " : "", value ? value : "");
}

static void check_key(struct checker *ch, const struct msp_name *zone, const struct msp_name *key)
{
	struct msp_name_key k = msp_name_key(key);

	if (msp_map_get(&ch->keys, msp_name_key_span(&k)) == NULL)
		complain(ch, zone, "tsig-key not in tsig-keys:", MSP_NAME(key));
}

static void check_zone(struct checker *ch, const struct cmb_conf_zone *z)
{
	for (size_t i = 0; i < z->primaries.count; i++)
		check_key(ch, &z->name, &cmb_conf_remote_at(&z->primaries, i)->tsig_key);
	for (size_t i = 0; i < z->signers.count; i++)
		check_key(ch, &z->name, &cmb_conf_remote_at(&z->signers, i)->tsig_key);
	for (size_t i = 0; i < z->agents.count; i++)
		check_key(ch, &z->name, &cmb_conf_agent_at(&z->agents, i)->tsig_key);
	for (size_t i = 0; i < z->extra_types.count; i++)
		if (strcasecmp(z->extra_types.item[i], "CDNSKEY") != 0 &&
		    strcasecmp(z->extra_types.item[i], "KEY") != 0)
			complain(ch, &z->name, "extra-types: not CDNSKEY or KEY:", z->extra_types.item[i]);
	if (z->refresh_min > z->refresh_max || z->retry_min > z->retry_max || z->expire_min > z->expire_max)
		complain(ch, &z->name, "a minimum is above its maximum", NULL);
}

static enum msp_err check_all(struct checker *ch)
{
	const struct cmb_conf *c = ch->conf;
	enum msp_err err = MSP_OK;
	static char present; /* only its address is used */

	for (size_t i = 0; err == MSP_OK && i < c->tsig_keys.count; i++) {
		const struct msp_conf_tsig *t = (const struct msp_conf_tsig *)c->tsig_keys.item + i;
		struct msp_name_key k = msp_name_key(&t->name);

		err = msp_map_put(&ch->keys, msp_name_key_span(&k), &present, NULL);
	}
	for (size_t i = 0; err == MSP_OK && i < c->zones.count; i++) {
		const struct cmb_conf_zone *z = cmb_conf_zone_at(c, i);
		struct msp_name_key k = msp_name_key(&z->name);
		void *old = NULL;

		check_zone(ch, z);
		err = msp_map_put(&ch->zones, msp_name_key_span(&k), &present, &old);
		if (old != NULL)
			complain(ch, &z->name, "configured twice", NULL);
	}
	if (err == MSP_OK && ch->problems > 0)
		err = MSP_ECONF;
	return err;
}

enum msp_err cmb_conf_load(const char *path, struct cmb_conf *out, struct msp_buf *errors)
{
	struct checker ch = { .path = path, .conf = out, .errors = errors };
	enum msp_err err = msp_conf_load(path, &cmb_conf_schema, out, errors);

	if (err != MSP_OK)
		return err;
	msp_map_init(&ch.keys, out->tsig_keys.count);
	msp_map_init(&ch.zones, out->zones.count);
	err = check_all(&ch);
	msp_map_fini(&ch.keys, NULL);
	msp_map_fini(&ch.zones, NULL);
	if (err != MSP_OK)
		cmb_conf_fini(out);
	return err;
}

void cmb_conf_fini(struct cmb_conf *c)
{
	msp_conf_fini(&cmb_conf_schema, c);
	memset(c, 0, sizeof(*c));
}

static bool has_extra(const struct cmb_conf_zone *z, const char *type)
{
	for (size_t i = 0; i < z->extra_types.count; i++)
		if (strcasecmp(z->extra_types.item[i], type) == 0)
			return true;
	return false;
}

void cmb_conf_rules(const struct cmb_conf *c, const struct cmb_conf_zone *z, struct cmb_rules *out)
{
	*out = (struct cmb_rules){ .zone = z->name, .identity = z->identity, .numbers = &c->numbers };
	out->extra_cdnskey = has_extra(z, "CDNSKEY");
	out->extra_key = has_extra(z, "KEY");
	out->zonemd_keep = z->zonemd == CMB_ZONEMD_KEEP;
}

void cmb_conf_limits(const struct cmb_conf_zone *z, struct cmb_refresh_limits *out)
{
	*out = (struct cmb_refresh_limits){
		z->refresh_min, z->refresh_max, z->retry_min ? z->retry_min : z->refresh_min,
		z->retry_max,   z->expire_min,  z->expire_max
	};
}

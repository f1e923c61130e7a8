/* SPDX-License-Identifier: BSD-2-Clause */
/* SIG(0) keys: make one, show one. Private parts are never printed. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#include <msproto/auth/digest.h>
#include <msproto/auth/key.h>
#include <msproto/base/enc.h>
#include <msproto/wire/text.h>

static json_t *key_json(const struct msp_key *key, const char *path)
{
	struct msp_rr rr = { .owner = *msp_key_owner(key),
			     .type = MSP_TYPE_KEY,
			     .cls = MSP_CLASS_IN,
			     .ttl = 3600,
			     .rdata = msp_key_rdata(key) };
	struct msp_span rdata = msp_key_rdata(key);
	struct msp_buf text, hex;
	uint8_t digest[32];
	json_t *o = json_object();

	msp_buf_init(&text, 4096);
	msp_buf_init(&hex, 128);
	msp_rr_print(&text, NULL, &rr);
	if (o == NULL || text.err != MSP_OK || msp_sha256(&rdata, 1, digest) != MSP_OK)
		goto fail;
	msp_hex_write(&hex, msp_span(digest, sizeof(digest)));
	if (msp_json_set_str(o, "owner", MSP_NAME(msp_key_owner(key))) != MSP_OK ||
	    msp_json_set_str(o, "algorithm", msp_alg_name(msp_key_alg(key))) != MSP_OK ||
	    msp_json_set_int(o, "tag", msp_key_id(key)) != MSP_OK ||
	    msp_json_set_str(o, "fingerprint", msp_buf_text(&hex)) != MSP_OK ||
	    msp_json_set_str(o, "record", msp_buf_text(&text)) != MSP_OK || msp_json_set_str(o, "file", path) != MSP_OK)
		goto fail;
	msp_buf_fini(&text);
	msp_buf_fini(&hex);
	return o;
fail:
	json_decref(o);
	msp_buf_fini(&text);
	msp_buf_fini(&hex);
	return NULL;
}

/* Consumes the key. */
static enum ctl_exit show(const struct ctl_opts *o, struct msp_key *key, const char *path)
{
	json_t *data = key_json(key, path);

	msp_key_free(&key);
	if (data == NULL)
		return ctl_fail("key", MSP_ENOMEM, NULL);
	return ctl_out(o, NULL, data);
}

enum ctl_exit ctl_key_generate(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct msp_why why = { "" };
	struct msp_key *key = NULL;
	struct msp_name owner;
	char path[4096];
	enum msp_err err;
	uint8_t alg;

	(void)cmd;
	(void)argc;
	err = msp_name_from_text(argv[0], &owner);
	if (err != MSP_OK)
		return ctl_misuse(argv[0], msp_err_text(err));
	err = msp_alg_from_text(o->algorithm, &alg);
	if (err != MSP_OK)
		return ctl_misuse(o->algorithm,
				  "not one of ED25519, ECDSAP256SHA256, ECDSAP384SHA384, ED448, RSASHA256");
	err = msp_key_generate(&owner, alg, 0, &key);
	if (err == MSP_OK)
		err = msp_key_save(key, o->dir, "KEY", path, sizeof(path), &why);
	if (err != MSP_OK) {
		msp_key_free(&key);
		return ctl_fail(o->dir, err, &why);
	}
	return show(o, key, path);
}

enum ctl_exit ctl_key_show(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct msp_why why = { "" };
	struct msp_key *key = NULL;
	enum msp_err err = msp_key_load(argv[0], &key, &why);

	(void)cmd;
	(void)argc;
	if (err != MSP_OK)
		return ctl_fail(argv[0], err, &why);
	return show(o, key, argv[0]);
}

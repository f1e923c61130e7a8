/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Configuration: libconfig read through schema tables. One row per setting gives parsing, range errors with file and
 * line, `msctl conf show`, and the man page's table. Unknown keys are errors.
 */
#ifndef MSPROTO_KIT_CONF_H
#define MSPROTO_KIT_CONF_H

#include <msproto/base/addr.h>
#include <msproto/base/buf.h>
#include <msproto/wire/name.h>

enum msp_conf_kind {
	MSP_CONF_BOOL,    /* bool */
	MSP_CONF_INT,     /* int64_t, in [min, max] */
	MSP_CONF_SECONDS, /* uint32_t; integer, or text with unit: "90s", "5m", "2h", "1d" */
	MSP_CONF_BYTES,   /* uint64_t; integer, or text "512K", "64M", "2G" */
	MSP_CONF_STR,     /* char *, owned */
	MSP_CONF_PATH,    /* char *, owned; must be absolute */
	MSP_CONF_NAME,    /* struct msp_name */
	MSP_CONF_ADDR,    /* struct msp_addr: address; port from the `port` row beside it, see MSP_CONF_PORT */
	MSP_CONF_PORT,    /* uint16_t put into the struct msp_addr at `offset` (1..65535) */
	MSP_CONF_PREFIX,  /* struct msp_prefix */
	MSP_CONF_ENUM,    /* int, one of `words` */
	MSP_CONF_STRS,    /* struct msp_conf_strs: array or list of strings */
	MSP_CONF_LIST,  /* struct msp_conf_list: list of groups, each read by `sub` into a struct of sub->size octets */
	MSP_CONF_GROUP, /* a group read by `sub` into the struct embedded at `offset`; see below when it is absent */
	MSP_CONF_U8,    /* uint8_t, in [min, max] */
	MSP_CONF_U16,   /* uint16_t, in [min, max] */
	MSP_CONF_BASE /* struct msp_conf_base: text, the name of an entry of the top-level list that is read by `sub` */
};
/*
 * A range of 0 to 0 means all that the type holds.
 * An absent group takes its rows' defaults; when it has required keys of its own and is not required itself, it stays
 * all zero instead ("not configured").
 */
#define MSP_CONF_REQUIRED 1u
#define MSP_CONF_OWN      2u /* never taken from a base */
/**
 * A group that names a base takes what it does not say from there; only then required settings and defaults are looked
 * at. `sub` begins with the row of the name and has rows with the keys of the group's. A group that says nothing but
 * rows with MSP_CONF_OWN is left at that, since there may be very many of them: its other fields stay zero, what they
 * would be stands in the base.
 */
struct msp_conf_base {
	char *name; /* owned; NULL = none */
	bool is_bare;
};
struct msp_conf_strs {
	char **item; /* owned */
	size_t count;
};
struct msp_conf_list {
	void *item; /* owned array of count structs */
	size_t count;
};
struct msp_conf_word {
	const char *word; /* NULL ends the table */
	int value;
};
struct msp_conf_row {
	const char *key; /* NULL ends the table */
	enum msp_conf_kind kind;
	unsigned flags;
	int64_t min, max; /* INT, SECONDS, BYTES; LIST and STRS: number of elements (max 0 = 1 000 000) */
	const char *def;  /* default as it would be written in the file, without quotes; NULL = zero */
	size_t offset;
	const struct msp_conf_schema *sub;
	const struct msp_conf_word *words;
	const char *help; /* one line for the man page */
};
struct msp_conf_schema {
	size_t size; /* of the struct */
	const struct msp_conf_row *rows;
};

/**
 * Read a file into *out (zeroed first). All problems are found in one go: each one line "file:line: key: reason" in
 * `errors`.
 * @return MSP_OK or MSP_ECONF (then *out has been released)
 */
MSP_CHECKED enum msp_err msp_conf_load(const char *path, const struct msp_conf_schema *schema, void *out,
				       struct msp_buf *errors);
/** As above from text (tests, fuzzing). */
MSP_CHECKED enum msp_err msp_conf_load_text(const char *text, const struct msp_conf_schema *schema, void *out,
					    struct msp_buf *errors);
/** Release what rows own; the struct itself is the caller's. */
void msp_conf_fini(const struct msp_conf_schema *schema, void *conf);
/** The effective settings, in file syntax; secrets are never settings (they sit in files). */
MSP_CHECKED enum msp_err msp_conf_show(const struct msp_conf_schema *schema, const void *conf, struct msp_buf *out);
/** Table for the man page: "key | type | default | help" lines, nested keys indented. */
MSP_CHECKED enum msp_err msp_conf_table(const struct msp_conf_schema *schema, struct msp_buf *out);

/* Pieces that several daemons share. */
struct msp_conf_tsig { /* tsig-keys = ( { name; algorithm; secret-file; } ) */
	struct msp_name name;
	int algorithm; /* enum msp_tsig_alg */
	char *secret_file;
};
extern const struct msp_conf_schema msp_conf_tsig_schema;
enum msp_conf_transport { MSP_TRANSPORT_DNS, MSP_TRANSPORT_TLS }; /* "dns": UDP and TCP; "tls": RFC 9103 */
extern const struct msp_conf_word msp_conf_transport_words[];
struct msp_conf_listen {      /* listen = ( { address; port; transport; tls; } ) */
	struct msp_addr addr; /* port 0 in the file's absence: 53, or 853 with tls */
	int transport;        /* enum msp_conf_transport */
	char *tls;            /* name of an entry of `tls`; NULL = none */
};
/** tls = ( { name; certificate; private-key; ca; pins; auth-name; tlsa; } ): see io/tls.h */
struct msp_conf_tls {
	char *name;
	char *certificate, *private_key, *ca, *auth_name; /* NULL = none */
	struct msp_conf_strs pins;
	bool tlsa;
};
extern const struct msp_conf_schema msp_conf_tls_schema;
struct msp_tls;
/** Read the files of one entry. `is_server` as in msp_tls_params. */
MSP_CHECKED enum msp_err msp_conf_tls_open(const struct msp_conf_tls *c, bool is_server, struct msp_tls **out,
					   struct msp_why *why);
extern const struct msp_conf_schema msp_conf_listen_schema;
/** For who listens without TLS only: { address; port; }, port 53 when absent. The same struct. */
extern const struct msp_conf_schema msp_conf_listen_dns_schema;
/** The address to listen on: with its default port, which depends on the transport, filled in. */
struct msp_addr msp_conf_listen_addr(const struct msp_conf_listen *l);
struct msp_conf_numbers; /* protocol numbers (PROTOCOL B.5) */
extern const struct msp_conf_schema
	msp_conf_numbers_schema; /* fills a struct msp_numbers; defaults as msp_numbers_default */

/** Read a TSIG secret file: base64 text, mode 0600 or stricter. *secret is wiped by the caller (msp_wipe) after use. */
MSP_CHECKED enum msp_err msp_secret_file_read(const char *path, struct msp_buf *secret, struct msp_why *why);

/** TSIG keys by name, from configuration. */
struct msp_tsig_key;
struct msp_tsig_ring;
MSP_CHECKED enum msp_err msp_tsig_ring_load(const struct msp_conf_list *keys, struct msp_tsig_ring **out,
					    struct msp_why *why);
void msp_tsig_ring_free(struct msp_tsig_ring **ring);
/** NULL when absent. Borrowed. */
const struct msp_tsig_key *msp_tsig_ring_get(const struct msp_tsig_ring *ring, const struct msp_name *name);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/resolve_engine.h"

#include <msproto/base/addr.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANCHORS_MAX      64u
#define LINE_MAX_LEN     4096
#define ROOT_ANCHOR_FILE "/usr/share/dns/root.key" /* Debian: dns-root-data */

/* DS or DNSKEY records in presentation form, a line each; comments start with ';'. */
static getdns_list *read_anchors(const char *path)
{
	getdns_list *list = getdns_list_create();
	FILE *f = fopen(path, "re");
	char line[LINE_MAX_LEN];
	size_t count = 0;

	while (list && f && count < ANCHORS_MAX && fgets(line, sizeof(line), f)) {
		getdns_dict *rr = NULL;

		line[strcspn(line, ";\r\n")] = '\0';
		if (line[strspn(line, " \t")] == '\0')
			continue;
		if (getdns_str2rr_dict(line, &rr, NULL, 3600) != GETDNS_RETURN_GOOD) {
			count = 0;
			break;
		}
		if (getdns_list_set_dict(list, count, rr) == GETDNS_RETURN_GOOD)
			count++;
		getdns_dict_destroy(rr);
	}
	if (f)
		(void)fclose(f);
	if (count > 0)
		return list;
	getdns_list_destroy(list);
	return NULL;
}

static getdns_list *read_roots(const char *const *roots, size_t count)
{
	getdns_list *list = getdns_list_create();

	for (size_t i = 0; list && i < count; i++) {
		struct msp_addr addr;
		getdns_bindata octets = { 0, addr.oct };

		if (msp_addr_parse(roots[i], 0, &addr) == MSP_OK) {
			octets.size = addr.family == MSP_FAMILY_V4 ? 4 : 16;
			if (getdns_list_set_bindata(list, i, &octets) == GETDNS_RETURN_GOOD)
				continue;
		}
		(void)fprintf(stderr, "resolver worker: %s: not a root server's address\n", roots[i]);
		getdns_list_destroy(list);
		return NULL;
	}
	return list;
}

bool resolve_recipe_init(struct resolve_recipe *r, const char *anchor_file, const char *const *roots, size_t root_count,
			 uint32_t timeout_ms)
{
	const char *file = anchor_file ? anchor_file : ROOT_ANCHOR_FILE;

	*r = (struct resolve_recipe){ .timeout_ms = timeout_ms };
	if (anchor_file || access(file, R_OK) == 0) {
		r->anchors = read_anchors(file);
		if (!r->anchors) {
			(void)fprintf(stderr, "resolver worker: %s: no trust anchor can be read\n", file);
			return false;
		}
	}
	if (root_count > 0)
		r->roots = read_roots(roots, root_count);
	return root_count == 0 || r->roots;
}

static bool set_up(struct resolve_engine *e, const struct resolve_recipe *r, uv_loop_t *uv)
{
	getdns_namespace_t dns_only[] = { GETDNS_NAMESPACE_DNS };
	getdns_return_t rc = getdns_context_set_namespaces(e->ctx, 1, dns_only);

	if (rc == GETDNS_RETURN_GOOD)
		rc = getdns_context_set_resolution_type(e->ctx, GETDNS_RESOLUTION_RECURSING);
	if (rc == GETDNS_RETURN_GOOD)
		rc = getdns_context_set_timeout(e->ctx, r->timeout_ms);
	if (rc == GETDNS_RETURN_GOOD && r->anchors) /* once set, the library fetches none over HTTP */
		rc = getdns_context_set_dnssec_trust_anchors(e->ctx, r->anchors);
	if (rc == GETDNS_RETURN_GOOD && r->roots)
		rc = getdns_hints_set(e->ctx, r->roots, &e->hints);
	if (rc == GETDNS_RETURN_GOOD)
		rc = getdns_loop_attach(&e->binding, e->ctx, uv);
	/* Not "only secure": it hides why; not "status": it tells bogus as if the name did not exist. */
	if (rc == GETDNS_RETURN_GOOD)
		rc = getdns_dict_set_int(e->extensions, "dnssec_return_all_statuses", GETDNS_EXTENSION_TRUE);
	return rc == GETDNS_RETURN_GOOD;
}

bool resolve_engine_init(struct resolve_engine *e, const struct resolve_recipe *r, uv_loop_t *uv)
{
	memset(e, 0, sizeof(*e));
	/* 0: nothing from /etc/resolv.conf and /etc/hosts; everything is said here. */
	if (getdns_context_create(&e->ctx, 0) != GETDNS_RETURN_GOOD)
		return false;
	e->extensions = getdns_dict_create();
	if (e->extensions && set_up(e, r, uv))
		return true;
	resolve_engine_fini(e);
	return false;
}

void resolve_engine_fini(struct resolve_engine *e)
{
	getdns_hints_remove(&e->hints);
	getdns_dict_destroy(e->extensions);
	getdns_context_destroy(e->ctx);
	getdns_loop_detach(&e->binding);
}

getdns_return_t resolve_engine_ask(struct resolve_engine *e, const char *name, uint16_t type, void *arg,
				   getdns_transaction_t *transaction, getdns_callback_t cb)
{
	getdns_return_t rc = getdns_general(e->ctx, name, type, e->extensions, arg, transaction, cb);

	getdns_hints_remove(&e->hints); /* read by now */
	return rc;
}

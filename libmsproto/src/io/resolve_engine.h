/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * One getdns context as the worker wants it: recursing, our trust anchors, our root servers, our loop. A second one is
 * how a look-up is repeated without the first one's cache.
 */
#ifndef IO_RESOLVE_ENGINE_H
#define IO_RESOLVE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/getdns_hints.h"
#include "io/getdns_loop.h"

/** What every context is made from; read once, while files may still be opened. */
struct resolve_recipe {
	getdns_list *anchors; /* owned; NULL = the library's own */
	getdns_list *roots;   /* owned; NULL = the library's own */
	uint32_t timeout_ms;
};

/** Complains on standard error. anchor_file NULL: the packaged root anchor. */
bool resolve_recipe_init(struct resolve_recipe *r, const char *anchor_file, const char *const *roots, size_t root_count,
			 uint32_t timeout_ms);

struct resolve_engine {
	getdns_context *ctx;
	getdns_dict *extensions;
	struct getdns_loop binding;
	struct getdns_hints hints;
};

bool resolve_engine_init(struct resolve_engine *e, const struct resolve_recipe *r, uv_loop_t *uv);
/**
 * Never from inside a callback of getdns. Look-ups under way are called back with CANCEL. *e may go at once; libuv's
 * handles close in the loop's next round.
 */
void resolve_engine_fini(struct resolve_engine *e);
/** getdns_general with this engine's extensions. */
getdns_return_t resolve_engine_ask(struct resolve_engine *e, const char *name, uint16_t type, void *arg,
				   getdns_transaction_t *transaction, getdns_callback_t cb);

#endif

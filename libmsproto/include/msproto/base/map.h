/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Ordered map: octet-string keys (copied), pointer values (borrowed). Balanced; O(log n). */
#ifndef MSPROTO_BASE_MAP_H
#define MSPROTO_BASE_MAP_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>

struct msp_map_node;
struct msp_map {
	struct msp_map_node *root; /* owned */
	size_t count, max;
};

/** @param max most entries ever held; msp_map_put answers MSP_ELIMIT beyond. */
void msp_map_init(struct msp_map *m, size_t max);
/** Frees the nodes; `drop` (NULL allowed) is called for every value first. */
void msp_map_fini(struct msp_map *m, void (*drop)(void *value));
/** NULL when absent. */
void *msp_map_get(const struct msp_map *m, struct msp_span key);
/** Insert or replace; the value replaced (or NULL) goes to *old when old is not NULL. */
MSP_CHECKED enum msp_err msp_map_put(struct msp_map *m, struct msp_span key, void *value, void **old);
/** Remove; returns the value, NULL when absent. */
void *msp_map_del(struct msp_map *m, struct msp_span key);

/** Cursor in key order; the map must not change while one is used, except by deleting through msp_map_del *after* the
 * loop. */
struct msp_map_it {
	struct msp_span key; /* borrowed from the map */
	void *value;
	struct msp_map_node *node;
};
/** False at the end. `from` (ptr NULL = the start): first key >= from. */
bool msp_map_first(const struct msp_map *m, struct msp_span from, struct msp_map_it *it);
bool msp_map_next(const struct msp_map *m, struct msp_map_it *it);

#endif

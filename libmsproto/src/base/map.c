/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An AVL tree: keys come from the network, so the balance must not depend on what they are or in which order they come.
 * Nodes know their parent; a cursor is then a node, and the next one is found without a search.
 */
#include <msproto/base/map.h>
#include <msproto/base/mem.h>

#include <string.h>

struct msp_map_node {
	struct msp_map_node *child[2]; /* owned; 0 = smaller keys, 1 = greater */
	struct msp_map_node *parent;   /* borrowed; NULL at the root */
	void *value;                   /* borrowed */
	size_t key_len;
	int height; /* 1 for a leaf; at most 1.44 log2(n) */
	uint8_t key[];
};

static struct msp_span node_key(const struct msp_map_node *n)
{
	return msp_span(n->key, n->key_len);
}

static int height(const struct msp_map_node *n)
{
	return n == NULL ? 0 : n->height;
}

static void height_update(struct msp_map_node *n)
{
	int a = height(n->child[0]), b = height(n->child[1]);

	n->height = 1 + (a > b ? a : b);
}

/* Hang `now` where `was` hangs. */
static void parent_relink(struct msp_map *m, const struct msp_map_node *was, struct msp_map_node *now)
{
	struct msp_map_node *parent = was->parent;

	if (parent == NULL)
		m->root = now;
	else
		parent->child[parent->child[1] == was] = now;
	if (now != NULL)
		now->parent = parent;
}

/* The child on side `up` takes n's place, and n becomes its child on the other side. Returns the new top. */
static struct msp_map_node *rotate(struct msp_map *m, struct msp_map_node *n, int up)
{
	struct msp_map_node *top = n->child[up], *inner = top->child[1 - up];

	parent_relink(m, n, top);
	top->child[1 - up] = n;
	n->parent = top;
	n->child[up] = inner;
	if (inner != NULL)
		inner->parent = n;
	height_update(n);
	height_update(top);
	return top;
}

/* Restore heights and balance from n up to the root. */
static void rebalance(struct msp_map *m, struct msp_map_node *n)
{
	for (; n != NULL; n = n->parent) {
		int lean = height(n->child[1]) - height(n->child[0]), was = n->height, deep;

		if (lean > 1 || lean < -1) {
			deep = lean > 0;
			if (height(n->child[deep]->child[1 - deep]) > height(n->child[deep]->child[deep]))
				rotate(m, n->child[deep], 1 - deep);
			n = rotate(m, n, deep);
		} else {
			height_update(n);
		}
		if (n->height == was)
			return; /* nothing above can see the change */
	}
}

void msp_map_init(struct msp_map *m, size_t max)
{
	*m = (struct msp_map){ .max = max };
}

void msp_map_fini(struct msp_map *m, void (*drop)(void *value))
{
	struct msp_map_node *n = m->root;

	while (n != NULL) {
		struct msp_map_node *parent = n->parent;

		if (n->child[0] != NULL || n->child[1] != NULL) {
			int side = n->child[0] == NULL;
			struct msp_map_node *child = n->child[side];

			n->child[side] = NULL; /* so that it is not entered again */
			n = child;
			continue;
		}
		if (drop != NULL)
			drop(n->value);
		msp_free(n);
		n = parent;
	}
	m->root = NULL;
	m->count = 0;
}

static struct msp_map_node *find(const struct msp_map *m, struct msp_span key)
{
	struct msp_map_node *n = m->root;

	while (n != NULL) {
		int order = msp_span_cmp(key, node_key(n));

		if (order == 0)
			return n;
		n = n->child[order > 0];
	}
	return NULL;
}

void *msp_map_get(const struct msp_map *m, struct msp_span key)
{
	const struct msp_map_node *n = find(m, key);

	return n == NULL ? NULL : n->value;
}

enum msp_err msp_map_put(struct msp_map *m, struct msp_span key, void *value, void **old)
{
	struct msp_map_node *n, *parent = NULL, **link = &m->root;

	if (old != NULL)
		*old = NULL;
	while (*link != NULL) {
		int order = msp_span_cmp(key, node_key(*link));

		if (order == 0) {
			if (old != NULL)
				*old = (*link)->value;
			(*link)->value = value;
			return MSP_OK;
		}
		parent = *link;
		link = &parent->child[order > 0];
	}
	if (m->count >= m->max)
		return MSP_ELIMIT;
	if (key.len > PTRDIFF_MAX - sizeof(*n))
		return MSP_ENOMEM;
	n = msp_alloc(1, sizeof(*n) + key.len);
	if (n == NULL)
		return MSP_ENOMEM;
	if (key.len > 0)
		memcpy(n->key, key.ptr, key.len);
	n->key_len = key.len;
	n->value = value;
	n->parent = parent;
	n->height = 1;
	*link = n;
	m->count++;
	rebalance(m, parent);
	return MSP_OK;
}

static struct msp_map_node *outermost(struct msp_map_node *n, int side)
{
	while (n->child[side] != NULL)
		n = n->child[side];
	return n;
}

void *msp_map_del(struct msp_map *m, struct msp_span key)
{
	struct msp_map_node *n = find(m, key), *from, *next;
	void *value;

	if (n == NULL)
		return NULL;
	value = n->value;
	if (n->child[0] == NULL || n->child[1] == NULL) {
		from = n->parent;
		parent_relink(m, n, n->child[n->child[0] == NULL]);
	} else {
		/* The next key, which has no smaller child, moves into n's place; nodes move, as cursors and keys point
		 * at them. */
		next = outermost(n->child[1], 0);
		from = next->parent == n ? next : next->parent;
		if (next->parent != n) {
			parent_relink(m, next, next->child[1]);
			next->child[1] = n->child[1];
			next->child[1]->parent = next;
		}
		next->child[0] = n->child[0];
		next->child[0]->parent = next;
		next->height = n->height; /* what the nodes above have seen here so far */
		parent_relink(m, n, next);
	}
	msp_free(n);
	m->count--;
	rebalance(m, from);
	return value;
}

static bool cursor_set(struct msp_map_it *it, struct msp_map_node *n)
{
	*it = (struct msp_map_it){ .node = n };
	if (n == NULL)
		return false;
	it->key = node_key(n);
	it->value = n->value;
	return true;
}

bool msp_map_first(const struct msp_map *m, struct msp_span from, struct msp_map_it *it)
{
	struct msp_map_node *n = m->root, *best = NULL;

	while (n != NULL) {
		bool reached = from.ptr == NULL || msp_span_cmp(node_key(n), from) >= 0;

		if (reached)
			best = n;
		n = n->child[!reached];
	}
	return cursor_set(it, best);
}

bool msp_map_next(const struct msp_map *m, struct msp_map_it *it)
{
	struct msp_map_node *n = it->node;

	(void)m;
	if (n == NULL)
		return false;
	if (n->child[1] != NULL)
		return cursor_set(it, outermost(n->child[1], 0));
	while (n->parent != NULL && n->parent->child[1] == n)
		n = n->parent;
	return cursor_set(it, n->parent);
}

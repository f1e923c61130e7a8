/* SPDX-License-Identifier: BSD-2-Clause */
#include "timer.h"

#include <stddef.h>

static struct msa_timer *meld(struct msa_timer *a, struct msa_timer *b)
{
	struct msa_timer *t;

	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	if (b->at.ms < a->at.ms) {
		t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child != NULL)
		a->child->prev = b;
	a->child = b;
	return a;
}

/** Two passes over a list of siblings: meld in pairs, then all of them. */
static struct msa_timer *meld_children(struct msa_timer *first)
{
	struct msa_timer *pairs = NULL, *a, *b, *rest, *root = NULL;

	while (first != NULL) {
		a = first;
		b = a->next;
		rest = b == NULL ? NULL : b->next;
		a->next = a->prev = NULL;
		if (b != NULL)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
		first = rest;
	}
	while (pairs != NULL) {
		rest = pairs->next;
		pairs->next = NULL;
		root = meld(root, pairs);
		pairs = rest;
	}
	return root;
}

void msa_timer_init(struct msa_timer *t, int kind, void *owner)
{
	*t = (struct msa_timer){ .at = MSP_MONO_NEVER, .kind = kind, .owner = owner };
}

void msa_timer_cancel(struct msa_timer **heap, struct msa_timer *t)
{
	struct msa_timer *below;

	if (!t->is_armed)
		return;
	below = meld_children(t->child);
	if (*heap == t) {
		*heap = below;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next != NULL)
			t->next->prev = t->prev;
		*heap = meld(*heap, below);
	}
	t->child = t->next = t->prev = NULL;
	t->is_armed = false;
}

void msa_timer_set(struct msa_timer **heap, struct msa_timer *t, struct msp_mono at)
{
	msa_timer_cancel(heap, t);
	t->at = at;
	if (at.ms == INT64_MAX)
		return;
	t->is_armed = true;
	*heap = meld(*heap, t);
}

void msa_timer_soon(struct msa_timer **heap, struct msa_timer *t, struct msp_mono at)
{
	if (!t->is_armed || at.ms < t->at.ms)
		msa_timer_set(heap, t, at);
}

struct msa_timer *msa_timer_take(struct msa_timer **heap, struct msp_mono now)
{
	struct msa_timer *t = *heap;

	if (t == NULL || !msp_mono_reached(now, t->at))
		return NULL;
	msa_timer_cancel(heap, t);
	return t;
}

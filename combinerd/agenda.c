/* SPDX-License-Identifier: BSD-2-Clause */
#include "agenda.h"

#include <msproto/base/mem.h>

#include <string.h>

#define SIZE_FIRST 64

void cmb_agenda_fini(struct cmb_agenda *a)
{
	msp_free(a->entry);
	memset(a, 0, sizeof(*a));
}

/* Places count from 1: the parent of `at` is at/2. */
static void put(struct cmb_agenda *a, size_t at, struct cmb_agenda_entry e)
{
	a->entry[at - 1] = e;
	e.item->at = at;
}

static void rise(struct cmb_agenda *a, size_t at, struct cmb_agenda_entry e)
{
	while (at > 1 && e.due.ms < a->entry[at / 2 - 1].due.ms) {
		put(a, at, a->entry[at / 2 - 1]);
		at /= 2;
	}
	put(a, at, e);
}

static void sink(struct cmb_agenda *a, size_t at, struct cmb_agenda_entry e)
{
	for (size_t child = at * 2; child <= a->count; child = at * 2) {
		if (child < a->count && a->entry[child].due.ms < a->entry[child - 1].due.ms)
			child++;
		if (e.due.ms <= a->entry[child - 1].due.ms)
			break;
		put(a, at, a->entry[child - 1]);
		at = child;
	}
	put(a, at, e);
}

static void settle(struct cmb_agenda *a, size_t at, struct cmb_agenda_entry e)
{
	if (at > 1 && e.due.ms < a->entry[at / 2 - 1].due.ms)
		rise(a, at, e);
	else
		sink(a, at, e);
}

static void take_out(struct cmb_agenda *a, struct cmb_agenda_item *item)
{
	size_t at = item->at;
	struct cmb_agenda_entry last = a->entry[--a->count];

	item->at = 0;
	if (last.item != item)
		settle(a, at, last);
}

static enum msp_err grow(struct cmb_agenda *a)
{
	size_t size = a->size ? a->size * 2 : SIZE_FIRST;
	struct cmb_agenda_entry *grown;

	if (a->count < a->size)
		return MSP_OK;
	grown = msp_realloc(a->entry, size, sizeof(*grown));
	if (grown == NULL)
		return MSP_ENOMEM;
	a->entry = grown;
	a->size = size;
	return MSP_OK;
}

enum msp_err cmb_agenda_set(struct cmb_agenda *a, struct cmb_agenda_item *item, struct msp_mono due)
{
	struct cmb_agenda_entry e = { due, item };
	enum msp_err err;

	if (due.ms == MSP_MONO_NEVER.ms) {
		if (item->at != 0)
			take_out(a, item);
		return MSP_OK;
	}
	if (item->at != 0) {
		settle(a, item->at, e);
		return MSP_OK;
	}
	err = grow(a);
	if (err == MSP_OK)
		rise(a, ++a->count, e);
	return err;
}

struct msp_mono cmb_agenda_next(const struct cmb_agenda *a)
{
	return a->count > 0 ? a->entry[0].due : MSP_MONO_NEVER;
}

struct cmb_agenda_item *cmb_agenda_pop(struct cmb_agenda *a, struct msp_mono now)
{
	struct cmb_agenda_item *item = a->count > 0 && msp_mono_reached(now, a->entry[0].due) ? a->entry[0].item : NULL;

	if (item != NULL)
		take_out(a, item);
	return item;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/wire/name.h>

#include "wire/layout.h"
#include "wire/token.h"

#include <string.h>

#define TEXT_MAX 1023

void msp_name_root(struct msp_name *out)
{
	out->len = 1;
	out->oct[0] = 0;
}

bool msp_name_is_root(const struct msp_name *n)
{
	return n->len == 1;
}

/* ---- wire ---- */

/*
 * A label with its length octet. Most labels are short, and most are neither near the end of the message nor near the
 * end of the room: those are copied in moves of fixed size, of which only the first n octets count.
 */
#define CHUNK (MSP_LABEL_MAX + 1)
static inline void copy_label(uint8_t *to, const uint8_t *from, size_t n, bool is_roomy)
{
	if (!is_roomy) {
		memcpy(to, from, n);
		return;
	}
	memcpy(to, from, 16);
	if (n > 16)
		memcpy(to + 16, from + 16, CHUNK - 16);
}

enum msp_err msp_name_unpack(struct msp_rd *rd, enum msp_name_comp comp, uint8_t *out, size_t *out_len)
{
	const uint8_t *base = rd->base;
	size_t pos = rd->pos, end = rd->end, segment = pos, after = 0;
	unsigned hops = 0;
	size_t len = 0;

	for (;;) {
		uint8_t c;

		if (pos >= end)
			return MSP_ETRUNC;
		c = base[pos];
		if (c == 0)
			break;
		if (c <= MSP_LABEL_MAX) {
			if (c >= end - pos)
				return MSP_ETRUNC;
			if (len + c + 2u > MSP_NAME_MAX) /* this label and the final zero */
				return MSP_ENAME;
			copy_label(out + len, base + pos, c + 1u, end - pos >= CHUNK && len <= MSP_NAME_MAX - CHUNK);
			len += c + 1u;
			pos += c + 1u;
		} else {
			size_t to;

			if (c < 0xC0 || comp == MSP_NAME_PLAIN)
				return MSP_EFORMAT;
			if (end - pos < 2)
				return MSP_ETRUNC;
			if (++hops > MSP_NAME_LABELS_MAX)
				return MSP_EFORMAT;
			to = (size_t)(c & 0x3F) << 8 | base[pos + 1];
			if (to < rd->floor)
				return MSP_EFORMAT;
			if (to >= segment) /* strictly before where this run of labels began: cannot loop */
				return MSP_EFORMAT;
			if (after == 0)
				after = pos + 2;
			pos = segment = to;
		}
	}
	out[len] = 0;
	*out_len = len + 1;
	rd->pos = after != 0 ? after : pos + 1;
	return MSP_OK;
}

void msp_name_read(struct msp_rd *rd, enum msp_name_comp comp, struct msp_name *out)
{
	enum msp_err err = rd->err;
	size_t len = 0;

	if (err == MSP_OK)
		err = msp_name_unpack(rd, comp, out->oct, &len);
	out->len = (uint8_t)len;
	if (err != MSP_OK) {
		msp_name_root(out);
		msp_rd_fail(rd, err);
	}
}

enum msp_err msp_name_octets_len(struct msp_span s, size_t *len)
{
	size_t pos = 0;

	for (;;) {
		uint8_t c;

		if (pos >= s.len)
			return MSP_ETRUNC;
		c = s.ptr[pos];
		if (c > MSP_LABEL_MAX)
			return MSP_EFORMAT;
		pos += c + 1u;
		if (pos > MSP_NAME_MAX - (c != 0)) /* a label needs the final zero after it */
			return MSP_ENAME;
		if (c == 0)
			break;
	}
	*len = pos;
	return MSP_OK;
}

enum msp_err msp_name_from_wire(struct msp_span s, struct msp_name *out)
{
	struct msp_name n;
	struct msp_rd rd;
	enum msp_err err;

	msp_rd_init(&rd, s);
	msp_name_read(&rd, MSP_NAME_PLAIN, &n);
	err = msp_rd_done(&rd);
	if (err == MSP_OK)
		*out = n;
	return err;
}

/* ---- text ---- */

/* Labels of the text into out, without the root. @param[out] absolute whether it ended in a dot. */
static enum msp_err labels_from_text(struct msp_span text, struct msp_name *out, bool *absolute)
{
	size_t label = 0, len = 1; /* where the length octet of the current label is, octets used */
	size_t at = 0;

	*absolute = false;
	if (text.len == 0 || text.len > TEXT_MAX)
		return MSP_ENAME;
	while (at < text.len) {
		uint8_t c;
		size_t used;

		if (text.ptr[at] == '.') {
			if (len - label == 1) /* empty label */
				return MSP_ENAME;
			out->oct[label] = (uint8_t)(len - label - 1);
			label = len++;
			at++;
			*absolute = at == text.len;
			if (!*absolute && len >= MSP_NAME_MAX)
				return MSP_ENAME;
			continue;
		}
		used = msp_unescape(msp_span(text.ptr + at, text.len - at), &c);
		if (used == 0 || len - label > MSP_LABEL_MAX || len >= MSP_NAME_MAX - 1)
			return MSP_ENAME;
		out->oct[len++] = c;
		at += used;
	}
	if (!*absolute) {
		out->oct[label] = (uint8_t)(len - label - 1);
		label = len;
	}
	out->oct[label] = 0;
	out->len = (uint8_t)(label + 1);
	return MSP_OK;
}

enum msp_err msp_name_from_text_rel(struct msp_span text, const struct msp_name *origin, struct msp_name *out)
{
	struct msp_name n;
	bool absolute;
	enum msp_err err;

	if (text.len == 1 && text.ptr[0] == '.') {
		msp_name_root(out);
		return MSP_OK;
	}
	if (text.len == 1 && text.ptr[0] == '@') {
		if (origin == NULL)
			return MSP_ENAME;
		*out = *origin;
		return MSP_OK;
	}
	err = labels_from_text(text, &n, &absolute);
	if (err != MSP_OK)
		return err;
	if (!absolute) {
		if (origin == NULL)
			return MSP_ENAME;
		return msp_name_concat(&n, origin, out);
	}
	*out = n;
	return MSP_OK;
}

enum msp_err msp_name_from_text(const char *text, struct msp_name *out)
{
	static const struct msp_name root = { .len = 1 };
	size_t len = strnlen(text, TEXT_MAX + 1);

	if (len == 1 && text[0] == '@') /* stands for an origin, and here is none */
		return MSP_ENAME;
	return msp_name_from_text_rel(msp_span(text, len), &root, out);
}

struct msp_name_text msp_name_text(const struct msp_name *n)
{
	struct msp_name_text t;
	size_t at = 0, pos = 0;

	if (n->len <= 1) {
		t.s[at++] = '.';
		t.s[at] = '\0';
		return t;
	}
	while (n->oct[pos] != 0) {
		size_t end = pos + n->oct[pos] + 1;

		for (pos++; pos < end; pos++) {
			uint8_t c = n->oct[pos];

			if (c <= ' ' || c >= 0x7F) {
				t.s[at++] = '\\';
				t.s[at++] = (char)('0' + c / 100);
				t.s[at++] = (char)('0' + c / 10 % 10);
				t.s[at++] = (char)('0' + c % 10);
			} else {
				if (strchr("\"$().;@\\", c) != NULL)
					t.s[at++] = '\\';
				t.s[at++] = (char)c;
			}
		}
		t.s[at++] = '.';
	}
	t.s[at] = '\0';
	return t;
}

/* ---- comparing ---- */

static bool same_but_case(const uint8_t *a, const uint8_t *b, size_t len)
{
	if (memcmp(a, b, len) == 0) /* what nearly all callers meet */
		return true;
	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i] && msp_lower(a[i]) != msp_lower(b[i]))
			return false;
	return true;
}

bool msp_name_equal(const struct msp_name *a, const struct msp_name *b)
{
	/* Length octets are below 'A', so that lower-casing them changes nothing. */
	return a->len == b->len && same_but_case(a->oct, b->oct, a->len);
}

bool msp_name_same(const struct msp_name *a, const struct msp_name *b)
{
	return a->len == b->len && memcmp(a->oct, b->oct, a->len) == 0;
}

/* Offsets of the labels, root left out. */
static unsigned label_offsets(const struct msp_name *n, uint8_t at[MSP_NAME_LABELS_MAX])
{
	unsigned count = 0, pos = 0;

	if (n->len == 0)
		return 0;
	while (n->oct[pos] != 0) {
		at[count++] = (uint8_t)pos;
		pos += n->oct[pos] + 1u;
	}
	return count;
}

static int label_cmp(const uint8_t *a, const uint8_t *b)
{
	unsigned min = a[0] < b[0] ? a[0] : b[0];

	for (unsigned i = 1; i <= min; i++) {
		int d = msp_lower(a[i]) - msp_lower(b[i]);

		if (d != 0)
			return d;
	}
	return a[0] - b[0];
}

int msp_name_cmp(const struct msp_name *a, const struct msp_name *b)
{
	uint8_t at_a[MSP_NAME_LABELS_MAX], at_b[MSP_NAME_LABELS_MAX];
	unsigned na = label_offsets(a, at_a), nb = label_offsets(b, at_b);

	while (na > 0 && nb > 0) {
		int d = label_cmp(a->oct + at_a[--na], b->oct + at_b[--nb]);

		if (d != 0)
			return d;
	}
	return (na > 0) - (nb > 0);
}

bool msp_name_is_under(const struct msp_name *n, const struct msp_name *parent)
{
	unsigned pos = 0;

	if (parent->len == 0 || n->len < parent->len)
		return false;
	while ((unsigned)n->len - pos > parent->len)
		pos += n->oct[pos] + 1u;
	return (unsigned)n->len - pos == parent->len && same_but_case(n->oct + pos, parent->oct, parent->len);
}

unsigned msp_name_labels(const struct msp_name *n)
{
	uint8_t at[MSP_NAME_LABELS_MAX];

	return label_offsets(n, at);
}

/* ---- building ---- */

enum msp_err msp_name_parent(const struct msp_name *n, unsigned count, struct msp_name *out)
{
	unsigned pos = 0;

	if (n->len == 0)
		return MSP_ENAME;
	for (; count > 0; count--) {
		if (n->oct[pos] == 0)
			return MSP_ENAME;
		pos += n->oct[pos] + 1u;
	}
	memmove(out->oct, n->oct + pos, n->len - pos);
	out->len = (uint8_t)(n->len - pos);
	return MSP_OK;
}

enum msp_err msp_name_concat(const struct msp_name *prefix, const struct msp_name *suffix, struct msp_name *out)
{
	struct msp_name n;
	size_t head;

	if (prefix->len == 0 || suffix->len == 0)
		return MSP_ENAME;
	head = prefix->len - 1u;
	if (head + suffix->len > MSP_NAME_MAX)
		return MSP_ENAME;
	memcpy(n.oct, prefix->oct, head);
	memcpy(n.oct + head, suffix->oct, suffix->len);
	memcpy(out->oct, n.oct, head + suffix->len);
	out->len = (uint8_t)(head + suffix->len);
	return MSP_OK;
}

enum msp_err msp_name_prepend(const char *labels, const struct msp_name *suffix, struct msp_name *out)
{
	struct msp_name prefix;
	enum msp_err err = msp_name_from_text(labels, &prefix);

	return err != MSP_OK ? err : msp_name_concat(&prefix, suffix, out);
}

void msp_name_lower(struct msp_name *n)
{
	for (unsigned i = 0; i < n->len; i++)
		n->oct[i] = msp_lower(n->oct[i]);
}

struct msp_name_key msp_name_key(const struct msp_name *n)
{
	uint8_t at[MSP_NAME_LABELS_MAX];
	unsigned count = label_offsets(n, at);
	struct msp_name_key k;
	unsigned len = 0;

	/*
	 * Labels from the root down, each ended by a zero octet. RFC 4034 6.1 wants the end of a label to sort before
	 * every octet, so the octets 0 and 1 become 1 1 and 1 2. A parent's key is a prefix of its children's keys.
	 */
	while (count > 0) {
		const uint8_t *label = n->oct + at[--count];

		for (unsigned i = 1; i <= label[0]; i++) {
			uint8_t c = msp_lower(label[i]);

			if (c <= 1) {
				k.oct[len++] = 1;
				c++;
			}
			k.oct[len++] = c;
		}
		k.oct[len++] = 0;
	}
	k.len = (uint16_t)len;
	return k;
}

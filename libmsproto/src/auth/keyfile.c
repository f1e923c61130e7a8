/* SPDX-License-Identifier: BSD-2-Clause */
#include "auth/keyfile.h"

#include <msproto/auth/key.h>
#include <msproto/base/enc.h>
#include <msproto/base/mem.h>

#include <string.h>

static const char *const field_name[MSP_KF__N] = {
	[MSP_KF_PRIVATE] = "PrivateKey",
	[MSP_KF_MODULUS] = "Modulus",
	[MSP_KF_PUBLIC_EXPONENT] = "PublicExponent",
	[MSP_KF_PRIVATE_EXPONENT] = "PrivateExponent",
	[MSP_KF_PRIME1] = "Prime1",
	[MSP_KF_PRIME2] = "Prime2",
	[MSP_KF_EXPONENT1] = "Exponent1",
	[MSP_KF_EXPONENT2] = "Exponent2",
	[MSP_KF_COEFFICIENT] = "Coefficient",
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct msp_span trim(struct msp_span s)
{
	while (s.len != 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len != 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* The next line without its newline; false at the end. */
static bool next_line(struct msp_span *text, struct msp_span *line)
{
	const uint8_t *nl;

	if (text->len == 0)
		return false;
	nl = memchr(text->ptr, '\n', text->len);
	line->ptr = text->ptr;
	line->len = nl == NULL ? text->len : (size_t)(nl - text->ptr);
	text->len -= line->len + (nl != NULL);
	text->ptr += line->len + (nl != NULL);
	return true;
}

static bool split(struct msp_span line, struct msp_span *name, struct msp_span *value)
{
	const uint8_t *colon = memchr(line.ptr, ':', line.len);

	if (colon == NULL)
		return false;
	*name = trim(msp_span(line.ptr, (size_t)(colon - line.ptr)));
	*value = trim(msp_span(colon + 1, line.len - (size_t)(colon - line.ptr) - 1));
	return name->len != 0;
}

/* "v1.2" and later minor versions: a minor version only adds fields. */
static bool is_known_version(struct msp_span v)
{
	uint64_t minor;

	return v.len > 3 && memcmp(v.ptr, "v1.", 3) == 0 &&
	       msp_u64_parse(msp_span(v.ptr + 3, v.len - 3), 99, &minor) == MSP_OK && minor >= 2;
}

/* "15 (ED25519)": the number counts. */
static enum msp_err parse_alg(struct msp_span v, uint8_t *alg)
{
	uint64_t n;
	size_t digits = 0;

	while (digits < v.len && v.ptr[digits] >= '0' && v.ptr[digits] <= '9')
		digits++;
	if (digits < v.len && !is_blank(v.ptr[digits]))
		return MSP_EFORMAT;
	if (msp_u64_parse(msp_span(v.ptr, digits), UINT8_MAX, &n) != MSP_OK)
		return MSP_EFORMAT;
	*alg = (uint8_t)n;
	return msp_alg_known(*alg) ? MSP_OK : MSP_EALG;
}

static enum msp_err parse_field(struct msp_span value, enum msp_keyfile_field field, struct msp_keyfile *kf)
{
	enum msp_err err = MSP_ENOMEM;
	struct msp_buf octets;

	if (kf->len[field] != 0)
		return MSP_EFORMAT; /* given twice */
	msp_buf_init(&octets, MSP_KEYFILE_LINE_MAX);
	if (msp_buf_reserve(&octets, MSP_KEYFILE_LINE_MAX) ==
	    NULL) /* all of it now: growing would leave copies behind */
		goto out;
	err = msp_b64_parse(value, &octets);
	if (err == MSP_OK && (octets.len == 0 || octets.len > MSP_KEYFILE_FIELD_MAX))
		err = MSP_EFORMAT;
	if (err != MSP_OK)
		goto out;
	memcpy(kf->oct[field], octets.ptr, octets.len);
	kf->len[field] = octets.len;
out:
	if (octets.ptr != NULL)
		msp_wipe(octets.ptr, octets.size);
	msp_buf_fini(&octets);
	return err;
}

static enum msp_err parse_line(struct msp_span name, struct msp_span value, struct msp_keyfile *kf)
{
	if (msp_span_equal(name, msp_span_str("Algorithm")))
		return kf->alg != 0 ? MSP_EFORMAT : parse_alg(value, &kf->alg);
	for (unsigned i = 0; i < MSP_KF__N; i++)
		if (msp_span_equal(name, msp_span_str(field_name[i])))
			return parse_field(value, (enum msp_keyfile_field)i, kf);
	return MSP_OK; /* Created, Publish, Label, ... */
}

static bool is_wanted(uint8_t alg, unsigned field)
{
	return (alg == MSP_ALG_RSASHA256) == (field != MSP_KF_PRIVATE);
}

static enum msp_err check_complete(const struct msp_keyfile *kf, struct msp_why *why)
{
	if (kf->alg == 0)
		return msp_fail(why, MSP_EFORMAT, "no Algorithm line");
	for (unsigned i = 0; i < MSP_KF__N; i++)
		if (is_wanted(kf->alg, i) != (kf->len[i] != 0))
			return msp_fail(why, MSP_EFORMAT, "%s: %s for algorithm %u", field_name[i],
					kf->len[i] == 0 ? "missing" : "not defined", kf->alg);
	return MSP_OK;
}

enum msp_err msp_keyfile_parse(struct msp_span text, struct msp_keyfile *out, struct msp_why *why)
{
	enum msp_err err = MSP_OK;
	struct msp_span line, name, value;
	unsigned lines = 0;
	bool has_format = false;

	memset(out, 0, sizeof(*out));
	if (text.len > MSP_KEYFILE_MAX)
		return msp_fail(why, MSP_ELIMIT, "over %d octets", MSP_KEYFILE_MAX);
	while (next_line(&text, &line)) {
		if (++lines > MSP_KEYFILE_LINES_MAX || line.len > MSP_KEYFILE_LINE_MAX) {
			err = msp_fail(why, MSP_ELIMIT, "line %u: too many lines or line too long", lines);
			goto out;
		}
		if (trim(line).len == 0)
			continue;
		if (!split(line, &name, &value)) {
			err = msp_fail(why, MSP_EFORMAT, "line %u: not of the form Name: value", lines);
			goto out;
		}
		if (!has_format) { /* must come first: it says what the rest means */
			if (!msp_span_equal(name, msp_span_str("Private-key-format")) || !is_known_version(value)) {
				err = msp_fail(why, MSP_EFORMAT, "line %u: not Private-key-format: v1.2 or v1.3",
					       lines);
				goto out;
			}
			has_format = true;
			continue;
		}
		err = parse_line(name, value, out);
		if (err != MSP_OK) {
			err = msp_fail(why, err, "line %u: %s", lines, msp_err_text(err));
			goto out;
		}
	}
	err = check_complete(out, why);
out:
	if (err != MSP_OK)
		msp_wipe(out, sizeof(*out));
	return err;
}

enum msp_err msp_keyfile_print(const struct msp_keyfile *kf, struct msp_buf *out)
{
	msp_buf_printf(out, "Private-key-format: v1.3\nAlgorithm: %u (%s)\n", kf->alg, msp_alg_name(kf->alg));
	for (unsigned i = 0; i < MSP_KF__N; i++) {
		/* In BIND's files the private key of an RSA key is spread over eight lines in this very order. */
		if (kf->len[i] == 0)
			continue;
		msp_buf_printf(out, "%s: ", field_name[i]);
		msp_b64_write(out, msp_span(kf->oct[i], kf->len[i]));
		msp_buf_add_str(out, "\n");
	}
	return out->err;
}

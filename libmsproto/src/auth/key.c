/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/auth/key.h>

#include "auth/evp.h"
#include "auth/keyfile.h"

#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_PATH_MAX   4096 /* octets, final zero included */
#define KEY_NAME_MAX   255  /* octets of a file name, final zero not included */
#define SUFFIX_PRIVATE ".private"
#define SUFFIX_PUBLIC  ".key"

struct msp_key {
	struct msp_name owner;
	uint8_t *rdata; /* owned; as published, never normalised: the tag covers it */
	size_t rdata_len;
	const struct msp_evp_alg *alg;
	uint16_t tag;
	bool is_private;
	EVP_PKEY *pkey;                /* owned, unless there is a mould; built once, only read afterwards */
	struct msp_evp_spares *spares; /* owned; NULL: public */
	struct msp_evp_moulds *moulds; /* held; NULL: public. For keys that are like this one */
	/* Made like another one: */
	struct msp_evp_mould *mould; /* owned until it goes home */
	struct msp_evp_moulds *home; /* held by the mould: the model's */
};

/* Counted per thread, and only counted: no decision hangs on it. */
static _Thread_local uint64_t verify_count;

static enum msp_err new_key(const struct msp_name *owner, struct msp_span rdata, const struct msp_evp_alg *alg,
			    EVP_PKEY *pkey, bool is_private, struct msp_key **out)
{
	struct msp_key *key = msp_alloc(1, sizeof(*key));

	if (key != NULL)
		key->rdata = msp_memdup(rdata.ptr, rdata.len);
	if (key != NULL && is_private) {
		key->spares = msp_alloc(1, sizeof(*key->spares));
		key->moulds = msp_evp_moulds_new();
	}
	if (key == NULL || key->rdata == NULL || (is_private && (key->spares == NULL || key->moulds == NULL))) {
		if (key != NULL) {
			msp_free(key->rdata);
			msp_free(key->spares);
			msp_evp_moulds_leave(key->moulds);
		}
		msp_free(key);
		return MSP_ENOMEM;
	}
	key->owner = *owner;
	key->rdata_len = rdata.len;
	key->alg = alg;
	key->tag = msp_key_tag(rdata);
	key->is_private = is_private;
	key->pkey = pkey;
	*out = key;
	return MSP_OK;
}

/* The checks that do not depend on the algorithm; *alg and *field on MSP_OK. */
static enum msp_err split_rdata(struct msp_span rdata, const struct msp_evp_alg **alg, struct msp_span *field)
{
	struct msp_dnskey k;
	enum msp_err err = msp_dnskey_parse(rdata, &k);

	if (err != MSP_OK)
		return MSP_EFORMAT;
	if (k.protocol != 3)
		return MSP_EVALUE;
	*alg = msp_evp_alg(k.algorithm);
	*field = k.key;
	return *alg != NULL ? MSP_OK : MSP_EALG;
}

enum msp_err msp_key_from_rdata(const struct msp_name *owner, struct msp_span rdata, struct msp_key **out)
{
	const struct msp_evp_alg *alg;
	struct msp_span field;
	EVP_PKEY *pkey = NULL;
	enum msp_err err = split_rdata(rdata, &alg, &field);

	*out = NULL;
	if (err == MSP_OK)
		err = msp_evp_public(alg, field, &pkey);
	if (err == MSP_OK)
		err = new_key(owner, rdata, alg, pkey, false, out);
	if (err != MSP_OK)
		EVP_PKEY_free(pkey);
	return err;
}

enum msp_err msp_key_from_rdata_like(const struct msp_key *model, const struct msp_name *owner, struct msp_span rdata,
				     struct msp_key **out)
{
	const struct msp_evp_alg *alg;
	struct msp_span field;
	struct msp_evp_mould *mould;
	enum msp_err err = split_rdata(rdata, &alg, &field);

	*out = NULL;
	if (err != MSP_OK)
		return err;
	if (model == NULL || model->moulds == NULL || model->alg != alg || alg->group == NULL)
		return msp_key_from_rdata(owner, rdata, out);
	err = msp_evp_mould_take(alg, model->pkey, model->moulds, field, &mould);
	if (err != MSP_OK)
		return err;
	err = new_key(owner, rdata, alg, mould->pkey, false, out);
	if (err != MSP_OK) {
		msp_evp_mould_give(model->moulds, mould);
		return err;
	}
	(*out)->mould = mould;
	(*out)->home = model->moulds;
	return MSP_OK;
}

enum msp_err msp_key_generate(const struct msp_name *owner, uint8_t alg, uint16_t flags, struct msp_key **out)
{
	const struct msp_evp_alg *row = msp_evp_alg(alg);
	uint8_t rdata[4 + MSP_PUBLIC_MAX] = { (uint8_t)(flags / 256), (uint8_t)(flags % 256), 3, alg };
	size_t len = 0;
	EVP_PKEY *pkey = NULL;
	enum msp_err err;

	*out = NULL;
	if (row == NULL)
		return MSP_EALG;
	err = msp_evp_generate(row, &pkey);
	if (err == MSP_OK)
		err = msp_evp_export_public(row, pkey, rdata + 4, &len);
	if (err == MSP_OK)
		err = new_key(owner, msp_span(rdata, 4 + len), row, pkey, true, out);
	if (err != MSP_OK)
		EVP_PKEY_free(pkey);
	return err;
}

void msp_key_free(struct msp_key **key)
{
	if (*key == NULL)
		return;
	if ((*key)->spares != NULL)
		msp_evp_spares_fini((*key)->spares);
	msp_free((*key)->spares);
	msp_evp_moulds_leave((*key)->moulds);
	if ((*key)->mould != NULL)
		msp_evp_mould_give((*key)->home, (*key)->mould);
	else
		EVP_PKEY_free((*key)->pkey); /* wipes what is private */
	msp_free((*key)->rdata);
	msp_free(*key);
	*key = NULL;
}

const struct msp_name *msp_key_owner(const struct msp_key *key)
{
	return &key->owner;
}

struct msp_span msp_key_rdata(const struct msp_key *key)
{
	return msp_span(key->rdata, key->rdata_len);
}

uint8_t msp_key_alg(const struct msp_key *key)
{
	return key->alg->number;
}

uint16_t msp_key_id(const struct msp_key *key)
{
	return key->tag;
}

bool msp_key_is_private(const struct msp_key *key)
{
	return key->is_private;
}

size_t msp_key_sig_len(const struct msp_key *key)
{
	return key->alg->signature_len != 0 ? key->alg->signature_len : (size_t)EVP_PKEY_get_size(key->pkey);
}

enum msp_err msp_key_sign(const struct msp_key *key, struct msp_span data, uint8_t *sig, size_t *len)
{
	return key->is_private ? msp_evp_sign(key->alg, key->pkey, key->spares, data, sig, len) : MSP_ESTATE;
}

enum msp_err msp_key_verify(const struct msp_key *key, struct msp_span data, struct msp_span sig)
{
	verify_count++;
	return msp_evp_verify(key->alg, key->pkey, key->mould != NULL ? &key->mould->verifying : NULL, data, sig);
}

uint64_t msp_key_verify_count(void)
{
	return verify_count;
}

/* --- key files: reading ----------------------------------------------------------------------------------------- */

static enum msp_err fail_errno(struct msp_why *why, const char *what, const char *path)
{
	char text[96];

	return msp_fail(why, errno == EEXIST ? MSP_EEXIST : MSP_EIO, "%s: %s: %s", path, what,
			strerror_r(errno, text, sizeof(text)));
}

/* The whole file as text in *out (MSP_KEYFILE_MAX + 1 octets allocated; the caller wipes and frees it). */
static enum msp_err read_file(const char *path, bool secret, uint8_t **out, size_t *len, struct msp_why *why)
{
	enum msp_err err = MSP_OK;
	struct stat st;
	uint8_t *mem = NULL;
	size_t got = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */

	if (fd < 0 || fstat(fd, &st) != 0) {
		err = fail_errno(why, "cannot open", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = msp_fail(why, MSP_EIO, "%s: not a regular file", path);
		goto out;
	}
	if (secret && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		err = msp_fail(why, MSP_ECONF, "%s: mode %04o lets others in, must be 0600 or stricter", path,
			       (unsigned)(st.st_mode & 07777));
		goto out;
	}
	mem = msp_alloc(1, MSP_KEYFILE_MAX + 1);
	if (mem == NULL) {
		err = MSP_ENOMEM;
		goto out;
	}
	while (got <= MSP_KEYFILE_MAX && (n = read(fd, mem + got, MSP_KEYFILE_MAX + 1 - got)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = fail_errno(why, "cannot read", path);
			goto out;
		}
		got += (size_t)n;
	}
	if (got > MSP_KEYFILE_MAX)
		err = msp_fail(why, MSP_ELIMIT, "%s: over %d octets", path, MSP_KEYFILE_MAX);
out:
	if (fd >= 0)
		close(fd);
	if (err != MSP_OK && mem != NULL) {
		msp_wipe(mem, got);
		msp_free(mem);
		mem = NULL;
	}
	*out = mem;
	*len = got;
	return err;
}

/* The first line of a .key file that is neither empty nor a comment. */
static struct msp_span first_record(struct msp_span text)
{
	while (text.len != 0) {
		const uint8_t *nl = memchr(text.ptr, '\n', text.len);
		size_t len = nl == NULL ? text.len : (size_t)(nl - text.ptr);

		if (len != 0 && text.ptr[0] != ';' && text.ptr[0] != '\r')
			return msp_span(text.ptr, len);
		text = msp_span(text.ptr + len + (nl != NULL), text.len - len - (nl != NULL));
	}
	return text;
}

static enum msp_err read_public(const char *path, struct msp_buf *rdata, struct msp_rr *rr, struct msp_why *why)
{
	struct msp_why inner = { "" };
	uint8_t *mem;
	size_t len;
	enum msp_err err = read_file(path, false, &mem, &len, why);

	if (err != MSP_OK)
		return err;
	err = msp_rr_scan(first_record(msp_span(mem, len)), NULL, NULL, 0, rdata, rr, &inner);
	if (err != MSP_OK)
		err = msp_fail(why, MSP_EFORMAT, "%s: %s", path, inner.text);
	else if (rr->type != MSP_TYPE_KEY && rr->type != MSP_TYPE_DNSKEY)
		err = msp_fail(why, MSP_EFORMAT, "%s: neither KEY nor DNSKEY", path);
	msp_free(mem);
	return err;
}

static enum msp_err read_private(const char *path, struct msp_keyfile *kf, struct msp_why *why)
{
	struct msp_why inner = { "" };
	uint8_t *mem;
	size_t len;
	enum msp_err err = read_file(path, true, &mem, &len, why);

	if (err != MSP_OK)
		return err;
	err = msp_keyfile_parse(msp_span(mem, len), kf, &inner);
	if (err != MSP_OK)
		err = msp_fail(why, err, "%s: %s", path, inner.text);
	msp_wipe(mem, len);
	msp_free(mem);
	return err;
}

/* x.private -> x.key */
static enum msp_err public_path(const char *path, char *out, size_t out_len, struct msp_why *why)
{
	size_t len = strlen(path), suffix = strlen(SUFFIX_PRIVATE);

	if (len <= suffix || strcmp(path + len - suffix, SUFFIX_PRIVATE) != 0)
		return msp_fail(why, MSP_ECONF, "%s: name does not end in " SUFFIX_PRIVATE, path);
	if (len >= out_len)
		return msp_fail(why, MSP_ELIMIT, "path of the key file too long");
	memcpy(out, path, len - suffix);
	memcpy(out + len - suffix, SUFFIX_PUBLIC, sizeof(SUFFIX_PUBLIC));
	return MSP_OK;
}

static enum msp_err build_private(const char *path, const struct msp_rr *rr, const struct msp_keyfile *kf,
				  struct msp_key **out, struct msp_why *why)
{
	const struct msp_evp_alg *alg;
	struct msp_span field;
	EVP_PKEY *pkey = NULL;
	enum msp_err err = split_rdata(rr->rdata, &alg, &field);

	if (err != MSP_OK)
		return msp_fail(why, err, "%s: public half: %s", path, msp_err_text(err));
	if (alg->number != kf->alg)
		return msp_fail(why, MSP_EVALUE, "%s: algorithm %u, but %u in the " SUFFIX_PUBLIC " file", path,
				kf->alg, alg->number);
	err = msp_evp_private(alg, kf, field, &pkey);
	if (err != MSP_OK)
		return msp_fail(why, err, "%s: not usable, or does not fit the " SUFFIX_PUBLIC " file", path);
	err = new_key(&rr->owner, rr->rdata, alg, pkey, true, out);
	if (err != MSP_OK)
		EVP_PKEY_free(pkey);
	return err;
}

enum msp_err msp_key_load(const char *path, struct msp_key **out, struct msp_why *why)
{
	char pub[KEY_PATH_MAX];
	struct msp_keyfile kf = { 0 };
	struct msp_buf rdata;
	struct msp_rr rr;
	enum msp_err err;

	*out = NULL;
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	err = public_path(path, pub, sizeof(pub), why);
	if (err == MSP_OK)
		err = read_private(path, &kf, why);
	if (err == MSP_OK)
		err = read_public(pub, &rdata, &rr, why);
	if (err == MSP_OK)
		err = build_private(path, &rr, &kf, out, why);
	msp_wipe(&kf, sizeof(kf));
	msp_buf_fini(&rdata);
	return err;
}

/* --- key files: writing ----------------------------------------------------------------------------------------- */

/* "Kexample.+015+00042": lower case, and nothing that means something to a file system (a label may hold a slash). */
static enum msp_err base_name(const struct msp_key *key, struct msp_buf *out)
{
	struct msp_name owner = key->owner;
	size_t at = 0;

	msp_name_lower(&owner);
	msp_buf_add_str(out, "K");
	if (msp_name_is_root(&owner))
		msp_buf_add_str(out, ".");
	while (owner.oct[at] != 0) {
		for (size_t left = owner.oct[at++]; left != 0; left--, at++) {
			uint8_t c = owner.oct[at];

			if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
				msp_buf_add_u8(out, c);
			else
				msp_buf_printf(out, "%%%02X", c);
		}
		msp_buf_add_str(out, ".");
	}
	msp_buf_printf(out, "+%03u+%05u", key->alg->number, key->tag);
	return out->err;
}

static enum msp_err write_all(int fd, struct msp_span s)
{
	while (s.len != 0) {
		ssize_t n = write(fd, s.ptr, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return MSP_EIO;
		s = msp_span(s.ptr + n, s.len - (size_t)n);
	}
	return MSP_OK;
}

/* A new file under a temporary name, complete on disk. */
static enum msp_err write_temp(int dir, const char *name, struct msp_span text, mode_t mode, struct msp_why *why)
{
	enum msp_err err = MSP_OK;
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return fail_errno(why, "cannot create", name);
	if (write_all(fd, text) != MSP_OK || fsync(fd) != 0)
		err = fail_errno(why, "cannot write", name);
	if (close(fd) != 0 && err == MSP_OK)
		err = fail_errno(why, "cannot close", name);
	if (err != MSP_OK)
		(void)unlinkat(dir, name, 0);
	return err;
}

/* Rename that does not replace: link(2) fails where the new name exists, which rename(2) does not. */
static enum msp_err publish(int dir, const char *temp, const char *name, struct msp_why *why)
{
	if (linkat(dir, temp, dir, name, 0) != 0)
		return fail_errno(why, "cannot create", name);
	return MSP_OK;
}

struct key_names {
	char pub[KEY_NAME_MAX + 1], priv[KEY_NAME_MAX + 1];
	char pub_temp[KEY_NAME_MAX + 1], priv_temp[KEY_NAME_MAX + 1];
};

static enum msp_err make_names(const char *base, struct key_names *n, struct msp_why *why)
{
	if (strlen(base) + strlen(SUFFIX_PRIVATE) + strlen(".tmp") > KEY_NAME_MAX)
		return msp_fail(why, MSP_ELIMIT, "owner name too long for a file name");
	snprintf(n->pub, sizeof(n->pub), "%s" SUFFIX_PUBLIC, base);
	snprintf(n->priv, sizeof(n->priv), "%s" SUFFIX_PRIVATE, base);
	snprintf(n->pub_temp, sizeof(n->pub_temp), "%s" SUFFIX_PUBLIC ".tmp", base);
	snprintf(n->priv_temp, sizeof(n->priv_temp), "%s" SUFFIX_PRIVATE ".tmp", base);
	return MSP_OK;
}

/* Public half first: whoever sees the .private file finds the other one beside it. */
static enum msp_err write_pair(int dir, const struct key_names *n, struct msp_span pub, struct msp_span priv,
			       struct msp_why *why)
{
	enum msp_err err = write_temp(dir, n->priv_temp, priv, 0600, why);

	if (err != MSP_OK)
		return err;
	err = write_temp(dir, n->pub_temp, pub, 0644, why);
	if (err != MSP_OK)
		goto out_private;
	err = publish(dir, n->pub_temp, n->pub, why);
	if (err != MSP_OK)
		goto out_public;
	err = publish(dir, n->priv_temp, n->priv, why);
	if (err != MSP_OK)
		(void)unlinkat(dir, n->pub, 0);
out_public:
	(void)unlinkat(dir, n->pub_temp, 0);
out_private:
	(void)unlinkat(dir, n->priv_temp, 0);
	if (err == MSP_OK && fsync(dir) != 0)
		err = fail_errno(why, "cannot sync directory of", n->priv);
	return err;
}

static enum msp_err print_pair(const struct msp_key *key, const char *type_name, struct msp_buf *pub,
			       struct msp_buf *priv)
{
	struct msp_keyfile kf;
	enum msp_err err = msp_evp_export_private(key->alg, key->pkey, &kf);

	if (err != MSP_OK)
		return err;
	if (msp_buf_reserve(priv, MSP_KEYFILE_MAX) != NULL) /* growing would leave copies of the secret behind */
		err = msp_keyfile_print(&kf, priv);
	else
		err = MSP_ENOMEM;
	msp_wipe(&kf, sizeof(kf));
	msp_buf_printf(pub, "%s IN %s ", MSP_NAME(&key->owner), type_name);
	msp_rdata_print(pub, NULL, strcmp(type_name, "KEY") == 0 ? MSP_TYPE_KEY : MSP_TYPE_DNSKEY, msp_key_rdata(key));
	msp_buf_add_str(pub, "\n");
	return err != MSP_OK ? err : pub->err;
}

enum msp_err msp_key_save(const struct msp_key *key, const char *dir, const char *type_name, char *path,
			  size_t path_len, struct msp_why *why)
{
	struct msp_buf base, pub, priv;
	struct key_names names;
	enum msp_err err;
	int fd = -1, n;

	assert(strcmp(type_name, "KEY") == 0 || strcmp(type_name, "DNSKEY") == 0);
	if (!key->is_private)
		return msp_fail(why, MSP_ESTATE, "no private half to save");
	msp_buf_init(&base, KEY_PATH_MAX);
	msp_buf_init(&pub, MSP_KEYFILE_MAX);
	msp_buf_init(&priv, MSP_KEYFILE_MAX);
	err = base_name(key, &base);
	if (err == MSP_OK)
		err = make_names(msp_buf_text(&base), &names, why);
	if (err == MSP_OK)
		err = print_pair(key, type_name, &pub, &priv);
	if (err != MSP_OK)
		goto out;
	n = snprintf(path, path_len, "%s/%s", dir, names.priv);
	if (n < 0 || (size_t)n >= path_len) {
		err = msp_fail(why, MSP_ENOSPACE, "path of the key file too long");
		goto out;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		err = fail_errno(why, "cannot open directory", dir);
		goto out;
	}
	err = write_pair(fd, &names, msp_buf_span(&pub), msp_buf_span(&priv), why);
out:
	if (fd >= 0)
		close(fd);
	if (priv.ptr != NULL)
		msp_wipe(priv.ptr, priv.size);
	msp_buf_fini(&priv);
	msp_buf_fini(&pub);
	msp_buf_fini(&base);
	return err;
}

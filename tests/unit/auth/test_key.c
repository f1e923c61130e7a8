/* SPDX-License-Identifier: BSD-2-Clause */
#include "authkit.h"

#include "auth/keyfile.h"

static const uint8_t all_algs[] = { 8, 13, 14, 15, 16 };
static const char *const all_keys[] = { KIT_C8, KIT_C13, KIT_C14, KIT_C15, KIT_C16 };

static void algorithm_names_go_both_ways(void **state)
{
	uint8_t alg = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(all_algs); i++) {
		assert_true(msp_alg_known(all_algs[i]));
		T_OK(msp_alg_from_text(msp_alg_name(all_algs[i]), &alg));
		assert_int_equal(alg, all_algs[i]);
	}
	assert_false(msp_alg_known(5));
	assert_string_equal(msp_alg_name(15), "ED25519");
	assert_string_equal(msp_alg_name(0), "ALG0");
	assert_string_equal(msp_alg_name(77), "ALG77");
	assert_string_equal(msp_alg_name(255), "ALG255");
	T_OK(msp_alg_from_text("ecdsap256sha256", &alg));
	assert_int_equal(alg, 13);
	T_OK(msp_alg_from_text("8", &alg));
	assert_int_equal(alg, 8);
	T_ERR(msp_alg_from_text("256", &alg), MSP_EVALUE);
	T_ERR(msp_alg_from_text("", &alg), MSP_EVALUE);
	T_ERR(msp_alg_from_text("8x", &alg), MSP_EVALUE);
	T_ERR(msp_alg_from_text("ED2551", &alg), MSP_EVALUE);
}

static void key_files_written_by_bind_load_with_their_tag(void **state)
{
	static const uint16_t tags[] = { 57341, 6226, 14719, 22135, 8559 };

	(void)state;
	for (size_t i = 0; i < sizeof(all_algs); i++) {
		struct msp_key *key = kit_key(all_keys[i]);
		struct msp_name owner = t_name("child.parent.example.");

		assert_int_equal(msp_key_alg(key), all_algs[i]);
		assert_int_equal(msp_key_id(key), tags[i]);
		assert_true(msp_key_is_private(key));
		assert_true(msp_name_equal(msp_key_owner(key), &owner));
		msp_key_free(&key);
		assert_null(key);
	}
}

static void what_a_key_signs_its_public_half_verifies_and_nothing_else(void **state)
{
	struct msp_span data = msp_span("some octets", 11);

	(void)state;
	for (size_t i = 0; i < sizeof(all_algs); i++) {
		struct msp_key *pair = kit_key(all_keys[i]), *pub = kit_public(all_keys[i]);
		uint8_t sig[MSP_SIGNATURE_MAX];
		size_t len = sizeof(sig);
		uint64_t before = msp_key_verify_count();

		T_OK(msp_key_sign(pair, data, sig, &len));
		assert_int_equal(len, msp_key_sig_len(pub));
		T_OK(msp_key_verify(pub, data, msp_span(sig, len)));
		T_ERR(msp_key_verify(pub, msp_span("some octetz", 11), msp_span(sig, len)), MSP_ESIG);
		T_ERR(msp_key_verify(pub, data, msp_span(sig, len - 1)), MSP_ESIG);
		sig[len - 1] ^= 1;
		T_ERR(msp_key_verify(pub, data, msp_span(sig, len)), MSP_ESIG);
		memset(sig, 0, len);
		T_ERR(msp_key_verify(pub, data, msp_span(sig, len)), MSP_ESIG);
		memset(sig, 0xff, len);
		T_ERR(msp_key_verify(pub, data, msp_span(sig, len)), MSP_ESIG);
		assert_int_equal(msp_key_verify_count() - before, 6);
		len = msp_key_sig_len(pair) - 1;
		T_ERR(msp_key_sign(pair, data, sig, &len), MSP_ENOSPACE);
		len = sizeof(sig);
		T_ERR(msp_key_sign(pub, data, sig, &len), MSP_ESTATE);
		msp_key_free(&pair);
		msp_key_free(&pub);
	}
}

static void ecdsa_signatures_keep_their_leading_zeros(void **state)
{
	struct msp_key *pair = kit_key(KIT_C13);
	uint8_t sig[MSP_SIGNATURE_MAX];
	bool short_r = false, short_s = false;

	(void)state;
	/* Each has a chance of 1/256 per signature. */
	for (unsigned i = 0; i < 20000 && !(short_r && short_s); i++) {
		size_t len = sizeof(sig);

		T_OK(msp_key_sign(pair, msp_span(&i, sizeof(i)), sig, &len));
		assert_int_equal(len, 64);
		if (sig[0] != 0 && sig[32] != 0)
			continue;
		short_r |= sig[0] == 0;
		short_s |= sig[32] == 0;
		T_OK(msp_key_verify(pair, msp_span(&i, sizeof(i)), msp_span(sig, len)));
	}
	assert_true(short_r && short_s);
	msp_key_free(&pair);
}

static void a_generated_key_saves_and_loads_for_all_algorithms(void **state)
{
	struct msp_name owner = t_name("Host.Provider.example.");
	struct kit_dir d = kit_dir();
	struct msp_why why = { "" };

	(void)state;
	for (size_t i = 0; i < sizeof(all_algs); i++) {
		struct msp_key *key, *back;
		char path[256], want[256];
		uint8_t sig[MSP_SIGNATURE_MAX];
		size_t len = sizeof(sig);
		struct stat st;

		T_OK(msp_key_generate(&owner, all_algs[i], i == 2 ? 257 : 0, &key));
		if (msp_key_save(key, d.path, i == 2 ? "DNSKEY" : "KEY", path, sizeof(path), &why) != MSP_OK)
			fail_msg("%s", why.text);
		snprintf(want, sizeof(want), "%s/Khost.provider.example.+%03u+%05u.private", d.path, all_algs[i],
			 msp_key_id(key));
		assert_string_equal(path, want);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		if (msp_key_load(path, &back, &why) != MSP_OK)
			fail_msg("%s", why.text);
		kit_assert_octets(msp_key_rdata(back), msp_key_rdata(key));
		assert_true(msp_name_same(msp_key_owner(back), &owner));
		T_OK(msp_key_sign(back, msp_span("x", 1), sig, &len));
		T_OK(msp_key_verify(key, msp_span("x", 1), msp_span(sig, len)));
		/* Never overwritten. */
		T_ERR(msp_key_save(key, d.path, "KEY", path, sizeof(path), &why), MSP_EEXIST);
		msp_key_free(&key);
		msp_key_free(&back);
	}
	kit_dir_fini(&d);
}

static unsigned files_in(const struct kit_dir *d)
{
	DIR *dir = opendir(d->path);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void saving_leaves_no_temporary_files_and_no_half_pair(void **state)
{
	struct msp_name owner = t_name("a.example.");
	struct kit_dir d = kit_dir();
	struct msp_why why = { "" };
	struct msp_key *key;
	char path[256], other[256];

	(void)state;
	T_OK(msp_key_generate(&owner, 15, 0, &key));
	T_OK(msp_key_save(key, d.path, "KEY", path, sizeof(path), &why));
	assert_int_equal(files_in(&d), 2);
	/* Only the private file is there: the public one must not appear beside a foreign private one. */
	snprintf(other, sizeof(other), "%.*s.key", (int)(strlen(path) - strlen(".private")), path);
	assert_int_equal(unlink(other), 0);
	T_ERR(msp_key_save(key, d.path, "KEY", path, sizeof(path), &why), MSP_EEXIST);
	assert_int_equal(files_in(&d), 1);
	T_ERR(msp_key_save(key, "/nonexistent", "KEY", path, sizeof(path), &why), MSP_EIO);
	T_ERR(msp_key_save(key, d.path, "KEY", path, 20, &why), MSP_ENOSPACE);
	assert_int_equal(files_in(&d), 1);
	msp_key_free(&key);
	kit_dir_fini(&d);
}

static void names_with_slashes_and_escapes_make_safe_file_names(void **state)
{
	struct msp_name owner = t_name("\\.\\.\\/etc\\/x*.example.");
	struct kit_dir d = kit_dir();
	struct msp_why why = { "" };
	struct msp_key *key, *back;
	char path[256];

	(void)state;
	T_OK(msp_key_generate(&owner, 15, 0, &key));
	T_OK(msp_key_save(key, d.path, "KEY", path, sizeof(path), &why));
	assert_non_null(strstr(path, "/K%2E%2E%2Fetc%2Fx%2A.example.+015+"));
	T_OK(msp_key_load(path, &back, &why));
	assert_true(msp_name_same(msp_key_owner(back), &owner));
	msp_key_free(&key);
	msp_key_free(&back);
	kit_dir_fini(&d);
}

static void a_private_file_that_others_can_read_is_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0644, 0601, 0400, 0600 };
	struct kit_dir d = kit_dir();
	char path[256];

	(void)state;
	kit_copy_key(&d, KIT_C15, ".key", 0644, path, sizeof(path));
	kit_copy_key(&d, KIT_C15, ".private", 0600, path, sizeof(path));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct msp_why why = { "" };
		struct msp_key *key;
		enum msp_err want = (modes[i] & 077) != 0 ? MSP_ECONF : MSP_OK;

		assert_int_equal(chmod(path, modes[i]), 0);
		T_ERR(msp_key_load(path, &key, &why), want);
		if (want != MSP_OK)
			assert_non_null(strstr(why.text, "0600"));
		msp_key_free(&key);
	}
	kit_dir_fini(&d);
}

static void a_private_half_that_does_not_fit_the_public_one_is_refused(void **state)
{
	struct msp_name owner = t_name("child.parent.example.");

	(void)state;
	for (size_t i = 0; i < sizeof(all_algs); i++) {
		struct kit_dir d = kit_dir();
		struct msp_why why = { "" };
		struct msp_key *stranger, *key = NULL;
		char path[256], to[256], strange[256];

		kit_copy_key(&d, all_keys[i], ".key", 0644, path, sizeof(path));
		snprintf(to, sizeof(to), "%.*s.private", (int)(strlen(path) - strlen(".key")), path);
		T_OK(msp_key_generate(&owner, all_algs[i], 512, &stranger));
		T_OK(msp_key_save(stranger, d.path, "KEY", strange, sizeof(strange), &why));
		assert_int_equal(rename(strange, to), 0);
		T_ERR(msp_key_load(to, &key, &why), MSP_EVALUE);
		assert_null(key);
		msp_key_free(&stranger);
		kit_dir_fini(&d);
	}
}

static void missing_or_strange_files_are_errors_with_a_reason(void **state)
{
	struct kit_dir d = kit_dir();
	struct msp_key *key;
	char path[256], pub[256];
	struct msp_why why = { "" };

	(void)state;
	kit_copy_key(&d, KIT_C15, ".private", 0600, path, sizeof(path));
	T_ERR(msp_key_load(path, &key, &why), MSP_EIO); /* no .key beside it */
	assert_non_null(strstr(why.text, ".key"));
	kit_copy_key(&d, KIT_C15, ".key", 0644, pub, sizeof(pub));
	T_ERR(msp_key_load(pub, &key, &why), MSP_ECONF); /* not a .private file */
	kit_write(pub, "child.parent.example. IN TXT \"no key\"\n", 0644);
	T_ERR(msp_key_load(path, &key, &why), MSP_EFORMAT);
	kit_write(pub, "; nothing but a comment\n", 0644);
	T_ERR(msp_key_load(path, &key, &why), MSP_EFORMAT);
	kit_write(pub, "child.parent.example. IN KEY 512 2 15 qSMJSY6XHs+s1OS8vo66Y3Jkn0HrFl6cOfbZYiFqVvQ=\n", 0644);
	T_ERR(msp_key_load(path, &key, &why), MSP_EVALUE); /* protocol */
	kit_write(pub,
		  "; made by hand\nchild.parent.example. 3600 IN KEY 512 3 15 (\n"
		  "child.parent.example. 3600 IN KEY 512 3 15 qSMJSY6XHs+s1OS8vo66Y3Jkn0HrFl6cOfbZYiFqVvQ=\n",
		  0644);
	T_ERR(msp_key_load(path, &key, &why), MSP_EFORMAT); /* the first record counts */
	kit_write(pub,
		  "; made by hand\n\nchild.parent.example. 3600 IN KEY 512 3 15 "
		  "qSMJSY6XHs+s1OS8vo66Y3Jkn0HrFl6cOfbZYiFqVvQ=\n",
		  0644);
	T_OK(msp_key_load(path, &key, &why));
	msp_key_free(&key);
	kit_write(path,
		  "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: "
		  "kiqze8vY0COx9n1Ocswawf4wcFMoCDvNavALsT+FpYE=\n",
		  0600);
	T_ERR(msp_key_load(path, &key, &why), MSP_EVALUE); /* other algorithm than the .key file */
	assert_int_equal(unlink(path), 0);
	T_ERR(msp_key_load(path, &key, &why), MSP_EIO);
	assert_int_equal(mkdir(path, 0700), 0);
	T_ERR(msp_key_load(path, &key, &why), MSP_EIO);
	assert_int_equal(rmdir(path), 0);
	kit_dir_fini(&d);
}

static enum msp_err parse_text(const char *text)
{
	struct msp_keyfile kf;
	struct msp_why why = { "" };
	enum msp_err err = msp_keyfile_parse(msp_span_str(text), &kf, &why);

	if (err != MSP_OK)
		assert_true(why.text[0] != '\0');
	return err;
}

#define HEAD   "Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\n"
#define SECRET "kiqze8vY0COx9n1Ocswawf4wcFMoCDvNavALsT+FpYE="

static void the_private_file_parser_is_strict_about_what_it_uses(void **state)
{
	char text[MSP_KEYFILE_MAX + 64];

	(void)state;
	T_OK(parse_text(HEAD "PrivateKey: " SECRET "\n"));
	T_OK(parse_text(HEAD "PrivateKey: " SECRET)); /* no final newline */
	T_OK(parse_text("Private-key-format: v1.3\r\nAlgorithm: 15 (ED25519)\r\nPrivateKey: " SECRET "\r\n"));
	T_OK(parse_text(HEAD "Created: 20261124040440\n\nPrivateKey: " SECRET "\nWhatever: it says\n"));
	T_OK(parse_text("Private-key-format: v1.2\nAlgorithm: 15\nPrivateKey: " SECRET "\n"));
	T_ERR(parse_text(""), MSP_EFORMAT);
	T_ERR(parse_text("Private-key-format: v2.0\nAlgorithm: 15\nPrivateKey: " SECRET "\n"), MSP_EFORMAT);
	T_ERR(parse_text("Algorithm: 15\nPrivateKey: " SECRET "\n"), MSP_EFORMAT);
	T_ERR(parse_text("Private-key-format: v1.3\nPrivateKey: " SECRET "\n"), MSP_EFORMAT);
	T_ERR(parse_text(HEAD), MSP_EFORMAT);
	T_ERR(parse_text(HEAD "PrivateKey: \n"), MSP_EFORMAT);
	T_ERR(parse_text(HEAD "PrivateKey: " SECRET "\nPrivateKey: " SECRET "\n"), MSP_EFORMAT);
	T_ERR(parse_text(HEAD "Algorithm: 15\nPrivateKey: " SECRET "\n"), MSP_EFORMAT);
	T_ERR(parse_text(HEAD "PrivateKey: !!!\n"), MSP_EFORMAT);
	T_ERR(parse_text(HEAD "PrivateKey: " SECRET "\nModulus: AQAB\n"), MSP_EFORMAT);
	T_ERR(parse_text(HEAD "no colon here\n"), MSP_EFORMAT);
	T_ERR(parse_text("Private-key-format: v1.3\nAlgorithm: 5 (RSASHA1)\n"), MSP_EALG);
	T_ERR(parse_text("Private-key-format: v1.3\nAlgorithm: 15x\n"), MSP_EFORMAT);
	T_ERR(parse_text("Private-key-format: v1.3\nAlgorithm: 8 (RSASHA256)\nModulus: AQAB\n"), MSP_EFORMAT);
	/* limits */
	memset(text, 'A', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	T_ERR(parse_text(text), MSP_ELIMIT);
	snprintf(text, sizeof(text), HEAD "PrivateKey: %01100d\n", 0);
	T_ERR(parse_text(text), MSP_ELIMIT);
	text[0] = '\0';
	for (size_t i = 0; i < 70; i++)
		snprintf(text + strlen(text), 16, "%s\n", i == 0 ? "" : "A: b");
	T_ERR(parse_text(text), MSP_EFORMAT); /* empty first line: the format line is missing */
	snprintf(text, sizeof(text), "%s", HEAD);
	for (size_t i = 0; i < 70; i++)
		snprintf(text + strlen(text), 16, "A: b\n");
	T_ERR(parse_text(text), MSP_ELIMIT);
}

/* KEY RDATA of an RSA key with these numbers. */
static enum msp_err rsa(struct msp_span e, size_t n_len, uint8_t top, uint8_t low, bool long_form)
{
	struct msp_name owner = t_name("rsa.example.");
	struct msp_buf b;
	struct msp_key *key;
	enum msp_err err;

	msp_buf_init(&b, 4096);
	msp_buf_add(&b, "\x00\x00\x03\x08", 4);
	if (long_form) {
		msp_buf_add_u8(&b, 0);
		msp_buf_add_u8(&b, (uint8_t)(e.len >> 8));
	}
	msp_buf_add_u8(&b, (uint8_t)e.len);
	msp_buf_add_span(&b, e);
	for (size_t i = 0; i < n_len; i++)
		msp_buf_add_u8(&b, i == 0 ? top : i == n_len - 1 ? low : 0x5a);
	err = msp_key_from_rdata(&owner, msp_buf_span(&b), &key);
	if (err == MSP_OK) {
		assert_int_equal(msp_key_sig_len(key), n_len);
		msp_key_free(&key);
	}
	assert_null(key);
	msp_buf_fini(&b);
	return err;
}

static void rsa_keys_outside_the_size_limits_are_refused(void **state)
{
	struct msp_span f4 = msp_span("\x01\x00\x01", 3);

	(void)state;
	T_OK(rsa(f4, 256, 0x80, 1, false));
	T_OK(rsa(f4, 256, 0x80, 1, true));
	T_OK(rsa(f4, 512, 0xff, 1, false));
	T_ERR(rsa(f4, 256, 0x7f, 1, false), MSP_EVALUE); /* 2047 bits */
	T_ERR(rsa(f4, 128, 0x80, 1, false), MSP_EVALUE);
	T_ERR(rsa(f4, 513, 0x01, 1, false), MSP_EVALUE); /* 4097 bits */
	T_ERR(rsa(f4, 2048, 0x80, 1, false), MSP_EVALUE);
	T_ERR(rsa(f4, 256, 0x80, 2, false), MSP_EVALUE);  /* even modulus */
	T_ERR(rsa(f4, 257, 0x00, 1, false), MSP_EFORMAT); /* leading zero */
	T_OK(rsa(msp_span("\x03", 1), 256, 0x80, 1, false));
	T_ERR(rsa(msp_span("\x01", 1), 256, 0x80, 1, false), MSP_EVALUE);
	T_ERR(rsa(msp_span("\x02", 1), 256, 0x80, 1, false), MSP_EVALUE);
	T_ERR(rsa(msp_span("\x00\x03", 2), 256, 0x80, 1, false), MSP_EFORMAT);
	T_OK(rsa(msp_span("\x01\xff\xff\xff\xff", 5), 256, 0x80, 1, false));
	T_ERR(rsa(msp_span("\x02\x00\x00\x00\x01", 5), 256, 0x80, 1, false), MSP_EVALUE); /* 2^33 + 1 */
	T_ERR(rsa(msp_span("\x01\x00\x00\x00\x00\x01", 6), 256, 0x80, 1, false), MSP_EVALUE);
}

static void unusable_rdata_is_refused_with_the_right_error(void **state)
{
	static const struct {
		const char *hex;
		enum msp_err want;
	} rows[] = {
		{ "0000", MSP_EFORMAT },
		{ "0000030f", MSP_EFORMAT },      /* no key at all */
		{ "0000030501020304", MSP_EALG }, /* RSASHA1 */
		{ "0000020f0000000000000000000000000000000000000000000000000000000000000000",
		  MSP_EVALUE }, /* protocol */
		{ "0000030f00000000000000000000000000000000000000000000000000000000000000",
		  MSP_EFORMAT }, /* 31 octets */
		{ "0000030d0101", MSP_EFORMAT },
		{ "0000031001", MSP_EFORMAT },
		{ "0000030801", MSP_EFORMAT },
		{ "000003080401", MSP_EFORMAT }, /* exponent longer than what follows */
		{ "0000030800", MSP_EFORMAT },
		{ "00000308000000010203", MSP_EFORMAT }, /* exponent of length 0 */
	};
	struct msp_name owner = t_name("a.example.");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msp_buf b;
		struct msp_key *key;
		enum msp_err got;

		t_hex(rows[i].hex, &b);
		got = msp_key_from_rdata(&owner, msp_buf_span(&b), &key);
		if (got != rows[i].want)
			fail_msg("%s: %s, wanted %s", rows[i].hex, msp_err_name(got), msp_err_name(rows[i].want));
		msp_buf_fini(&b);
	}
}

static void a_point_off_the_curve_is_refused(void **state)
{
	struct msp_key *pair = kit_key(KIT_C13), *key;
	uint8_t rdata[4 + 64];

	(void)state;
	memcpy(rdata, msp_key_rdata(pair).ptr, sizeof(rdata));
	rdata[67] ^= 1;
	T_ERR(msp_key_from_rdata(msp_key_owner(pair), msp_span(rdata, sizeof(rdata)), &key), MSP_EVALUE);
	assert_null(key);
	msp_key_free(&pair);
}

static void running_out_of_memory_is_reported_and_leaks_nothing(void **state)
{
	struct kit_dir d = kit_dir();
	struct msp_why why = { "" };
	struct msp_key *key = NULL;
	char path[256];
	enum msp_err err = MSP_ENOMEM;

	(void)state;
	kit_copy_key(&d, KIT_C15, ".key", 0644, path, sizeof(path));
	kit_copy_key(&d, KIT_C15, ".private", 0600, path, sizeof(path));
	for (size_t n = 1; err != MSP_OK; n++) {
		msp_mem_fail_at(n);
		err = msp_key_load(path, &key, &why);
		assert_int_equal(err == MSP_OK, !msp_mem_failed());
		msp_mem_fail_at(0);
		assert_true(n < 100);
	}
	msp_key_free(&key);
	kit_dir_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(algorithm_names_go_both_ways),
		cmocka_unit_test(key_files_written_by_bind_load_with_their_tag),
		cmocka_unit_test(what_a_key_signs_its_public_half_verifies_and_nothing_else),
		cmocka_unit_test(ecdsa_signatures_keep_their_leading_zeros),
		cmocka_unit_test(a_generated_key_saves_and_loads_for_all_algorithms),
		cmocka_unit_test(saving_leaves_no_temporary_files_and_no_half_pair),
		cmocka_unit_test(names_with_slashes_and_escapes_make_safe_file_names),
		cmocka_unit_test(a_private_file_that_others_can_read_is_refused),
		cmocka_unit_test(a_private_half_that_does_not_fit_the_public_one_is_refused),
		cmocka_unit_test(missing_or_strange_files_are_errors_with_a_reason),
		cmocka_unit_test(the_private_file_parser_is_strict_about_what_it_uses),
		cmocka_unit_test(rsa_keys_outside_the_size_limits_are_refused),
		cmocka_unit_test(unusable_rdata_is_refused_with_the_right_error),
		cmocka_unit_test(a_point_off_the_curve_is_refused),
		cmocka_unit_test(running_out_of_memory_is_reported_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Test tool: signs and verifies messages with libmsproto so that other implementations can look at the result.
 *
 *   sig0tool verify K.key [-r REQUEST] [-t TIME] [-c]   message on stdin; "ok SIGNER ALG TAG" or the error's name; -c:
 * compat sig0tool sign K.private [-r REQUEST] [-t TIME]      message on stdin, signed message on stdout sig0tool keygen
 * NAME ALG DIR                        prints the path of the .private file sig0tool tsig-client NAME ALG SECRET frames
 * (2-octet length): unsigned request in, signed request out, sig0tool tsig-server NAME ALG SECRET                then
 * answers in; server: signed request in, answers in and out
 *
 * The verdict of the tsig commands goes to stderr: "ok COUNT" or the error's name and the reason.
 */
#include <msproto/auth/sig0.h>
#include <msproto/auth/tsig.h>
#include <msproto/base/enc.h>
#include <msproto/wire/text.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct msp_rr_scratch scratch;
static uint8_t in[MSP_MSG_MAX + 1], out[MSP_MSG_MAX];

struct options {
	struct msp_span request;
	struct msp_wall now;
	struct msp_sig0_policy policy;
};

static int refuse(enum msp_err err, const struct msp_why *why)
{
	fprintf(stderr, "%s %s\n", msp_err_name(err), why == NULL ? "" : why->text);
	return 1;
}

static size_t read_all(FILE *f, uint8_t *mem, size_t cap)
{
	size_t len = fread(mem, 1, cap, f);

	if (ferror(f) || len == cap) {
		fputs("cannot read, or too long\n", stderr);
		exit(2);
	}
	return len;
}

static struct options read_options(int argc, char **argv)
{
	static uint8_t request[MSP_MSG_MAX + 1];
	struct options o = { { NULL, 0 }, msp_wall_now(), msp_sig0_policy_default };
	int c;

	while ((c = getopt(argc, argv, "r:t:c")) != -1) {
		FILE *f;

		switch (c) {
		case 'r':
			f = fopen(optarg, "rb");
			if (f == NULL) {
				perror(optarg);
				exit(2);
			}
			o.request = msp_span(request, read_all(f, request, sizeof(request)));
			fclose(f);
			break;
		case 't':
			o.now.s = strtoll(optarg, NULL, 10);
			break;
		case 'c':
			o.policy.response_omits_request = true;
			break;
		default:
			exit(2);
		}
	}
	return o;
}

static enum msp_err read_public(const char *path, struct msp_key **key, struct msp_why *why)
{
	char line[8192] = "";
	struct msp_buf rdata;
	struct msp_rr rr;
	FILE *f = fopen(path, "r");
	enum msp_err err;

	if (f == NULL)
		return msp_fail(why, MSP_EIO, "%s", path);
	while (fgets(line, sizeof(line), f) != NULL && line[0] == ';')
		;
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	err = msp_rr_scan(msp_span_str(line), NULL, NULL, 0, &rdata, &rr, why);
	if (err == MSP_OK)
		err = msp_key_from_rdata(&rr.owner, rr.rdata, key);
	msp_buf_fini(&rdata);
	return err;
}

static int verify(int argc, char **argv)
{
	struct options o = read_options(argc - 1, argv + 1);
	size_t len = read_all(stdin, in, sizeof(in));
	struct msp_why why = { "" };
	struct msp_key *key = NULL;
	struct msp_sig0_claim c;
	struct msp_msg m;
	enum msp_err err = read_public(argv[1], &key, &why);

	if (err == MSP_OK)
		err = msp_msg_parse(msp_span(in, len), &scratch, &m, &why);
	if (err == MSP_OK)
		err = msp_sig0_claim(&m, &c);
	if (err == MSP_OK)
		err = msp_sig0_check_time(&c, &o.policy, o.now);
	if (err == MSP_OK)
		err = msp_sig0_verify(&m, &c, key, o.request, &o.policy);
	msp_key_free(&key);
	if (err != MSP_OK)
		return refuse(err, &why);
	printf("ok %s %s %u\n", MSP_NAME(&c.sig.signer), msp_alg_name(c.sig.algorithm), c.sig.tag);
	return 0;
}

static int sign(int argc, char **argv)
{
	struct options o = read_options(argc - 1, argv + 1);
	size_t len = read_all(stdin, out, sizeof(out));
	struct msp_why why = { "" };
	struct msp_key *key;
	enum msp_err err = msp_key_load(argv[1], &key, &why);

	if (err == MSP_OK)
		err = msp_sig0_sign(key, o.now, o.request, out, &len, sizeof(out));
	msp_key_free(&key);
	if (err != MSP_OK)
		return refuse(err, &why);
	return fwrite(out, 1, len, stdout) == len ? 0 : 2;
}

static int keygen(char **argv)
{
	struct msp_why why = { "" };
	struct msp_key *key = NULL;
	struct msp_name owner;
	char path[1024];
	uint8_t alg;
	enum msp_err err = msp_name_from_text(argv[1], &owner);

	if (err == MSP_OK)
		err = msp_alg_from_text(argv[2], &alg);
	if (err == MSP_OK)
		err = msp_key_generate(&owner, alg, 0, &key);
	if (err == MSP_OK)
		err = msp_key_save(key, argv[3], "KEY", path, sizeof(path), &why);
	msp_key_free(&key);
	if (err != MSP_OK)
		return refuse(err, &why);
	puts(path);
	return 0;
}

/* --- TSIG over frames ------------------------------------------------------------------------------------------- */

/* False at the end of the input. */
static bool read_frame(uint8_t *mem, size_t *len)
{
	uint8_t head[2];

	if (fread(head, 1, 2, stdin) != 2)
		return false;
	*len = (size_t)head[0] * 256 + head[1];
	return fread(mem, 1, *len, stdin) == *len;
}

static void write_frame(const uint8_t *mem, size_t len)
{
	uint8_t head[2] = { (uint8_t)(len / 256), (uint8_t)(len % 256) };

	if (fwrite(head, 1, 2, stdout) != 2 || fwrite(mem, 1, len, stdout) != len || fflush(stdout) != 0)
		exit(2);
}

static enum msp_err read_key(char **argv, struct msp_tsig_key **key)
{
	struct msp_name name;
	enum msp_tsig_alg alg;
	struct msp_buf secret;
	enum msp_err err = msp_name_from_text(argv[1], &name);

	msp_buf_init(&secret, 512);
	if (err == MSP_OK)
		err = msp_tsig_alg_from_text(argv[2], &alg);
	if (err == MSP_OK)
		err = msp_b64_parse(msp_span_str(argv[3]), &secret);
	if (err == MSP_OK)
		err = msp_tsig_key_new(&name, alg, msp_buf_span(&secret), key);
	msp_buf_fini(&secret);
	return err;
}

static int tsig_client(char **argv)
{
	struct msp_tsig_key *key = NULL;
	struct msp_tsig_ctx ctx = { 0 };
	struct msp_why why = { "" };
	unsigned count = 0;
	size_t len;
	enum msp_err err = read_key(argv, &key);

	if (err == MSP_OK && !read_frame(out, &len))
		err = MSP_ETRUNC;
	if (err == MSP_OK)
		err = msp_tsig_sign_request(key, msp_wall_now(), out, &len, sizeof(out), &ctx);
	if (err == MSP_OK)
		write_frame(out, len);
	while (err == MSP_OK && read_frame(in, &len)) {
		struct msp_msg m;

		err = msp_msg_parse(msp_span(in, len), &scratch, &m, &why);
		if (err == MSP_OK)
			err = msp_tsig_verify_response(&ctx, &m, false, msp_wall_now(), &why);
		count++;
	}
	if (err == MSP_OK && !msp_tsig_complete(&ctx))
		err = msp_fail(&why, MSP_EUNSIGNED, "last of %u messages not signed", count);
	msp_tsig_ctx_fini(&ctx);
	msp_tsig_key_free(&key);
	if (err != MSP_OK)
		return refuse(err, &why);
	fprintf(stderr, "ok %u\n", count);
	return 0;
}

static const struct msp_tsig_key *find(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	(void)name;
	(void)alg;
	return arg;
}

static int tsig_server(char **argv)
{
	struct msp_tsig_key *key = NULL;
	struct msp_tsig_ctx ctx = { 0 };
	struct msp_why why = { "" };
	enum msp_tsig_error error = MSP_TSIG_NOERROR;
	unsigned count = 0;
	struct msp_msg m;
	size_t len;
	enum msp_err err = read_key(argv, &key);

	if (err == MSP_OK && !read_frame(in, &len))
		err = MSP_ETRUNC;
	if (err == MSP_OK)
		err = msp_msg_parse(msp_span(in, len), &scratch, &m, &why);
	if (err == MSP_OK)
		err = msp_tsig_verify_request(&m, find, key, msp_wall_now(), &ctx, &error);
	if (error != MSP_TSIG_NOERROR && read_frame(out, &len)) { /* the answer that says so */
		if (msp_tsig_sign_error(&m, error == MSP_TSIG_BADKEY ? NULL : key, error, msp_wall_now(), out, &len,
					sizeof(out)) == MSP_OK)
			write_frame(out, len);
	}
	while (err == MSP_OK && read_frame(out, &len)) {
		err = msp_tsig_sign_response(&ctx, msp_wall_now(), out, &len, sizeof(out));
		if (err == MSP_OK)
			write_frame(out, len);
		count++;
	}
	msp_tsig_ctx_fini(&ctx);
	msp_tsig_key_free(&key);
	if (err != MSP_OK)
		return refuse(err, &why);
	fprintf(stderr, "ok %u\n", count);
	return 0;
}

int main(int argc, char **argv)
{
	const char *command = argc > 2 ? argv[1] : "";

	if (strcmp(command, "verify") == 0)
		return verify(argc - 1, argv + 1);
	if (strcmp(command, "sign") == 0)
		return sign(argc - 1, argv + 1);
	if (strcmp(command, "keygen") == 0 && argc == 5)
		return keygen(argv + 1);
	if (strcmp(command, "tsig-client") == 0 && argc == 5)
		return tsig_client(argv + 1);
	if (strcmp(command, "tsig-server") == 0 && argc == 5)
		return tsig_server(argv + 1);
	fputs("usage: see the head of sig0tool.c\n", stderr);
	return 2;
}

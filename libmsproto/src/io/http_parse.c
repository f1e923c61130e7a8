/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/http_parse.h"

#include <string.h>
#include <strings.h>

#define TARGET_MAX 1024

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

const char *msp_http_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Other";
}

size_t msp_http_head_end(struct msp_span octets)
{
	const uint8_t *end = octets.len >= 4 ? memmem(octets.ptr, octets.len, "\r\n\r\n", 4) : NULL;

	return end != NULL ? (size_t)(end - octets.ptr) + 4 : 0;
}

static bool is_token_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct msp_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_token_char(s.ptr[i]))
			return false;
	return s.len > 0;
}

static bool equals(struct msp_span s, const char *text)
{
	return s.len == strlen(text) && strncasecmp((const char *)s.ptr, text, s.len) == 0;
}

/* What precedes the separator, which is dropped from *rest with it. False: no separator. */
static bool cut(struct msp_span *rest, const char *separator, struct msp_span *out)
{
	size_t len = strlen(separator);
	const uint8_t *at = rest->len >= len ? memmem(rest->ptr, rest->len, separator, len) : NULL;

	if (at == NULL)
		return false;
	*out = msp_span(rest->ptr, (size_t)(at - rest->ptr));
	*rest = msp_span(at + len, rest->len - out->len - len);
	return true;
}

/* --- request line --------------------------------------------------------------------------------------------------
 */

/* Origin form only: visible ASCII that begins with a slash; a fragment is never sent (RFC 9112 3.2.1). */
static bool is_target(struct msp_span s)
{
	if (s.len == 0 || s.ptr[0] != '/')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= 0x20 || s.ptr[i] >= 0x7f || s.ptr[i] == '#')
			return false;
	return true;
}

static unsigned parse_version(struct msp_span s, bool *is_1_1)
{
	if (s.len != 8 || memcmp(s.ptr, "HTTP/", 5) != 0 || s.ptr[6] != '.' || s.ptr[5] < '0' || s.ptr[5] > '9' ||
	    s.ptr[7] < '0' || s.ptr[7] > '9')
		return 400;
	*is_1_1 = s.ptr[7] != '0';
	return s.ptr[5] == '1' ? 200 : 505;
}

static unsigned parse_line(struct msp_span line, struct msp_http_request *out, bool *is_1_1)
{
	struct msp_span method, target;
	unsigned status;

	if (!cut(&line, " ", &method) || !cut(&line, " ", &target) || !is_token(method))
		return 400;
	status = parse_version(line, is_1_1);
	if (status != 200)
		return status;
	if (target.len > TARGET_MAX)
		return 414;
	/* Methods are case-sensitive (RFC 9110 9.1). */
	out->is_head = method.len == 4 && memcmp(method.ptr, "HEAD", 4) == 0;
	if (!out->is_head && !(method.len == 3 && memcmp(method.ptr, "GET", 3) == 0))
		return 405;
	if (!is_target(target))
		return 400;
	if (!cut(&target, "?", &out->path))
		out->path = target;
	return 200;
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

static struct msp_span trim(struct msp_span s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = msp_span(s.ptr + 1, s.len - 1);
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static bool is_value(struct msp_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] == 0x7f)
			return false;
	return true;
}

static bool is_number(struct msp_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len > 0;
}

/* Requests are smuggled by two views of where a body ends: there is no body here (RFC 9112 6.3). */
static unsigned parse_field(struct msp_span line, unsigned *hosts)
{
	struct msp_span name;

	/* A line that begins with a blank (obs-fold), or a blank before the colon, is no token (RFC 9112 5.1, 5.2). */
	if (!cut(&line, ":", &name) || !is_token(name) || !is_value(line))
		return 400;
	line = trim(line);
	if (equals(name, "Host"))
		++*hosts;
	if (equals(name, "Transfer-Encoding"))
		return 413;
	if (equals(name, "Content-Length") && !equals(line, "0"))
		return is_number(line) ? 413 : 400;
	return 200;
}

unsigned msp_http_parse(struct msp_span head, struct msp_http_request *out)
{
	struct msp_http_request req = { false, { NULL, 0 } };
	struct msp_span line;
	bool is_1_1 = false;
	unsigned hosts = 0, status;

	if (!cut(&head, "\r\n", &line))
		return 400;
	status = parse_line(line, &req, &is_1_1);
	while (status == 200 && cut(&head, "\r\n", &line) && line.len > 0)
		status = parse_field(line, &hosts);
	if (status == 200 && (head.len != 0 || hosts > 1 || (is_1_1 && hosts == 0)))
		return 400;
	if (status == 200)
		*out = req;
	return status;
}

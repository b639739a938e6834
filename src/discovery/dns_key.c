/* SPDX-License-Identifier: Apache-2.0
 *
 * The two forms of a TSIG key; see dns_key.h.
 */
#include "discovery/dns_key.h"

static const char *const algorithms[] = {"hmac-sha256", "hmac-sha512", "hmac-sha384",
					 "hmac-sha224", "hmac-sha1",   "hmac-md5"};

#define WORD_BYTES 512

/* Behind blanks and comments of every kind */
static const char *blank_skip(const char *s)
{
	for (;;) {
		s += strspn(s, " \t\r\n");
		if (*s == '#' || strncmp(s, "//", 2) == 0) {
			s += strcspn(s, "\n");
		} else if (strncmp(s, "/*", 2) == 0) {
			const char *end = strstr(s + 2, "*/");

			s = end ? end + 2 : s + strlen(s);
		} else {
			return s;
		}
	}
}

/* A word, or what stood between quotes, or one of {};. Return: false at the end, or where it is too long */
static bool word_next(const char **s, char ret[static WORD_BYTES])
{
	const char *begin = blank_skip(*s);
	size_t len;

	if (*begin == '"') {
		begin++;
		len = strcspn(begin, "\"\n");
		*s = begin + len + (begin[len] == '"');
	} else {
		len = strchr("{};", *begin) && *begin ? 1 : strcspn(begin, " \t\r\n{};\"");
		*s = begin + len;
	}
	if (len == 0 || len >= WORD_BYTES)
		return false;
	memcpy(ret, begin, len);
	ret[len] = '\0';
	return true;
}

static bool word_is(const char **s, const char *what)
{
	char word[WORD_BYTES];
	bool is = word_next(s, word) && str_eq(word, what);

	explicit_bzero(word, sizeof(word));
	return is;
}

static int field_set(char *field, size_t size, const char *value, const char *what, struct err *err)
{
	if (field[0] || !str_copy_(field, size, value))
		return err_set(err, -EINVAL, "%s: it is there twice, or is too long", what);
	return 0;
}

/* name { algorithm A; secret S; }; */
static int block_parse(const char *s, struct dns_key *k, struct err *err)
{
	char word[WORD_BYTES];
	int r = 0;

	if (!word_next(&s, word) || field_set(k->name, sizeof(k->name), word, "name", err) < 0 || !word_is(&s, "{"))
		return err_set(err, -EINVAL, "key \"NAME\" { must stand before all else");
	while (r == 0 && word_next(&s, word) && !str_eq(word, "}")) {
		bool secret = str_eq(word, "secret");

		if (!secret && !str_eq(word, "algorithm"))
			r = err_set(err, -EINVAL, "allowed are algorithm and secret, each with a ';' behind");
		else if (!word_next(&s, word))
			r = err_set(err, -EINVAL, "a value is missing");
		else if (secret)
			r = field_set(k->secret, sizeof(k->secret), word, "secret", err);
		else
			r = field_set(k->algorithm, sizeof(k->algorithm), word, "algorithm", err);
		if (r == 0 && !word_is(&s, ";"))
			r = err_set(err, -EINVAL, "a ';' is missing");
	}
	explicit_bzero(word, sizeof(word));
	return r;
}

/* [algorithm:]name:secret */
static int line_parse(char *word, struct dns_key *k, struct err *err)
{
	char *last = strrchr(word, ':'), *first = strchr(word, ':');
	int r;

	if (!last)
		return err_set(err, -EINVAL, "neither key \"NAME\" { ... }; nor ALGORITHM:NAME:SECRET");
	*last = '\0';
	r = field_set(k->secret, sizeof(k->secret), last + 1, "secret", err);
	if (first != last) {
		*first = '\0';
		if (r == 0)
			r = field_set(k->algorithm, sizeof(k->algorithm), word, "algorithm", err);
		word = first + 1;
	}
	return r < 0 ? r : field_set(k->name, sizeof(k->name), word, "name", err);
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
}

static int key_check(struct dns_key *k, struct err *err)
{
	size_t len = strlen(k->name), i = 0;

	lower(k->name);
	lower(k->algorithm);
	if (len && k->name[len - 1] == '.')
		k->name[len - 1] = '\0';
	if (!k->algorithm[0])
		str_copy(k->algorithm, algorithms[0]);
	while (i < ARRAY_LEN(algorithms) && !str_eq(k->algorithm, algorithms[i]))
		i++;
	if (i == ARRAY_LEN(algorithms))
		return err_set(err, -EINVAL,
			       "algorithm: allowed are hmac-sha256, -sha512, -sha384, -sha224, -sha1, -md5");
	if (!dns_name_valid(k->name))
		return err_set(err, -EINVAL, "name: allowed is a name of letters, digits, '-', '_' and dots");
	len = strlen(k->secret);
	if (len < 8 || len % 4 ||
	    strspn(k->secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != len)
		return err_set(err, -EINVAL, "secret: it must be base64");
	return 0;
}

int dns_key_parse(const char *text, struct dns_key *ret, struct err *err)
{
	struct dns_key k = {.name = ""};
	char word[WORD_BYTES];
	const char *s = text;
	int r;

	if (!word_next(&s, word))
		r = err_set(err, -EINVAL, "there is no key in it");
	else if (str_eq(word, "key"))
		r = block_parse(s, &k, err);
	else
		r = line_parse(word, &k, err);
	if (r == 0)
		r = key_check(&k, err);
	if (r == 0)
		*ret = k;
	explicit_bzero(&k, sizeof(k));
	explicit_bzero(word, sizeof(word));
	return r;
}

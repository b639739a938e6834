/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling struct err. Text that does not fit is cut at its end: the prefix that says what was being done stays.
 */
#include "base/base.h"

/* callers may quote names from files or the wire: keep it one line */
static void one_line(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	char text[sizeof(err->text)]; /* an argument may be the old text */
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	one_line(text);
	memcpy(err->text, text, sizeof(text));
	err->code = code;
	return code;
}

int err_errno(struct err *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	char text[sizeof(err->text)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* not strerror_r(), which musl has in another form; a text of its own for each thread have both libcs */
	return err_set(err, code, "%s: %s", text, strerror(code < 0 ? -code : code));
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	if (!err)
		return -EIO;
	char prefix[sizeof(err->text)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	return err_set(err, err->code, "%s: %s", prefix, err->text);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables, safe text and JSON for the verbs. Knows nothing about what is in a row.
 */
#include "cli/output.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <wchar.h>

#define BLOCK_LINES_MAX 200

struct style style_detect(FILE *out, bool ascii)
{
	struct style style = {0};

	setlocale(LC_CTYPE, "");
	style.utf8 = !ascii && str_eq(nl_langinfo(CODESET), "UTF-8");

	struct winsize size;
	int fd = fileno(out);
	if (fd >= 0 && isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0)
		style.width = size.ws_col;
	return style;
}

/* One code point of strict UTF-8 (no overlong forms, no surrogates). Return: its bytes, 0: none begins here */
static size_t utf8_decode(const char *s, uint32_t *ret_cp)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;

	if (n == 0 || p[0] > 0xf4)
		return 0;
	uint32_t cp = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && cp < 0x800) || (n == 4 && (cp < 0x10000 || cp > 0x10ffff)) || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret_cp = cp;
	return n;
}

/* Columns of a code point, -1: it must not reach a terminal */
static int cp_width(uint32_t cp)
{
	if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
		return -1;
	if (cp < 0x7f)
		return 1;
	/* no width, or a say in the direction of what follows: names could pretend to be others */
	if (cp == 0xad || cp == 0x61c || (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	    (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xfff0 && cp <= 0xfffb) || cp >= 0xe0000)
		return -1;
	return wcwidth((wchar_t)cp);
}

static const char *ellipsis(bool utf8)
{
	return utf8 ? "…" : "~";
}

void text_safe(struct buf *b, const char *s, bool utf8)
{
	size_t columns = 0, marks = 0;

	while (*s) {
		uint32_t cp = 0;
		size_t n = utf8_decode(s, &cp);
		int width = n ? cp_width(cp) : -1;

		if (columns >= TEXT_MAX) {
			buf_puts(b, ellipsis(utf8));
			return;
		}
		marks = width == 0 ? marks + 1 : 0;
		if (width < 0 || (n > 1 && !utf8) || marks > 4) { /* towers of combining marks are cut down */
			for (size_t i = 0; i < (n ? n : 1); i++) {
				buf_printf(b, "\\x%02x", (unsigned char)s[i]);
				columns += 4;
			}
		} else {
			buf_append(b, s, n);
			columns += (size_t)width;
		}
		s += n ? n : 1;
	}
}

size_t text_width(const char *safe, bool utf8)
{
	size_t width = 0;

	while (*safe) {
		uint32_t cp;
		size_t n = utf8 ? utf8_decode(safe, &cp) : 0;
		int w = n ? cp_width(cp) : 1;

		width += w > 0 ? (size_t)w : 0;
		safe += n ? n : 1;
	}
	return width;
}

static void buf_blanks(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_append(b, " ", 1);
}

void text_pad(struct buf *b, const char *safe, size_t width, bool right, bool utf8)
{
	size_t have = text_width(safe, utf8), used = 0;

	if (have <= width) {
		if (right)
			buf_blanks(b, width - have);
		buf_puts(b, safe);
		if (!right)
			buf_blanks(b, width - have);
		return;
	}
	if (width == 0)
		return;
	while (*safe) {
		uint32_t cp;
		size_t n = utf8 ? utf8_decode(safe, &cp) : 0;
		int w = n ? cp_width(cp) : 1;

		if (used + (size_t)(w > 0 ? w : 0) > width - 1)
			break;
		buf_append(b, safe, n ? n : 1);
		used += (size_t)(w > 0 ? w : 0);
		safe += n ? n : 1;
	}
	buf_puts(b, ellipsis(utf8));
	buf_blanks(b, width - used - 1);
}

const char *text_age(wall_t then, wall_t now, char out[static 24])
{
	int64_t s = (now.ms - then.ms) / 1000;

	if (s < 0)
		s = 0;
	if (s < 120)
		snprintf(out, 24, "%llds", (long long)s);
	else if (s < INT64_C(120) * 60)
		snprintf(out, 24, "%lldm", (long long)(s / 60));
	else if (s < INT64_C(48) * 3600)
		snprintf(out, 24, "%lldh", (long long)(s / 3600));
	else
		snprintf(out, 24, "%lldd", (long long)(s / 86400));
	return out;
}

json_t *json_text(const char *s)
{
	json_t *value = json_string(s);

	if (!value) {
		autobuf struct buf b = {0};
		text_safe(&b, s, true);
		value = json_string(b.data ? b.data : "");
	}
	return value;
}

struct cell {
	json_t *value;
	char *text;
};

struct table {
	const struct column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n, cap;
};

struct table *table_new(const struct column *columns, size_t n_columns)
{
	struct table *t = xcalloc(1, sizeof(*t));

	t->columns = columns;
	t->n_columns = n_columns;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++) {
		json_decref(t->cells[i].value);
		free(t->cells[i].text);
	}
	free(t->cells);
	free(t);
}

void cell_value(struct table *t, json_t *value, const char *text)
{
	struct cell *cell = xgrow(&t->cells, t->n, &t->cap);

	cell->value = value;
	cell->text = xstrdup(text);
	t->n++;
}

void cell_str(struct table *t, const char *s)
{
	cell_value(t, json_text(s ? s : ""), s ? s : "");
}

void cell_int(struct table *t, int64_t n)
{
	char text[24];

	str_print(text, "%lld", (long long)n);
	cell_value(t, json_integer(n), text);
}

void cell_ip(struct table *t, const struct ip *ip)
{
	char text[IP_STRLEN];

	if (ip_is_none(ip))
		cell_value(t, json_null(), "");
	else
		cell_str(t, ip_format(ip, text));
}

void cell_prefixes(struct table *t, const struct prefix *p, size_t n)
{
	autobuf struct buf b = {0};
	char text[PREFIX_STRLEN];
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		prefix_format(&p[i], text);
		buf_printf(&b, "%s%s", i ? ", " : "", text);
		json_array_append_new(list, json_string(text));
	}
	cell_value(t, list, b.data ? b.data : "");
}

void cell_age(struct table *t, wall_t then, wall_t now)
{
	char text[24], when[WALL_STRLEN];

	if (then.ms == 0)
		cell_value(t, json_null(), "");
	else
		cell_value(t, json_string(wall_format(then, when)), text_age(then, now, text));
}

size_t table_rows(const struct table *t)
{
	return t->n / t->n_columns;
}

/* Narrow what may be narrowed until the line fits, the widest first, none below its floor */
static void widths_shrink(const struct table *t, size_t *width, const bool *shown, size_t terminal)
{
	const size_t floor = 8;
	size_t total = 0, n_shown = 0;

	for (size_t c = 0; c < t->n_columns; c++) {
		if (shown[c]) {
			total += width[c];
			n_shown++;
		}
	}
	total += n_shown ? 2 * (n_shown - 1) : 0;
	while (terminal && total > terminal) {
		size_t widest = t->n_columns;
		for (size_t c = 0; c < t->n_columns; c++) {
			if (shown[c] && (t->columns[c].flags & COL_SHRINK) && width[c] > floor &&
			    (widest == t->n_columns || width[c] > width[widest]))
				widest = c;
		}
		if (widest == t->n_columns)
			return;
		width[widest]--;
		total--;
	}
}

static void line_print(struct buf *out, const struct table *t, char *const *texts, const size_t *width,
		       const bool *shown, bool utf8)
{
	size_t start = out->len;
	bool first = true;

	for (size_t c = 0; c < t->n_columns; c++) {
		if (!shown[c])
			continue;
		if (!first)
			buf_puts(out, "  ");
		text_pad(out, texts[c], width[c], t->columns[c].flags & COL_RIGHT, utf8);
		first = false;
	}
	while (out->len > start && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
	buf_puts(out, "\n");
}

void table_print(struct buf *out, const struct table *t, const struct style *style)
{
	size_t rows = table_rows(t), n = t->n_columns;
	autofree size_t *width = xcalloc(n, sizeof(*width));
	autofree bool *shown = xcalloc(n, sizeof(*shown));
	char **texts = xcalloc((rows + 1) * n, sizeof(*texts));

	for (size_t c = 0; c < n; c++) {
		texts[c] = xstrdup(t->columns[c].title);
		width[c] = text_width(texts[c], style->utf8);
		shown[c] = !(t->columns[c].flags & (COL_JSON | COL_HIDE));
	}
	for (size_t i = 0; i < rows * n; i++) {
		struct buf b = {0};
		text_safe(&b, t->cells[i].text, style->utf8);
		texts[n + i] = b.data ? b.data : xstrdup("");

		size_t c = i % n, w = text_width(texts[n + i], style->utf8);
		if (w > width[c])
			width[c] = w;
		if (w > 0 && (t->columns[c].flags & COL_HIDE))
			shown[c] = true;
	}
	widths_shrink(t, width, shown, style->width);
	for (size_t row = 0; row <= rows; row++)
		line_print(out, t, texts + row * n, width, shown, style->utf8);
	for (size_t i = 0; i < (rows + 1) * n; i++)
		free(texts[i]);
	free(texts);
}

json_t *table_to_json(const struct table *t)
{
	json_t *list = json_array();

	for (size_t row = 0; row < table_rows(t); row++) {
		json_t *object = json_object();
		for (size_t c = 0; c < t->n_columns; c++)
			json_object_set(object, t->columns[c].key, t->cells[row * t->n_columns + c].value);
		json_array_append_new(list, object);
	}
	return list;
}

json_t *table_json(struct table *t)
{
	json_t *list = table_to_json(t);

	table_free(t);
	return list;
}

void output_begin(struct output *o, FILE *file, bool json, bool ascii)
{
	*o = (struct output){.file = file, .style = style_detect(file, ascii)};
	if (json)
		o->root = json_object();
}

void output_gap(struct output *o)
{
	if (!o->root && o->started)
		buf_puts(&o->text, "\n");
}

void output_table(struct output *o, const char *key, const char *heading, const char *empty, struct table *t)
{
	if (o->root) {
		json_object_set_new(o->root, key, table_to_json(t));
	} else if (table_rows(t) == 0) {
		if (empty)
			output_line(o, "%s", empty);
	} else {
		if (heading)
			output_gap(o);
		if (heading && *heading)
			output_line(o, "%s", heading);
		table_print(&o->text, t, &o->style);
		o->started = true;
	}
	table_free(t);
}

void output_value(struct output *o, const char *key, json_t *value)
{
	if (o->root)
		json_object_set_new(o->root, key, value);
	else
		json_decref(value);
}

void output_line(struct output *o, const char *fmt, ...)
{
	if (o->root)
		return;
	autofree char *line = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		abort();
	va_end(ap);
	text_safe(&o->text, line, o->style.utf8);
	buf_puts(&o->text, "\n");
	o->started = true;
}

void output_block(struct output *o, unsigned indent, const char *text)
{
	for (unsigned lines = 0; !o->root && *text && lines < BLOCK_LINES_MAX; lines++) {
		size_t len = strcspn(text, "\n");
		autofree char *line = xstrndup(text, len);

		if (len)
			buf_blanks(&o->text, indent);
		text_safe(&o->text, line, o->style.utf8);
		buf_puts(&o->text, "\n");
		o->started = true;
		text += len + (text[len] == '\n');
	}
}

void output_raw(struct output *o, const struct buf *text)
{
	if (!o->root && text->len) {
		buf_append(&o->text, text->data, text->len);
		o->started = true;
	}
}

int output_end(struct output *o)
{
	int code = 0;

	errno = 0;
	if (o->root) {
		/* ASCII only: a C1 control in a name is one to some terminals even as UTF-8 */
		if (json_dumpf(o->root, o->file, JSON_INDENT(1) | JSON_ENSURE_ASCII) != 0 ||
		    fputc('\n', o->file) == EOF)
			code = errno ? -errno : -EIO;
	} else if (o->text.len && fwrite(o->text.data, 1, o->text.len, o->file) != o->text.len) {
		code = errno ? -errno : -EIO;
	}
	if (fflush(o->file) != 0 && code == 0)
		code = -errno;
	json_decref(o->root);
	buf_done(&o->text);
	o->root = NULL;
	return code;
}

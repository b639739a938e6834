/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs print: tables for people and JSON for programs, from the same rows. Whatever comes out of a state file
 * passes text_safe() on its way to a terminal: an escape sequence in a container's name stays text.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>

#include "base/addr.h"
#include "base/base.h"
#include "base/clock.h"

/** struct style - What the reader's end can show */
struct style {
	bool utf8;
	unsigned width; /* columns of the terminal; 0: it is none, nothing is ever cut */
};

/** style_detect() - From the locale (LC_CTYPE is set up here) and from what @out is */
struct style style_detect(FILE *out, bool ascii);

/**
 * text_safe() - Append @s in a form that cannot do more to a terminal than show itself
 *
 * Controls, what is no UTF-8, and characters that turn the reading direction or have no width come as \xNN; without
 * @utf8 everything beyond ASCII does. A newline is a control too. At most TEXT_MAX columns, then an ellipsis.
 */
#define TEXT_MAX 600
void text_safe(struct buf *b, const char *s, bool utf8);
/** text_width() - Columns that a safe text takes */
size_t text_width(const char *safe, bool utf8);
/** text_pad() - Append @safe in exactly @width columns: cut with an ellipsis, or filled with blanks (@right: in front)
 */
void text_pad(struct buf *b, const char *safe, size_t width, bool right, bool utf8);
/** text_age() - "5s", "3m", "2h", "4d" between two times; "0s" when @then lies ahead (a clock was set back) */
const char *text_age(wall_t then, wall_t now, char out[static 24]);

/** json_text() - A JSON string of any bytes: what is no UTF-8 (a name cut in the middle) comes escaped */
json_t *json_text(const char *s);

enum column_flags {
	COL_RIGHT = 1,	/* numbers */
	COL_SHRINK = 2, /* may be cut where the terminal is too narrow */
	COL_HIDE = 4,	/* not in the table when empty in every row */
	COL_JSON = 8,	/* only in JSON */
};
struct column {
	const char *key;   /* in JSON */
	const char *title; /* for people */
	int flags;
};

/** struct table - Rows of cells; each cell is a JSON value and a text */
struct table;
struct table *table_new(const struct column *columns, size_t n_columns); /* @columns: borrowed for life */
void table_free(struct table *t);
/** cell_*() - The next cell; the cell after the last column begins a new row */
void cell_str(struct table *t, const char *s);
void cell_int(struct table *t, int64_t n);
void cell_ip(struct table *t, const struct ip *ip); /* none: null and "" */
void cell_prefixes(struct table *t, const struct prefix *p, size_t n);
void cell_age(struct table *t, wall_t then, wall_t now);	   /* in JSON the time itself; 0: null and "" */
void cell_value(struct table *t, json_t *value, const char *text); /* takes @value */
size_t table_rows(const struct table *t);
/** table_print() - Aligned columns under a head; cut to style.width only where it has to be */
void table_print(struct buf *out, const struct table *t, const struct style *style);
/** table_to_json() - An array of objects. table_json(): the same, and takes @t */
json_t *table_to_json(const struct table *t);
json_t *table_json(struct table *t);

/** struct output - Where a verb's sections go, one after the other, in either form */
struct output {
	FILE *file;
	struct style style;
	json_t *root; /* JSON: the object that is printed at the end; NULL: text */
	struct buf text;
	bool started;
};
void output_begin(struct output *o, FILE *file, bool json, bool ascii);
/** output_table() - As JSON under @key. As text with a gap and @heading (may be "") in front unless NULL; @empty (or
 * NULL) is said for no rows. Takes @t */
void output_table(struct output *o, const char *key, const char *heading, const char *empty, struct table *t);
/** output_value() - JSON only. Takes @value */
void output_value(struct output *o, const char *key, json_t *value);
/** output_line() - Text only: one line; what the arguments bring in is made safe */
void output_line(struct output *o, const char *fmt, ...) PRINTF(2, 3);
/** output_block() - Text only: several lines (a cure), each made safe, indented */
void output_block(struct output *o, unsigned indent, const char *text);
/** output_raw() - Text only: what has been made safe already (a drawing) */
void output_raw(struct output *o, const struct buf *text);
/** output_gap() - Text only: an empty line, unless nothing has been printed yet */
void output_gap(struct output *o);
/** output_end() - Print what is left. Return: 0, or -errno when it could not be written (a full disk, a closed pipe) */
int output_end(struct output *o) MUST_USE;

#endif

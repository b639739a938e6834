/* SPDX-License-Identifier: Apache-2.0
 *
 * DOC: Drawing the map
 *
 * Hosts are boxes one below the other, VNIs are rails that run down beside them; a stack's line leads from its box to
 * its rail and ends in a dot there. So a mesh of any size stays free of tangles: who shares a rail reaches each other.
 *
 *	                                       VNI 1000   2000
 *	╭─ pi · 192.0.2.1 · this host ────────╮     │      │
 *	│ shop   10.71.0.0/24   3 containers  ├─────●      │
 *	╰─────────────────────────────────────╯     │      │
 *	                                            │      │
 *	╭─ nas · 192.0.2.2 ───────────────────╮     │      │
 *	│ blog   10.72.0.0/24                 ├─────●      │
 *	│ dlna   10.80.0.0/24                 ├─────┼──────●
 *	╰─────────────────────────────────────╯
 *
 * What is too big or too wide for that is listed.
 */
#include "cli/map.h"

struct glyphs {
	const char *tl, *tr, *bl, *br, *h, *v, *out, *cross, *dot, *stale_h, *stale_dot, *refused_dot, *sep;
};

static const struct glyphs unicode = {"╭", "╮", "╰", "╯", "─", "│", "├", "┼", "●", "╌", "○", "✗", " · "};
static const struct glyphs ascii = {"+", "+", "+", "+", "-", "|", "+", "+", "*", ".", "o", "x", ", "};

#define NAME_MAX_COLUMNS 24 /* of a stack's name */
#define HOST_MAX_COLUMNS 40
#define SUBNETS_MAX	 2 /* of a stack; more are counted */
#define RAIL_GAP	 4 /* from the boxes to the first rail, and between two */

/* One text line inside a box */
struct stack_text {
	struct buf name, subnets, note;
};

struct drawing {
	const struct map *m;
	const struct glyphs *g;
	bool utf8;
	struct buf *out;
	size_t w_name, w_subnets, w_note, w_box; /* w_box: between the two walls */
	uint32_t vnis[MAP_VNIS_DRAWN];
	size_t rail[MAP_VNIS_DRAWN];	     /* its column */
	size_t members_left[MAP_VNIS_DRAWN]; /* dots that are still to come: 0 ends the rail */
	size_t n_rails, width;
	bool seen[MAP_LINK_N_];
};

static void repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_puts(b, s);
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static const struct mapped *mapped_of(const struct map_stack *s, const struct prefix *subnet)
{
	for (size_t i = 0; i < s->n_mapped; i++) {
		if (prefix_cmp(&s->mapped[i].subnet, subnet) == 0)
			return &s->mapped[i];
	}
	return NULL;
}

static bool subnet_listed(const struct map_stack *s, const struct prefix *subnet)
{
	for (size_t i = 0; i < s->n_subnets; i++) {
		if (prefix_cmp(&s->subnets[i], subnet) == 0)
			return true;
	}
	return false;
}

static void subnet_add(struct buf *b, size_t n, const struct prefix *subnet, const struct mapped *m)
{
	char text[PREFIX_STRLEN];

	if (n >= SUBNETS_MAX)
		return;
	buf_printf(b, "%s%s", n ? ", " : "", prefix_format(subnet, text));
	if (m)
		buf_printf(b, " as %s", prefix_format(&m->as, text));
}

/* "172.18.0.0/16 as 241.7.0.0/16, fd00::/64 +2" */
static void subnets_text(struct buf *b, const struct map_stack *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_subnets; i++)
		subnet_add(b, n++, &s->subnets[i], mapped_of(s, &s->subnets[i]));
	for (size_t i = 0; i < s->n_mapped; i++) {
		if (!subnet_listed(s, &s->mapped[i].subnet))
			subnet_add(b, n++, &s->mapped[i].subnet, &s->mapped[i]);
	}
	if (n > SUBNETS_MAX)
		buf_printf(b, " +%zu", n - SUBNETS_MAX);
	if (n == 0)
		buf_puts(b, "no subnet");
}

static void stack_text_make(struct stack_text *t, const struct map_stack *s, bool utf8)
{
	autobuf struct buf name = {0};

	text_safe(&name, s->stack_id, utf8);
	size_t width = text_width(name.data ? name.data : "", utf8);
	text_pad(&t->name, name.data ? name.data : "", width > NAME_MAX_COLUMNS ? NAME_MAX_COLUMNS : width, false,
		 utf8);
	buf_puts(&t->name, "");
	subnets_text(&t->subnets, s);
	buf_puts(&t->note, "");
	if (s->link == MAP_REFUSED)
		buf_puts(&t->note, "refused");
	else if (s->link == MAP_STALE)
		buf_puts(&t->note, "stale");
	else if (s->containers >= 0)
		buf_printf(&t->note, "%lld container%s", (long long)s->containers, s->containers == 1 ? "" : "s");
}

static void stack_text_done(struct stack_text *t)
{
	buf_done(&t->name);
	buf_done(&t->subnets);
	buf_done(&t->note);
}

/* Where nothing is encrypted nothing is said */
static const char *const crypt_notes[MAP_CRYPT_N_] = {
	[MAP_ENCRYPTED] = "encrypted",
	[MAP_RELAYED] = "encrypted, by a relay",
	[MAP_WAITING] = "encrypted, no handshake yet",
	[MAP_APART] = "no link: only one of us encrypts",
};

static void host_title(struct buf *b, const struct map_host *h, const struct glyphs *g, bool utf8)
{
	autobuf struct buf name = {0};
	char ip[IP_STRLEN] = "";

	if (!ip_is_none(&h->ip))
		ip_format(&h->ip, ip);
	text_safe(&name, h->name[0] ? h->name : h->local ? "this host" : "unknown", utf8);
	size_t width = text_width(name.data, utf8);
	text_pad(b, name.data, width > HOST_MAX_COLUMNS ? HOST_MAX_COLUMNS : width, false, utf8);
	if (ip[0] && !str_eq(ip, h->name))
		buf_printf(b, "%s%s", g->sep, ip);
	if (h->local && h->name[0])
		buf_printf(b, "%sthis host", g->sep);
	if (h->stale)
		buf_printf(b, "%sstale", g->sep);
	if (crypt_notes[h->crypt])
		buf_printf(b, "%s%s", g->sep, crypt_notes[h->crypt]);
}

static void measure(struct drawing *d)
{
	size_t titles = 0;

	for (size_t i = 0; i < d->m->n_hosts; i++) {
		const struct map_host *h = &d->m->hosts[i];
		autobuf struct buf title = {0};

		host_title(&title, h, d->g, d->utf8);
		titles = max_size(titles, text_width(title.data, d->utf8) + 4);
		for (size_t j = 0; j < h->n_stacks; j++) {
			struct stack_text t = {0};
			stack_text_make(&t, &h->stacks[j], d->utf8);
			d->w_name = max_size(d->w_name, text_width(t.name.data, d->utf8));
			d->w_subnets = max_size(d->w_subnets, t.subnets.len);
			d->w_note = max_size(d->w_note, t.note.len);
			stack_text_done(&t);
		}
	}
	size_t inner = d->w_name + 3 + d->w_subnets + (d->w_note ? 3 + d->w_note : 0) + 2;
	d->w_box = max_size(max_size(inner, titles), 14);

	size_t at = d->w_box + 2;
	for (size_t i = 0; i < d->m->n_members; i++) {
		uint32_t vni = d->m->members[i].vni;
		if (d->n_rails == 0 || d->vnis[d->n_rails - 1] != vni) {
			char label[16];
			size_t half = (size_t)str_print(label, "%u", vni) / 2;
			at += RAIL_GAP + half;
			d->vnis[d->n_rails] = vni;
			d->rail[d->n_rails++] = at;
			at += half + 1;
		}
		d->members_left[d->n_rails - 1]++;
	}
	d->width = at;
}

/* The numbers above the rails */
static void rails_head(struct drawing *d)
{
	autobuf struct buf line = {0};

	if (d->n_rails == 0)
		return;
	for (size_t i = 0; i < d->n_rails; i++) {
		char label[24];
		size_t len = (size_t)str_print(label, "%u", d->vnis[i]), at = d->rail[i] - len / 2;
		if (i == 0) {
			repeat(&line, " ", at - 4);
			buf_puts(&line, "VNI ");
		}
		repeat(&line, " ", at - line.len);
		buf_puts(&line, label);
	}
	buf_printf(d->out, "%s\n", line.data);
}

/* What stands right of a box, from column @at to the end of the line; @s: its stack's line leads to rail @to */
static void rails_line(struct drawing *d, size_t at, const struct map_stack *s)
{
	size_t to = d->n_rails, n_blanks = 0;

	for (size_t i = 0; s && i < d->n_rails; i++) {
		if (d->vnis[i] == s->vni)
			to = i;
	}
	const char *line = s && s->link != MAP_LINKED ? d->g->stale_h : d->g->h;
	for (size_t i = 0; i < d->n_rails; i++) {
		bool leading = to < d->n_rails && i <= to;
		size_t gap = d->rail[i] - at;

		if (leading)
			repeat(d->out, line, gap);
		else
			n_blanks += gap; /* put off: none at the end of a line */
		at = d->rail[i] + 1;
		if (to == i) {
			buf_puts(d->out, s->link == MAP_REFUSED ? d->g->refused_dot
					 : s->link == MAP_STALE ? d->g->stale_dot
								: d->g->dot);
			d->members_left[i]--;
			d->seen[s->link] = true;
		} else if (d->members_left[i]) {
			repeat(d->out, " ", n_blanks);
			n_blanks = 0;
			buf_puts(d->out, leading ? d->g->cross : d->g->v);
		} else if (leading) {
			buf_puts(d->out, line);
		} else {
			n_blanks++;
		}
	}
	buf_puts(d->out, "\n");
}

static void stack_line(struct drawing *d, const struct map_stack *s)
{
	struct stack_text t = {0};

	stack_text_make(&t, s, d->utf8);
	size_t used = 1;
	buf_printf(d->out, "%s ", d->g->v);
	text_pad(d->out, t.name.data, d->w_name, false, d->utf8);
	buf_puts(d->out, "   ");
	text_pad(d->out, t.subnets.data, d->w_subnets, false, d->utf8);
	used += d->w_name + 3 + d->w_subnets;
	if (d->w_note) {
		buf_puts(d->out, "   ");
		text_pad(d->out, t.note.data, d->w_note, false, d->utf8);
		used += 3 + d->w_note;
	}
	repeat(d->out, " ", d->w_box - used);
	buf_puts(d->out, d->g->out);
	rails_line(d, d->w_box + 2, s);
	stack_text_done(&t);
}

static void host_box(struct drawing *d, const struct map_host *h)
{
	autobuf struct buf title = {0};

	host_title(&title, h, d->g, d->utf8);
	buf_printf(d->out, "%s%s %s ", d->g->tl, d->g->h, title.data);
	repeat(d->out, d->g->h, d->w_box - 3 - text_width(title.data, d->utf8));
	buf_puts(d->out, d->g->tr);
	rails_line(d, d->w_box + 2, NULL);
	for (size_t i = 0; i < h->n_stacks; i++)
		stack_line(d, &h->stacks[i]);
	if (h->n_stacks == 0) {
		buf_printf(d->out, "%s ", d->g->v);
		text_pad(d->out, "no stacks", d->w_box - 1, false, d->utf8);
		buf_puts(d->out, d->g->v);
		rails_line(d, d->w_box + 2, NULL);
	}
	buf_puts(d->out, d->g->bl);
	repeat(d->out, d->g->h, d->w_box);
	buf_puts(d->out, d->g->br);
	rails_line(d, d->w_box + 2, NULL);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void totals(struct buf *out, const struct map *m)
{
	buf_printf(out, "%zu host%s, %zu stack%s, %zu VNI%s", m->n_hosts, plural(m->n_hosts), m->n_members,
		   plural(m->n_members), m->n_vnis, plural(m->n_vnis));
}

/* How many links are encrypted, if any is or ought to be */
static void links(struct buf *out, const struct map *m)
{
	size_t n[MAP_CRYPT_N_] = {0};

	for (size_t i = 0; i < m->n_hosts; i++)
		n[m->hosts[i].crypt]++;
	if (n[MAP_ENCRYPTED] + n[MAP_RELAYED] + n[MAP_WAITING] + n[MAP_APART] == 0)
		return;
	buf_printf(out, "WireGuard: %zu link%s encrypted", n[MAP_ENCRYPTED] + n[MAP_RELAYED],
		   plural(n[MAP_ENCRYPTED] + n[MAP_RELAYED]));
	if (n[MAP_RELAYED])
		buf_printf(out, ", %zu of them by a relay", n[MAP_RELAYED]);
	if (n[MAP_WAITING])
		buf_printf(out, ", %zu without a handshake yet", n[MAP_WAITING]);
	if (n[MAP_APART])
		buf_printf(out, "; %zu host%s without a link, see `docker-router status`", n[MAP_APART],
			   plural(n[MAP_APART]));
	buf_puts(out, "\n");
}

static void legend(struct drawing *d)
{
	buf_puts(d->out, "\n");
	totals(d->out, d->m);
	buf_puts(d->out, "\n");
	links(d->out, d->m);
	if (d->seen[MAP_STALE])
		buf_printf(d->out, "%s%s stale: not heard of for a while\n", d->g->stale_h, d->g->stale_dot);
	if (d->seen[MAP_REFUSED])
		buf_printf(d->out, "%s%s refused: its subnet clashes, see `docker-router status`\n", d->g->stale_h,
			   d->g->refused_dot);
}

void map_draw(struct buf *out, const struct map *m, const struct style *style)
{
	struct drawing d = {.m = m, .g = style->utf8 ? &unicode : &ascii, .utf8 = style->utf8, .out = out};

	if (m->n_hosts > MAP_HOSTS_DRAWN || m->n_vnis > MAP_VNIS_DRAWN) {
		map_list(out, m, style);
		return;
	}
	measure(&d);
	if (style->width && d.width > style->width) {
		map_list(out, m, style);
		return;
	}
	rails_head(&d);
	for (size_t i = 0; i < m->n_hosts; i++) {
		if (i) {
			repeat(out, " ", d.w_box + 2);
			rails_line(&d, d.w_box + 2, NULL);
		}
		host_box(&d, &m->hosts[i]);
	}
	legend(&d);
}

/* Hosts and stacks of the VNI whose members are [from, to) */
static void list_head(struct buf *out, const struct map *m, size_t from, size_t to)
{
	size_t hosts = 0;

	for (size_t i = from; i < to; i++)
		hosts += i == from || m->members[i].host != m->members[i - 1].host;
	buf_printf(out, "VNI %u: %zu host%s, %zu stack%s\n", m->members[from].vni, hosts, plural(hosts), to - from,
		   plural(to - from));
}

static void list_members(struct buf *out, const struct map *m, size_t from, size_t to, const struct style *style)
{
	static const struct column columns[] = {
		{"", "", 0}, {"", "", COL_SHRINK}, {"", "", 0}, {"", "", COL_SHRINK}, {"", "", COL_SHRINK}, {"", "", 0},
	};
	struct table *t = table_new(columns, ARRAY_LEN(columns));
	size_t before = SIZE_MAX;

	for (size_t i = from; i < to; i++) {
		const struct map_host *h = &m->hosts[m->members[i].host];
		const struct map_stack *s = &h->stacks[m->members[i].stack];
		bool again = m->members[i].host == before; /* a host is named once */
		struct stack_text text = {0};
		char ip[IP_STRLEN] = "";

		before = m->members[i].host;
		if (!ip_is_none(&h->ip) && !again)
			ip_format(&h->ip, ip);
		stack_text_make(&text, s, style->utf8);
		cell_str(t, h->local && !again ? "*" : " ");
		cell_str(t, again ? "" : h->name[0] ? h->name : h->local ? "this host" : "unknown");
		cell_str(t, str_eq(ip, h->name) ? "" : ip);
		cell_str(t, s->stack_id);
		cell_str(t, text.subnets.data);
		cell_str(t, text.note.data);
		stack_text_done(&text);
	}
	autobuf struct buf lines = {0};
	table_print(&lines, t, style);
	table_free(t);
	buf_puts(out, strchr(lines.data, '\n') + 1); /* without its empty head */
}

/* They are on no VNI */
static void list_stackless(struct buf *out, const struct map *m, const struct style *style)
{
	size_t n = 0;

	for (size_t i = 1; i < m->n_hosts; i++)
		n += m->hosts[i].n_stacks == 0;
	if (n == 0)
		return;
	buf_printf(out, "without a stack: %zu host%s\n", n, plural(n));
	for (size_t i = 1; i < m->n_hosts; i++) {
		autobuf struct buf title = {0};

		if (m->hosts[i].n_stacks)
			continue;
		host_title(&title, &m->hosts[i], style->utf8 ? &unicode : &ascii, style->utf8);
		buf_printf(out, "  %s\n", title.data);
	}
	buf_puts(out, "\n");
}

void map_list(struct buf *out, const struct map *m, const struct style *style)
{
	for (size_t from = 0, to; from < m->n_members; from = to) {
		for (to = from; to < m->n_members && m->members[to].vni == m->members[from].vni;)
			to++;
		list_head(out, m, from, to);
		list_members(out, m, from, to, style);
		buf_puts(out, "\n");
	}
	list_stackless(out, m, style);
	totals(out, m);
	buf_puts(out, m->hosts[0].n_stacks ? "; * is this host\n" : "; no stack on this host\n");
	links(out, m);
}

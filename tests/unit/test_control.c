/* SPDX-License-Identifier: MIT */
/* The admin server over its real socket, on a spool made up here: the functions of spool.h that control calls are
 * defined in this program and take the place of the library's. */
#include "scratch.h"
#include "control/client.h"
#include "control/control.h"
#include "control/filter.h"
#include "delivery/delivery.h"
#include "spool/spool.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/log.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- the spool: entry I has id I + 1 ---- */

enum { BASE = 1000 };

static unsigned entries;
static uint64_t next_id = 1000000000;
static enum entry_state forced_state[BASE];
static atomic_uint acts, wakes, inspected, walks_open;
static char last_reason[64];
static const char content[] = "Received: from x\r\nSubject: \x1b[2J\r\n\r\nbody\r\n";

static const char *const senders[] = { "alice@example.com", "bob@news.example.org", "" };
static const char *const hops[] = { "domain:example.net", "route:default" };

static void
fill(unsigned i, struct entry_info *e)
{
	*e = (struct entry_info){
		.id = i + 1,
		.state = i < BASE && forced_state[i] != 0 ? forced_state[i] : i % 4 == 3 ? ENTRY_HELD : ENTRY_DEFERRED,
		.received = clock_wall() - (int64_t)(i % 100) * 60,
		.next_attempt = clock_wall() + 600,
		.size = 1000 + i,
		.attempts = i % 7,
		.rcpt_count = 2,
		.rcpt_pending = 1,
	};
	strcpy(e->key, hops[i % 2]);
}

struct spool_walk {
	unsigned at;
};

struct spool_walk *
spool_walk_begin(struct spool *spool)
{
	(void)spool;
	walks_open++;
	return xcalloc(1, sizeof(struct spool_walk));
}

unsigned
spool_walk_next(struct spool_walk *w, struct entry_info *out, unsigned max)
{
	unsigned n = 0;

	for (; n < max && w->at < entries; w->at++)
		fill(w->at, &out[n++]);
	return n;
}

void
spool_walk_end(struct spool_walk **w)
{
	free(*w);
	*w = NULL;
	walks_open--;
}

/* Recipient 0 was delivered, recipient 1 is waited for. */
int
spool_inspect(struct spool *spool, uint64_t id, bool with_content, struct spool_detail *out, struct err *err)
{
	struct message *m;

	(void)spool;
	(void)with_content;
	inspected++;
	if (id == 0 || id > entries)
		return err_set(err, "no such message");
	*out = (struct spool_detail){ .arena = arena_new(0), .count = 2 };
	out->message = m = arena_zalloc(out->arena, sizeof *m);
	m->id = id;
	m->received = clock_wall();
	m->sender = senders[(id - 1) % 3];
	m->client = "192.0.2.1";
	m->helo = "client.example";
	m->size = sizeof content - 1;
	m->rcpt_count = 2;
	m->rcpt = arena_zalloc(out->arena, 2 * sizeof *m->rcpt);
	m->rcpt[0].address = "done@done.example";
	m->rcpt[1].address = arena_printf(out->arena, "user%u\x1b\xff@dom%u.example.net", (unsigned)id, (unsigned)id % 5);
	out->rcpt = arena_zalloc(out->arena, 2 * sizeof *out->rcpt);
	out->rcpt[0].status = RCPT_DELIVERED;
	out->rcpt[1].index = 1;
	out->rcpt[1].reply = arena_strdup(out->arena, "451 4.7.1 later");
	out->hold_reason = arena_strdup(out->arena, "by hand");
	return 0;
}

int
spool_glance(struct spool *spool, uint64_t id, struct spool_detail *out, struct err *err)
{
	return spool_inspect(spool, id, false, out, err);
}

unsigned
spool_lookup(struct spool *spool, uint64_t id, struct entry_info *out, unsigned max)
{
	(void)spool;
	if (id == 0 || id > entries || max == 0)
		return 0;
	fill((unsigned)id - 1, out);
	return 1;
}

void
spool_detail_fini(struct spool_detail *d)
{
	arena_free(&d->arena);
}

ssize_t
message_read(struct spool *spool, const struct message *m, uint64_t off, void *p, size_t n, struct err *err)
{
	(void)spool;
	(void)err;
	if (off >= m->size)
		return 0;
	if (n > m->size - off)
		n = m->size - off;
	memcpy(p, content + off, n);
	return (ssize_t)n;
}

uint64_t
spool_next_id(struct spool *spool)
{
	(void)spool;
	return next_id;
}

int
spool_act(struct spool *spool, uint64_t id, const char *key, enum spool_action action, const char *reason,
    struct err *err)
{
	(void)spool;
	if (id == 0 || id > entries)
		return err_set(err, "no such message");
	if (key != NULL)
		assert_string_equal(key, hops[(id - 1) % 2]);
	acts++;
	snprintf(last_reason, sizeof last_reason, "%s", reason == NULL ? "" : reason);
	if (id <= BASE)
		forced_state[id - 1] = action == SPOOL_HOLD ? ENTRY_HELD : ENTRY_DUE;
	return 1;
}

void
spool_stats(struct spool *spool, struct spool_stats *out)
{
	(void)spool;
	*out = (struct spool_stats){ .messages = entries, .entries = entries, .deferred = entries, .segments = 3 };
}

void
delivery_suspensions(struct delivery *d, void (*fn)(const struct suspension *one, void *arg), void *arg)
{
	static char name[] = "route:r", reason[] = "because";
	static const struct suspension one = { name, reason, 1000 };

	(void)d;
	fn(&one, arg);
}

int
delivery_status(struct delivery *d, unsigned timeout_ms, void (*fn)(const struct hop_status *hop, void *arg), void *arg)
{
	struct hop_status h = { .key = "domain:example.net", .hop = "192.0.2.9:25", .state = HOP_DEAD, .limit = 20,
		.dead_until = 1893456000, .error = "connection refused" };

	(void)d;
	(void)timeout_ms;
	fn(&h, arg);
	strcpy(h.key, "route:default");
	h.state = HOP_ALIVE;
	fn(&h, arg);
	return 0;
}

void
delivery_wake(struct delivery *d)
{
	(void)d;
	wakes++;
}

const char *
hop_state_name(enum hop_state state)
{
	return state == HOP_DEAD ? "dead" : "alive";
}

/* ---- a server and its clients ---- */

struct server {
	char folder[SCRATCH_PATH], path[SCRATCH_PATH + 8];
	struct control *control;
};

static int
setup(void **state)
{
	struct server *s = xcalloc(1, sizeof *s);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct control_config config = { .spool = (struct spool *)s, .delivery = (struct delivery *)s };
	struct err err;

	entries = 40;
	memset(forced_state, 0, sizeof forced_state);
	acts = wakes = inspected = 0;
	scratch_new(s->folder);
	snprintf(s->path, sizeof s->path, "%s/admin", s->folder);
	strcpy(un.sun_path, s->path);
	config.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(config.fd, (struct sockaddr *)&un, sizeof un), 0);
	assert_int_equal(listen(config.fd, 64), 0);
	assert_int_equal(control_start(&s->control, &config, &err), 0);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct server *s = *state;

	control_stop(&s->control);
	assert_int_equal(walks_open, 0);
	scratch_remove(s->folder);
	free(s);
	return 0;
}

static int
dial(const struct server *s)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(un.sun_path, s->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* A line without its line feed, or NULL at the end of the stream. */
static char *
hear(int fd, char *line, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	for (;;) {
		assert_int_equal(poll(&p, 1, 20000), 1);
		if (recv(fd, line + n, 1, 0) != 1)
			return NULL;
		if (line[n] == '\n')
			break;
		assert_true(++n < size);
	}
	line[n] = '\0';
	return line;
}

/* The answer: its results as an array, *LAST the final line (both the caller's). */
static json_t *
answer(int fd, json_t **last)
{
	static char line[1 << 20];
	json_t *results = json_array(), *o;

	for (;;) {
		assert_non_null(hear(fd, line, sizeof line));
		o = json_loads(line, 0, NULL);
		assert_non_null(o);
		if (json_object_get(o, "result") != NULL)
			json_array_append(results, json_object_get(o, "result"));
		else if (json_object_get(o, "progress") == NULL)
			break;
		json_decref(o);
	}
	*last = o;
	return results;
}

/* As answer() for one request over a connection of its own, which must end with ok. */
static json_t *
ask(const struct server *s, const char *request)
{
	int fd = dial(s);
	json_t *results, *last;

	say(fd, request);
	say(fd, "\n");
	results = answer(fd, &last);
	if (!json_is_true(json_object_get(last, "ok")))
		fail_msg("%s: %s", request, json_dumps(last, 0));
	json_decref(last);
	close(fd);
	return results;
}

static json_int_t
number(const json_t *results, size_t i, const char *name)
{
	return json_integer_value(json_object_get(json_array_get(results, i), name));
}

static const char *
text(const json_t *results, size_t i, const char *name)
{
	const char *s = json_string_value(json_object_get(json_array_get(results, i), name));

	return s == NULL ? "(none)" : s;
}

/* ---- tests ---- */

static void
patterns_match_as_documented(void **state)
{
	static const struct {
		const char *pattern, *address;
		bool matches;
	} rows[] = {
		{ "a@example.com", "a@example.com", true },
		{ "A@Example.COM", "a@example.com", true },
		{ "a@example.com", "ba@example.com", false },
		{ "a@example.com", "a@example.com.test", false },
		{ "@example.com", "a@example.com", true },
		{ "@example.com", "a@sub.example.com", false },
		{ "@*.example.com", "a@sub.example.com", true },
		{ "@*.example.com", "a@example.com", false },
		{ "@*", "", true },
		{ "*@example.com", "a@b@example.com", true },
		{ "news-*@*", "news-1@example.org", true },
		{ "*", "", true },
		{ "<>", "", true },
		{ "<>", "a@example.com", false },
		{ "", "", true },
		{ "", "a@example.com", false },
		{ "a*b*c", "aXbXbc", true },
		{ "a*b*c", "aXbXb", false },
		{ "**x", "yyx", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		if (address_matches(rows[i].pattern, rows[i].address) != rows[i].matches)
			fail_msg("%s and %s", rows[i].pattern, rows[i].address);
}

static void
a_hostile_pattern_costs_little(void **state)
{
	char pattern[2001], subject[4001];
	uint64_t start = clock_ms();
	unsigned i;

	(void)state;
	for (i = 0; i < 2000; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[1999] = 'b';
	pattern[2000] = '\0';
	memset(subject, 'a', 4000);
	subject[4000] = '\0';
	assert_false(glob_matches(pattern, subject));
	assert_true(clock_ms() - start < 2000);
}

static void
filters_choose_entries(void **state)
{
	static const struct {
		const char *filter;
		unsigned count;
	} rows[] = {
		{ "", 40 },
		{ "\"state\":\"held\"", 10 },
		{ "\"state\":\"held,deferred\"", 40 },
		{ "\"state\":\"due\"", 0 },
		{ "\"hop\":\"route:default\"", 20 },
		{ "\"hop\":\"route:*\",\"state\":\"deferred\"", 10 },
		{ "\"older\":1200", 20 },
		{ "\"younger\":1200", 20 },
		{ "\"older\":600,\"younger\":1200", 10 },
		{ "\"ids\":[\"2222222222223\",\"2222222222zzz\",\"2222222222223\"]", 1 },
		{ "\"ids\":[\"2222222222zzz\"]", 0 },
		{ "\"limit\":7", 7 },
		{ "\"from\":\"@example.com\"", 14 },
		{ "\"from\":\"<>\"", 13 },
		{ "\"to\":\"user7*\"", 1 },
		{ "\"to\":\"done@done.example\"", 0 }, /* delivered: nobody waits for it */
		{ "\"domain\":\"dom1.example.net\"", 8 },
		{ "\"domain\":\"dom1.example.net\",\"from\":\"<>\",\"limit\":1", 1 },
	};
	char request[200];
	json_t *results;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(request, sizeof request, "{\"command\":\"queue.count\",\"args\":{%s}}", rows[i].filter);
		results = ask(*state, request);
		if (number(results, 0, "entries") != rows[i].count)
			fail_msg("%s: %lld", rows[i].filter, (long long)number(results, 0, "entries"));
		json_decref(results);
	}
}

static void
envelopes_are_read_only_when_needed(void **state)
{
	inspected = 0;
	json_decref(ask(*state, "{\"command\":\"queue.count\",\"args\":{\"state\":\"held\",\"hop\":\"*\",\"older\":1}}"));
	json_decref(ask(*state, "{\"command\":\"queue.list\",\"args\":{\"envelope\":false}}"));
	json_decref(ask(*state, "{\"command\":\"queue.shape\"}"));
	assert_int_equal(inspected, 0);
	json_decref(ask(*state, "{\"command\":\"queue.count\",\"args\":{\"state\":\"held\",\"from\":\"*\"}}"));
	assert_int_equal(inspected, 10);
}

static void
list_shows_entries_with_peers_bytes_made_harmless(void **state)
{
	json_t *results = ask(*state, "{\"command\":\"queue.list\",\"args\":{\"hop\":\"domain:*\"}}");
	json_t *to = json_object_get(json_array_get(results, 0), "to");
	char id[ID_TEXT];

	id_text(1, id);
	assert_int_equal(json_array_size(results), 20);
	assert_string_equal(text(results, 0, "id"), id);
	assert_string_equal(text(results, 0, "from"), "alice@example.com");
	assert_int_equal(json_array_size(to), 1);
	assert_string_equal(json_string_value(json_array_get(to, 0)), "user1\x1b\\xff@dom1.example.net");
	assert_string_equal(text(results, 0, "state"), "deferred");
	json_decref(results);
}

static void
shape_sorts_by_total_and_counts_ages(void **state)
{
	json_t *results = ask(*state, "{\"command\":\"queue.shape\",\"args\":{\"by\":\"sender\"}}");
	json_t *ages;

	assert_int_equal(json_array_size(results), 3);
	assert_string_equal(text(results, 0, "name"), "example.com");
	assert_int_equal(number(results, 0, "total"), 14);
	ages = json_object_get(json_array_get(results, 0), "ages");
	assert_int_equal(json_array_size(ages), 10);
	assert_int_equal(json_integer_value(json_array_get(ages, 0)), 2); /* 0 and 3 minutes */
	json_decref(results);
	results = ask(*state, "{\"command\":\"queue.shape\",\"args\":{\"by\":\"domain\"}}");
	assert_int_equal(json_array_size(results), 5);
	json_decref(results);
}

static void
show_and_why_explain_a_message(void **state)
{
	static const struct {
		unsigned id;
		const char *why;
	} rows[] = { { 1, "hops-dead" }, { 2, "retry-wait" }, { 4, "held" } };
	char id[ID_TEXT], request[100];
	json_t *results, *to;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		id_text(rows[i].id, id);
		snprintf(request, sizeof request, "{\"command\":\"queue.why\",\"args\":{\"id\":\"%s\"}}", id);
		results = ask(*state, request);
		assert_int_equal(json_array_size(results), 1);
		assert_string_equal(text(results, 0, "why"), rows[i].why);
		json_decref(results);
	}
	id_text(4, id);
	snprintf(request, sizeof request, "{\"command\":\"queue.show\",\"args\":{\"id\":\"%s\"}}", id);
	results = ask(*state, request);
	assert_string_equal(text(results, 0, "reason"), "by hand");
	to = json_object_get(json_array_get(results, 0), "recipients");
	assert_int_equal(json_array_size(to), 2);
	assert_string_equal(text(to, 0, "status"), "delivered");
	assert_string_equal(text(to, 1, "reply"), "451 4.7.1 later");
	json_decref(results);
}

static void
cat_gives_the_content(void **state)
{
	char id[ID_TEXT], request[100];
	json_t *results;

	id_text(1, id);
	snprintf(request, sizeof request, "{\"command\":\"queue.cat\",\"args\":{\"id\":\"%s\"}}", id);
	results = ask(*state, request);
	assert_int_equal(json_array_size(results), 1);
	assert_int_equal(number(results, 0, "offset"), 0);
	assert_true(strlen(text(results, 0, "base64")) >= sizeof content - 1);
	json_decref(results);
}

static void
a_dry_run_changes_nothing(void **state)
{
	json_t *results = ask(*state, "{\"command\":\"queue.drop\",\"args\":{\"all\":true,\"dry_run\":true}}");

	assert_int_equal(number(results, 0, "matched"), 40);
	assert_int_equal(number(results, 0, "changed"), 0);
	assert_int_equal(acts, 0);
	json_decref(results);
}

static void
a_bulk_change_touches_what_the_filter_chose(void **state)
{
	json_t *results = ask(*state,
	    "{\"command\":\"queue.hold\",\"args\":{\"hop\":\"route:default\",\"reason\":\"moving\"}}");

	assert_int_equal(number(results, 0, "matched"), 20);
	assert_int_equal(number(results, 0, "changed"), 10); /* every other one is held already */
	assert_int_equal(acts, 10);
	assert_string_equal(last_reason, "moving");
	assert_int_equal(wakes, 0);
	json_decref(results);
}

static void
a_bulk_change_does_not_disturb_what_it_would_not_change(void **state)
{
	json_decref(ask(*state, "{\"command\":\"queue.release\",\"args\":{\"all\":true}}"));
	json_decref(ask(*state, "{\"command\":\"queue.hold\",\"args\":{\"all\":true}}"));
	json_decref(ask(*state, "{\"command\":\"queue.release\",\"args\":{\"all\":true}}"));
	acts = 0;
	json_decref(ask(*state, "{\"command\":\"queue.retry\",\"args\":{\"all\":true}}"));
	assert_int_equal(acts, 0); /* all are due */
	assert_int_equal(wakes, 3);
}

static void
a_bulk_change_leaves_alone_what_came_after_it(void **state)
{
	json_t *results;

	next_id = 31;
	results = ask(*state, "{\"command\":\"queue.bounce\",\"args\":{\"all\":true}}");
	next_id = 1000000000;
	assert_int_equal(number(results, 0, "changed"), 30);
	json_decref(results);
}

static void
ids_are_acted_on_and_unknown_ones_reported(void **state)
{
	char known[ID_TEXT], unknown[ID_TEXT], request[200];
	json_t *results;

	id_text(3, known);
	id_text(9999, unknown);
	snprintf(request, sizeof request, "{\"command\":\"queue.retry\",\"args\":{\"ids\":[\"%s\",\"%s\"]}}", unknown, known);
	results = ask(*state, request);
	assert_int_equal(json_array_size(results), 2);
	assert_string_equal(text(results, 0, "id"), unknown);
	assert_int_equal(number(results, 1, "changed"), 1);
	assert_int_equal(number(results, 1, "failed"), 1);
	assert_int_equal(wakes, 1); /* dead next hops do not keep it waiting */
	json_decref(results);
}

static void
bad_requests_are_refused_and_the_connection_goes_on(void **state)
{
	static const struct {
		const char *request, *code;
	} rows[] = {
		{ "", "bad-request" },
		{ "rubbish", "bad-request" },
		{ "[]", "bad-request" },
		{ "{}", "bad-request" },
		{ "{\"command\":1}", "bad-request" },
		{ "{\"command\":\"status\",\"command\":\"status\"}", "bad-request" },
		{ "{\"command\":\"status\",\"more\":1}", "bad-request" },
		{ "{\"command\":\"status\",\"args\":[]}", "bad-request" },
		{ "{\"command\":\"status\",\"args\":{\"from\":\"x\"}}", "bad-request" },
		{ "{\"command\":\"nonsense\"}", "unknown-command" },
		{ "{\"command\":\"queue.list\",\"args\":{\"from\":7}}", "bad-request" },
		{ "{\"command\":\"queue.list\",\"args\":{\"older\":-1}}", "bad-request" },
		{ "{\"command\":\"queue.list\",\"args\":{\"older\":\"1\"}}", "bad-request" },
		{ "{\"command\":\"queue.list\",\"args\":{\"state\":\"odd\"}}", "bad-request" },
		{ "{\"command\":\"queue.list\",\"args\":{\"state\":\"\"}}", "bad-request" },
		{ "{\"command\":\"queue.list\",\"args\":{\"ids\":[1]}}", "bad-request" },
		{ "{\"command\":\"queue.list\",\"args\":{\"ids\":[\"x\"]}}", "bad-request" },
		{ "{\"command\":\"queue.list\",\"args\":{\"from\":\"\\u0000\"}}", "bad-request" },
		{ "{\"command\":\"queue.shape\",\"args\":{\"by\":\"moon\"}}", "bad-request" },
		{ "{\"command\":\"queue.show\"}", "bad-request" },
		{ "{\"command\":\"queue.cat\",\"args\":{\"id\":\"2222222222222\"}}", "not-found" },
		{ "{\"command\":\"queue.drop\"}", "bad-request" },
		{ "{\"command\":\"queue.drop\",\"args\":{\"all\":false}}", "bad-request" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "bad-request" },
	};
	json_t *results, *last;
	int fd = dial(*state);
	const char *code;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		say(fd, rows[i].request);
		say(fd, "\n");
		results = answer(fd, &last);
		assert_int_equal(json_array_size(results), 0);
		code = json_string_value(json_object_get(json_object_get(last, "error"), "code"));
		if (code == NULL || strcmp(code, rows[i].code) != 0)
			fail_msg("%s: %s", rows[i].request, json_dumps(last, 0));
		json_decref(results);
		json_decref(last);
	}
	close(fd);
	assert_int_equal(acts, 0);
}

static void
an_endless_request_is_cut_off(void **state)
{
	char line[4096], block[4096];
	int fd = dial(*state);
	unsigned i;

	memset(block, ' ', sizeof block);
	for (i = 0; i < 40; i++)
		if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0)
			break;
	assert_non_null(strstr(hear(fd, line, sizeof line), "too long"));
	assert_null(hear(fd, line, sizeof line));
	close(fd);
}

static void
requests_may_come_together_and_the_peer_may_close_its_side(void **state)
{
	json_t *results, *last;
	int fd = dial(*state);
	unsigned i;
	char rest;

	say(fd, "{\"command\":\"status\"}\n{\"command\":\"queue.count\"}\n{\"command\":\"queue.list\"}\n");
	shutdown(fd, SHUT_WR);
	for (i = 0; i < 3; i++) {
		results = answer(fd, &last);
		assert_int_equal(json_array_size(results), i < 2 ? 1 : 40);
		assert_true(json_is_true(json_object_get(last, "ok")));
		json_decref(results);
		json_decref(last);
	}
	assert_int_equal(recv(fd, &rest, 1, 0), 0);
	close(fd);
}

static long
resident_kib(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
a_client_that_does_not_read_costs_nobody_anything(void **state)
{
	int slow = dial(*state), silent = dial(*state), half = dial(*state);
	json_t *results;
	long before;

	entries = 1000000;
	json_decref(ask(*state, "{\"command\":\"queue.list\",\"args\":{\"limit\":1000,\"envelope\":false}}"));
	before = resident_kib();
	say(slow, "{\"command\":\"queue.list\",\"args\":{\"envelope\":false}}\n");
	say(half, "{\"command\":\"que");
	results = ask(*state, "{\"command\":\"queue.count\",\"args\":{\"limit\":50000}}");
	assert_int_equal(number(results, 0, "entries"), 50000);
	json_decref(results);
	assert_true(resident_kib() - before < 8192);
	close(slow);
	close(silent);
	close(half);
}

static void
connections_beyond_the_limit_are_told_so(void **state)
{
	int fd[40];
	char line[256];
	unsigned i;

	for (i = 0; i < 32; i++)
		fd[i] = dial(*state);
	/* The last one accepted answers: then all before it were accepted too. */
	say(fd[31], "{\"command\":\"queue.count\"}\n");
	assert_non_null(hear(fd[31], line, sizeof line));
	fd[32] = dial(*state);
	assert_non_null(strstr(hear(fd[32], line, sizeof line), "busy"));
	for (i = 0; i < 33; i++)
		close(fd[i]);
}

static void
stopping_ends_running_requests(void **state)
{
	int fd = dial(*state);

	entries = 1000000;
	say(fd, "{\"command\":\"queue.list\",\"args\":{\"from\":\"*\"}}\n");
	/* teardown() stops the server and finds no walk left open */
	close(dial(*state));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_as_documented),
		cmocka_unit_test(a_hostile_pattern_costs_little),
		cmocka_unit_test_setup_teardown(filters_choose_entries, setup, teardown),
		cmocka_unit_test_setup_teardown(envelopes_are_read_only_when_needed, setup, teardown),
		cmocka_unit_test_setup_teardown(list_shows_entries_with_peers_bytes_made_harmless, setup, teardown),
		cmocka_unit_test_setup_teardown(shape_sorts_by_total_and_counts_ages, setup, teardown),
		cmocka_unit_test_setup_teardown(show_and_why_explain_a_message, setup, teardown),
		cmocka_unit_test_setup_teardown(cat_gives_the_content, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dry_run_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bulk_change_touches_what_the_filter_chose, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bulk_change_does_not_disturb_what_it_would_not_change, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bulk_change_leaves_alone_what_came_after_it, setup, teardown),
		cmocka_unit_test_setup_teardown(ids_are_acted_on_and_unknown_ones_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_requests_are_refused_and_the_connection_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endless_request_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(requests_may_come_together_and_the_peer_may_close_its_side, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_does_not_read_costs_nobody_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(connections_beyond_the_limit_are_told_so, setup, teardown),
		cmocka_unit_test_setup_teardown(stopping_ends_running_requests, setup, teardown),
	};

	json_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

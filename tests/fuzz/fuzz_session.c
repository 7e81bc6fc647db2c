/* SPDX-License-Identifier: MIT */
/* The real server, session and all, against one client's bytes. The first byte says how the rest is cut into
 * pieces and what the spool does; then whatever the client says, the server must answer in good form, keep nothing
 * that was not accepted, and end the session when the client does. */
#include "../unit/smtp_fixture.h"

#include "util/check.h"
#include "util/log.h"
#include "net/loop.h"
#include "spool/message.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Replies to all of it fit into a socket's buffer. */
enum { INPUT_MAX = 16384, REPLIES_MAX = 1 << 20 };

struct client {
	struct loop_hook hook;
	struct fixture f;
	int fd;
	const char *data;
	size_t left, piece;
	char *replies;
	size_t len;
	unsigned quiet;
};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err err;

	(void)argc;
	(void)argv;
	check(log_open(STDERR_FILENO, LOG_ERROR, &err) == 0);
	return 0;
}

/* At the end of each pass: what came, and the next piece. */
static void
turn(struct loop_hook *hook)
{
	struct client *c = (struct client *)hook;
	size_t n = c->left < c->piece ? c->left : c->piece;
	ssize_t got;

	while ((got = recv(c->fd, c->replies + c->len, REPLIES_MAX - c->len, MSG_DONTWAIT)) > 0)
		c->len += (size_t)got;
	check(c->len < REPLIES_MAX);
	if (n > 0 && send(c->fd, c->data, n, MSG_NOSIGNAL) == (ssize_t)n) {
		c->data += n;
		c->left -= n;
	} else if (c->left > 0) {
		c->left = 0; /* the server hung up */
	} else if (c->quiet == 0) {
		shutdown(c->fd, SHUT_WR);
		c->quiet = 1;
	}
	if (smtp_server_sessions(c->f.server) == 0 && c->left == 0)
		loop_stop(c->f.loop);
}

/* Every line is "NNN", then a blank, a hyphen or the end, and printable; the first is the greeting. */
static void
check_replies(const char *p, size_t n)
{
	const char *end = p + n, *line;

	check(n > 4 && memcmp(p, "220 ", 4) == 0);
	while (p < end) {
		line = p;
		while (p < end && *p != '\r') {
			check(*p >= 32 && *p < 127);
			p++;
		}
		check(end - p >= 2 && p[1] == '\n' && p - line >= 4 && p - line <= 510);
		check(line[0] >= '2' && line[0] <= '5' && line[1] >= '0' && line[1] <= '9' && line[2] >= '0' &&
		    line[2] <= '9' && (line[3] == ' ' || line[3] == '-'));
		p += 2;
	}
}

/* Only CR LF ends lines and there is no NUL unless it is BINARYMIME, and our Received is on top. */
static void
check_taken(const struct taken *t)
{
	size_t i;

	check(t->len > 10 && memcmp(t->content, "Received: ", 10) == 0);
	check((t->flags & MESSAGE_BINARYMIME) || memchr(t->content, '\0', t->len) == NULL);
	for (i = 0; i < t->len && !(t->flags & MESSAGE_BINARYMIME); i++) {
		check(t->content[i] != '\n' || (i > 0 && t->content[i - 1] == '\r'));
		check(t->content[i] != '\r' || (i + 1 < t->len && t->content[i + 1] == '\n'));
	}
	check(strcspn(t->sender, "\r\n<> ") == strlen(t->sender) || t->sender[0] == '"');
	check(t->rcpts[0] != '\0');
}

static unsigned
queued(const char *replies, size_t n)
{
	static const char word[] = "250 2.0.0 queued as ";
	unsigned count = 0;
	const char *at = replies;

	while ((at = memmem(at, (size_t)(replies + n - at), word, sizeof word - 1)) != NULL) {
		count++;
		at++;
	}
	return count;
}

static struct network everybody = { .family = AF_INET };

static void
play(struct client *c, uint8_t how)
{
	struct taken *t;

	fixture_init(&c->f);
	c->f.settings.limits.message_size = 4096;
	c->f.settings.limits.header_size = 2048;
	c->f.settings.limits.recipients = 4;
	c->f.settings.limits.errors = 20;
	c->f.settings.limits.hops = 3;
	c->f.listener_settings.xclient = &everybody;
	c->f.listener_settings.xclient_count = how & 8 ? 1 : 0;
	c->f.listener_settings.xclient_login = true;
	c->f.settings.queue.memory_max = how & 0x10 ? 1 : 1 << 20;
	fake_spool.charge_limit = how & 0x20 ? 7000 : 0;
	fake_spool.commit_fails = how & 0x40;
	fake_spool.blob_append_fails = how & 0x80;
	fixture_open(&c->f);
	c->fd = fixture_connect(&c->f);
	c->hook.fn = turn;
	loop_add_hook(c->f.loop, &c->hook);
	loop_run(c->f.loop);
	check(recv(c->fd, c->replies + c->len, REPLIES_MAX - c->len, MSG_DONTWAIT) <= 0);
	close(c->fd);
	check_replies(c->replies, c->len);
	for (t = fake_spool.taken; t != NULL; t = t->next)
		check_taken(t);
	check(queued(c->replies, c->len) == fake_spool.count && fake_spool.blobs == 0);
	fixture_close(&c->f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { INPUT_MAX, 1, 2, 3, 7, 61, 512, 1000 };
	struct client c = { 0 };

	if (size == 0 || size > INPUT_MAX)
		return 0;
	c.data = (const char *)data + 1;
	c.left = size - 1;
	c.piece = pieces[data[0] & 7];
	c.replies = xmalloc(REPLIES_MAX);
	play(&c, data[0]);
	free(c.replies);
	return 0;
}

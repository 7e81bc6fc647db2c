/* SPDX-License-Identifier: MIT */
#include "smtp_fixture.h"

#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/str.h"
#include "net/addr.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/task.h"
#include "mail/address.h"
#include "spool/message.h"
#include "spool/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_spool fake_spool;

static struct route_settings ours = { .key = "domain:example.net", .name = "example.net" };
static struct route_settings routed = { .key = "route:org", .name = "org" };

/* ---- settings: found here before the library's own ---- */

bool
settings_is_ours(const struct settings *s, const char *domain)
{
	(void)s;
	return str_ieq(domain, "example.net");
}

const struct route_settings *
settings_route(const struct settings *s, const struct route_query *q)
{
	if (settings_is_ours(s, address_domain(q->recipient)))
		return &ours;
	return str_ieq(address_domain(q->recipient), "example.org") ? &routed : NULL;
}

bool
settings_may_relay(const struct settings *s, const struct addr *client)
{
	unsigned i;

	for (i = 0; i < s->relay_from_count; i++)
		if (network_has(&s->relay_from[i], client))
			return true;
	return false;
}

/* ---- the spool ---- */

/* The one blob being written by each message; found by the message. */
struct blob {
	struct blob *next;
	const struct message *m;
	struct buf bytes;
};
static struct blob *blobs;

uint64_t
spool_next_id(struct spool *spool)
{
	static uint64_t id = 1000;

	(void)spool;
	return id++;
}

int
spool_admit(struct spool *spool, uint64_t size, struct err *err)
{
	(void)spool;
	(void)size;
	return fake_spool.admit_fails ? err_set(err, "no room") : 0;
}

int
spool_charge(struct spool *spool, struct message *m, size_t n)
{
	(void)spool;
	if (fake_spool.charge_limit != 0 && m->memory + n > fake_spool.charge_limit)
		return -1;
	m->memory += n;
	return 0;
}

static struct blob **
find_blob(const struct message *m)
{
	struct blob **b = &blobs;

	while (*b != NULL && (*b)->m != m)
		b = &(*b)->next;
	return b;
}

static void
take_chunks(struct message *m, struct buf *out)
{
	for (const struct chunk *c = m->first; c != NULL; c = c->next)
		buf_add(out, c->data, c->len);
	message_release(m);
}

int
spool_blob_begin(struct spool *spool, struct message *m, struct err *err)
{
	struct blob *b;

	(void)spool;
	if (fake_spool.blob_begin_fails)
		return err_set(err, "no blob");
	b = xcalloc(1, sizeof *b);
	b->m = m;
	b->next = blobs;
	blobs = b;
	take_chunks(m, &b->bytes);
	fake_spool.blobs++;
	task_yield();
	return 0;
}

int
spool_blob_append(struct spool *spool, struct message *m, const void *p, size_t n, struct err *err)
{
	(void)spool;
	task_yield();
	if (fake_spool.blob_append_fails)
		return err_set(err, "disk full");
	buf_add(&(*find_blob(m))->bytes, p, n);
	m->size += n;
	return 0;
}

static void
close_blob(struct blob *b)
{
	check(b != NULL);
	*find_blob(b->m) = b->next;
	buf_fini(&b->bytes);
	free(b);
	fake_spool.blobs--;
}

int
spool_blob_end(struct spool *spool, struct message *m, struct err *err)
{
	(void)spool;
	task_yield();
	if (fake_spool.blob_end_fails)
		return err_set(err, "sync failed");
	memcpy(m->blob, "blob", 5);
	return 0;
}

void
spool_blob_drop(struct spool *spool, struct message *m)
{
	(void)spool;
	if (*find_blob(m) != NULL)
		close_blob(*find_blob(m));
}

static void
keep(struct message *m)
{
	struct taken *t = xcalloc(1, sizeof *t);
	struct buf content = { 0 }, rcpts = { 0 };
	struct chunk *c;
	uint32_t i;

	if (m->blob[0] != '\0') {
		struct blob *b = *find_blob(m);

		buf_add(&content, b->bytes.data, b->bytes.len);
		close_blob(b);
	}
	for (c = m->first; c != NULL; c = c->next)
		buf_add(&content, c->data, c->len);
	check(content.len == m->size);
	for (i = 0; i < m->rcpt_count; i++)
		buf_printf(&rcpts, "%s%s", i ? "," : "", m->rcpt[i].address);
	t->sender = xstrdup(m->sender);
	t->rcpts = buf_take(&rcpts);
	t->len = content.len;
	t->content = buf_take(&content);
	t->flags = m->flags;
	t->blob = m->blob[0] != '\0';
	t->next = fake_spool.taken;
	fake_spool.taken = t;
	fake_spool.count++;
}

int
spool_commit(struct spool *spool, struct message *m, struct err *err)
{
	(void)spool;
	check(m->rcpt_count > 0 && m->group_count > 0 && m->received > 0);
	task_yield();
	__atomic_store_n(&fake_spool.committing, true, __ATOMIC_SEQ_CST);
	while (fake_spool.commit_waits && !__atomic_load_n(&fake_spool.commit_go, __ATOMIC_SEQ_CST))
		task_yield();
	if (fake_spool.commit_fails)
		return err_set(err, "write failed");
	keep(m);
	return 0;
}

/* ---- the fixture ---- */

static void
forget(void)
{
	struct taken *t;

	while ((t = fake_spool.taken) != NULL) {
		fake_spool.taken = t->next;
		free(t->sender);
		free(t->rcpts);
		free(t->content);
		free(t);
	}
	memset(&fake_spool, 0, sizeof fake_spool);
}

void
fixture_init(struct fixture *f)
{
	static const char *domains[] = { "example.net" };

	forget();
	memset(f, 0, sizeof *f);
	ours.domain = domains;
	ours.domain_count = 1;
	f->settings.hostname = "mx.example.test";
	f->settings.route = &ours;
	f->settings.route_count = 1;
	f->settings.limits = (struct limit_settings){
		.sessions = 1000, .sessions_per_client = 1000, .tasks = 1000, .recipients = 1000, .errors = 100,
		.hops = 50, .message_size = 10 << 20, .header_size = 256 << 10, .command_timeout = 30,
		.data_timeout = 30, .message_timeout = 60, .min_rate = 0,
	};
	f->settings.queue.memory_max = 1 << 20;
	f->listener_settings.name = "test";
	f->listener_settings.tls = TLS_OPTIONAL;
}

void
fixture_open(struct fixture *f)
{
	struct smtp_server_config config = { .settings = &f->settings, .loops = &f->loop, .loop_count = 1 };
	struct err err;

	check(loop_new(&f->loop, 0, &err) == 0);
	f->server = smtp_server_new(&config);
	f->listener.server = f->server;
	f->listener.settings = &f->listener_settings;
	f->listener.snapshot = &f->settings;
	f->listener.refs = 1;
}

static void *
run_loop(void *arg)
{
	struct fixture *f = arg;

	loop_run(f->loop);
	return NULL;
}

void
fixture_start(struct fixture *f)
{
	check(pthread_create(&f->thread, NULL, run_loop, f) == 0);
}

struct hand_over {
	struct post post;
	struct fixture *f;
	int fd;
};

static void
hand_over(struct post *post)
{
	struct hand_over *h = (struct hand_over *)post;
	struct addr peer;

	check(addr_parse("192.0.2.1:1025", 0, &peer, NULL) == 0);
	smtp_listener_owner.hold(&h->f->listener);
	smtp_listener_owner.connected(h->fd, &peer, &h->f->listener);
	free(h);
}

int
fixture_connect(struct fixture *f)
{
	struct hand_over *h = xcalloc(1, sizeof *h);
	int fd[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	check(fcntl(fd[1], F_SETFL, O_NONBLOCK) == 0);
	h->post.fn = hand_over;
	h->f = f;
	h->fd = fd[1];
	loop_post(f->loop, &h->post);
	return fd[0];
}

void
fixture_close(struct fixture *f)
{
	if (f->thread != 0) {
		smtp_server_abort(f->server);
		while (smtp_server_sessions(f->server) > 0)
			usleep(1000);
		loop_stop(f->loop);
		pthread_join(f->thread, NULL);
	}
	smtp_server_free(&f->server);
	loop_free(&f->loop);
	forget();
}

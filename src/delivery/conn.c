/* SPDX-License-Identifier: MIT */
#include "delivery/conn.h"

#include "delivery/limit.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "net/task.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"

#include <errno.h>
#include <stdlib.h>

enum {
	STAND_BACK = 1500,  /* milliseconds in which others that wait take what was given up */
	WANTED_LOOK = 1000, /* how often an idle connection looks whether there are any */
};

static struct conn *
conn_new(struct site *site, struct hop *hop)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	c->site = site;
	c->hop = hop;
	c->loop = site->home->loop;
	c->state = CONN_OPENING;
	io_init(&c->io, -1);
	if (hop->conns++ == 0)
		hop->progress_at = site_now(site);
	hop->opening++;
	list_append(&hop->busy, &c->link);
	site->conns++;
	atomic_fetch_add(&site->delivery->active, 1);
	counter_add(COUNTER_CONNECTIONS_OPEN, 1);
	return c;
}

/* A connection that says QUIT is no longer counted against its hop. */
static void
leave_hop(struct conn *c)
{
	if (c->state == CONN_QUITTING)
		return;
	c->hop->conns--;
	if (c->state == CONN_OPENING)
		c->hop->opening--;
	if (c->state == CONN_IDLE)
		c->hop->idle_count--;
	if (c->woken)
		c->site->woken--;
	c->woken = false;
	c->state = CONN_QUITTING;
	limits_release(c->site->delivery->limits, &c->limit);
}

static void
conn_free(struct conn *c)
{
	leave_hop(c);
	list_remove(&c->link);
	if (c->hop->retired && list_empty(&c->hop->idle) && list_empty(&c->hop->busy))
		hop_free(c->hop);
	io_close(&c->io);
	errand_fini(&c->errand[0]);
	errand_fini(&c->errand[1]);
	buf_fini(&c->out);
	counter_sub(COUNTER_CONNECTIONS_OPEN, 1);
	atomic_fetch_sub(&c->site->delivery->active, 1);
	if (--c->site->conns == 0 && c->site->retired)
		site_pump_later(c->site);
	if (c->settings != NULL)
		settings_unref(&c->settings);
	free(c);
}

static void
on_quit_answered(struct io *io, bool timed_out)
{
	(void)timed_out;
	conn_free(list_entry(io, struct conn, io));
}

/* Without a task: the answer is waited for, as RFC 5321 4.1.1.10 asks, and not looked at. */
static void
say_quit(struct conn *c)
{
	leave_hop(c);
	list_remove(&c->link);
	list_append(&c->hop->busy, &c->link);
	if (io_send(&c->io, "QUIT\r\n", 6) != 6) {
		conn_free(c);
		return;
	}
	io_idle(&c->io, on_quit_answered, site_now(c->site) + QUIT_TIMEOUT);
}

static void on_idle(struct io *io, bool timed_out);

/* Until its time is over; where connections are few, others may want it before. */
static void
stay_idle(struct conn *c)
{
	uint64_t look = site_now(c->site) + WANTED_LOOK;

	io_idle(&c->io, on_idle, c->limit != NULL && look < c->idle_until ? look : c->idle_until);
}

/* Whatever a next hop says to nobody's question, it is the end: it closes, or wants to (421). TLS has messages of
 * its own, which say nothing. */
static void
on_idle(struct io *io, bool timed_out)
{
	struct conn *c = list_entry(io, struct conn, io);

	if (timed_out && c->limit != NULL && site_now(c->site) < c->idle_until && !limit_wanted(c->limit, clock_us()))
		stay_idle(c);
	else if (timed_out)
		say_quit(c);
	else if (io_recv(io, c->in, sizeof(c->in)) < 0 && errno == EAGAIN)
		stay_idle(c);
	else {
		site_pump_later(c->site);
		conn_free(c);
	}
}

bool
conn_is_worn(const struct conn *c)
{
	uint32_t most = c->limit != NULL ? limit_messages(c->limit) : 0;

	if (most == 0)
		most = conn_settings(c)->delivery.messages_per_connection;
	if ((most > 0 && c->messages >= most) || (c->old_at != 0 && site_now(c->site) >= c->old_at))
		return true;
	return c->limit != NULL && c->messages >= FAIR_SHARE && limit_wanted(c->limit, clock_us());
}

static void
go_idle(struct conn *c)
{
	c->state = CONN_IDLE;
	c->hop->idle_count++;
	list_remove(&c->link);
	list_prepend(&c->hop->idle, &c->link);
	c->idle_until = site_now(c->site) + conn_idle_timeout(c);
	if (c->old_at != 0 && c->old_at < c->idle_until)
		c->idle_until = c->old_at;
	if (c->settings != NULL)
		settings_unref(&c->settings);
	stay_idle(c);
}

static void
broken(struct conn *c, bool hop_failed)
{
	struct site *site = c->site;
	struct hop *hop = c->hop;
	const char *status = c->status;
	struct err err = c->err;
	bool retired = hop->retired, opening = c->state == CONN_OPENING;

	conn_free(c);
	if (site_is_ending(site))
		return;
	if (hop_failed || opening)
		counter_add(COUNTER_CONNECTIONS_FAILED, 1);
	if (hop_failed && !retired) {
		hop->error_status = status;
		site_hop_failed(site, hop, err.text);
	} else if (opening && !retired)
		hop_try_again(hop, site_now(site));
	site_pump_later(site);
}

/* Its destination gets no more just now: nobody's fault. */
static void
held(struct conn *c)
{
	struct site *site = c->site;
	struct hop *hop = c->hop;
	uint64_t when = site_now(site) + c->held_ms;
	bool retired = hop->retired;

	conn_free(c);
	if (!retired) {
		hop_try_again(hop, when);
		hop->full_until = when;
	}
	site_wait(site, when);
}

static void
leave(struct conn *c)
{
	struct site *site = c->site;

	if (c->limit != NULL && limit_wanted(c->limit, clock_us()))
		c->hop->full_until = site_now(site) + STAND_BACK;
	say_quit(c);
	site_pump_later(site);
}

static void
run(void *arg)
{
	struct conn *c = arg;
	struct delivery *d = c->site->delivery;
	uint32_t age = c->site->settings->delivery.connection_age;
	int rc = 0;

	if (atomic_load(&d->aborting) || (c->state == CONN_OPENING && site_is_ending(c->site))) {
		conn_free(c);
		return;
	}
	c->task = task_self();
	c->settings = settings_ref(c->site->settings);
	if (c->state == CONN_OPENING) {
		rc = conn_establish(c);
		c->blame = rc < 0 && c->held_ms == 0 && !conn_blames_source(c);
		c->old_at = age > 0 ? site_now(c->site) + (uint64_t)age * 1000 : 0;
		if (rc == 0) {
			c->hop->opening--;
			c->state = CONN_BUSY;
			site_hop_established(c->site, c->hop);
		}
	}
	if (rc == 0)
		rc = conn_transact(c);
	c->task = NULL;
	if (rc < 0 && c->held_ms > 0 && !site_is_ending(c->site))
		held(c);
	else if (rc < 0)
		broken(c, c->blame);
	else if (c->closing || c->hop->retired || c->hop->suspended || site_is_ending(c->site))
		leave(c);
	else
		go_idle(c);
}

int
conn_open(struct site *site, struct hop *hop)
{
	struct conn *c = conn_new(site, hop);

	if (task_start(run, c, "delivery") == 0)
		return 0;
	conn_free(c);
	return -1;
}

int
conn_wake(struct conn *c)
{
	check(c->state == CONN_IDLE);
	io_busy(&c->io);
	c->state = CONN_BUSY;
	c->hop->idle_count--;
	list_remove(&c->link);
	list_append(&c->hop->busy, &c->link);
	c->woken = true;
	c->site->woken++;
	if (task_start(run, c, "delivery") == 0)
		return 0;
	c->woken = false;
	c->site->woken--;
	go_idle(c);
	return -1;
}

void
conn_quit(struct conn *c)
{
	check(c->state == CONN_IDLE);
	io_busy(&c->io);
	say_quit(c);
}

void
conn_stop_opening(struct conn *c)
{
	if (c->state == CONN_OPENING && c->task != NULL)
		task_cancel(c->task);
}

void
conn_abort(struct conn *c)
{
	if (c->task != NULL)
		task_cancel(c->task);
	else if (c->state == CONN_IDLE || (c->state == CONN_QUITTING && c->io.fd >= 0)) {
		io_busy(&c->io);
		conn_free(c);
	}
}

/* SPDX-License-Identifier: MIT */
#include "smtp/dovecot.h"

#include "util/check.h"
#include "util/log.h"
#include "net/addr.h"
#include "net/loop.h"
#include "net/task.h"
#include "mail/sasl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	QUIET_MS = 3600 * 1000, /* nothing is expected: looked at again after this */
	PAUSE_MS = 1000,        /* after a failure it is not asked again for so long */
	REQUESTS_MAX = 1000,
};

enum state { DOWN = 0, CONNECTING, READY };

struct dovecot {
	struct list link;
	struct addr address;
	char name[ADDR_TEXT];
	struct loop *loop;
	struct io io;
	enum state state;
	unsigned mechanisms;  /* of the last connection */
	unsigned announced;   /* of the one being made */
	bool writing;         /* a task sends `out`; the stream is closed when it has noticed */
	bool broken;
	bool complained;      /* that it is down was logged */
	uint64_t pause_until;
	uint32_t next_id;
	unsigned requests;
	struct list waiting;  /* struct dovecot_request */
	struct list starting; /* struct dovecot_request: want it READY */
	struct buf in, out;
	struct err err;
};

static void on_readable(struct io *io, bool timed_out);

struct dovecot *
dovecot_get(struct list *all, const struct addr *address)
{
	struct dovecot *d;

	list_each(link, all) {
		d = list_entry(link, struct dovecot, link);
		if (d->address.len == address->len && memcmp(&d->address.u, &address->u, address->len) == 0)
			return d;
	}
	d = xcalloc(1, sizeof *d);
	d->address = *address;
	addr_text(address, d->name);
	d->loop = loop_current();
	io_init(&d->io, -1);
	list_init(&d->waiting);
	list_init(&d->starting);
	list_append(all, &d->link);
	return d;
}

void
dovecot_free(struct dovecot **dovecot)
{
	struct dovecot *d = *dovecot;

	io_close(&d->io);
	list_remove(&d->link);
	buf_fini(&d->in);
	sasl_forget(&d->out);
	free(d);
	*dovecot = NULL;
}

unsigned
dovecot_mechanisms(const struct dovecot *d)
{
	return d->mechanisms;
}

static void
wake_starting(struct dovecot *d)
{
	struct list *link;

	while ((link = list_shift(&d->starting)) != NULL)
		task_wake(list_entry(link, struct dovecot_request, link)->task);
}

static void
answered(struct dovecot_request *r, enum dovecot_answer answer)
{
	r->answer = answer;
	if (answer != DOVECOT_CONT) {
		list_remove(&r->link);
		r->d->requests--;
		r->d = NULL;
	}
	if (r->task != NULL && r->task != task_self())
		task_wake(r->task);
	r->task = NULL;
}

/* The connection is of no use any more; d->err says why. Who waits is told. */
static void
fail(struct dovecot *d)
{
	if (d->state == READY || !d->complained)
		log_event(LOG_WARN, "auth-source", "dovecot at %s: %s", d->name, d->err.text);
	d->complained = true;
	d->state = DOWN;
	d->pause_until = loop_now(d->loop) + PAUSE_MS;
	list_each_safe(link, &d->waiting) {
		list_entry(link, struct dovecot_request, link)->err = d->err;
		answered(list_entry(link, struct dovecot_request, link), DOVECOT_UNAVAILABLE);
	}
	wake_starting(d);
	d->in.len = 0;
	d->out.len = 0;
	d->broken = true;
	if (!d->writing) {
		io_close(&d->io);
		d->broken = false;
	}
}

static struct dovecot_request *
find(const struct dovecot *d, uint32_t id)
{
	list_each(link, &d->waiting)
		if (list_entry(link, struct dovecot_request, link)->id == id)
			return list_entry(link, struct dovecot_request, link);
	return NULL;
}

static void
ready(struct dovecot *d)
{
	d->mechanisms = d->announced;
	d->state = READY;
	if (d->complained)
		log_event(LOG_INFO, "auth-source", "dovecot at %s: answers again", d->name);
	d->complained = false;
	wake_starting(d);
}

/* An answer nobody waits for is of an exchange that was given up. */
static void
deliver(struct dovecot *d, const struct authline *line)
{
	static const enum dovecot_answer answers[] = { [AUTHLINE_OK] = DOVECOT_OK, [AUTHLINE_FAIL] = DOVECOT_FAIL,
		[AUTHLINE_CONT] = DOVECOT_CONT };
	struct dovecot_request *r = find(d, line->id);
	const char *text = line->type == AUTHLINE_CONT ? line->word : line->user;

	if (r == NULL || r->task == NULL)
		return;
	r->text.len = 0;
	buf_adds(&r->text, text != NULL ? text : "");
	buf_str(&r->text);
	if (line->type == AUTHLINE_FAIL && line->temporary) {
		err_set(&r->err, "dovecot at %s: temporary failure", d->name);
		answered(r, DOVECOT_UNAVAILABLE);
	} else {
		answered(r, answers[line->type]);
	}
}

static int
take_line(struct dovecot *d, char *s, size_t n)
{
	struct authline line;

	if (authline_parse(s, n, &line) < 0)
		return err_set(&d->err, "it said what is not its protocol");
	switch (line.type) {
	case AUTHLINE_VERSION:
		return line.major == 1 ? 0 : err_set(&d->err, "it speaks version %u of its protocol, not 1", line.major);
	case AUTHLINE_MECH:
		d->announced |= (unsigned)sasl_find(line.word, strlen(line.word));
		return 0;
	case AUTHLINE_DONE:
		ready(d);
		return 0;
	case AUTHLINE_OK:
	case AUTHLINE_FAIL:
	case AUTHLINE_CONT:
		deliver(d, &line);
		return 0;
	case AUTHLINE_OTHER:
		return 0;
	}
	return 0;
}

static int
take_lines(struct dovecot *d)
{
	size_t used = 0;
	char *lf;

	while ((lf = memchr(d->in.data + used, '\n', d->in.len - used)) != NULL) {
		if (take_line(d, d->in.data + used, (size_t)(lf - d->in.data) - used) < 0)
			return -1;
		used = (size_t)(lf - d->in.data) + 1;
	}
	buf_drop(&d->in, used);
	return d->in.len > AUTHLINE_MAX ? err_set(&d->err, "it sent a line without an end") : 0;
}

static void
on_readable(struct io *io, bool timed_out)
{
	struct dovecot *d = list_entry(io, struct dovecot, io);
	ssize_t n = -1;

	errno = EAGAIN;
	if (!timed_out) {
		n = io_recv(io, buf_reserve(&d->in, 4096), 4096);
		if (n > 0)
			d->in.len += (size_t)n;
	}
	if (n == 0)
		err_set(&d->err, "it closed the connection");
	else if (n < 0 && errno != EAGAIN)
		err_sys(&d->err, "connection lost");
	else if (n < 0 || take_lines(d) == 0) {
		io_idle(io, on_readable, loop_now(d->loop) + QUIET_MS);
		return;
	}
	fail(d);
}

/* Sends what is there, one task for all. -1: it failed, and everybody has been told. */
static int
flush(struct dovecot *d, uint64_t deadline)
{
	struct buf now;
	int rc = 0;

	if (d->writing)
		return 0;
	d->writing = true;
	while (rc == 0 && d->out.len > 0 && !d->broken) {
		now = d->out;
		d->out = (struct buf){ 0 };
		rc = io_write(&d->io, now.data, now.len, deadline);
		if (rc < 0)
			err_sys(&d->err, "cannot send");
		sasl_forget(&now);
	}
	d->writing = false;
	if (rc < 0 && !d->broken)
		fail(d);
	if (d->broken) {
		io_close(&d->io);
		d->broken = false;
		return -1;
	}
	return rc;
}

/* Every connection needs a process number of its own: a thread's is none of any other process. */
static void
introduce(struct dovecot *d)
{
	buf_printf(&d->out, "VERSION\t1\t1\nCPID\t%ld\n", (long)syscall(SYS_gettid));
}

static void
connect_now(struct dovecot *d, uint64_t deadline)
{
	d->state = CONNECTING;
	d->announced = 0;
	if (io_connect(&d->io, &d->address, NULL, deadline, &d->err) < 0) {
		fail(d);
		return;
	}
	io_idle(&d->io, on_readable, loop_now(d->loop) + QUIET_MS);
	introduce(d);
	flush(d, deadline);
}

static int
unavailable(struct dovecot_request *r, const struct dovecot *d, const char *why)
{
	return err_set(&r->err, "dovecot at %s: %s", d->name, why);
}

static int
await_ready(struct dovecot *d, struct dovecot_request *r, uint64_t deadline)
{
	if (d->state == DOWN && (d->broken || d->pause_until > loop_now(d->loop)))
		return unavailable(r, d, d->err.text);
	if (d->state == DOWN)
		connect_now(d, deadline);
	if (d->state != CONNECTING)
		return d->state == READY ? 0 : unavailable(r, d, d->err.text);
	r->task = task_self();
	list_append(&d->starting, &r->link);
	while (!list_empty(&r->link))
		if (task_wait(deadline) != TASK_WOKEN && !list_empty(&r->link)) {
			list_remove(&r->link);
			return unavailable(r, d, "no answer in time");
		}
	return d->state == READY ? 0 : unavailable(r, d, d->err.text);
}

static enum dovecot_answer
await_answer(struct dovecot_request *r, uint64_t deadline)
{
	struct dovecot *d = r->d;

	r->answer = DOVECOT_NONE;
	r->task = task_self();
	flush(d, deadline);
	while (r->answer == DOVECOT_NONE)
		if (task_wait(deadline) != TASK_WOKEN && r->answer == DOVECOT_NONE) {
			r->task = NULL;
			unavailable(r, d, "no answer in time");
			answered(r, DOVECOT_UNAVAILABLE);
		}
	return r->answer;
}

enum dovecot_answer
dovecot_begin(struct dovecot *d, struct dovecot_request *r, const char *mechanism, const struct authline_client *client,
    const char *initial, uint64_t deadline)
{
	if (await_ready(d, r, deadline) < 0)
		return r->answer = DOVECOT_UNAVAILABLE;
	if (d->requests == REQUESTS_MAX) {
		unavailable(r, d, "too many log-ins at the same time");
		return r->answer = DOVECOT_UNAVAILABLE;
	}
	r->d = d;
	r->id = ++d->next_id;
	d->requests++;
	list_append(&d->waiting, &r->link);
	authline_add_auth(&d->out, r->id, mechanism, client, initial);
	return await_answer(r, deadline);
}

enum dovecot_answer
dovecot_continue(struct dovecot_request *r, const char *base64, uint64_t deadline)
{
	if (r->d == NULL)
		return r->answer = DOVECOT_UNAVAILABLE;
	authline_add_cont(&r->d->out, r->id, base64);
	return await_answer(r, deadline);
}

void
dovecot_end(struct dovecot_request *r)
{
	if (r->d != NULL) {
		list_remove(&r->link);
		r->d->requests--;
		r->d = NULL;
	}
	buf_fini(&r->text);
}

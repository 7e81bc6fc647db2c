/* SPDX-License-Identifier: MIT */
/* The worker's side of a change of configuration: what the supervisor hands over is put aside, and takes the place of
 * what was in force part by part, each at a moment that suits it. */
#include "control/control.h"
#include "control/desk.h"
#include "control/ports.h"
#include "control/worker_private.h"
#include "delivery/delivery.h"
#include "directory/settings.h"
#include "dns/dns.h"
#include "net/keyring.h"
#include "net/loop.h"
#include "spool/spool.h"
#include "util/archive.h"
#include "util/check.h"
#include "util/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
incoming_init(struct incoming *in)
{
	memset(in, 0, sizeof *in);
	in->log_fd = -1;
}

/* What nobody took is closed. */
void
incoming_fini(struct incoming *in)
{
	unsigned i;

	for (i = 0; i < in->fresh.count; i++)
		if (in->fresh.place[i].fd >= 0)
			close(in->fresh.place[i].fd);
	free(in->fresh.place);
	archive_free(&in->files);
	free(in->path);
	keyring_wipe(&in->keys);
	if (in->log_fd >= 0)
		close(in->log_fd);
	incoming_init(in);
}

static int
take_socket(struct incoming *in, struct channel_message *m, struct err *err)
{
	struct socket_place *p;

	in->fresh.place = xrealloc(in->fresh.place, (in->fresh.count + 1) * sizeof *p);
	p = &in->fresh.place[in->fresh.count];
	if (addr_parse(m->text, 0, &p->address, err) < 0)
		return -1;
	p->fresh = true;
	p->fd = m->fd;
	m->fd = -1;
	in->fresh.count++;
	return 0;
}

static int
take_files(struct incoming *in, const struct channel_message *m, struct err *err)
{
	struct buf bytes = { 0 };
	int rc = channel_data(m->fd, &bytes, err);

	archive_free(&in->files);
	free(in->path);
	in->path = xstrdup(m->text);
	if (rc == 0)
		rc = archive_decode(&in->files, bytes.data, bytes.len, err);
	keyring_wipe(&bytes); /* files may hold secrets */
	return rc;
}

static int
apply_keys(struct worker *w, struct incoming *in, struct err *err)
{
	struct keyring ring = { 0 };

	if (!in->has_keys)
		return 0;
	if (keyring_decode(&ring, in->keys.data, in->keys.len, err) < 0)
		return -1;
	return credentials_apply(&w->config->credentials, &ring, err);
}

static void
apply_log(struct worker *w, struct incoming *in, const struct settings *next)
{
	struct err err;

	if (in->log_fd < 0)
		return;
	if (log_open(in->log_fd, next->log.level, &err) < 0) {
		log_event(LOG_ERROR, "log", "%s", err.text);
		return;
	}
	log_set_format(next->log.format);
	if (next->log.to[0] == '/')
		dup2(in->log_fd, STDERR_FILENO);
	if (w->config->log_fd > STDERR_FILENO)
		close(w->config->log_fd);
	w->config->log_fd = in->log_fd;
	in->log_fd = -1;
}

/* The resolvers forget what they know when something is other than it was, the system's name servers too. */
static void
apply_dns(const struct settings *next)
{
	struct err err;

	if (dns_configure(&next->dns.config, &err) < 0)
		log_event(LOG_ERROR, "reload", "%s", err.text); /* the check has let it through */
}

struct listening {
	struct worker *w;
	const struct settings *settings;
};

static void
apply_ports(void *arg)
{
	struct listening *l = arg;

	ports_apply(l->w->ports, l->settings, &l->w->incoming.fresh, l->w->config->credentials.server);
}

/* Keys the configuration has no more, with mail waiting under them. */
struct lost {
	struct spool *spool;
	const struct settings *old, *next;
	struct buf *remarks;
};

static void
look_at_queue(struct queue *q, unsigned count, void *arg)
{
	struct lost *l = arg;

	if (settings_route_by_key(l->next, queue_key(q)) == NULL && settings_route_by_key(l->old, queue_key(q)) != NULL)
		buf_printf(l->remarks, "%s is gone with mail waiting (%u): each recipient is routed anew when it is due\n",
		    queue_key(q), count);
}

static void
look_at_queues(void *arg)
{
	struct lost *l = arg;

	spool_each_queue(l->spool, look_at_queue, l);
}

static void
ignore(const char *name, const char *old, const char *wanted, void *arg)
{
	(void)name;
	(void)old;
	(void)wanted;
	(void)arg;
}

/* In this order: what new mail needs is there before new mail comes. */
static void
put_in_force(struct worker *w, struct settings *next, struct buf *remarks)
{
	struct listening listening = { w, next };
	struct lost lost = { w->spool, w->settings, next, remarks };
	unsigned i;

	apply_log(w, &w->incoming, next);
	for (i = 0; i < w->loops; i++)
		worker_call(w->loop[i], look_at_queues, &lost); /* before delivery takes them up */
	apply_dns(next);
	delivery_apply(w->delivery, next);
	control_apply(w->control, next);
	worker_call(w->loop[0], apply_ports, &listening);
	settings_unref(&w->settings);
	w->settings = next;
}

/* Every new address has its socket: what the supervisor did not send cannot be bound here. */
static int
check_sockets(struct worker *w, const struct settings *next, struct err *err)
{
	char text[ADDR_TEXT];
	unsigned i, k;

	for (i = 0; i < next->listener_count; i++)
		for (k = 0; k < next->listener[i].address_count; k++) {
			const struct addr *a = &next->listener[i].address[k];

			if (!ports_have(w->ports, a) && sockets_find(&w->incoming.fresh, a) == NULL)
				return err_set(err, "the socket of %s was not handed over", addr_text(a, text));
		}
	return 0;
}

static int
apply_keys_alone(struct worker *w, struct buf *remarks)
{
	struct err err;

	if (apply_keys(w, &w->incoming, &err) == 0)
		return 0;
	buf_printf(remarks, "%s\n", err.text);
	return -1;
}

static int
apply(struct worker *w, struct buf *remarks)
{
	struct settings *next = NULL;
	struct err err;

	if (w->incoming.files == NULL)
		return apply_keys_alone(w, remarks);
	if (settings_load_replayed(&next, w->incoming.path, w->incoming.files, remarks) < 0)
		return -1;
	settings_keep(next, w->settings, ignore, NULL);
	if (check_sockets(w, next, &err) < 0 || apply_keys(w, &w->incoming, &err) < 0) {
		buf_printf(remarks, "%s\n", err.text);
		settings_free(&next);
		return -1;
	}
	put_in_force(w, next, remarks);
	return 0;
}

static void
apply_and_tell(struct worker *w, uint32_t serial)
{
	struct buf remarks = { 0 };
	int rc = apply(w, &remarks);

	channel_send(w->channel, rc == 0 ? CHANNEL_APPLIED : CHANNEL_REFUSED, serial, buf_str(&remarks), -1, NULL);
	buf_fini(&remarks);
	incoming_fini(&w->incoming);
}

static int
take(struct worker *w, struct channel_message *m, struct err *err)
{
	struct incoming *in = &w->incoming;

	switch (m->kind) {
	case CHANNEL_LISTEN:
		return take_socket(in, m, err);
	case CHANNEL_LOG:
		if (in->log_fd >= 0)
			close(in->log_fd);
		in->log_fd = m->fd;
		m->fd = -1;
		return 0;
	case CHANNEL_KEYS:
		in->has_keys = true;
		in->keys.len = 0;
		return channel_data(m->fd, &in->keys, err);
	case CHANNEL_FILES:
		return take_files(in, m, err);
	case CHANNEL_APPLY:
		apply_and_tell(w, m->serial);
		return 0;
	case CHANNEL_ANSWER:
		desk_answer(w->desk, m->serial, m->text);
		return 0;
	default:
		return err_set(err, "the supervisor said something unknown (%d)", (int)m->kind);
	}
}

int
worker_listen_to_supervisor(struct worker *w)
{
	struct err err;
	int rc;

	while ((rc = channel_receive(w->channel, &w->message)) > 0) {
		if (take(w, &w->message, &err) < 0)
			log_event(LOG_ERROR, "reload", "%s", err.text);
		if (w->message.fd >= 0)
			close(w->message.fd);
	}
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include "control/ports.h"
#include "directory/settings.h"
#include "net/listener.h"
#include "smtp/server.h"
#include "util/check.h"
#include "util/list.h"

#include <stdlib.h>
#include <string.h>

struct port {
	struct list link;
	struct addr address;
	struct listener *listener;
};

struct ports {
	struct list list;
	struct loop **loops;
	unsigned count;
	struct smtp_server *server;
};

struct ports *
ports_new(struct loop **loops, unsigned count, struct smtp_server *server)
{
	struct ports *p = xcalloc(1, sizeof *p);

	list_init(&p->list);
	p->loops = loops;
	p->count = count;
	p->server = server;
	return p;
}

static struct port *
find(const struct list *list, const struct addr *a)
{
	list_each(l, list) {
		struct port *port = list_entry(l, struct port, link);

		if (port->address.len == a->len && port->address.dual == a->dual &&
		    memcmp(&port->address.u, &a->u, a->len) == 0)
			return port;
	}
	return NULL;
}

/* The list changes only while the main thread waits for the loop. */
bool
ports_have(const struct ports *p, const struct addr *address)
{
	return find(&p->list, address) != NULL;
}

/* The listener's end: ARG was what its connections came with. */
static void
close_port(struct port *port)
{
	struct smtp_listener *l = listener_set_arg(port->listener, NULL);

	listener_free(&port->listener);
	smtp_listener_free(&l);
	free(port);
}

static void
open_port(struct ports *p, const struct addr *a, struct sockets *fresh, struct smtp_listener *l)
{
	struct socket_place *place = sockets_find(fresh, a);
	struct port *port = xcalloc(1, sizeof *port);

	check(place != NULL && place->fd >= 0);
	port->address = *a;
	port->listener = listener_new(place->fd, p->loops, p->count, &smtp_listener_owner, l);
	place->fd = -1;
	list_append(&p->list, &port->link);
	listener_start(port->listener);
}

void
ports_apply(struct ports *p, const struct settings *settings, struct sockets *fresh, struct tls_ctx *tls)
{
	const struct listener_settings *ls;
	struct smtp_listener *l;
	struct list old;
	unsigned i, k;

	list_init(&old);
	while (!list_empty(&p->list)) {
		struct list *link = p->list.next;

		list_remove(link);
		list_append(&old, link);
	}
	for (i = 0; i < settings->listener_count; i++)
		for (ls = &settings->listener[i], k = 0; k < ls->address_count; k++) {
			struct port *kept = find(&old, &ls->address[k]);

			l = smtp_listener_new(p->server, settings, ls, tls);
			if (kept == NULL) {
				open_port(p, &ls->address[k], fresh, l);
				continue;
			}
			list_remove(&kept->link);
			list_append(&p->list, &kept->link);
			l = listener_set_arg(kept->listener, l);
			smtp_listener_free(&l);
		}
	list_each_safe(gone, &old) {
		struct port *port = list_entry(gone, struct port, link);

		listener_stop(port->listener);
		listener_accept_all(port->listener);
		list_remove(gone);
		close_port(port);
	}
}

void
ports_stop(struct ports *p)
{
	list_each(l, &p->list)
		listener_stop(list_entry(l, struct port, link)->listener);
}

void
ports_free(struct ports **ports)
{
	struct ports *p = *ports;

	if (p == NULL)
		return;
	list_each_safe(l, &p->list) {
		list_remove(l);
		close_port(list_entry(l, struct port, link));
	}
	free(p);
	*ports = NULL;
}

/* SPDX-License-Identifier: MIT */
/* Logging in at a next hop (RFC 4954), where its route names a secret. */
#ifndef TMAIL_DELIVERY_LOGIN_H
#define TMAIL_DELIVERY_LOGIN_H

struct conn;

/* In the connection's task, behind the last EHLO: SCRAM-SHA-256 where it is offered, else PLAIN or LOGIN, these under
 * TLS or to an address of this machine only. -1 with c->err: mail waits for a hop that takes our login. */
int conn_login(struct conn *c);

#endif

/* SPDX-License-Identifier: MIT */
/* A conversation with the gateway's admin socket. */
#ifndef TMAIL_CLI_CONNECTION_H
#define TMAIL_CLI_CONNECTION_H

#include "cli/cli.h"
#include "util/buf.h"

struct connection {
	int fd;
	struct buf in;
	size_t used; /* bytes of IN that were handed out */
};

/* Connects to the socket of --socket, of the file of -c, of TMAIL_SOCKET or the default one. CLI_OK, or the status to
 * exit with after an explanation on standard error. connection_close() in either case. */
enum cli_exit connection_open(struct connection *c, const struct cli *cli);
void connection_close(struct connection *c);

/* Sends the request COMMAND with ARGS (borrowed), then calls FN for each result (borrowed). CLI_OK when the gateway
 * said ok; otherwise its reason is on standard error. FN may be NULL. */
enum cli_exit connection_ask(struct connection *c, const char *command, json_t *args,
    void (*fn)(json_t *result, void *arg), void *arg);

/* The configuration that -c names, or the default one; NULL: there is none. */
const char *cli_configuration(const struct cli *cli);

/* The two above for a command that asks once, with its own request and arguments. */
enum cli_exit cli_ask(struct cli *cli, void (*fn)(json_t *result, void *arg), void *arg);

#endif

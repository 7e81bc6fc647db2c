/* SPDX-License-Identifier: MIT */
#include "cli/connection.h"

#include "directory/settings.h"
#include "util/err.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	SILENCE_MS = 30000, /* a gateway at work says something every few seconds */
	LINE_MAX_BYTES = 64 << 20,
};

/* The socket that the configuration FILE names. */
static enum cli_exit
socket_of_file(const char *file, struct buf *path)
{
	struct settings *settings;
	struct buf errors = { 0 };

	if (settings_load(&settings, file, &errors) < 0) {
		cli_error(CLI_USAGE, "%s cannot be used:\n%s", file, buf_str(&errors));
		buf_fini(&errors);
		return CLI_USAGE;
	}
	buf_fini(&errors);
	buf_adds(path, settings->admin.socket);
	settings_free(&settings);
	return CLI_OK;
}

const char *
cli_configuration(const struct cli *cli)
{
	static const char *const files[] = { TMAIL_SYSCONFDIR "/tmail/tmail.conf", "/etc/tmail/tmail.conf" };
	size_t i;

	if (cli_value(cli, "--config") != NULL)
		return cli_value(cli, "--config");
	for (i = 0; i < sizeof files / sizeof *files; i++)
		if (access(files[i], R_OK) == 0)
			return files[i];
	return NULL;
}

/* Of an installed gateway; who may not read its configuration may still be let in by the socket. */
static enum cli_exit
default_socket(const struct cli *cli, struct buf *path)
{
	const char *file = cli_configuration(cli);

	if (file != NULL)
		return socket_of_file(file, path);
	buf_adds(path, TMAIL_STATEDIR "/admin.sock");
	return CLI_OK;
}

static enum cli_exit
find_socket(const struct cli *cli, struct buf *path)
{
	const char *env = getenv("TMAIL_SOCKET");

	if (cli_value(cli, "--socket") != NULL) {
		buf_adds(path, cli_value(cli, "--socket"));
	} else if (cli_value(cli, "--config") != NULL) {
		return socket_of_file(cli_value(cli, "--config"), path);
	} else if (env != NULL && *env != '\0') {
		buf_adds(path, env);
	} else {
		return default_socket(cli, path);
	}
	return CLI_OK;
}

static enum cli_exit
connect_to(struct connection *c, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof un.sun_path)
		return cli_error(CLI_USAGE, "%s is too long for a socket's name", path);
	memcpy(un.sun_path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&un, sizeof un) < 0)
		return cli_error(CLI_UNREACHABLE, "cannot reach tmaild at %s: %s (-c FILE or --socket PATH name another)", path,
		    strerror(errno));
	return CLI_OK;
}

enum cli_exit
connection_open(struct connection *c, const struct cli *cli)
{
	struct buf path = { 0 };
	enum cli_exit rc;

	*c = (struct connection){ .fd = -1 };
	rc = find_socket(cli, &path);
	if (rc == CLI_OK)
		rc = connect_to(c, buf_str(&path));
	buf_fini(&path);
	return rc;
}

void
connection_close(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	buf_fini(&c->in);
}

static int
send_all(int fd, const char *p, size_t n)
{
	ssize_t r;

	while (n > 0) {
		r = send(fd, p, n, MSG_NOSIGNAL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static enum cli_exit
receive(struct connection *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n;

	buf_drop(&c->in, c->used);
	c->used = 0;
	if (c->in.len > LINE_MAX_BYTES)
		return cli_error(CLI_FAILED, "tmaild's answer makes no sense");
	if (poll(&p, 1, SILENCE_MS) == 0)
		return cli_error(CLI_UNREACHABLE, "tmaild does not answer");
	n = recv(c->fd, buf_reserve(&c->in, 65536), 65536, 0);
	if (n > 0) {
		c->in.len += (size_t)n;
		return CLI_OK;
	}
	if (n < 0 && errno == EINTR)
		return CLI_OK;
	return cli_error(CLI_UNREACHABLE, "tmaild ended the connection%s%s", n < 0 ? ": " : "",
	    n < 0 ? strerror(errno) : "");
}

/* The next line as a value of the caller's, or NULL with *RC. */
static json_t *
next_line(struct connection *c, enum cli_exit *rc)
{
	struct err err;
	json_t *line;
	char *end;
	size_t n;

	while (c->in.len == c->used || (end = memchr(c->in.data + c->used, '\n', c->in.len - c->used)) == NULL) {
		*rc = receive(c);
		if (*rc != CLI_OK)
			return NULL;
	}
	n = (size_t)(end - (c->in.data + c->used));
	line = json_from_line(c->in.data + c->used, n, &err);
	c->used += n + 1;
	if (line == NULL)
		*rc = cli_error(CLI_FAILED, "tmaild's answer makes no sense: %s", err.text);
	return line;
}

/* What the gateway refused, as an exit status. */
static enum cli_exit
refused(const json_t *error)
{
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *text = json_string_value(json_object_get(error, "text"));

	if (code != NULL && (strcmp(code, "bad-request") == 0 || strcmp(code, "unknown-command") == 0))
		return cli_error(CLI_USAGE, "%s", text == NULL ? code : text);
	if (code != NULL && strcmp(code, "not-found") == 0)
		return cli_error(CLI_NOTHING, "%s", text == NULL ? code : text);
	return cli_error(CLI_FAILED, "%s", text == NULL ? "tmaild refused" : text);
}

static enum cli_exit
read_answer(struct connection *c, void (*fn)(json_t *result, void *arg), void *arg)
{
	enum cli_exit rc = CLI_OK;
	json_t *line, *result, *error;
	bool last = false;

	while (!last && (line = next_line(c, &rc)) != NULL) {
		result = json_object_get(line, "result");
		error = json_object_get(line, "error");
		if (error != NULL)
			rc = refused(error);
		else if (result != NULL && fn != NULL)
			fn(result, arg);
		last = error != NULL || json_object_get(line, "ok") != NULL;
		json_decref(line);
	}
	return rc;
}

enum cli_exit
connection_ask(struct connection *c, const char *command, json_t *args, void (*fn)(json_t *result, void *arg),
    void *arg)
{
	json_t *request = json_pack("{s:s,s:O}", "command", command, "args", args);
	struct buf line = { 0 };
	int sent;

	json_to_line(request, &line);
	json_decref(request);
	sent = send_all(c->fd, line.data, line.len);
	buf_fini(&line);
	/* A gateway that refuses the connection says why before it closes: read even when sending failed. */
	if (sent < 0 && errno != EPIPE && errno != ECONNRESET)
		return cli_error(CLI_UNREACHABLE, "cannot ask tmaild: %s", strerror(errno));
	return read_answer(c, fn, arg);
}

enum cli_exit
cli_ask(struct cli *cli, void (*fn)(json_t *result, void *arg), void *arg)
{
	struct connection c;
	enum cli_exit rc = connection_open(&c, cli);

	if (rc == CLI_OK)
		rc = connection_ask(&c, cli->command->request, cli->args, fn, arg);
	connection_close(&c);
	return rc;
}

/* SPDX-License-Identifier: MIT */
/* bench-idle PORT COUNT [tls]: opens COUNT sessions, greets on each, then keeps them silent until its standard input
 * ends. Prints "ready COUNT" when all have been answered. Sessions are spread over source addresses of 127.0.0.0/8 so
 * that ports never run out. */
#include "secure.h"

#include <stdbool.h>

static SSL_CTX *tls_context; /* NULL: plain */

static ssize_t
receive(int fd, SSL *ssl, char *p, size_t size)
{
	return ssl != NULL ? SSL_read(ssl, p, (int)size) : recv(fd, p, size, 0);
}

static bool
say(int fd, SSL *ssl, const char *p, size_t n)
{
	return ssl != NULL ? SSL_write(ssl, p, (int)n) > 0 : send(fd, p, n, 0) >= 0;
}

static int
open_session(long port, long index)
{
	static const char ehlo[] = "EHLO idle.example\r\n";
	struct sockaddr_in to = loopback(port), from = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char reply[4096];
	SSL *ssl = NULL;
	ssize_t n;

	from.sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)(index / 1000));
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		die("connect");
	if (tls_context != NULL)
		ssl = secure_connect(tls_context, fd);
	n = receive(fd, ssl, reply, sizeof reply);
	if (n < 4 || memcmp(reply, "220", 3) != 0) {
		fprintf(stderr, "session %ld: refused: %.*s", index, (int)(n > 0 ? n : 0), reply);
		exit(1);
	}
	if (!say(fd, ssl, ehlo, sizeof ehlo - 1) || (n = receive(fd, ssl, reply, sizeof reply)) < 4 ||
	    memcmp(reply, "250", 3) != 0) {
		fprintf(stderr, "session %ld: EHLO was not answered\n", index);
		exit(1);
	}
	return fd;
}

int
main(int argc, char **argv)
{
	char c;
	long count;

	if (argc != 3 && (argc != 4 || strcmp(argv[3], "tls") != 0)) {
		fprintf(stderr, "usage: bench-idle PORT COUNT [tls]\n");
		return 2;
	}
	prepare_process();
	if (argc == 4)
		tls_context = secure_context();
	count = number(argv[2], 1);
	for (long i = 0; i < count; i++)
		open_session(number(argv[1], 1), i);
	printf("ready %ld\n", count);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}

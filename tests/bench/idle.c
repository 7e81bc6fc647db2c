/* SPDX-License-Identifier: MIT */
/* bench-idle PORT COUNT: opens COUNT sessions, greets on each, then keeps them silent until its standard input
 * ends. Prints "ready COUNT" when all have been answered. Sessions are spread over source addresses of 127.0.0.0/8 so
 * that ports never run out. */
#include "bench.h"

static int
open_session(long port, long index)
{
	static const char ehlo[] = "EHLO idle.example\r\n";
	struct sockaddr_in to = loopback(port), from = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char reply[4096];
	ssize_t n;

	from.sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)(index / 1000));
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		die("connect");
	n = recv(fd, reply, sizeof reply, 0);
	if (n < 4 || memcmp(reply, "220", 3) != 0) {
		fprintf(stderr, "session %ld: refused: %.*s", index, (int)(n > 0 ? n : 0), reply);
		exit(1);
	}
	if (send(fd, ehlo, sizeof ehlo - 1, 0) < 0 || (n = recv(fd, reply, sizeof reply, 0)) < 4 ||
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

	if (argc != 3) {
		fprintf(stderr, "usage: bench-idle PORT COUNT\n");
		return 2;
	}
	prepare_process();
	count = number(argv[2], 1);
	for (long i = 0; i < count; i++)
		open_session(number(argv[1], 1), i);
	printf("ready %ld\n", count);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}

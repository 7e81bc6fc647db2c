/* SPDX-License-Identifier: MIT */
/* The real SMTP server on one loop, with a spool and settings that do what a test says. */
#ifndef TMAIL_TESTS_SMTP_FIXTURE_H
#define TMAIL_TESTS_SMTP_FIXTURE_H

#include "directory/settings.h"
#include "smtp/server.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the spool has taken; strings are owned by the fixture. */
struct taken {
	struct taken *next;
	char *sender;
	char *rcpts; /* "a@x,b@x" */
	char *content;
	size_t len;
	uint32_t flags;
	bool blob;
};

/* The spool's behaviour. Set before the server runs, or change at rest. */
struct fake_spool {
	bool admit_fails, commit_fails;
	bool blob_begin_fails, blob_append_fails, blob_end_fails;
	uint64_t charge_limit; /* of one message; 0: none */
	bool commit_waits;     /* until commit_go is set */
	bool commit_go, committing;
	unsigned blobs;        /* begun and neither committed nor dropped */
	struct taken *taken;   /* the latest first */
	unsigned count;
};

struct fixture {
	struct settings settings; /* example.net is ours, example.org is routed for those who may relay */
	struct listener_settings listener_settings;
	struct smtp_listener listener;
	struct loop *loop;
	struct smtp_server *server;
	pthread_t thread;
};

extern struct fake_spool fake_spool;

/* Fills the settings with generous limits and forgets what the spool took; the caller may change them. */
void fixture_init(struct fixture *f);

/* Makes loop and server. Then either fixture_start() or loop_run() by the caller. */
void fixture_open(struct fixture *f);
void fixture_start(struct fixture *f);

/* A client's end of a connection from 192.0.2.1. The server's end is handed over as soon as the loop runs. */
int fixture_connect(struct fixture *f);

/* Ends what is left. */
void fixture_close(struct fixture *f);

#endif

/* SPDX-License-Identifier: MIT */
/* The verbs of the server: one row each says when it may come, how it is parsed, which filters are asked, what it
 * does. A command goes parse -> filters of its stage -> act; whoever refuses it has replied. */
#ifndef TMAIL_SMTP_VERBS_H
#define TMAIL_SMTP_VERBS_H

#include "mail/address.h"
#include "mail/bdat.h"
#include "mail/command.h"
#include "mail/params.h"
#include "smtp/session.h"

#include <stdbool.h>
#include <stddef.h>

/* A command line on its way through its row. Slices are of the line: valid until the session parks. */
struct call {
	const struct verb *verb;
	struct command line;
	struct address path; /* MAIL, RCPT; text NULL: not parsed */
	union {
		struct mail_params mail;
		struct rcpt_params rcpt;
	} params;
};

enum verb_flag {
	VERB_AFTER_HELO = 1 << 0, /* RFC 5321 4.1.4: a session begins with EHLO or HELO, else 503 */
	VERB_IN_MAIL = 1 << 1,    /* RFC 5321 4.1.4: RCPT and DATA need a transaction, else 503 */
	VERB_NOT_IN_MAIL = 1 << 2, /* RFC 5321 4.1.4: MAIL inside a transaction is 503 */
	VERB_NO_ARGS = 1 << 3,    /* RFC 5321 4.1.1: an argument is 501 */
	VERB_ARGS = 1 << 4,       /* no argument is 501 */
	VERB_PLAIN = 1 << 5,      /* RFC 3207 4: allowed before STARTTLS where the listener requires TLS */
	VERB_LONG = 1 << 6,       /* RFC 5321 4.5.3.1.4: 512 octets, more where extensions add parameters */
	VERB_LOGGED = 1 << 7,     /* a refusal is a decision about mail: logged */
	VERB_OCTETS = 1 << 9,     /* octets follow the line, which have to be read before it is refused: checked by act */
	VERB_AUTH = 1 << 10,      /* RFC 4954 6: 530 before AUTH where the listener requires it */
	VERB_LINE_OF_AUTH = 1 << 11, /* RFC 4954 4: long enough for an initial response */
	VERB_NOT_SMTP = 1 << 8,   /* of another protocol: a browser or proxy was talked into sending it */
};

struct verb {
	const char *name;
	unsigned flags;
	enum smtp_stage stage; /* whose filters are asked between parse and act */
	int (*parse)(struct session *s, struct call *call); /* -1: refused, replied. NULL: nothing to parse */
	void (*act)(struct session *s, struct call *call);
	const char *help;
};

/* Carries out one command line (without its CRLF); at least one reply was added. */
void verbs_run(struct session *s, const char *line, size_t n);

/* Why V may not be said now; code 0: it may. */
struct refusal verb_out_of_order(const struct session *s, const struct verb *v);

/* In either case; NULL: unknown. */
const struct verb *verb_find(const char *name, size_t n);

/* The table, ended by a row without a name. */
extern const struct verb verbs[];

/* cmd_helo.c */
int helo_parse(struct session *s, struct call *call);
void helo_act(struct session *s, struct call *call);
void ehlo_act(struct session *s, struct call *call);
bool helo_valid(const char *name, size_t n);

/* cmd_mail.c */
int mail_parse(struct session *s, struct call *call);
void mail_act(struct session *s, struct call *call);

/* cmd_rcpt.c */
int rcpt_parse(struct session *s, struct call *call);
void rcpt_act(struct session *s, struct call *call);

/* cmd_data.c */
void data_act(struct session *s, struct call *call);
void data_commit(struct session *s, const struct content *c); /* C is whole; the session is parked, then no more */

/* cmd_bdat.c */
void bdat_act(struct session *s, struct call *call);

/* cmd_misc.c */
void rset_act(struct session *s, struct call *call);
void noop_act(struct session *s, struct call *call);
void vrfy_act(struct session *s, struct call *call);
void help_act(struct session *s, struct call *call);
void quit_act(struct session *s, struct call *call);
void unimplemented_act(struct session *s, struct call *call);
void not_smtp_act(struct session *s, struct call *call);

/* cmd_auth.c */
bool auth_is_to_be_had(const struct session *s);
void auth_add_offer(struct session *s, struct buf *out); /* "\nAUTH PLAIN ...", or nothing where it is not to be had */
void auth_act(struct session *s, struct call *call);
void auth_answer(struct session *s, const char *line, size_t n);
void auth_line_too_long(struct session *s);
void auth_exchange_free(struct auth_exchange **exchange);

/* cmd_starttls.c */
void starttls_act(struct session *s, struct call *call);

/* cmd_xclient.c */
void xclient_act(struct session *s, struct call *call);
void xforward_act(struct session *s, struct call *call);
const char *xclient_offered(const struct session *s); /* their lines in the reply to EHLO, each behind a newline */

#endif

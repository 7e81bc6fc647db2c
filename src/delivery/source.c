/* SPDX-License-Identifier: MIT */
#include "delivery/source.h"

#include "directory/settings.h"
#include "util/check.h"
#include "util/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
sources_init(struct sources *s, const struct source_settings *conf)
{
	memset(s, 0, sizeof(*s));
	if (conf == NULL)
		return;
	s->conf = conf;
	s->count = conf->address_count;
	s->source = xcalloc(s->count, sizeof(*s->source));
	for (unsigned i = 0; i < s->count; i++) {
		s->source[i].conf = &conf->address[i];
		s->source[i].usable = true;
	}
}

void
sources_apply(struct sources *s, const struct source_settings *conf)
{
	check((conf != NULL ? conf->address_count : 0) == s->count);
	s->conf = conf;
	for (unsigned i = 0; i < s->count; i++)
		s->source[i].conf = &conf->address[i];
}

void
sources_fini(struct sources *s)
{
	free(s->source);
	memset(s, 0, sizeof(*s));
}

/* 0, or an errno. */
static int
try_to_bind(const struct addr *a)
{
	int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? 0 : errno; /* not the address's fault */
	if (bind(fd, &a->u.sa, a->len) < 0)
		error = errno;
	close(fd);
	return error;
}

static void
look(const struct sources *s, struct source *source, uint64_t now)
{
	char ip[ADDR_TEXT];
	bool before = source->usable;
	struct log_record r;
	int error;

	if (now < source->look_at)
		return;
	source->look_at = now + SOURCE_LOOK;
	error = try_to_bind(&source->conf->address);
	source->usable = error == 0;
	if (source->usable == before)
		return;
	log_begin(&r, source->usable ? LOG_INFO : LOG_WARN, source->usable ? "source-usable" : "source-unusable");
	log_str(&r, "source", s->conf->name);
	log_str(&r, "address", addr_ip_text(&source->conf->address, ip));
	log_str(&r, "reason", error != 0 ? strerror(error) : NULL);
	log_end(&r);
}

uint64_t
source_bit(const struct sources *s, const struct source *source)
{
	return 1ull << (source - s->source);
}

static bool
is_candidate(const struct sources *s, const struct source *source, int family, uint64_t avoid)
{
	return source->conf->address.u.sa.sa_family == family && source->usable && (source_bit(s, source) & avoid) == 0;
}

/* As next hops take turns. */
static struct source *
choose(struct sources *s, int family, uint64_t avoid)
{
	struct source *chosen = NULL;
	int64_t total = 0;

	for (unsigned i = 0; i < s->count; i++) {
		struct source *source = &s->source[i];

		if (!is_candidate(s, source, family, avoid))
			continue;
		if (s->conf->balance == BALANCE_FAILOVER)
			return source;
		source->credit += source->conf->weight;
		total += source->conf->weight;
		if (chosen == NULL || source->credit > chosen->credit)
			chosen = source;
	}
	if (chosen != NULL)
		chosen->credit -= total;
	return chosen;
}

struct source *
sources_choose(struct sources *s, int family, uint64_t avoid, uint64_t now)
{
	struct source *chosen;

	for (unsigned i = 0; i < s->count; i++)
		if (s->source[i].conf->address.u.sa.sa_family == family)
			look(s, &s->source[i], now);
	chosen = choose(s, family, avoid);
	return chosen != NULL || avoid == 0 ? chosen : choose(s, family, 0);
}

bool
sources_have_other(const struct sources *s, const struct source *source, uint64_t avoid)
{
	for (unsigned i = 0; i < s->count; i++)
		if (is_candidate(s, &s->source[i], source->conf->address.u.sa.sa_family, avoid) && &s->source[i] != source)
			return true;
	return false;
}

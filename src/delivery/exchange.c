/* SPDX-License-Identifier: MIT */
#include "delivery/exchange.h"

#include "delivery/conn.h"
#include "delivery/own.h"
#include "delivery/schedule.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "dns/host.h"
#include "dns/mx.h"
#include "net/loop.h"
#include "net/task.h"
#include "spool/spool.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SMTP_PORT = 25,
	ASK_TIME = 60 * 1000,       /* all questions about one domain together */
	AGAIN_MIN = 5 * 1000,       /* TTLs below and above these are not believed */
	AGAIN_MAX = 60 * 60 * 1000,
	SPECS_MAX = SETTINGS_HOPS_MAX + MX_MAX,
	REASON_TEXT = 256,
};

struct exchange {
	const char *domain;    /* of recipients, in the queue's key; NULL: what the configuration names */
	bool asking;
	struct task *task;     /* that asks, */
	const struct settings *settings; /* and what it began with: a reference */
	bool refusing;         /* nothing leads there: mail goes back */
	uint64_t again_at;     /* 0: at once */
	unsigned failures;     /* in a row */
	int64_t trouble_at;    /* wall seconds */
	const char *status;    /* RFC 3463, of a refusal */
	char reason[REASON_TEXT];
	char name[HOP_TEXT];
};

/* What a look at the DNS brings together. */
struct finding {
	struct site *site;
	struct arena *arena;   /* names in spec */
	struct hop_spec spec[SPECS_MAX];
	unsigned count;
	uint32_t ttl;
	uint64_t deadline;
	bool temporary;
	const char *status;    /* what is permanent */
	char reason[REASON_TEXT];
	struct mx mx;
	struct host host;
};

struct exchange *
exchange_new(struct site *site)
{
	const struct route_settings *route = site->route;
	struct exchange *x;
	unsigned i, n = 0;

	if (route == NULL)
		return NULL;
	for (i = 0; i < route->hop_count; i++)
		n += route->hop[i].kind == NEXT_HOP_MX;
	if (n == 0 && route->hop_count > 0)
		return NULL;
	x = xcalloc(1, sizeof(*x));
	x->domain = settings_key_domain(route, queue_key(site->queue));
	for (i = 0; i < route->hop_count && route->hop[i].kind != NEXT_HOP_MX; i++)
		;
	if (x->domain != NULL)
		snprintf(x->name, sizeof(x->name), "mx:%s:%d", x->domain, SMTP_PORT);
	else
		hop_text(&route->hop[i], x->name);
	return x;
}

void
exchange_free(struct exchange **x)
{
	free(*x);
	*x = NULL;
}

/* ---- what there is ---- */

static void
not_now(struct finding *f, const char *reason)
{
	f->temporary = true;
	snprintf(f->reason, sizeof(f->reason), "%s", reason);
}

/* What the configuration names is waited for: a mistake there must not send mail back. Only what recipients' domains
 * say of themselves, and a loop, are final. */
static void
never(struct finding *f, const char *status, bool always, const char *fmt, const char *what)
{
	char text[REASON_TEXT];

	snprintf(text, sizeof(text), fmt, what);
	if (!always && f->site->exchange->domain == NULL) {
		not_now(f, text);
		return;
	}
	f->status = status;
	memcpy(f->reason, text, sizeof(text));
}

static void
see_ttl(struct finding *f, uint32_t ttl)
{
	if (ttl < f->ttl)
		f->ttl = ttl;
}

static bool
has_spec(const struct finding *f, const char *host, uint16_t port)
{
	for (unsigned i = 0; i < f->count; i++)
		if (f->spec[i].host != NULL && f->spec[i].port == port && strcmp(f->spec[i].host, host) == 0)
			return true;
	return false;
}

static bool
is_own_host(const struct finding *f)
{
	for (unsigned i = 0; i < f->host.count; i++)
		if (own_address(f->site->exchange->settings, &f->host.addr[i]))
			return true;
	return false;
}

/* The exchangers before CUT are further on the way than we are (RFC 5321 5.1). Those that do not exist are left out;
 * those that are not known now stay, and connecting to them will tell. Returns how many are of use. */
static unsigned
take_hosts(struct finding *f, unsigned cut, unsigned place, uint16_t port)
{
	const struct route_settings *route = f->site->route;
	unsigned taken = 0, rank = 0;

	for (unsigned i = 0; i < cut; i++) {
		const struct mx_host *host = &f->mx.host[i];

		if (i > 0 && host->preference != host[-1].preference)
			rank++;
		host_lookup(host->name, port, 0, f->deadline, &f->host);
		if (f->host.status == DNS_NXDOMAIN || f->host.status == DNS_NODATA)
			continue;
		if (f->count == SPECS_MAX || has_spec(f, host->name, port))
			continue;
		f->spec[f->count++] = (struct hop_spec){ .host = arena_strdup(f->arena, host->name),
			.port = port, .weight = 1, .tier = hop_tier(route, place, rank) };
		taken++;
	}
	return taken;
}

/* How many exchangers stand before us in the order: all, where we are none of them. */
static unsigned
find_cut(struct finding *f, uint16_t port)
{
	unsigned i, cut;

	for (i = 0; i < f->mx.count; i++)
		dns_prefetch_addresses(f->mx.host[i].name);
	for (i = 0; i < f->mx.count; i++) {
		if (own_name(f->site->exchange->settings, f->mx.host[i].name))
			break;
		host_lookup(f->mx.host[i].name, port, 0, f->deadline, &f->host);
		if (is_own_host(f))
			break;
	}
	if (i == f->mx.count)
		return i;
	for (cut = 0; f->mx.host[cut].preference < f->mx.host[i].preference; cut++)
		;
	return cut;
}

static void
expand(struct finding *f, const char *domain, uint16_t port, unsigned place)
{
	unsigned cut;

	mx_lookup(domain, f->deadline, &f->mx);
	see_ttl(f, f->mx.ttl);
	switch (f->mx.status) {
	case MX_TEMPORARY:
		not_now(f, f->mx.reason);
		return;
	case MX_NULL:
		never(f, "5.1.10", true, "%.200s takes no mail (null MX)", domain);
		return;
	case MX_NO_DOMAIN:
		never(f, "5.1.2", false, "the domain %.200s does not exist", domain);
		return;
	case MX_FOUND:
		break;
	}
	cut = find_cut(f, port);
	if (cut == 0) {
		never(f, "5.4.6", true, "mail for %.180s loops back to this gateway: it is its best mail exchanger", domain);
		return;
	}
	if (take_hosts(f, cut, place, port) > 0)
		return;
	if (f->mx.implicit)
		never(f, "5.1.2", false, "the domain %.180s has neither MX nor address", domain);
	else
		never(f, "5.4.4", false, "no mail exchanger of %.180s has an address", domain);
}

/* user@[192.0.2.1] (RFC 5321 4.1.3). */
static void
take_literal(struct finding *f, const char *literal)
{
	struct hop_spec *spec = &f->spec[0];

	if (addr_parse_literal(literal, SMTP_PORT, &spec->address) < 0)
		never(f, "5.1.2", true, "%.200s is no address", literal);
	else if (own_address(f->site->exchange->settings, &spec->address))
		never(f, "5.4.6", true, "mail for %.180s loops back to this gateway", literal);
	else {
		spec->weight = 1;
		f->count = 1;
	}
}

static void
look(struct finding *f)
{
	const struct route_settings *route = f->site->route;
	const char *domain = f->site->exchange->domain;

	f->ttl = AGAIN_MAX / 1000;
	f->deadline = site_now(f->site) + ASK_TIME;
	if (domain != NULL && *domain == '[')
		take_literal(f, domain);
	else if (domain != NULL)
		expand(f, domain, SMTP_PORT, 0);
	for (unsigned i = 0; i < route->hop_count; i++)
		if (route->hop[i].kind == NEXT_HOP_MX)
			expand(f, route->hop[i].host, route->hop[i].port, i);
		else if (f->count < SPECS_MAX)
			hop_spec_of(route, i, &f->spec[f->count++]);
}

/* ---- what follows from it ---- */

static void
log_finding(const struct site *site, enum log_level level, const char *event)
{
	struct log_record r;

	log_begin(&r, level, event);
	log_str(&r, "key", queue_key(site->queue));
	if (site->exchange->status != NULL)
		log_str(&r, "status", site->exchange->status);
	log_str(&r, "reason", site->exchange->reason);
	log_end(&r);
}

static uint64_t
clamp(uint64_t ms)
{
	return ms < AGAIN_MIN ? AGAIN_MIN : ms > AGAIN_MAX ? AGAIN_MAX : ms;
}

static void
hop_gone(struct hop *hop, void *arg)
{
	(void)arg;
	if (hop->counted)
		counter_sub(COUNTER_NEXT_HOPS_DOWN, 1);
	hop->counted = false;
	list_each_safe(link, &hop->idle)
		conn_quit(list_entry(link, struct conn, link));
}

static void
use(struct site *site, const struct finding *f)
{
	struct exchange *x = site->exchange;

	x->failures = 0;
	x->refusing = f->count == 0;
	x->status = f->status;
	x->reason[0] = '\0';
	hops_set(&site->hops, f->spec, f->count, hop_gone, NULL);
	x->again_at = site_now(site) + clamp(1000ull * f->ttl);
	if (!x->refusing)
		return;
	memcpy(x->reason, f->reason, sizeof(x->reason));
	log_finding(site, LOG_INFO, "mx-refused");
}

/* Hops that are known serve on. */
static void
put_off(struct site *site, const struct finding *f)
{
	struct exchange *x = site->exchange;
	uint64_t wait = site->hops.retry_min;

	for (unsigned i = 0; i < x->failures && wait < site->hops.retry_max; i++)
		wait *= 2;
	if (wait > site->hops.retry_max)
		wait = site->hops.retry_max;
	x->failures++;
	x->refusing = false;
	x->status = NULL;
	x->trouble_at = clock_wall();
	memcpy(x->reason, f->reason, sizeof(x->reason));
	x->again_at = site_now(site) + schedule_jitter(wait);
	log_finding(site, LOG_WARN, "mx-unknown");
}

static void
ask(void *arg)
{
	struct site *site = arg;
	struct finding *f = xcalloc(1, sizeof(*f));

	site->exchange->task = task_self();
	f->site = site;
	f->arena = arena_new(0);
	look(f);
	/* A refusal needs certainty about everything; one usable hop does not. */
	if (task_cancelled())
		site->exchange->again_at = 0;
	else if (f->count == 0 && f->temporary)
		put_off(site, f);
	else
		use(site, f);
	arena_free(&f->arena);
	free(f);
	site->exchange->task = NULL;
	site->exchange->asking = false;
	settings_unref(&site->exchange->settings);
	atomic_fetch_sub(&site->delivery->active, 1);
	site_pump_later(site);
}

static void
refuse(void *arg)
{
	struct site *site = arg;
	const struct exchange *x = site->exchange;
	struct errand a = { 0 };
	struct entry *e;

	while (!site_is_ending(site) && x->refusing && (e = queue_take(site->queue)) != NULL) {
		if (errand_begin(&a, site, e) == 0) {
			errand_settle_all(&a, FATE_FAILED, entry_bounce_wanted(e) ? "returned by the administrator" : x->reason,
			    entry_bounce_wanted(e) ? "5.0.0" : x->status);
			errand_end(&a);
		}
		task_yield();
	}
	errand_fini(&a);
	site_work_ended(site);
}

static bool
begin_asking(struct site *site)
{
	site->exchange->asking = true;
	site->exchange->settings = settings_ref(site->settings);
	atomic_fetch_add(&site->delivery->active, 1);
	if (task_start(ask, site, "mx") == 0)
		return true;
	site->exchange->asking = false;
	settings_unref(&site->exchange->settings);
	atomic_fetch_sub(&site->delivery->active, 1);
	return false;
}

bool
exchange_ready(struct site *site)
{
	struct exchange *x = site->exchange;

	if (!x->asking && x->again_at <= site_now(site) && !begin_asking(site))
		x->again_at = site_now(site) + START_AGAIN;
	if (x->refusing && !x->asking && !site->working)
		site_work(site, refuse, "refuse");
	return site->hops.count > 0;
}

bool
exchange_waits(const struct exchange *x)
{
	return !x->asking && !x->refusing;
}

uint64_t
exchange_next(const struct exchange *x)
{
	return x->again_at;
}

const char *
exchange_trouble(const struct exchange *x)
{
	return x->reason;
}

const char *
exchange_name(const struct exchange *x)
{
	return x->name;
}

int64_t
exchange_trouble_at(const struct exchange *x)
{
	return x->trouble_at;
}

unsigned
exchange_failures(const struct exchange *x)
{
	return x->failures;
}

void
exchange_wake(struct exchange *x)
{
	if (x->failures > 0 || x->refusing)
		x->again_at = 0;
}

void
exchange_stop(struct exchange *x)
{
	if (x->task != NULL)
		task_cancel(x->task);
}

bool
exchange_of_recipients(const struct exchange *x)
{
	return x != NULL && x->domain != NULL;
}

bool
exchange_busy(const struct exchange *x)
{
	return x != NULL && x->asking;
}

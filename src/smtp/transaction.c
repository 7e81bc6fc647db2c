/* SPDX-License-Identifier: MIT */
#include "smtp/transaction.h"

#include "util/arena.h"
#include "util/check.h"
#include "util/map.h"
#include "util/str.h"
#include "net/task.h"
#include "mail/address.h"
#include "mail/params.h"
#include "directory/settings.h"
#include "spool/message.h"
#include "spool/spool.h"
#include "smtp/content.h"
#include "smtp/server.h"
#include "smtp/session.h"

#include <stdlib.h>
#include <string.h>

/* Below this many recipients a look through all of them is cheaper than a table. */
enum { SEEN_FROM = 8 };

void
mail_transaction_begin(struct session *s, const struct address *sender, const struct mail_params *params)
{
	struct arena *arena = arena_new(0);
	struct message *m = message_new(spool_next_id(session_spool(s)), &arena);
	char text[ADDR_TEXT];

	check(s->tx.m == NULL);
	memset(&s->tx, 0, sizeof s->tx);
	s->tx.m = m;
	s->tx.declared = params->has_size ? params->size : 0;
	m->sender = arena_strndup(m->arena, sender->text, sender->len);
	m->client = arena_strdup(m->arena, addr_ip_text(&s->peer, text));
	m->helo = s->helo != NULL ? arena_strdup(m->arena, s->helo) : NULL;
	if (session_settings(s)->routes_by_listener)
		m->listener = arena_strdup(m->arena, s->listener->settings->name);
	m->login = s->login != NULL ? arena_strdup(m->arena, s->login) : NULL;
	if (params->body == BODY_8BITMIME)
		m->flags |= MESSAGE_8BITMIME;
	if (params->body == BODY_BINARYMIME)
		m->flags |= MESSAGE_BINARYMIME;
	if (params->smtputf8)
		m->flags |= MESSAGE_SMTPUTF8;
	m->ret = params->ret;
	if (params->envid != NULL)
		m->envid = arena_strndup(m->arena, params->envid, params->envid_len);
	task_set_message(m->id);
}

/* The local part octet by octet, the domain in either case, as address_eq(). */
static uint64_t
hash_address(const char *address)
{
	const char *domain = address_domain(address);

	return hash_nocase(domain) ^ hash_bytes(address, strlen(address) - strlen(domain));
}

static void
seen_put(struct mail_transaction *tx, uint32_t index)
{
	uint32_t at = (uint32_t)hash_address(tx->m->rcpt[index].address) & (tx->seen_size - 1);

	while (tx->seen[at] != 0)
		at = (at + 1) & (tx->seen_size - 1);
	tx->seen[at] = index + 1;
}

/* Keeps the table at most half full. */
static void
seen_grow(struct mail_transaction *tx)
{
	uint32_t i;

	free(tx->seen);
	tx->seen_size = tx->seen_size ? tx->seen_size * 2 : 4 * SEEN_FROM;
	tx->seen = xcalloc(tx->seen_size, sizeof *tx->seen);
	for (i = 0; i < tx->m->rcpt_count; i++)
		seen_put(tx, i);
}

bool
mail_transaction_has(const struct mail_transaction *tx, const char *address)
{
	uint32_t i, at;

	if (tx->seen == NULL) {
		for (i = 0; i < tx->m->rcpt_count; i++)
			if (address_eq(tx->m->rcpt[i].address, address))
				return true;
		return false;
	}
	at = (uint32_t)hash_address(address) & (tx->seen_size - 1);
	for (; tx->seen[at] != 0; at = (at + 1) & (tx->seen_size - 1))
		if (address_eq(tx->m->rcpt[tx->seen[at] - 1].address, address))
			return true;
	return false;
}

void
mail_transaction_add(struct mail_transaction *tx, const char *address, const struct route_settings *route,
    const struct rcpt_params *params)
{
	struct message *m = tx->m;
	char key[SETTINGS_KEY_TEXT];
	struct recipient *r;

	if (m->rcpt_count == tx->rcpt_room) {
		tx->rcpt_room = tx->rcpt_room ? tx->rcpt_room * 2 : 2;
		r = arena_alloc(m->arena, tx->rcpt_room * sizeof *r);
		if (m->rcpt_count > 0)
			memcpy(r, m->rcpt, m->rcpt_count * sizeof *r);
		m->rcpt = r;
	}
	r = &m->rcpt[m->rcpt_count++];
	memset(r, 0, sizeof *r);
	r->address = arena_strdup(m->arena, address);
	r->group = message_group(m, settings_key(route, address, key));
	r->notify = params->notify;
	if (params->orcpt != NULL)
		r->orcpt = arena_strndup(m->arena, params->orcpt, params->orcpt_len);
	if (tx->seen != NULL && m->rcpt_count * 2 <= tx->seen_size)
		seen_put(tx, m->rcpt_count - 1);
	else if (tx->seen != NULL || m->rcpt_count > SEEN_FROM)
		seen_grow(tx);
}

void
mail_transaction_end(struct mail_transaction *tx)
{
	content_free(&tx->chunks, "the transaction was broken off");
	if (tx->m != NULL)
		message_unref(&tx->m);
	free(tx->seen);
	memset(tx, 0, sizeof *tx);
	if (task_self() != NULL)
		task_set_message(0);
}

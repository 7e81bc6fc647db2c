/* SPDX-License-Identifier: MIT */
#include "control/reload.h"
#include "control/certificates.h"
#include "control/log_target.h"
#include "control/supervisor.h"
#include "control/systemd.h"
#include "directory/settings.h"
#include "util/archive.h"
#include "util/check.h"
#include "util/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BIND_TRIES = 3 };

void
reload_init(struct reload *r, struct worker_config *now, int original_stderr)
{
	memset(r, 0, sizeof *r);
	r->now = now;
	r->original_stderr = original_stderr;
	r->log_fd = -1;
}

/* What was prepared and did not come into force. */
static void
give_up(struct reload *r)
{
	settings_free(&r->next);
	archive_free(&r->files);
	sockets_refuse(&r->sockets);
	keyring_fini(&r->ring);
	if (r->log_fd >= 0)
		close(r->log_fd);
	r->log_fd = -1;
	r->serial = 0;
	r->only_keys = false;
}

void
reload_fini(struct reload *r)
{
	give_up(r);
	buf_fini(&r->remarks);
}

/* ---- telling ---- */

static void
log_lines(enum log_level level, const char *event, const char *lines)
{
	char *copy = xstrdup(lines), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			log_event(level, event, "%s", line);
	free(copy);
}

static void
answer(struct reload *r, struct supervisor *s, const char *word)
{
	struct buf text = { 0 };
	unsigned i;

	buf_printf(&text, "%s\n", word);
	buf_add(&text, r->remarks.data, r->remarks.len);
	for (i = 0; i < r->askers && supervisor_channel(s) >= 0; i++)
		channel_send(supervisor_channel(s), CHANNEL_ANSWER, r->asker[i], buf_str(&text), -1, NULL);
	r->askers = 0;
	r->remarks.len = 0;
	buf_fini(&text);
	systemd_ready();
}

static void
refuse(struct reload *r, struct supervisor *s)
{
	log_lines(LOG_ERROR, "reload-refused", buf_str(&r->remarks));
	log_event(LOG_ERROR, "reload-refused", "nothing was changed: the configuration in force stays in force");
	give_up(r);
	answer(r, s, "refused");
}

/* ---- preparing ---- */

static void
remark_kept(const char *name, const char *old, const char *wanted, void *arg)
{
	buf_printf(arg, "%s stays %s until tmaild is started again (%s in the file)\n", name, old, wanted);
}

static int
load(struct reload *r)
{
	if (r->now->path == NULL) {
		buf_adds(&r->remarks, "the demonstration has no file to read again\n");
		return -1;
	}
	r->files = archive_new();
	return settings_load_recorded(&r->next, r->now->path, r->files, &r->remarks);
}

static int
prepare(struct reload *r)
{
	struct err err;

	r->remarks.len = 0;
	if (load(r) < 0)
		return -1;
	settings_keep(r->next, r->now->settings, remark_kept, &r->remarks);
	if (certificates_read(&r->ring, r->next, &r->now->credentials.ring, &err) < 0 ||
	    (r->log_fd = log_target_open(r->next, r->original_stderr, &err)) < 0 ||
	    sockets_bind(&r->sockets, &r->now->sockets, r->next, BIND_TRIES, &err) < 0) {
		r->remarks.len = 0;
		buf_printf(&r->remarks, "%s\n", err.text);
		return -1;
	}
	sockets_compare(&r->now->sockets, &r->sockets, &r->remarks);
	return 0;
}

/* ---- handing over ---- */

static int
send_keys(const struct reload *r, int channel, struct err *err)
{
	struct buf bytes = { 0 };
	int rc;

	keyring_encode(&r->ring, &bytes);
	rc = channel_send_data(channel, CHANNEL_KEYS, "", &bytes, err);
	keyring_wipe(&bytes);
	return rc;
}

static int
send_files(const struct reload *r, int channel, struct err *err)
{
	struct buf bytes = { 0 };
	int rc;

	archive_encode(r->files, &bytes);
	rc = channel_send_data(channel, CHANNEL_FILES, r->now->path, &bytes, err);
	keyring_wipe(&bytes);
	return rc;
}

static int
send_sockets(const struct reload *r, int channel, struct err *err)
{
	char text[ADDR_TEXT];
	unsigned i;

	for (i = 0; i < r->sockets.count; i++) {
		const struct socket_place *p = &r->sockets.place[i];

		if (p->fresh && channel_send(channel, CHANNEL_LISTEN, 0, addr_text(&p->address, text), p->fd, err) < 0)
			return -1;
	}
	return 0;
}

static int
send_apply(struct reload *r, int channel, struct err *err)
{
	if (++r->last == 0)
		r->last = 1;
	if (channel_send(channel, CHANNEL_APPLY, r->last, "", -1, err) < 0)
		return -1;
	r->serial = r->last;
	return 0;
}

static int
hand_over(struct reload *r, int channel, struct err *err)
{
	if (send_sockets(r, channel, err) < 0 || channel_send(channel, CHANNEL_LOG, 0, "", r->log_fd, err) < 0 ||
	    send_keys(r, channel, err) < 0 || send_files(r, channel, err) < 0)
		return -1;
	return send_apply(r, channel, err);
}

/* The worker has it, or there is none: the next one begins with it. */
static void
put_in_force(struct reload *r)
{
	struct worker_config *now = r->now;
	struct err err;

	if (credentials_apply(&now->credentials, &r->ring, &err) < 0)
		log_event(LOG_ERROR, "reload", "%s", err.text);
	if (!r->only_keys) {
		settings_free(&now->settings);
		now->settings = r->next;
		r->next = NULL;
		sockets_accept(&now->sockets, &r->sockets);
		log_target_redirect(now->settings, r->log_fd, r->original_stderr);
		if (now->log_fd > STDERR_FILENO)
			close(now->log_fd);
		now->log_fd = r->log_fd;
		r->log_fd = -1;
		log_lines(LOG_WARN, "reload", buf_str(&r->remarks));
		log_event(LOG_INFO, "reloaded", "%s", now->path);
	}
	give_up(r);
}

void
reload_begin(struct reload *r, struct supervisor *s, uint32_t asker)
{
	int channel = supervisor_channel(s);
	struct err err;

	if (r->serial != 0) {
		r->again = true;
		if (asker != 0 && r->laters < RELOAD_ASKERS_MAX)
			r->later[r->laters++] = asker;
		return;
	}
	if (asker != 0 && r->askers < RELOAD_ASKERS_MAX)
		r->asker[r->askers++] = asker;
	systemd_reloading();
	if (prepare(r) < 0) {
		refuse(r, s);
	} else if (channel < 0) {
		put_in_force(r);
		answer(r, s, "applied");
	} else if (hand_over(r, channel, &err) < 0) {
		buf_printf(&r->remarks, "%s\n", err.text);
		refuse(r, s);
	}
}

bool
reload_busy(const struct reload *r)
{
	return r->serial != 0;
}

bool
reload_keys(struct reload *r, struct supervisor *s, struct keyring *ring)
{
	int channel = supervisor_channel(s);
	struct err err;

	if (r->serial != 0)
		return false;
	r->ring = *ring;
	memset(ring, 0, sizeof *ring);
	r->only_keys = true;
	if (channel < 0)
		put_in_force(r);
	else if (send_keys(r, channel, &err) < 0 || send_apply(r, channel, &err) < 0) {
		log_event(LOG_ERROR, "certificate", "%s", err.text);
		give_up(r);
	}
	return true;
}

/* Who asked while another reload was under way: the file may have changed since. */
static void
begin_again(struct reload *r, struct supervisor *s)
{
	if (!r->again)
		return;
	r->again = false;
	memcpy(r->asker, r->later, sizeof r->later);
	r->askers = r->laters;
	r->laters = 0;
	reload_begin(r, s, 0);
}

void
reload_answered(struct reload *r, struct supervisor *s, const struct channel_message *m)
{
	if (r->serial == 0 || m->serial != r->serial)
		return;
	buf_adds(&r->remarks, m->text);
	if (m->kind == CHANNEL_APPLIED) {
		put_in_force(r);
		answer(r, s, "applied");
	} else
		refuse(r, s);
	begin_again(r, s);
}

void
reload_lost(struct reload *r)
{
	if (r->serial != 0)
		log_event(LOG_ERROR, "reload-refused", "the worker died before the configuration was in force");
	give_up(r);
	r->remarks.len = 0;
	r->askers = r->laters = 0;
	r->again = false;
}

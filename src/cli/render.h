/* SPDX-License-Identifier: MIT */
/* Text for people: aligned columns, ages, sizes; a peer's bytes never reach the terminal as they are. */
#ifndef TMAIL_CLI_RENDER_H
#define TMAIL_CLI_RENDER_H

#include "util/buf.h"
#include "util/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Appends TEXT with control characters, DEL, C1 controls, bidirectional and invisible formatting characters and bytes
 * that are no UTF-8 as \xHH or \u{HHHH}. */
void render_text(struct buf *out, const char *text);

/* The same for content: line feeds and tabs stay, the CR of a CRLF goes. N bytes, which may hold NUL. */
void render_content(struct buf *out, const char *p, size_t n);

/* "45s", "12min", "3h12m", "2d4h"; negative times as 0s. */
void render_age(struct buf *out, int64_t seconds);

/* "812", "4.2k", "1.7M", "3.0G" bytes. */
void render_size(struct buf *out, uint64_t bytes);

/* "2026-11-22 09:26:38" in local time. */
void render_time(struct buf *out, int64_t wall);

/* One value as a line on standard output. */
void render_json(const json_t *value);

/* A table whose first rows decide the widths, so that a million rows take the memory of the first ones. */
enum { TABLE_COLUMNS = 16, TABLE_KEPT = 200 };
struct table {
	const char *const *title; /* ends with NULL; a leading '>' aligns right and is not shown */
	unsigned columns;
	unsigned width[TABLE_COLUMNS];
	struct buf now[TABLE_COLUMNS]; /* the row being written */
	unsigned at;
	char *kept[TABLE_KEPT * TABLE_COLUMNS]; /* cells of rows that wait for the widths to be known */
	unsigned rows;
	bool started;
};

void table_init(struct table *t, const char *const *title);

/* The next cell of the row, empty, to be filled until the following call. */
struct buf *table_cell(struct table *t);
void table_text(struct table *t, const char *text); /* a peer's, rendered; NULL is "-" */
void table_number(struct table *t, int64_t n);

/* Ends the row; cells not asked for are empty. */
void table_row(struct table *t);

/* Prints what is kept and releases everything. An empty table prints nothing, not even titles. */
void table_end(struct table *t);

#endif

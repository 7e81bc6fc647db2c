/* SPDX-License-Identifier: MIT */
/* The kinds of values only the configuration of a mail gateway has; rows of the vocabulary use them. */
#ifndef TMAIL_DIRECTORY_SETTINGS_TYPES_H
#define TMAIL_DIRECTORY_SETTINGS_TYPES_H

#include "util/option.h"

extern const struct option_type type_host_name;   /* const char *, our own name */
extern const struct option_type type_domain;      /* const char *, lower case; ".x" means below x */
extern const struct option_type type_address;     /* struct addr to listen on */
extern const struct option_type type_network;     /* struct network */
extern const struct option_type type_next_hop;    /* struct next_hop */
extern const struct option_type type_pattern;     /* const char *: "user@dom", "@dom", "@.dom", lower case */
extern const struct option_type type_sender;      /* the same, and "" for the null sender */
extern const struct option_type type_log_target;  /* const char *: "stderr" or a path */
extern const struct option_type type_recipients;  /* enum recipient_check */
extern const struct option_type type_socket_path; /* const char *, short enough for a unix socket */

/* A size whose default is computed and that nobody wrote. */
#define SETTINGS_UNSET UINT64_MAX

/* Do both mean the same? */
struct next_hop;
bool next_hop_same(const struct next_hop *a, const struct next_hop *b);

/* Blocks with files of their own: settings_auth_words.c. */
extern const struct option auth_options[], user_options[], secret_options[];
void verify_user(void *block, const struct option_context *c);
void verify_secret(void *block, const struct option_context *c);

/* All words of the configuration. */
extern const struct option_block settings_vocabulary;

#endif

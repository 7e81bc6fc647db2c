# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/directory/password.c src/directory/password.h \
	src/directory/settings_auth.c src/directory/settings_auth.h \
	src/directory/settings_auth_words.c \
	src/directory/settings.c src/directory/settings.h \
	src/directory/settings_client.c src/directory/settings_client.h \
	src/directory/settings_fit.c src/directory/settings_fit.h \
	src/directory/settings_destination.c src/directory/settings_destination.h \
	src/directory/settings_dns.c src/directory/settings_dns.h \
	src/directory/settings_domains.c src/directory/settings_domains.h \
	src/directory/settings_route.c src/directory/settings_route.h \
	src/directory/settings_source.c src/directory/settings_source.h \
	src/directory/settings_types.c src/directory/settings_types.h \
	src/directory/settings_vocabulary.c

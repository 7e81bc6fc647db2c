# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/net/addr.c src/net/addr.h \
	src/net/connect.c \
	src/net/context.c src/net/context.h \
	src/net/digest.c src/net/digest.h \
	src/net/io.c src/net/io.h \
	src/net/keyring.c src/net/keyring.h \
	src/net/listener.c src/net/listener.h \
	src/net/loop.c src/net/loop.h src/net/loop_private.h \
	src/net/proxyproto.c src/net/proxyproto.h \
	src/net/task.c src/net/task.h \
	src/net/tls.c src/net/tls.h src/net/tls_private.h \
	src/net/tls_certificates.c \
	src/net/tls_peer.c \
	src/net/tls_identity.c src/net/tls_identity.h \
	src/net/wheel.c src/net/wheel.h \
	src/net/work.c src/net/work.h

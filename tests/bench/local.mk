# SPDX-License-Identifier: MIT
# Load programs: built by `make bench`, run by tests/bench/bench.py, no part of `make check`.
bench_programs = tests/bench/bench-sink tests/bench/bench-source tests/bench/bench-idle
EXTRA_PROGRAMS += $(bench_programs)
CLEANFILES += $(bench_programs)
tests_bench_bench_sink_SOURCES = tests/bench/sink.c tests/bench/bench.h
tests_bench_bench_source_SOURCES = tests/bench/source.c tests/bench/bench.h tests/bench/secure.h
tests_bench_bench_source_LDADD = $(OPENSSL_LIBS)
tests_bench_bench_idle_SOURCES = tests/bench/idle.c tests/bench/bench.h tests/bench/secure.h
tests_bench_bench_idle_LDADD = $(OPENSSL_LIBS)
EXTRA_DIST += tests/bench/bench.py tests/bench/accounting.py tests/bench/targets.py

.PHONY: bench
bench: all $(bench_programs)

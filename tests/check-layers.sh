#!/bin/sh
# SPDX-License-Identifier: MIT
# A folder of src/ includes only itself and folders that stand before it in `order`; headers of other people's
# libraries are included only where `library` allows; some functions are not used at all.
#
#	tests/check-layers.sh               the self-test, then the source in $srcdir
#	tests/check-layers.sh --self-test   the self-test alone: every kind of violation is found, nothing else is
set -u
export LC_ALL=C

order='util net dns mail mailauth directory policy history spool filter milter delivery smtp control cli'

# A header that is none of the system's, as a prefix, and the folders that may include it. "-" is nobody.
library='
jansson.h util
event2/ net
event2/http control
openssl/ net mailauth
curl/ net
unbound dns
idn2.h mail
libpsl.h mailauth
spf2/ mailauth
opendkim/ mailauth
sqlite3.h directory
libpq-fe.h directory spool
argon2.h directory
hiredis/ policy
libmilter/ filter
seccomp.h control
'

# The headers of C, POSIX and Linux, and the hooks of the tools that watch memory.
system='aio|arpa/.*|assert|complex|cpuid|ctype|dirent|dlfcn|elf|endian|err|errno|execinfo|fcntl|fenv|float|fnmatch|ftw|
getopt|glob|grp|immintrin|emmintrin|nmmintrin|inttypes|langinfo|libgen|limits|linux/.*|locale|malloc|math|mntent|mqueue|
net/.*|netinet/.*|nl_types|poll|pthread|pwd|regex|sanitizer/.*|sched|search|semaphore|setjmp|signal|spawn|stdalign|
stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|sys/.*|syslog|termios|threads|time|
ucontext|unistd|valgrind/.*|wchar|wctype|x86intrin'

# Each with the reason.
forbidden='
swapcontext two system calls a switch: see net/context.h
system no shell anywhere
popen no shell anywhere
getaddrinfo names are resolved by dns/, without blocking
gethostbyname names are resolved by dns/, without blocking
strcpy no bound: memcpy or buf_add
strcat no bound: buf_add
sprintf no bound: snprintf or buf_printf
vsprintf no bound: vsnprintf or buf_vprintf
gets no bound
'

# Every violation below folder $1, one line each: file:line: what. Comments do not count.
violations() {
	find "$1/src" -name '*.[ch]' | sort | order=$order library=$library system=$system forbidden=$forbidden root=$1/ \
	    xargs awk '
	BEGIN {
		root = ENVIRON["root"]
		n = split(ENVIRON["order"], folder, " ")
		for (i = 1; i <= n; i++)
			rank[folder[i]] = i
		n = split(ENVIRON["library"], row, "\n")
		for (i = 1; i <= n; i++)
			if (split(row[i], word, " ") > 1)
				allowed[word[1]] = substr(row[i], length(word[1]) + 2)
		n = split(ENVIRON["forbidden"], row, "\n")
		for (i = 1; i <= n; i++)
			if (split(row[i], word, " ") > 1)
				reason[word[1]] = substr(row[i], length(word[1]) + 2)
		system_headers = ENVIRON["system"]
		gsub(/\n/, "", system_headers)
	}
	function say(text) {
		printf "%s:%d: %s\n", name, FNR, text
	}
	# The line without comments; `inside` is kept from line to line.
	function code(line,    out, at) {
		out = ""
		while (line != "") {
			if (inside) {
				at = index(line, "*/")
				if (at == 0)
					return out
				line = substr(line, at + 2)
				inside = 0
			} else if (match(line, /"([^"\\]|\\.)*"|\/\*|\/\//)) {
				out = out substr(line, 1, RSTART - 1)
				if (substr(line, RSTART, 1) == "\"") {
					out = out substr(line, RSTART, RLENGTH)
				} else if (substr(line, RSTART, 2) == "//") {
					return out
				} else {
					inside = 1
				}
				line = substr(line, RSTART + RLENGTH)
			} else {
				return out line
			}
		}
		return out
	}
	function check_own(header,    to) {
		to = header
		if (sub(/\/.*/, "", to) == 0 || !(to in rank))
			say("\"" header "\": paths start at src/, with a folder of its order")
		else if (from != "" && rank[to] > rank[from])
			say("\"" header "\": " from "/ stands before " to "/ and cannot include from it")
	}
	function check_foreign(header,    prefix, best) {
		best = ""
		for (prefix in allowed)
			if (index(header, prefix) == 1 && length(prefix) > length(best))
				best = prefix
		if (best != "") {
			if (from == "" || index(" " allowed[best] " ", " " from " ") == 0)
				say("<" header "> is included in " allowed[best] "/ only")
		} else if (header !~ "^(" system_headers ")\\.h$")
			say("<" header "> is no header of the system, and no folder is named for it")
	}
	FNR == 1 {
		inside = 0
		name = substr(FILENAME, length(root) + 1)
		from = substr(name, 5)
		if (sub(/\/.*/, "", from) == 0)
			from = ""
		else if (!(from in rank))
			say("the folder " from "/ is not in the order")
	}
	{
		line = code($0)
		if (match(line, /^[ \t]*#[ \t]*include[ \t]*["<][^">]*/)) {
			header = substr(line, RSTART, RLENGTH)
			own = header ~ /"/
			sub(/^[^"<]*["<]/, "", header)
			if (own)
				check_own(header)
			else
				check_foreign(header)
			next
		}
		gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
		for (function_name in reason)
			if (line ~ "(^|[^A-Za-z0-9_])" function_name "[ \t]*\\(")
				say(function_name "(): " reason[function_name])
	}' || echo "awk failed"
}

# expect NAME TEXT WANTED: a source file NAME of TEXT leads to exactly the violation WANTED ("": none).
expect() {
	rm -rf "$tree/src"
	mkdir -p "$tree/src/$(dirname "$1")"
	printf '%s\n' "$2" >"$tree/src/$1"
	got=$(violations "$tree")
	case $got in
	"$3"*) [ -n "$3" ] || [ -z "$got" ] && return ;;
	esac
	printf 'self-test: %s holding\n%s\nwanted: %s\ngot:    %s\n' "$1" "$2" "${3:-nothing}" "${got:-nothing}" >&2
	failed=1
}

self_test() {
	tree=$(mktemp -d) || exit 1
	trap 'rm -rf "$tree"' EXIT
	failed=0
	expect util/a.c '#include "util/b.h"' ''
	expect smtp/a.c '#include "net/io.h"' ''
	expect tmaild.c '#include "cli/cli.h"' ''
	expect net/a.c '#include <event2/event.h>' ''
	expect control/a.c '#include <event2/http.h>' ''
	expect spool/a.c '#include <libpq-fe.h>' ''
	expect util/a.c '#include <sys/stat.h>' ''
	expect util/a.c '/* never strcpy(a, b)
nor system("x") */ int x; // popen("x")' ''
	expect util/a.c 'log("do not call system(3)"); my_system(1); snprintf(a, b, c);' ''
	expect util/a.c '#include "net/io.h"' 'src/util/a.c:1: "net/io.h": util/ stands before net/'
	expect spool/a.h 'int x;
  #  include "delivery/hop.h"' 'src/spool/a.h:2: "delivery/hop.h": spool/ stands before delivery/'
	expect smtp/a.c '#include "session.h"' 'src/smtp/a.c:1: "session.h": paths start at src/'
	expect smtp/a.c '#include "other/x.h"' 'src/smtp/a.c:1: "other/x.h": paths start at src/'
	expect other/a.c 'int x;' 'src/other/a.c:1: the folder other/ is not in the order'
	expect smtp/a.c '#include <event2/event.h>' 'src/smtp/a.c:1: <event2/event.h> is included in net/ only'
	expect net/a.c '#include <event2/http.h>' 'src/net/a.c:1: <event2/http.h> is included in control/ only'
	expect tmail.c '#include <jansson.h>' 'src/tmail.c:1: <jansson.h> is included in util/ only'
	expect util/a.c '#include <zlib.h>' 'src/util/a.c:1: <zlib.h> is no header of the system'
	expect util/a.c '/* a
b */ system ("x");' 'src/util/a.c:2: system(): no shell'
	expect net/a.c 'x = getaddrinfo(a, b, c, d);' 'src/net/a.c:1: getaddrinfo(): names'
	expect net/a.c 'swapcontext(a, b);' 'src/net/a.c:1: swapcontext(): two system calls'
	expect util/a.c 'sprintf(a, "b"); /* c */' 'src/util/a.c:1: sprintf(): no bound'
	expect util/a.c '/* x */ strcpy(a, b);' 'src/util/a.c:1: strcpy(): no bound'
	[ $failed -eq 0 ] || exit 1
	echo "self-test passed"
}

self_test
[ "${1:-}" = --self-test ] && exit 0
found=$(violations "${srcdir:-$(dirname "$0")/..}")
[ -z "$found" ] && exit 0
printf '%s\n' "$found" >&2
exit 1

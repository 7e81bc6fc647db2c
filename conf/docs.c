/* SPDX-License-Identifier: MIT */
/* Writes what is generated from the option tables: `docs manual` is man/tmail.conf.5, `docs sample` is
 * conf/tmail.conf.sample. `make update-docs` renews the files, tests/check-docs.sh fails when they are stale. */
#include "directory/settings.h"
#include "util/buf.h"

#include <stdio.h>
#include <string.h>

static const char manual_top[] =
    ".\\\" SPDX-License-Identifier: MIT\n"
    ".\\\" Generated from the option tables by conf/docs.c: make update-docs\n"
    ".Dd November 22, 2026\n"
    ".Dt TMAIL.CONF 5\n"
    ".Os tmail\n"
    ".Sh NAME\n"
    ".Nm tmail.conf\n"
    ".Nd configuration of the tmail mail gateway\n"
    ".Sh DESCRIPTION\n"
    "The smallest useful file names the gateway, says where it listens, and where the mail of a domain goes:\n"
    ".Bd -literal -offset indent\n"
    "hostname = mx.example.com\n"
    "listener { address = \":25\" }\n"
    "domain example.com { next_hop = { \"10.0.0.5:25\" } }\n"
    ".Ed\n"
    ".Pp\n"
    "Check a file with\n"
    ".Ql tmaild \\-t \\-c FILE :\n"
    "every error is told with its file, line, and what is allowed.\n"
    ".Ss Language\n"
    "A file is a sequence of statements, separated by white space or line ends:\n"
    ".Pp\n"
    ".Bl -tag -width Ds -compact\n"
    ".It Ar key No = Ar value\n"
    ".It Ar key No = { Ar value , value , ... No }\n"
    ".It Ar type Oo Ar title Oc No { Ar statements No }\n"
    ".It Ic include Ar \"glob\"\n"
    "The statements of other files, in the order of their names.\n"
    "A relative path starts at the folder of the file it stands in.\n"
    "A pattern may match nothing; a name without wildcards has to exist.\n"
    ".El\n"
    ".Pp\n"
    "A bare word runs to white space or to one of { } = and the comma.\n"
    "Everything else is put in quotes: between double quotes, \\e\\(dq and \\e\\e stand for a double quote and a "
    "backslash; what is between single quotes is taken as it is.\n"
    "A # where a word could begin starts a comment, which ends with the line.\n"
    "Keys given twice, names of blocks given twice, unknown words and missing units are errors.\n"
    ".Ss Values\n";

static const char manual_statements[] = ".Sh STATEMENTS\n";

static const char manual_bottom[] =
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa /etc/tmail/tmail.conf\n"
    "The usual place.\n"
    ".El\n"
    ".Sh EXAMPLES\n"
    "Two mail servers, the second one used while the first is down, and mail from them relayed to the provider:\n"
    ".Bd -literal -offset indent\n"
    "hostname   = mx.example.com\n"
    "relay_from = { 10.0.0.5, 10.9.0.5 }\n"
    "\n"
    "listener mx { address = \":25\" }\n"
    "tls         { certificate = /etc/tmail/tls/mx.pem }\n"
    "\n"
    "domain example.com {\n"
    "\tnext_hop = { \"10.0.0.5:25\", \"10.9.0.5:25 backup\" }\n"
    "\ttls      = required\n"
    "}\n"
    "route default { next_hop = \"192.0.2.25:25\" }\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr tmail 1 ,\n"
    ".Xr tmaild 8\n";

static const char sample_top[] =
    "# Sample configuration of the tmail gateway, generated from its option tables (make update-docs).\n"
    "#\n"
    "# What has to be there stands first. Behind it comes every other word with its default, or with an\n"
    "# example where there is none, commented out. The same in prose: tmail.conf(5). Check with: tmaild -t -c FILE\n"
    "\n"
    "hostname = mx.example.com\n"
    "\n"
    "listener mx { address = \":25\" }\n"
    "\n"
    "domain example.com { next_hop = { \"10.0.0.5:25\" } }\n"
    "\n"
    "# ----------------------------------------------------------------------------------------------------\n";

int
main(int argc, char **argv)
{
	struct buf out = { 0 };

	if (argc == 2 && strcmp(argv[1], "manual") == 0) {
		buf_adds(&out, manual_top);
		settings_manual_types(&out);
		buf_adds(&out, manual_statements);
		settings_manual(&out);
		buf_adds(&out, manual_bottom);
	} else if (argc == 2 && strcmp(argv[1], "sample") == 0) {
		buf_adds(&out, sample_top);
		settings_sample(&out);
	} else {
		fputs("Usage: docs manual | sample\n", stderr);
		return 2;
	}
	if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0) {
		perror("docs");
		return 1;
	}
	buf_fini(&out);
	return 0;
}

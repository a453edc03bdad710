/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account: the piece of a shell script that a face prepares a sandbox with, as its root: the
 * account that its clients expect, in place of the one of the id 1000.
 *
 * In: $name, and $uid, which is 0 where the host maps one user only; then the account is another
 * name of root. Out: $home, "" if the image has an account of that name, with a home elsewhere.
 * What /home/agent held is there. An id that another account of the image has is refused with
 * status 3.
 */
#pragma once

#define ACCOUNT_SHELL                                                 \
	"own() {\n"                                                   \
	"  all= has= taken=\n"                                        \
	"  while IFS= read -r line; do\n"                             \
	"    id=${line#*:}; id=${id#*:}; id=${id%%:*}\n"              \
	"    case $line in \"$name:\"*) has=$line;; *)\n"             \
	"      [ \"$id\" != 1000 ] || continue\n"                     \
	"      [ \"$id\" != \"$uid\" ] || taken=${line%%:*};;\n"      \
	"    esac\n"                                                  \
	"    all=\"$all$line\n\"\n"                                   \
	"  done <\"$1\"\n"                                            \
	"  if [ \"$has\" ]; then return; fi\n"                        \
	"  if [ \"$taken\" ] && [ \"$uid\" != 0 ]; then\n"            \
	"    echo \"--user-id $uid is that of $taken\" >&2; exit 3\n" \
	"  fi\n"                                                      \
	"  printf '%s\\n%s' \"$2\" \"$all\" >\"$1\"\n"                \
	"}\n"                                                         \
	"if [ \"$name\" != root ]; then\n"                            \
	"  home=/home/$name\n"                                        \
	"  own /etc/passwd \"$name:x:$uid:$uid::$home:/bin/bash\"\n"  \
	"  case $has in '') own /etc/group \"$name:x:$uid:\";;\n"     \
	"    *:\"$home\":*) ;; *) home=;; esac\n"                     \
	"fi\n"                                                        \
	"if [ \"$home\" ] && [ ! -d \"$home\" ] && [ -d /home/agent ]; then mv /home/agent \"$home\"; fi\n"

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * git_scripts: what is run inside, as text. POSIX sh and git, nothing else. $1, $2, … are said
 * above each.
 *
 * `g` is git for who talks to a remote. Its credentials come as lines on the input, user and
 * password again and again, since git asks anew for each program that it starts; they become
 * descriptor 3, and the helper reads two lines of it whenever git asks for the host in $scope, and
 * for no other.
 */
#pragma once

#define GIT_HELPER                                                                                 \
	"exec 3<&0 </dev/null\n"                                                                   \
	"helper='!f() { test \"$1\" = get || exit 0; IFS= read -r u <&3 && IFS= read -r p <&3 && " \
	"printf \"%s\\n%s\\n\" \"$u\" \"$p\"; }; f'\n"                                             \
	"g() {\n"                                                                                  \
	"  if [ -n \"$scope\" ]; then\n"                                                           \
	"    git -c credential.helper= -c \"credential.$scope.helper=$helper\" \"$@\"\n"           \
	"  else git -c credential.helper= \"$@\"; fi\n"                                            \
	"}\n"

#define GIT_IDENTITY                                                    \
	"[ -z \"$name\" ] || git config --global user.name \"$name\"\n" \
	"[ -z \"$email\" ] || git config --global user.email \"$email\"\n"

#define GIT_TELL                                                                      \
	"pwd -P; git branch --show-current; git rev-parse -q --verify HEAD || echo\n" \
	"if [ -f .openhands/setup.sh ]; then echo yes; else echo no; fi\n"            \
	"if [ -f .openhands/pre-commit.sh ]; then echo yes; else echo no; fi\n"

/* scope name email url directory branch depth */
static const char git_clone_script[] =
	"set -eu; scope=$1 name=$2 email=$3 url=$4 dir=$5 branch=$6 depth=$7\n" GIT_HELPER
		GIT_IDENTITY "g clone -q ${depth:+--depth \"$depth\"} -- \"$url\" \"$dir\" >&2\n"
	"cd \"./$dir\" 2>/dev/null || cd \"$dir\"\n"
	"if [ -n \"$branch\" ]; then\n"
	"  git checkout -q \"$branch\" -- 2>/dev/null || git checkout -q -b \"$branch\" >&2\n"
	"fi\n" GIT_TELL;

/* name email directory */
static const char git_init_script[] =
	"set -eu; name=$1 email=$2\n" GIT_IDENTITY "mkdir -p -- \"$3\"; cd \"$3\"\n"
	"git init -q >&2; git config --global --add safe.directory \"$(pwd -P)\"\n" GIT_TELL;

/* scope directory remote branch force */
static const char git_push_script[] =
	"set -eu; scope=$1; cd \"$2\"\n" GIT_HELPER "branch=${4:-$(git branch --show-current)}\n"
	"g push ${5:+--force-with-lease} -u -- \"$3\" \"$branch\" 2>&1\n";

/* scope directory remote branch */
static const char git_pull_script[] = "set -eu; scope=$1; cd \"$2\"\n" GIT_HELPER
				      "g pull --ff-only -- \"$3\" ${4:+\"$4\"} 2>&1\n";

/* directory branch create */
static const char git_branch_script[] =
	"set -eu; cd \"$1\"\n"
	"if [ -n \"$3\" ]; then git checkout -q -b \"$2\" >&2\n"
	"elif [ -n \"$2\" ]; then git checkout -q \"$2\" -- >&2; fi\n"
	"git branch --show-current; git for-each-ref --format='%(refname:short)' refs/heads\n";

#define GIT_EMPTY_TREE "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

/*
 * Sets $base: what the working tree is compared with, which is $ref if there is one. Never asks the
 * network.
 */
#define GIT_BASE                                                                                                         \
	"find_base() {\n"                                                                                                \
	"  if [ -n \"$ref\" ]; then base=$(git rev-parse -q --verify \"$ref^{commit}\") || exit 6; return; fi\n"         \
	"  branch=$(git branch --show-current)\n"                                                                        \
	"  main=$(git symbolic-ref -q --short refs/remotes/origin/HEAD || true); main=${main:-origin/main}\n"            \
	"  for base in \"refs/remotes/origin/$branch\" \"$(git merge-base HEAD \"$main\" 2>/dev/null)\" \"$main\"; do\n" \
	"    [ -z \"$base\" ] || base=$(git rev-parse -q --verify \"$base^{commit}\") && [ -n \"$base\" ] && return\n"   \
	"  done\n"                                                                                                       \
	"  base=" GIT_EMPTY_TREE "\n"                                                                                    \
	"  git hash-object -t tree -w /dev/null >/dev/null 2>&1 || true\n"                                               \
	"}\n"

/* Sets $sha to a commit, and $base to its first parent, or to nothing at all. */
#define GIT_PARENT                                                          \
	"find_parent() {\n"                                                 \
	"  git rev-parse --is-inside-work-tree >/dev/null 2>&1 || exit 4\n" \
	"  sha=$(git rev-parse -q --verify \"$1^{commit}\") || exit 6\n"    \
	"  base=$(git rev-parse -q --verify \"$sha^\") || {\n"              \
	"    base=" GIT_EMPTY_TREE                                          \
	"; git hash-object -t tree -w /dev/null >/dev/null 2>&1 || true\n"  \
	"  }\n"                                                             \
	"}\n"

/*
 * directory ref. An empty piece, then R and a prefix: a repository; S: status and path; O: a path.
 */
static const char git_changes_script[] =
	"set -u; cd \"$1\" || exit 3; ref=$2\n" GIT_BASE "tell() {\n"
	"  find_base; printf '\\0R\\0%s\\0\\0S\\0' \"$1\"\n"
	"  git diff --relative --name-status --no-renames -z \"$base\" -- . || exit 1\n"
	"  printf '\\0O\\0'; git ls-files -o --exclude-standard -z || exit 1\n"
	"}\n"
	"found=; if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then found=1; tell ''; fi\n"
	"for d in */.git; do\n"
	"  [ -e \"$d\" ] || continue; found=1; d=${d%/.git}; (cd \"$d\" && tell \"$d/\") || [ -n \"$ref\" ] || exit 1\n"
	"done\n"
	"[ -n \"$found\" ] || exit 4\n";

/* directory commit. The same, of what that commit changed in all of the repository. */
static const char git_commit_changes_script[] =
	"set -u; cd \"$1\" || exit 3\n" GIT_PARENT "find_parent \"$2\"\n"
	"printf '\\0R\\0\\0\\0S\\0'\n"
	"git diff --name-status --no-renames -z \"$base\" \"$sha\" || exit 1\n";

/* directory limit */
static const char git_commits_script[] =
	"set -u; cd \"$1\" || exit 3\n"
	"git rev-parse --is-inside-work-tree >/dev/null 2>&1 || exit 4\n"
	"git rev-parse -q --verify HEAD >/dev/null || exit 0\n"
	"git --no-pager log --no-show-signature --format=%H%x1f%h%x1f%an%x1f%aI%x1f%s -n \"$2\" HEAD\n";

/* directory path commit. As the next one: both sides from the repository. */
static const char git_commit_diff_script[] =
	"set -u; cd \"$1\" || exit 3\n" GIT_PARENT
	"cd \"$(dirname -- \"./$2\")\" 2>/dev/null || exit 4\n"
	"file=$(basename -- \"$2\"); find_parent \"$3\"\n"
	"for side in \"$base\" \"$sha\"; do\n"
	"  size=$(git cat-file -s \"$side:./$file\" 2>/dev/null || echo 0)\n"
	"  [ \"$size\" -le 1048576 ] || exit 5\n"
	"done\n"
	"git show \"$sha:./$file\" 3>&2 2>/dev/null >&3 || true\n"
	"git show \"$base:./$file\" 2>/dev/null || true\n";

/* directory path ref. The file as it was; then its size, for who looks at the one that is there. */
static const char git_diff_script[] =
	"set -u; cd \"$1\" || exit 3; ref=$3\n" GIT_BASE
	"cd \"$(dirname -- \"./$2\")\" 2>/dev/null || exit 4\n"
	"file=$(basename -- \"$2\")\n"
	"git rev-parse --is-inside-work-tree >/dev/null 2>&1 || exit 4\n"
	"find_base\n"
	"if [ -f \"$file\" ]; then\n"
	"  [ \"$(wc -c <\"$file\")\" -le 1048576 ] || exit 5\n"
	"  cat <\"$file\" >&2\n"
	"fi\n"
	"size=$(git cat-file -s \"$base:./$file\" 2>/dev/null || echo 0)\n"
	"[ \"$size\" -le 1048576 ] || exit 5\n"
	"git show \"$base:./$file\" 2>/dev/null || true\n";

/* directory. Name, NUL, text, NUL. */
static const char microagents_script[] =
	"set -u; cd \"$1\" || exit 3\n"
	"if [ -f .openhands_instructions ]; then printf '/\\0'; cat .openhands_instructions; printf '\\0'; fi\n"
	"[ -d .openhands/microagents ] || exit 0; cd .openhands/microagents\n"
	"find . -type f -name '*.md' | LC_ALL=C sort | head -n 256 | while IFS= read -r f; do\n"
	"  printf '%s\\0' \"${f#./}\"; head -c 262144 <\"$f\" | tr -d '\\000'; printf '\\0'\n"
	"done\n";

/* directory. The marker is the one that OpenHands looks for. */
static const char git_hook_script[] =
	"set -eu; cd \"$1\"\n"
	"if [ -f .openhands/pre-commit.sh ]; then\n"
	"  hooks=$(git rev-parse --git-path hooks); mkdir -p \"$hooks\";\n"
	"  if [ -e \"$hooks/pre-commit\" ] && ! grep -q 'This hook was installed by OpenHands' \"$hooks/pre-commit\"; then\n"
	"    mv \"$hooks/pre-commit\" \"$hooks/pre-commit.local\"; chmod +x \"$hooks/pre-commit.local\"\n"
	"  fi\n"
	"  cat >\"$hooks/pre-commit\" <<'HOOK'\n"
	"#!/bin/sh\n"
	"# This hook was installed by OpenHands: cay runs the repository's own checks, then the hook that was here.\n"
	"checks=.openhands/pre-commit.sh\n"
	"if [ -x $checks ]; then $checks || exit $?; elif [ -f $checks ]; then sh $checks || exit $?; fi\n"
	"local=$(git rev-parse --git-path hooks)/pre-commit.local\n"
	"if [ -x \"$local\" ]; then \"$local\" \"$@\" || exit $?; fi\n"
	"HOOK\n"
	"  chmod +x \"$hooks/pre-commit\"; echo installed\n"
	"else echo none; fi\n"
	"if [ -f .openhands/setup.sh ]; then echo yes; else echo no; fi; pwd -P\n";

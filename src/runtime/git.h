/* SPDX-License-Identifier: Apache-2.0 */
/*
 * git: repositories in a sandbox: cloned, pushed, compared; and what OpenHands keeps in one
 * (.openhands). All of it runs inside, as the sandbox's user, by the sandbox's own git (service.h).
 *
 * A token never becomes part of a URL, an argument, a variable, a file or an event. Git is given a
 * credential helper for the one host that the token is for, which reads it from a descriptor; so
 * `git remote -v` shows the plain URL, and a push to another host gets nothing. An agent that
 * attacks its own git at the very moment can take it: give tokens that may do little, for a little
 * while.
 */
#pragma once

#include "action/action.h"
#include "runtime/service.h"

struct sandbox;

struct git_clone {
	struct str url;       /* https://…, git@…, file://…, or OWNER/NAME of GitHub */
	struct str directory; /* relative to the workdir; standard: the repository's name */
	struct str branch;    /* checked out, or made if there is none of that name */
	int64_t depth;        /* 0: all of the history */
	struct str token, user;
	bool setup; /* run .openhands/setup.sh and install the hook */
};

struct git_sync {
	struct str directory, remote, branch; /* standard: the workdir, origin, the current one */
	bool force;                           /* with lease */
	struct str host;                      /* https://HOST, that the token is for */
	struct str token, user;
};

struct git_place {
	struct str directory;
	struct str path;   /* of a diff */
	struct str ref;    /* compared with; standard: where the branch left its origin */
	struct str commit; /* what that one changed, in place of what there is now */
	int64_t limit;     /* of commits */
};

struct git_branch {
	struct str directory, branch;
	bool create;
};

extern const struct field git_clone_fields[], git_sync_fields[], git_changes_fields[],
	git_diff_fields[], git_branch_fields[], git_init_fields[], microagents_fields[];

/* result_json, or err. */
typedef void git_fn(void *arg, struct str result_json, const struct error *err);
struct git; /* one of these under way */

/* {"directory","branch","commit","has_setup","has_hook"} */
struct git *git_clone(struct sandbox *s, const struct git_clone *wish, git_fn *done, void *arg);
struct git *git_init(struct sandbox *s, struct str directory, git_fn *done, void *arg);
/* {"output"} */
struct git *git_push(struct sandbox *s, const struct git_sync *wish, git_fn *done, void *arg);
struct git *git_pull(struct sandbox *s, const struct git_sync *wish, git_fn *done, void *arg);
/* {"branch","branches":[…]} */
struct git *git_branch(struct sandbox *s, const struct git_branch *wish, git_fn *done, void *arg);
/*
 * [{"status":"A"|"M"|"D"|"U","path"}], sorted, against where the branch left its origin: untracked
 * is A, renamed D and A. Repositories one level below count with their directory in front.
 * ERROR_NOT_FOUND: there is no repository; ERROR_INVALID: it has no such ref or commit.
 */
struct git *git_changes(struct sandbox *s, const struct git_place *wish, git_fn *done, void *arg);
/* {"commits":[{"sha","short_sha","author","timestamp","subject"}]}, newest first, from HEAD. */
struct git *git_commits(struct sandbox *s, const struct git_place *wish, git_fn *done, void *arg);
/* {"original","modified"}; files of over 1 MiB are ERROR_TOO_LARGE. */
struct git *git_diff(struct sandbox *s, const struct git_place *wish, git_fn *done, void *arg);
/* [{"name","type":"repo"|"knowledge"|"task","triggers","inputs","content",…}] */
struct git *git_microagents(struct sandbox *s, struct str directory, git_fn *done, void *arg);
/* {"hook":"installed"|null,"has_setup","directory"}: pre-commit of .openhands/pre-commit.sh */
struct git *git_hook(struct sandbox *s, struct str directory, git_fn *done, void *arg);
void git_cancel(struct git *git); /* NULL is fine */

/*
 * Who commits, what is cloned where a wish names nothing: {"name","email","init","repository"};
 * copied.
 */
void git_set_standards(const struct json *json);
/* What is to be done in a new sandbox whose wish says nothing of it. */
bool git_standard_clone(struct git_clone *ret); /* false: nothing is cloned */
bool git_standard_init(void);

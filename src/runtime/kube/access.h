/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access: which cluster, and as whom. Private to runtime/kube.
 *
 * A kubeconfig's current context is taken, or, in a pod of the cluster, what the cluster gives to
 * each of its pods. A kubeconfig that wants a program to be run for its credentials is refused: the
 * server starts none.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

enum { ACCESS_FILE_MAX = 1024 * 1024 };

/* Texts are on the heap, or NULL. What is a file's is read by access_load. */
struct access {
	char *name;      /* for errors: the file and its context, or "this cluster" */
	char *server;    /* "https://10.0.0.1:6443", without a final slash */
	char *namespace; /* where pods are made if nobody says; NULL: "default" */
	char *authorities, *certificate, *key; /* PEM */
	char *authorities_file, *certificate_file, *key_file;
	char *token;
	char *token_file; /* instead: it changes */
	bool believes_anybody;
};

void access_fini(struct access *a);
/* A kubeconfig, whose relative paths begin at `dir`. Opens no file. */
int access_parse(struct str yaml, const char *dir, struct access *ret, struct error *err);
/* given: a kubeconfig, or NULL: what the environment says. */
int access_load(const char *given, struct access *ret, struct error *err);
/* The files that it reads, NULL where there is none; of a token's the directory: it is replaced. */
enum { ACCESS_FILES = 5 };
int access_find_files(const char *given, char *ret[ACCESS_FILES], struct error *err);

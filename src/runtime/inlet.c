/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inlet.h"

#include "runtime/build.h"
#include "runtime/import.h"
#include "runtime/library.h"

/* ---- what takes bytes ---- */

static void send_to_build(void *to, struct str piece)
{
	build_send(to, piece);
}

static void end_build(void *to)
{
	build_eof(to);
}

static bool build_is_slow(const void *to)
{
	return build_is_full(to);
}

static void send_to_import(void *to, struct str piece)
{
	import_send(to, piece);
}

static void end_import(void *to)
{
	import_eof(to);
}

static bool import_is_slow(const void *to)
{
	return import_is_full(to);
}

static void send_to_library(void *to, struct str piece)
{
	library_send(to, piece);
}

static void end_library(void *to)
{
	library_eof(to);
}

static bool library_is_slow(const void *to)
{
	return library_is_full(to);
}

const struct inlet_kind inlet_build = { send_to_build, end_build, build_is_slow };
const struct inlet_kind inlet_import = { send_to_import, end_import, import_is_slow };
const struct inlet_kind inlet_library = { send_to_library, end_library, library_is_slow };

/* ---- the body ---- */

void inlet_body(void *arg, struct str piece)
{
	const struct inlet *in = arg;
	if (!in->to || !in->kind)
		return;
	in->kind->send(in->to, piece);
	if (in->kind->is_full(in->to))
		http_pause_body(in->r, true);
}

void inlet_end(void *arg)
{
	const struct inlet *in = arg;
	if (in->to && in->kind)
		in->kind->end(in->to);
}

void inlet_drain(void *arg)
{
	const struct inlet *in = arg;
	http_pause_body(in->r, false);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml: YAML in, JSON out, for what people write by hand: front matter, manifests. The only module
 * that knows libyaml.
 *
 * One document whose root may be anything. Keys are plain values, and come once. Anchors, aliases
 * and tags are refused, so that a small text stays small. A plain value becomes a number, a truth
 * value or null where JSON and YAML's core schema agree that it is one; what is quoted is a string.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { YAML_TEXT_MAX = 1024 * 1024, YAML_DEPTH_MAX = 32 };

/* Appends one JSON value; an empty document is null. ERROR_INVALID names line and column. */
int yaml_to_json(struct str text, struct buf *out, struct error *err);

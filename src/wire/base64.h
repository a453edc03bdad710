/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64 (RFC 4648), the standard alphabet. Decoding is strict: padding is wanted, nothing else
 * than the alphabet is taken (no line breaks), unused bits must be zero; so each value has exactly
 * one text.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Appends. -1 if out is full. */
int base64_encode(struct str bytes, struct buf *out);
/* Appends. ERROR_INVALID, or ERROR_TOO_LARGE if out is full. */
int base64_decode(struct str text, struct buf *out, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust: certificates that programs of the sandbox believe beside those of its image. A file of all
 * of them is made, and the variables by which programs are told of such a file name it, unless they
 * were set before. Java has a store of its own, which is left as it is.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct executor;

int trust_add(struct executor *e, struct str pem, struct error *err);

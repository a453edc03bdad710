/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one line, one event: `sandbox.start id=a1 backend=native ms=3` on standard error.
 *
 * Programs log, libraries return. The event is a dotted name; the rest is printf-made `key=value`
 * pairs. Secrets and the output of programs never enter the log. With log_set_json each line is a
 * JSON object. Control characters, those that turn the writing around, and bytes that are no UTF-8
 * are escaped in both forms. Where standard error leads to systemd's journal, which keeps dates and
 * levels itself, a line begins with its level as <N> instead of the date.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_init(const char *program); /* kept, not copied */
void log_set_level(enum log_level lowest);
void log_set_json(bool is_json);

void log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)

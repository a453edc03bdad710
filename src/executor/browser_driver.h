/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_driver: the process that drives a browser: a fork of the executor that runs driver_main
 * and nothing else. It blocks where it likes, has a deadline for everything, and is killed with its
 * browser when that is not enough.
 *
 * It reads one FRAME_REQUEST after the other from its socket (a struct browse_params as JSON,
 * checked by the executor) and answers each with a FRAME_RESULT or FRAME_ERROR. An error means that
 * the browser is of no use any more; what went wrong within a page is in the result. FRAME_EOF: end
 * the browser in order, and then yourself.
 *
 * This header is what its files share: browser_driver.c (requests), browser_events.c,
 * browser_tabs.c, browser_elements.c, browser_input.c, browser_calls.c, browser_observe.c.
 */
#pragma once

#include "action/browser_actions.h"
#include "base/list.h"
#include "executor/browser_page.h"
#include "executor/cdp.h"
#include "wire/pycall.h"

enum {
	DRIVER_TABS_MAX = 32,
	DRIVER_URL_MAX = 16 * 1024,
	DRIVER_NOTES_MAX = 256, /* downloads, dialogs and messages of one step */
	DRIVER_COMPLAINT_MAX = 16 * 1024,
	DRIVER_ANSWER_MS = 10000, /* what a page gets to answer a question about itself */
};

struct driver_options {
	int socket_fd;               /* requests and answers */
	int in_fd, out_fd;           /* the browser's pipe */
	const char *profile_dir;     /* the browser's own; removed at an orderly end */
	const char *old_profile_dir; /* of a browser that was killed; or NULL */
	const char *workdir;         /* where relative paths start */
};
_Noreturn void driver_main(const struct driver_options *options);

struct driver;

struct tab {
	struct list link; /* driver::tabs, in the order in which they were opened */
	struct driver *driver;
	char target[CDP_ID_SIZE];  /* the main frame has the same id */
	char session[CDP_ID_SIZE]; /* "" until attached */
	char loader[CDP_ID_SIZE];  /* of the document that is there or comes */
	struct buf url;
	bool has_content, is_loaded; /* DOMContentLoaded and load came for that loader */
	bool is_loading;             /* some frame of it is */
	bool is_crashed, is_gone;
	int n_requests;          /* on the network, under way */
	int64_t quiet_since_ms;  /* when that became 0 */
	int64_t chooser_backend; /* a file chooser was opened for this input; 0: none */
	bool has_drag;           /* a drag began: its data is */
	struct buf drag_json;
	struct page_marks marks;
};

struct driver {
	struct cdp *cdp;
	struct list tabs;
	int n_tabs;
	struct tab *active; /* NULL: none */
	int width, height;
	double mouse_x, mouse_y;
	const char *workdir;
	char *download_dir;   /* absolute; NULL: the browser has not been told */
	int64_t deadline_ms;  /* of the step */
	struct buf complaint; /* what went wrong in the step: "ValueError: …" */
	struct buf dialogs, messages, downloads; /* JSON values, separated by commas */
	int n_dialogs, n_messages, n_downloads;
	struct list pending_downloads; /* struct download */
	int n_pending_downloads;
	bool has_downloads; /* one began in this step */
};

/* Notes the first complaint of a step, "Kind: text"; -1. */
int complain(struct driver *d, const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with what the browser said: a TimeoutError, or an Error. */
int complain_error(struct driver *d, const char *what, const struct error *err);
/* now + ms, but not beyond the step's deadline. */
int64_t driver_deadline(const struct driver *d, int64_t ms);
/* Params of a request: {"key":value,…}, to be opened with jsonw_open. */
#define DRIVER_PARAMS BUF_INIT(4 * 1024 * 1024)

/* ---- browser_events.c ---- */

void tabs_on_event(void *arg, struct str session, struct str method, const struct json *params);
/* Waits for the downloads of this step. */
void tabs_wait_downloads(struct driver *d);

/* ---- browser_tabs.c ---- */

/* Attaches to what there is and waits for the first tab. */
int tabs_start(struct driver *d, struct error *err);
void tabs_drop_all(struct driver *d);
/* A new tab, attached and active. */
int tabs_open(struct driver *d, const char *url, struct error *err);
/* Closes it; the last one that is left becomes active, and if there is none a new one is opened. */
int tabs_close(struct driver *d, struct tab *tab, struct error *err);
int tabs_activate(struct driver *d, struct tab *tab, struct error *err);
int tabs_index(const struct driver *d); /* of the active one; -1 */
/* Forgets those that are gone; there is an active one afterwards. */
int tabs_tidy(struct driver *d, struct error *err);
/* ERROR_TIMEOUT if the document of that loader has not loaded in time. */
int tabs_wait_loaded(struct tab *tab, const char *loader, int64_t deadline_ms, struct error *err);
/*
 * Lets what an action set going come to rest; never fails, and takes no longer than the step has.
 */
void tabs_settle(struct driver *d, bool is_interactive);

/* ---- browser_elements.c ---- */

struct element {
	char object[256]; /* the browser's handle */
	int64_t backend;
};

/* Each complains and is -1 if there is no such element, or it is not fit. */
int element_find(struct driver *d, struct str bid, struct element *ret);
/* Scrolls to it and gives a point in it. */
int element_point(struct driver *d, const struct element *e, const char *what, double *ret_x,
	double *ret_y);
/* The same as it is now, without scrolling. */
int element_place(struct driver *d, const struct element *e, double *ret_x, double *ret_y);
/* Calls a function of one string or JSON argument on it; its value, by copy. */
int element_call(struct driver *d, const struct element *e, const char *function,
	const struct buf *arguments, struct cdp_reply *ret);
int element_focus(struct driver *d, const struct element *e, const char *what);

/* ---- browser_input.c ---- */

enum { INPUT_ALT = 1, INPUT_CONTROL = 2, INPUT_META = 4, INPUT_SHIFT = 8 };

int input_move(struct driver *d, double x, double y, const char *held);
int input_click(struct driver *d, const char *button, int modifiers, int count);
int input_button(struct driver *d, const char *button, int modifiers, int count, bool is_down);
int input_wheel(struct driver *d, double dx, double dy);
int input_text(struct driver *d, struct str text); /* as if pasted */
int input_type(struct driver *d, struct str text); /* key by key */
int input_press(struct driver *d, struct str combination, const char *what);
int input_modifier(struct str name); /* 0: none of that name */
int input_drag(struct driver *d, double x, double y);

/* ---- browser_calls.c ---- */

/*
 * Complains and is -1 unless there are calls, each of a function there is: else nothing is
 * performed.
 */
int calls_check(struct driver *d, const struct py_call *calls, size_t n);
/* Performs one call of a program; complains and is -1 if it fails. */
int calls_perform(struct driver *d, const struct py_call *call, bool *ret_is_interactive);

/* ---- browser_observe.c ---- */

/* Writes what there is to see into an open object. Fails only if the browser is gone. */
int observe(struct driver *d, const struct browse_params *params, struct jsonw *w,
	struct error *err);

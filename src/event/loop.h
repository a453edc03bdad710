/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: one thread, one event loop. Descriptors, timers, signals, deferred calls, and a pool of
 * workers for what would block. A child process is watched through its pidfd like any descriptor.
 *
 * Ownership: *_new gives a handle on the heap; *_free may be called at any time, also from within
 * the handle's own callback; after it the callback is not called again. Freeing a watch does not
 * close its descriptor: free the watch first, then close. All calls belong to the loop's thread.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

struct loop;
struct watch;
struct timer;
struct acceptor;
struct signal_watch;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

int loop_new(struct loop **ret, struct error *err);
/* Every handle must have been freed before. */
void loop_free(struct loop *loop);
/* Runs until loop_stop, or until nothing is watched any more. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* One turn: what there is to do now, after waiting for something if `waits`. */
void loop_turn(struct loop *loop, bool waits);
/*
 * For a loop within another one: a descriptor that is readable, and a time (-1: never) after which,
 * it is time for loop_turn. Ask for the time after each turn and each call that asks something of
 * the loop.
 */
int loop_fd(const struct loop *loop);
int loop_timeout_ms(struct loop *loop);

/*
 * LOOP_SCRATCH bytes to receive into what is used at once: one buffer for all, made when it is
 * wanted first. NULL: somebody has taken it, and not given it back yet.
 */
enum { LOOP_SCRATCH = 64 * 1024 };
char *loop_take_scratch(struct loop *loop);
void loop_give_scratch(struct loop *loop);

typedef void loop_fn(void *arg);
typedef void watch_fn(void *arg, int events);

/* Calls fn at the end of the current turn, in order of deferring. */
void loop_defer(struct loop *loop, loop_fn *fn, void *arg);
/* Forgets deferred calls with this arg (before what it points to goes away). */
void loop_undefer(struct loop *loop, void *arg);

/*
 * events: LOOP_READ | LOOP_WRITE, or 0 for none yet. An error or hang-up reports the events asked
 * for.
 */
struct watch *watch_new(struct loop *loop, int fd, int events, watch_fn *fn, void *arg);
void watch_set(struct watch *w, int events);
void watch_free(struct watch *w);

struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg);
void timer_set(struct timer *t, int64_t after_ms); /* once; replaces an earlier time */
void timer_clear(struct timer *t);
void timer_free(struct timer *t);

/*
 * Takes the connections of a listening socket that does not block, one in a turn. fd, which does
 * not block either, is the called one's, who may free the acceptor.
 */
typedef void acceptor_fn(void *arg, int fd);
struct acceptor *acceptor_new(struct loop *loop, int listen_fd, acceptor_fn *fn, void *arg);
void acceptor_pause(struct acceptor *a, bool is_paused); /* new ones are not */
void acceptor_free(struct acceptor *a); /* NULL is fine; listen_fd stays its owner's */

/* Signals come to one loop of a process. */
struct signal_watch *signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg);
void signal_free(struct signal_watch *s);

enum { LOOP_WORKERS = 16 };

/*
 * Runs `work` in a worker thread, then `done` on the loop. Not in the executor: a process whose
 * children go to another pid namespace cannot make threads; it forks workers instead.
 */
void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *arg);
/*
 * All the threads there may be, now: later the system may refuse them. Else each is made when it is
 * wanted.
 */
void loop_start_workers(struct loop *loop);

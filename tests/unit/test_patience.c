/* SPDX-License-Identifier: Apache-2.0 */
/* When a loop looks again before it sleeps; what the kernel says of the load is a file of ours. */
#include "unit.h"

#include "event/patience.h"

#include <unistd.h>

enum { SHORT_NS = PATIENCE_NS / 2, LONG_NS = 2 * PATIENCE_NS };

static struct patience p;
static int file;

static void say(const char *load)
{
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(pwrite(file, load, strlen(load), 0), strlen(load));
}

static int begin(void **state)
{
	char path[] = "/tmp/cay-patience-XXXXXX";
	file = mkstemp(path);
	unlink(path);
	p = (struct patience){ .load_fd = file, .n_processors = 2 };
	say("0.50 0.40 0.30 2/176 4711\n");
	return file < 0;
}

static int end(void **state)
{
	patience_fini(&p);
	return 0;
}

static void learn(int n, int64_t ns)
{
	for (int i = 0; i < n; i++)
		patience_learn(&p, ns);
}

static bool has_after(int n_asked)
{
	for (int i = 1; i < n_asked; i++)
		patience_has(&p);
	return patience_has(&p);
}

static void at_first_there_is_none(void **state)
{
	assert_false(patience_has(&p));
	learn(1, SHORT_NS);
	assert_false(patience_has(&p));
}

static void short_waits_give_it_and_long_ones_take_it(void **state)
{
	learn(2, SHORT_NS);
	assert_true(patience_has(&p));
	learn(20, SHORT_NS);
	assert_true(patience_has(&p));
	learn(5, LONG_NS);
	assert_false(patience_has(&p));
}

static void one_short_wait_in_three_is_enough(void **state)
{
	learn(4, SHORT_NS);
	for (int i = 0; i < 100; i++) {
		learn(2, LONG_NS);
		learn(1, SHORT_NS);
	}
	assert_true(patience_has(&p));
	for (int i = 0; i < 100; i++) {
		learn(3, LONG_NS);
		learn(1, SHORT_NS);
	}
	assert_false(patience_has(&p));
}

static void where_programs_wait_for_a_processor_there_is_none(void **state)
{
	learn(4, SHORT_NS);
	say("9.00 5.00 3.00 9/176 4711\n");
	assert_false(has_after(20));
	say("9.00 5.00 3.00 2/176 4711\n");
	assert_true(has_after(100));
}

static void a_moment_is_not_a_load(void **state)
{
	learn(4, SHORT_NS);
	assert_true(has_after(50));
	say("0.50 0.40 0.30 4/176 4711\n");
	assert_true(has_after(1));
}

static void as_many_as_there_are_processors_and_one_are_none_too_many(void **state)
{
	learn(4, SHORT_NS);
	say("0.50 0.40 0.30 3/176 4711\n");
	assert_true(has_after(1000));
}

static void without_figures_there_is_none(void **state)
{
	learn(4, SHORT_NS);
	say("no figures");
	assert_false(patience_has(&p));
	say("");
	assert_false(patience_has(&p));
	close(p.load_fd);
	p.load_fd = -1;
	assert_false(patience_has(&p));
}

static void the_kernel_has_figures(void **state)
{
	struct patience real;
	patience_init(&real);
	assert_true(real.load_fd >= 0 && real.n_processors > 0);
	real.promise = 1 << 20;
	patience_has(&real);
	assert_true(real.runnable > 0); /* we are */
	patience_fini(&real);
}

#define patience_test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		patience_test(at_first_there_is_none),
		patience_test(short_waits_give_it_and_long_ones_take_it),
		patience_test(one_short_wait_in_three_is_enough),
		patience_test(where_programs_wait_for_a_processor_there_is_none),
		patience_test(a_moment_is_not_a_load),
		patience_test(as_many_as_there_are_processors_and_one_are_none_too_many),
		patience_test(without_figures_there_is_none),
		patience_test(the_kernel_has_figures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

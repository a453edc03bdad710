/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/kernel_template.h"

#include "base/auto.h"
#include "base/bug.h"
#include "executor/kernel.h"
#include "executor/python.h"

struct template
{
	struct executor *executor;
	struct list link; /* executor::templates, oldest first */
	char python[KERNEL_SPEC_MAX + 1];
	uid_t uid;
	struct guest *guest;
};

bool kernel_spec_is_python(struct str spec)
{
	if (spec.len == 0 || str_find_char(spec, '/') >= 0)
		return true;
	if (!str_starts(spec, STR("python")))
		return false;
	for (spec = str_skip(spec, 6); spec.len; spec = str_skip(spec, 1))
		if (*spec.ptr != '.' && (*spec.ptr < '0' || *spec.ptr > '9'))
			return false;
	return true;
}

static void template_free(struct template *t, bool is_gently)
{
	list_remove(&t->link);
	t->executor->n_templates--;
	if (is_gently)
		guest_close(t->guest);
	else
		guest_free(t->guest);
	free(t);
}

static void on_exit_of_template(void *arg, const struct error *reason)
{
	template_free(arg, false);
}

static const struct guest_ops template_ops = { .on_exit = on_exit_of_template };

static int template_start(struct executor *e, const char *python, struct str arguments,
	struct template **ret, struct error *err)
{
	const struct guest_source sources[] = {
		{ "cay_cell", python_cell },
		{ "cay_documents", python_documents },
		{ "cay_editor", python_editor },
		{ "cay_ipython", python_ipython },
		{ "cay_plain", python_plain },
		{ "cay_skills", python_skills },
		{ "cay_kernel", python_kernel },
	};
	struct guest_plan plan = {
		.what = python,
		.python = python,
		.sources = sources,
		.n_sources = ARRAY_LEN(sources),
		.arguments = arguments,
		.has_fork = true,
	};
	if (e->n_templates >= TEMPLATES_MAX)
		template_free(list_get_first(&e->templates, struct template, link), true);
	struct template *t = mem_new(struct template);
	if (guest_start(e, &plan, &template_ops, t, &t->guest, err) < 0) {
		free(t);
		return -1;
	}
	t->executor = e;
	t->uid = e->user.uid;
	memcpy(t->python, python, strlen(python) + 1);
	list_append(&e->templates, &t->link);
	e->n_templates++;
	*ret = t;
	return 0;
}

/* arguments: those of the kernel that is the first to need it. */
static int template_get(struct executor *e, const char *python, struct str arguments,
	struct template **ret, struct error *err)
{
	struct template *t;
	list_for_each(t, &e->templates, link)
		if (strcmp(t->python, python) == 0 && t->uid == e->user.uid) {
			*ret = t;
			return 0;
		}
	return template_start(e, python, arguments, ret, err);
}

static int start_jupyter(struct executor *e, const struct guest_plan *plan,
	const struct guest_ops *ops, void *arg, struct guest **ret, struct error *err)
{
	const struct guest_source sources[] = { { "cay_jupyter", python_jupyter } };
	struct guest_plan own = *plan;
	own.sources = sources;
	own.n_sources = ARRAY_LEN(sources);
	return guest_start(e, &own, ops, arg, ret, err);
}

int kernel_guest_start(struct executor *e, const char *spec, const struct guest_plan *plan,
	const struct guest_ops *ops, void *arg, struct guest **ret, struct error *err)
{
	struct template *t;
	struct error why;
	if (!kernel_spec_is_python(str_from(spec)))
		return start_jupyter(e, plan, ops, arg, ret, err);
	const char *python = !*spec || strcmp(spec, "python") == 0 ? "python3" : spec;
	if (template_get(e, python, plan->arguments, &t, err) < 0)
		return -1;
	if (guest_fork(t->guest, plan, ops, arg, ret, &why) == 0)
		return 0;
	/* It has just died, and nobody has noticed yet. */
	template_free(t, false);
	if (template_get(e, python, plan->arguments, &t, err) < 0)
		return -1;
	return guest_fork(t->guest, plan, ops, arg, ret, err);
}

void templates_free_all(struct executor *e)
{
	struct template *t;
	while ((t = list_first(&e->templates, struct template, link)))
		template_free(t, false);
}

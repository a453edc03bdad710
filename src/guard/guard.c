/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Most questions are answered by the rules, at once. The others are a
 * gate_check each, which waits for one thing at a time: for the model (`ask`), then for a person
 * (`timer` runs). Whatever ends it, answer() is the only place that tells who asked.
 */
#include "guard/guard.h"

#include "action/action.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/list.h"
#include "guard/rules.h"
#include "wire/trim.h"

enum { NOTE_MAX = 16384, SHOWN_STRING_MAX = 16384, SHOWN_MAX = 64 * 1024 };

struct guard {
	struct gate gate;
	struct loop *loop;
	struct guard_settings settings;
	struct judge *judge; /* NULL: there is no model */
	struct list checks;  /* gate_check::link, oldest first */
	struct list scores;  /* guard_score::link */
	int n_waiting;
};

struct verdict {
	int score;
	const char *by; /* "rules", "llm", "approver", "deadline" */
	struct str reason;
};

struct gate_check {
	struct list link; /* guard::checks */
	struct guard *guard;
	char id[ID_SIZE], sandbox[ID_SIZE];
	char *name, *params, *reason; /* params: as shown to a person */
	const char *by;
	struct guard_settings settings;
	int score;
	int64_t asked_ms, expires_ms; /* wall clock; 0: waits for the model */
	struct judge_ask *ask;
	struct timer *timer;
	const struct gate_asker *asker;
	void *arg;
};

static void note(const struct gate_asker *asker, void *arg, struct str name, const char *verdict,
	const struct verdict *v, const char *id)
{
	auto_buf struct buf b = BUF_INIT(NOTE_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "action", str_first(name, 200));
	jsonw_key_str(&w, "verdict", str_from(verdict));
	if (v->score) {
		jsonw_key_str(&w, "risk", str_from(risk_name(v->score)));
		jsonw_key_int(&w, "score", v->score);
	}
	jsonw_key_str(&w, "by", str_from(v->by));
	jsonw_key_str(&w, "reason", str_first(v->reason, JUDGE_REASON_MAX));
	if (id)
		jsonw_key_str(&w, "confirmation", str_from(id));
	jsonw_close(&w);
	asker->note(arg, buf_str(&b));
}

static int refuse(struct error *err, struct str name, const struct verdict *v, int64_t threshold)
{
	if (!v->score)
		return error_set(err, ERROR_FORBIDDEN,
			GATE_REFUSAL "blocked %.*s, since its risk could not be assessed: %.*s",
			STR_ARG(str_first(name, 60)), STR_ARG(str_first(v->reason, 250)));
	return error_set(err, ERROR_FORBIDDEN,
		GATE_REFUSAL "blocked %.*s: risk %s (%d, above %d) by %s: it %.*s",
		STR_ARG(str_first(name, 60)), risk_name(v->score), v->score, (int)threshold, v->by,
		STR_ARG(str_first(v->reason, 250)));
}

/* Checks that have no answer yet. */

static void check_free(struct gate_check *check)
{
	if (!check)
		return;
	list_remove(&check->link);
	if (check->expires_ms)
		check->guard->n_waiting--;
	judge_cancel(check->ask);
	timer_free(check->timer);
	free(check->name);
	free(check->params);
	free(check->reason);
	free(check);
}

static void answer(struct gate_check *check, const struct error *refused)
{
	const struct gate_asker *asker = check->asker;
	void *arg = check->arg;
	check_free(check);
	asker->done(arg, refused);
}

/* What a person gets to see: long strings cut. */
static char *shown(const struct json *params)
{
	struct buf whole = BUF_INIT(64 * 1024 * 1024), b = BUF_INIT(SHOWN_MAX);
	if (json_kind(params) == JSON_KIND_NULL)
		buf_puts(&whole, "{}");
	else
		json_write(params, &whole);
	if (trim_json(buf_str(&whole), SHOWN_STRING_MAX, &b, NULL, NULL) < 0 || b.is_full) {
		buf_reset(&b);
		buf_printf(&b, "{\"cut\":true,\"bytes\":%zu}", whole.len);
	}
	buf_fini(&whole);
	return buf_take(&b);
}

static struct gate_check *check_new(struct guard *guard, const struct gate_question *q,
	const struct guard_settings *settings, const struct gate_asker *asker, void *arg)
{
	struct gate_check *check = mem_new(struct gate_check);
	check->guard = guard;
	id_make(check->id);
	snprintf(check->sandbox, sizeof(check->sandbox), "%s", q->sandbox);
	check->name = str_dup(q->name);
	check->params = shown(q->params);
	check->settings = *settings;
	check->asker = asker;
	check->arg = arg;
	check->asked_ms = clock_wall_ms();
	list_append(&guard->checks, &check->link);
	return check;
}

static void reject(struct gate_check *check, const char *by, struct str reason)
{
	struct error err;
	const struct verdict v = { .score = check->score, .by = by, .reason = reason };
	note(check->asker, check->arg, str_from(check->name), "rejected", &v, check->id);
	error_set(&err, ERROR_FORBIDDEN, GATE_REFUSAL "refused %s: rejected by the %s: %.*s",
		check->name, by, STR_ARG(str_first(reason, 250)));
	answer(check, &err);
}

static void on_expired(void *arg)
{
	struct gate_check *check = arg;
	auto_buf struct buf reason = BUF_INIT(200);
	buf_printf(&reason, "nobody confirmed it within %lld ms",
		(long long)check->settings.confirm_timeout_ms);
	reject(check, "deadline", buf_str(&reason));
}

static void await(struct gate_check *check, const struct verdict *v)
{
	check->score = v->score;
	check->by = v->by;
	check->reason = str_dup(v->reason);
	check->expires_ms = clock_wall_ms() + check->settings.confirm_timeout_ms;
	check->guard->n_waiting++;
	check->timer = timer_new(check->guard->loop, on_expired, check);
	timer_set(check->timer, check->settings.confirm_timeout_ms);
	note(check->asker, check->arg, str_from(check->name), "awaiting_confirmation", v,
		check->id);
}

/*
 * Who asks much has others wait no longer for it. is_person: of those that wait for one; else for
 * the model.
 */
static bool has_share(const struct guard *guard, const char *sandbox, bool is_person)
{
	const struct gate_check *check;
	int n = 0;
	list_for_each(check, &guard->checks, link)
		n += (is_person ? check->expires_ms != 0 : check->ask != NULL) &&
			!strcmp(check->sandbox, sandbox);
	return n < GUARD_SHARE;
}

static bool may_await(const struct guard *guard, const char *sandbox,
	const struct guard_settings *settings, const struct verdict *v)
{
	return v->score && settings->confirm && guard->n_waiting < GUARD_WAITING_MAX &&
		has_share(guard, sandbox, true);
}

/* The model has spoken, or could not. */
static void on_scored(void *arg, int score, struct str reason, const struct error *err)
{
	struct gate_check *check = arg;
	struct error refused;
	struct verdict v = { .score = MAX(score, check->score), .by = "llm", .reason = reason };
	check->ask = NULL;
	if (err)
		v = (struct verdict){ .by = "llm", .reason = str_from(err->text) };
	struct str name = str_from(check->name);
	if (!err && v.score <= check->settings.threshold) {
		note(check->asker, check->arg, name, "passed", &v, NULL);
		answer(check, NULL);
	} else if (may_await(check->guard, check->sandbox, &check->settings, &v)) {
		await(check, &v);
	} else {
		note(check->asker, check->arg, name, "blocked", &v, NULL);
		refuse(&refused, name, &v, check->settings.threshold);
		answer(check, &refused);
	}
}

/* The gate. */

static struct guard *guard_of(struct gate *gate)
{
	return container_of(gate, struct guard, gate);
}

static int gate_settings(struct gate *gate, const struct json *wish, struct buf *ret,
	struct error *err)
{
	struct guard *guard = guard_of(gate);
	struct guard_settings settings;
	if (settings_from_json(wish, &guard->settings, &settings, err) < 0 ||
		settings_check(&guard->settings, &settings, err) < 0)
		return -1;
	if (settings.mode == GUARD_LLM && !guard->judge)
		return error_set(err, ERROR_UNSUPPORTED,
			"mode llm: this server has no model; see guard.llm_url of cay.toml");
	if (settings.mode != GUARD_OFF)
		settings_write(&settings, ret);
	return 0;
}

static bool gate_wants(struct gate *gate, struct str name)
{
	return rules_know(name);
}

/* Where the model cannot even be asked, that is an answer too. */
static enum gate_answer ask_model(struct guard *guard, const struct gate_question *q,
	struct gate_check *check, struct gate_check **ret_check, struct error *refused)
{
	struct error err;
	if (has_share(guard, q->sandbox, false))
		check->ask = judge_ask(guard->judge, q->name, q->description, q->params, on_scored,
			check, &err);
	else
		error_set(&err, ERROR_LIMIT, "%d of its actions are being assessed", GUARD_SHARE);
	if (check->ask) {
		*ret_check = check;
		return GATE_WAITS;
	}
	const struct verdict v = { .by = "llm", .reason = str_from(err.text) };
	note(check->asker, check->arg, q->name, "blocked", &v, NULL);
	check_free(check);
	refuse(refused, q->name, &v, 0);
	return GATE_REFUSED;
}

static int read_settings(const struct gate_question *q, struct guard_settings *ret,
	struct error *err)
{
	const struct guard_settings base = GUARD_SETTINGS_INIT;
	auto_json struct json *json = NULL;
	if (json_parse(q->settings, &json, err) < 0 ||
		settings_from_json(json, &base, ret, err) < 0)
		return error_wrap(err, "the guard's own settings of sandbox %s", q->sandbox);
	return 0;
}

static enum gate_answer gate_ask(struct gate *gate, const struct gate_question *q,
	const struct gate_asker *asker, void *arg, struct gate_check **ret_check,
	struct error *refused)
{
	struct guard *guard = guard_of(gate);
	struct guard_settings s;
	struct risk risk;
	if (read_settings(q, &s, refused) < 0)
		return GATE_REFUSED;
	rules_judge(q->name, q->params, s.ignored, &risk);
	const struct verdict v = { risk.score, "rules", str_from(risk.reason) };
	if (s.mode == GUARD_LLM && risk.score < RISK_HIGH) {
		struct gate_check *check = check_new(guard, q, &s, asker, arg);
		check->score = risk.score;
		if (guard->judge)
			return ask_model(guard, q, check, ret_check, refused);
		check_free(check);
		const struct verdict none = { .by = "llm",
			.reason = STR("this server has no model") };
		note(asker, arg, q->name, "blocked", &none, NULL);
		return (enum gate_answer)refuse(refused, q->name, &none, s.threshold);
	}
	if (v.score <= s.threshold) {
		note(asker, arg, q->name, "passed", &v, NULL);
		return GATE_PASSED;
	}
	if (may_await(guard, q->sandbox, &s, &v)) {
		*ret_check = check_new(guard, q, &s, asker, arg);
		await(*ret_check, &v);
		return GATE_WAITS;
	}
	note(asker, arg, q->name, "blocked", &v, NULL);
	return (enum gate_answer)refuse(refused, q->name, &v, s.threshold);
}

static void gate_drop(struct gate *gate, struct gate_check *check)
{
	check_free(check);
}

/* Persons. */

static void write_date(struct jsonw *w, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX];
	clock_text(wall_ms, text);
	jsonw_key_str(w, key, str_from(text));
}

void guard_write_waiting(struct guard *guard, struct jsonw *w)
{
	struct gate_check *check;
	jsonw_open_array(w);
	list_for_each(check, &guard->checks, link) {
		if (!check->expires_ms)
			continue;
		jsonw_open(w);
		jsonw_key_str(w, "id", str_from(check->id));
		jsonw_key_str(w, "sandbox", str_from(check->sandbox));
		jsonw_key_str(w, "action", str_from(check->name));
		jsonw_key(w, "params");
		jsonw_raw(w, str_from(check->params));
		jsonw_key_str(w, "risk", str_from(risk_name(check->score)));
		jsonw_key_int(w, "score", check->score);
		jsonw_key_str(w, "by", str_from(check->by));
		jsonw_key_str(w, "reason", str_from(check->reason));
		write_date(w, "asked_at", check->asked_ms);
		write_date(w, "expires_at", check->expires_ms);
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

static struct gate_check *find_waiting(struct guard *guard, struct str id)
{
	struct gate_check *check;
	list_for_each(check, &guard->checks, link)
		if (check->expires_ms && str_is(id, check->id))
			return check;
	return NULL;
}

int guard_decide(struct guard *guard, struct str id, bool is_confirmed, struct str reason,
	struct error *err)
{
	struct gate_check *check = find_waiting(guard, id);
	if (!check)
		return error_set(err, ERROR_NOT_FOUND,
			"no confirmation '%.*s' is waited for: it was answered, or its time was up, or who asked is gone",
			STR_ARG(str_first(id, 40)));
	if (!is_confirmed) {
		reject(check, "approver", reason.len ? reason : STR("no reason was given"));
		return 0;
	}
	const struct verdict v = { check->score, "approver",
		reason.len ? reason : STR("no reason was given") };
	note(check->asker, check->arg, str_from(check->name), "confirmed", &v, check->id);
	answer(check, NULL);
	return 0;
}

/* Scores for their own sake. */

struct guard_score {
	struct list link; /* guard::scores */
	struct guard *guard;
	struct risk risk;
	struct judge_ask *ask;
	struct error error;
	guard_score_fn *done;
	void *arg;
};

void guard_score_cancel(struct guard_score *score)
{
	if (!score)
		return;
	list_remove(&score->link);
	loop_undefer(score->guard->loop, score);
	judge_cancel(score->ask);
	free(score);
}

static void on_model_score(void *arg, int score, struct str reason, const struct error *err)
{
	struct guard_score *s = arg;
	struct guard_score copy = *s;
	s->ask = NULL;
	guard_score_cancel(s);
	bool is_models = score >= copy.risk.score;
	copy.done(copy.arg, is_models ? score : copy.risk.score,
		is_models ? STR("llm") : STR("rules"),
		is_models ? reason : str_from(copy.risk.reason), err);
}

static void on_rules_score(void *arg)
{
	struct guard_score *s = arg;
	struct guard_score copy = *s;
	bool has_failed = s->error.code != ERROR_OK;
	guard_score_cancel(s);
	copy.done(copy.arg, copy.risk.score, STR("rules"), str_from(copy.risk.reason),
		has_failed ? &copy.error : NULL);
}

struct guard_score *guard_score(struct guard *guard, struct str name, struct str description,
	const struct json *arguments, guard_score_fn *done, void *arg)
{
	struct guard_score *s = mem_new(struct guard_score);
	s->guard = guard;
	s->done = done;
	s->arg = arg;
	list_append(&guard->scores, &s->link);
	rules_judge(name, arguments, guard->settings.ignored, &s->risk);
	if (guard->judge && s->risk.score < RISK_HIGH)
		s->ask = judge_ask(guard->judge, name, description, arguments, on_model_score, s,
			&s->error);
	if (!s->ask)
		loop_defer(guard->loop, on_rules_score, s);
	return s;
}

void guard_write(struct guard *guard, struct jsonw *w)
{
	auto_buf struct buf settings = BUF_INIT(16384);
	settings_write(&guard->settings, &settings);
	jsonw_open(w);
	jsonw_key(w, "settings");
	jsonw_raw(w, buf_str(&settings));
	jsonw_key_bool(w, "has_model", guard->judge != NULL);
	jsonw_key(w, "rules");
	jsonw_open_array(w);
	for (int i = 0; i < RULE_MAX; i++) {
		int score = rule_score((enum rule)i);
		jsonw_open(w);
		jsonw_key_str(w, "name", str_from(rule_word((enum rule)i)));
		jsonw_key_str(w, "risk", str_from(risk_name(score)));
		jsonw_key_int(w, "score", score);
		jsonw_key_str(w, "reason", str_from(rule_reason((enum rule)i)));
		jsonw_close(w);
	}
	jsonw_close_array(w);
	jsonw_close(w);
}

/* Birth. */

struct guard_body {
	struct str llm_url, llm_model, llm_key;
	int64_t llm_timeout_ms, llm_retries;
};

static const char *text_of(struct arena *arena, struct str s)
{
	return s.len ? arena_str(arena, s) : NULL;
}

static void make_judge(struct guard *guard, const struct json *config)
{
	auto_arena struct arena arena = ARENA_INIT(64 * 1024);
	const struct json *timeout = json_find(config, "llm_timeout_ms"),
			  *retries = json_find(config, "llm_retries");
	const struct judge_config judge = {
		.url = text_of(&arena, str_first(json_str(json_find(config, "llm_url")), 4096)),
		.model = text_of(&arena, str_first(json_str(json_find(config, "llm_model")), 256)),
		.key = text_of(&arena, str_first(json_str(json_find(config, "llm_key")), 8192)),
		.timeout_ms = json_int(timeout),
		.retries = retries ? (int)MIN(json_int(retries), 10) : JUDGE_RETRIES,
	};
	if (judge.url || judge.key)
		guard->judge = judge_new(guard->loop, &judge);
}

int guard_new(struct loop *loop, const struct json *config, struct guard **ret, struct error *err)
{
	struct guard *guard = mem_new(struct guard);
	guard->loop = loop;
	guard->gate = (struct gate){ gate_settings, gate_wants, gate_ask, gate_drop };
	guard->settings = GUARD_SETTINGS_INIT;
	list_init(&guard->checks);
	list_init(&guard->scores);
	make_judge(guard, config);
	const struct guard_settings base = guard->settings;
	if (settings_from_json(json_find(config, "settings"), &base, &guard->settings, err) < 0) {
		guard_free(guard);
		return -1;
	}
	if (guard->settings.mode == GUARD_LLM && !guard->judge) {
		guard_free(guard);
		return error_set(err, ERROR_INVALID,
			"guard: mode llm wants a model: set guard.llm_url or guard.llm_key");
	}
	*ret = guard;
	return 0;
}

void guard_free(struct guard *guard)
{
	if (!guard)
		return;
	while (!list_is_empty(&guard->checks))
		check_free(list_get_first(&guard->checks, struct gate_check, link));
	while (!list_is_empty(&guard->scores))
		guard_score_cancel(list_get_first(&guard->scores, struct guard_score, link));
	judge_free(guard->judge);
	free(guard);
}

struct gate *guard_gate(struct guard *guard)
{
	return &guard->gate;
}

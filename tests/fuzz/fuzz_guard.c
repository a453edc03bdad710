/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a command, a cell or a path holds, it gets a score. */
#include "guard/rules.h"

#include "base/auto.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const char *action, const char *field, struct str text)
{
	auto_buf struct buf b = BUF_INIT(16 << 20);
	auto_json struct json *params = NULL;
	struct jsonw w = JSONW(&b);
	struct risk risk;
	jsonw_open(&w);
	jsonw_key_str(&w, field, text);
	jsonw_close(&w);
	if (json_parse(buf_str(&b), &params, NULL) < 0)
		return;
	rules_judge(str_from(action), params, 0, &risk);
	BUG_IF(risk.score < RISK_LOW || risk.score > RISK_HIGH, "a score that is none");
	BUG_IF((risk.score > RISK_LOW) != (risk.worst != RULE_MAX), "a score without a rule");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from_len((const char *)data, size);
	judge("run", "command", text);
	judge("cell", "code", text);
	judge("write", "path", text);
	return 0;
}

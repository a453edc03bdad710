/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/docs.h"

#include "base/auto.h"
#include "config/config.h"

static const char config_head[] =
	".\\\" Made from src/config/key.def: change that.\n"
	".Dd " DOCS_DATE "\n"
	".Dt CAY.TOML 5\n"
	".Os\n"
	".Sh NAME\n"
	".Nm cay.toml\n"
	".Nd configuration of a server of sandboxes\n"
	".Sh DESCRIPTION\n"
	"A file in TOML 1.0, read by\n"
	".Ic cay serve .\n"
	"It is the one that\n"
	".Fl -config\n"
	"names, else\n"
	".Pa ./cay.toml ,\n"
	"else\n"
	".Pa $XDG_CONFIG_HOME/cay/cay.toml\n"
	"or\n"
	".Pa ~/.config/cay/cay.toml .\n"
	"A\n"
	".Pa config.toml\n"
	"of OpenHands is one, too: sections that only its application reads\n"
	".Pq llm, agent and their kind\n"
	"are left alone.\n"
	"Any other section or key that is not below is an error\n"
	"that names the nearest one.\n"
	".Pp\n"
	"Each key is an environment variable as well, which counts more than the file.\n"
	"An empty variable counts for nothing;\n"
	"lists and tables are written as in Python;\n"
	"one that cannot be read is left aside, with a warning.\n"
	"Options of the command line count most.\n"
	".Ic cay config\n"
	"prints what it all comes to.\n"
	".Sh KEYS\n";

static const char config_tail[] = ".Sh EXAMPLES\n"
				  ".Bd -literal -offset indent\n"
				  "[core]\n"
				  "workspace_base = \"./workspace\"\n"
				  "\n"
				  "[sandbox]\n"
				  "volumes = \"/data:/data:ro,/src:/workspace/src:overlay\"\n"
				  "runtime_startup_env_vars = { LANG = \"C.UTF-8\" }\n"
				  "\n"
				  "[guard]\n"
				  "mode = \"rules\"\n"
				  "confirm = true\n"
				  ".Ed\n";

static void put_key(struct buf *b, enum config_key key)
{
	static const char *const types[] = { "string", "string", "integer", "boolean", "size",
		"array of strings", "table", "any value" };
	const struct config_row *row = &config_rows[key];
	auto_buf struct buf text = BUF_INIT(4096);
	buf_printf(b, ".It Cm %s Pq %s\n", row->name, types[row->type]);
	buf_printf(&text, "%s.", row->help);
	if (row->standard)
		buf_printf(&text, " Standard: %s.", row->standard);
	if (row->status == CONFIG_REFUSED)
		buf_puts(&text, " Refused.");
	docs_put_text(b, buf_str(&text));
	buf_puts(b, "Variable:\n.Ev ");
	config_put_variable(b, key);
	buf_puts(b, " .\n");
}

static void put_ours(struct buf *b)
{
	const char *section = "";
	for (int i = 0; i < KEY_MAX; i++) {
		const struct config_row *row = &config_rows[i];
		if (row->status == CONFIG_THEIRS)
			continue;
		if (strcmp(section, row->section) != 0)
			buf_printf(b, "%s.Ss Section %s\n.Bl -tag -width Ds\n",
				section[0] ? ".El\n" : "", row->section);
		section = row->section;
		put_key(b, (enum config_key)i);
	}
	buf_puts(b, ".El\n");
}

static void put_keys(struct buf *b)
{
	put_ours(b);
	buf_puts(b,
		".Sh KEYS OF OPENHANDS THAT ARE LEFT ALONE\n"
		"They are taken, so that one file can serve both, and mean nothing here.\n"
		".Bl -tag -width Ds\n");
	for (int i = 0; i < KEY_MAX; i++) {
		const struct config_row *row = &config_rows[i];
		auto_buf struct buf text = BUF_INIT(4096);
		if (row->status != CONFIG_THEIRS)
			continue;
		buf_printf(b, ".It Cm %s.%s\n", row->section, row->name);
		buf_printf(&text, "%s.", row->help);
		docs_put_text(b, buf_str(&text));
	}
	buf_puts(b, ".El\n");
}

void docs_put_config_man(struct buf *b)
{
	buf_puts(b, config_head);
	put_keys(b);
	buf_puts(b, config_tail);
}

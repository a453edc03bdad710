/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each command is looked up by its program's name in one table, which says
 * what a program of that name may be doing; then its words, redirections and what feeds it are
 * looked at.
 */
#include "guard/judges.h"

#include "base/auto.h"

enum { PIPELINE_MAX = 32 }; /* how far back what feeds a command is looked for */

struct looking {
	struct judging *j;
	const struct shell_script *script;
	const struct shell_command *c;
};

static bool has_word(const struct shell_command *c, const char *word)
{
	for (int i = 1; i < c->n_words; i++)
		if (str_is(c->words[i].text, word))
			return true;
	return false;
}

/* A letter among short options, "-rf", or a long one. */
static bool has_option(const struct shell_command *c, char letter, const char *name)
{
	for (int i = 1; i < c->n_words; i++) {
		struct str word = c->words[i].text;
		if (str_is(word, "--"))
			return false;
		if (word.len > 1 && word.ptr[0] == '-' && word.ptr[1] != '-' && letter &&
			str_find_char(word, letter) > 0)
			return true;
		if (name && str_is(word, name))
			return true;
	}
	return false;
}

static struct str word_at(const struct shell_command *c, int i)
{
	return i < c->n_words ? c->words[i].text : STR("");
}

static bool is_option(struct str word)
{
	return str_starts(word, STR("-"));
}

static bool is_in(struct str name, const char *const *names)
{
	for (; *names; names++)
		if (str_is(name, *names))
			return true;
	return false;
}

static const char *const downloaders[] = { "curl", "wget", "fetch", "aria2c", "http", "https", "nc",
	"ncat", "lwp-request", "ftp", NULL };
static const char *const senders[] = { "curl", "wget", "nc", "ncat", "netcat", "socat", "ssh",
	"scp", "rsync", "sftp", "ftp", "http", "https", "telnet", "mail", "sendmail", NULL };
static const char *const interpreters[] = { "python", "python3", "python2", "perl", "ruby", "node",
	"php", "lua", "ipython", NULL };

static bool runs_its_input(const struct shell_command *c)
{
	bool is_shell = shell_is_shell(c->name);
	if (!is_shell && !is_in(c->name, interpreters))
		return false;
	for (int i = 1; i < c->n_words; i++) {
		struct str word = c->words[i].text;
		bool is_reader = str_is(word, "-") || str_is(word, "-s") ||
			str_is(word, "/dev/stdin");
		if (is_reader)
			return true;
		if (!is_option(word) || str_is(word, "-c") || str_is(word, "-m") ||
			str_is(word, "-e"))
			return false;
		if (is_shell && !str_starts(word, STR("--")) && str_find_char(word, 'c') > 0)
			return false;
	}
	return true;
}

static bool decodes(const struct shell_command *c)
{
	if (str_is(c->name, "base64") || str_is(c->name, "base32"))
		return has_option(c, 'd', "--decode") || has_option(c, 'D', NULL);
	if (str_is(c->name, "xxd"))
		return has_option(c, 'r', NULL);
	if (str_is(c->name, "openssl"))
		return has_word(c, "-d");
	return str_is(c->name, "uudecode") || str_is(c->name, "rev");
}

static const struct shell_command *feeder(const struct looking *l, const struct shell_command *c)
{
	return c->fed_by >= 0 ? &l->script->commands[c->fed_by] : NULL;
}

/*
 * What is run: a pipeline into an interpreter, or what is substituted into eval, sh -c or source.
 */
static void judge_source(struct looking *l, const struct shell_command *from)
{
	if (is_in(from->name, downloaders))
		judge_hit(l->j, RULE_PIPE_TO_SHELL);
	if (decodes(from))
		judge_hit(l->j, RULE_ENCODED);
}

static void look_at_input(struct looking *l)
{
	if (!runs_its_input(l->c))
		return;
	const struct shell_command *from = l->c;
	for (int i = 0; i < PIPELINE_MAX && (from = feeder(l, from)); i++)
		judge_source(l, from);
	if (l->c->here.ptr && !shell_is_shell(l->c->name))
		judge_code(l->j, l->c->here);
}

static void look_at_substituted(struct looking *l)
{
	bool is_run = shell_is_shell(l->c->name) || is_in(l->c->name, interpreters) ||
		str_is(l->c->name, "eval") || str_is(l->c->name, "source") ||
		str_is(l->c->name, ".");
	for (int i = 0; i < l->c->n_words; i++)
		for (int k = l->c->words[i].sub_from;
			k < l->c->words[i].sub_to && (is_run || i == 0); k++)
			judge_source(l, &l->script->commands[k]);
}

/* Whether something that is read, directly or by a pipe or substitution, is a secret. */
static bool names_secret(const struct looking *l, const struct shell_command *c)
{
	for (int i = 1; i < c->n_words; i++) {
		struct str word = c->words[i].text;
		ptrdiff_t at = str_find_char(word, '@'); /* curl -d @FILE, -F name=@FILE */
		struct str path = at >= 0 ? str_skip(word, (size_t)at + 1) : word;
		if (path_is_secret(judge_clean(l->j, path)))
			return true;
	}
	for (int i = 0; i < c->n_reads; i++)
		if (path_is_secret(judge_clean(l->j, c->reads[i])))
			return true;
	return false;
}

static bool gives_environment(const struct shell_command *c)
{
	bool is_bare = c->n_words == 1 || is_option(word_at(c, 1));
	return (str_is(c->name, "env") && is_bare) || str_is(c->name, "printenv") ||
		(str_is(c->name, "export") && is_bare) ||
		(str_is(c->name, "set") && c->n_words == 1);
}

static bool sends_file(const struct shell_command *c)
{
	bool is_wget = str_is(c->name, "wget");
	for (int i = 1; i < c->n_words; i++) {
		struct str word = c->words[i].text, next = word_at(c, i + 1);
		if (is_wget && str_starts(word, STR("--post-file")))
			return true;
		if (!str_is(c->name, "curl"))
			continue;
		if (str_is(word, "-T") || str_is(word, "--upload-file"))
			return true;
		bool takes_data = str_is(word, "-d") || str_is(word, "-F") ||
			str_is(word, "--form") || str_starts(word, STR("--data"));
		if (takes_data &&
			(str_find(next, STR("@")) == 0 || str_find(next, STR("=@")) > 0 ||
				str_find(word, STR("=@")) > 0))
			return true;
	}
	return false;
}

static void look_at_sender(struct looking *l)
{
	const struct shell_command *c = l->c, *from = c;
	if (!is_in(c->name, senders))
		return;
	/* With its own key it logs in, and sends nothing of it. */
	bool logs_in = has_option(c, 'i', NULL) &&
		(str_is(c->name, "ssh") || str_is(c->name, "scp") || str_is(c->name, "sftp"));
	if (names_secret(l, c) && !logs_in)
		judge_hit(l->j, RULE_EXFILTRATION);
	if (sends_file(c))
		judge_hit(l->j, RULE_UPLOAD);
	for (int i = 0; i < PIPELINE_MAX && (from = feeder(l, from)); i++)
		if (names_secret(l, from) || gives_environment(from))
			judge_hit(l->j, RULE_EXFILTRATION);
	for (int i = 0; i < c->n_words; i++)
		for (int k = c->words[i].sub_from; k < c->words[i].sub_to; k++)
			if (names_secret(l, &l->script->commands[k]) ||
				gives_environment(&l->script->commands[k]))
				judge_hit(l->j, RULE_EXFILTRATION);
}

static void look_at_files(struct looking *l)
{
	for (int i = 0; i < l->c->n_writes; i++) {
		judge_path(l->j, l->c->writes[i], PATH_WRITE);
		if (str_starts(l->c->writes[i], STR("/dev/tcp/")) ||
			str_starts(l->c->writes[i], STR("/dev/udp/")))
			judge_hit(l->j,
				shell_is_shell(l->c->name) || str_is(l->c->name, "exec")
					? RULE_REVERSE_SHELL
					: RULE_UPLOAD);
	}
	for (int i = 0; i < l->c->n_reads; i++)
		judge_path(l->j, l->c->reads[i], PATH_READ);
	for (int i = 1; i < l->c->n_words && is_in(l->c->name, senders); i++) {
		judge_url(l->j, l->c->words[i].text);
		judge_socket(l->j, l->c->words[i].text);
	}
}

/* Programs. */

static void look_rm(struct looking *l)
{
	bool is_tree = has_option(l->c, 'r', "--recursive") || has_option(l->c, 'R', NULL);
	if (has_word(l->c, "--no-preserve-root"))
		judge_hit(l->j, RULE_REMOVE_ROOT);
	for (int i = 1; i < l->c->n_words; i++) {
		struct str word = l->c->words[i].text;
		if (is_option(word))
			continue;
		struct str path = judge_clean(l->j, word);
		if (is_tree)
			judge_path(l->j, word, PATH_REMOVE);
		else
			judge_path(l->j, word, PATH_WRITE);
		if (str_starts(path, STR("/var/log")) || str_is(path, "~/.bash_history"))
			judge_hit(l->j, RULE_COVER_TRACKS);
	}
	if (is_tree)
		judge_hit(l->j, RULE_REMOVE_TREE);
}

static void look_find(struct looking *l)
{
	if (!has_word(l->c, "-delete"))
		return;
	struct str path = judge_clean(l->j, word_at(l->c, 1));
	bool is_whole = path_is_whole(path);
	judge_hit(l->j, is_whole && l->c->n_words <= 3 ? RULE_REMOVE_ROOT : RULE_REMOVE_TREE);
}

static void look_dd(struct looking *l)
{
	for (int i = 1; i < l->c->n_words; i++)
		if (str_starts(l->c->words[i].text, STR("of=")))
			judge_path(l->j, str_skip(l->c->words[i].text, 3), PATH_WRITE);
}

static void look_disk(struct looking *l)
{
	for (int i = 1; i < l->c->n_words; i++)
		if (str_starts(l->c->words[i].text, STR("/dev/")))
			judge_hit(l->j, RULE_WIPE_DISK);
}

/* The last word is where to; cp, mv, tee, install, ln write it. */
static void look_copy(struct looking *l)
{
	bool is_tee = str_is(l->c->name, "tee");
	for (int i = 1; i < l->c->n_words; i++) {
		struct str word = l->c->words[i].text;
		if (is_option(word))
			continue;
		bool is_target = is_tee || i == l->c->n_words - 1;
		judge_path(l->j, word, is_target ? PATH_WRITE : PATH_READ);
	}
}

static void look_read(struct looking *l)
{
	for (int i = 1; i < l->c->n_words; i++)
		if (!is_option(l->c->words[i].text))
			judge_path(l->j, l->c->words[i].text, PATH_READ);
}

static void look_sed(struct looking *l)
{
	for (int i = 1; i < l->c->n_words; i++)
		if (!is_option(l->c->words[i].text))
			judge_path(l->j, l->c->words[i].text,
				has_option(l->c, 'i', "--in-place") ? PATH_WRITE : PATH_READ);
}

static void look_nc(struct looking *l)
{
	if (has_option(l->c, 'e', "--exec") || has_option(l->c, 'c', "--sh-exec"))
		judge_hit(l->j, RULE_REVERSE_SHELL);
	const struct shell_command *from = feeder(l, l->c);
	if (from && shell_is_shell(from->name))
		judge_hit(l->j, RULE_REVERSE_SHELL);
}

static void look_socat(struct looking *l)
{
	for (int i = 1; i < l->c->n_words; i++) {
		struct str word = str_first(l->c->words[i].text, 7);
		if (str_eq_nocase(str_first(word, 5), STR("exec:")) ||
			str_eq_nocase(word, STR("system:")))
			judge_hit(l->j, RULE_REVERSE_SHELL);
	}
}

static void look_chmod(struct looking *l)
{
	bool is_tree = has_option(l->c, 'R', "--recursive");
	bool has_mode = !str_is(l->c->name, "chmod");
	for (int i = 1; i < l->c->n_words; i++) {
		struct str word = l->c->words[i].text;
		if (!has_mode && (!is_option(word) || word.len > 1)) {
			bool sets_id = str_find(word, STR("+s")) >= 0 ||
				(word.len == 4 && word.ptr[0] >= '2' && word.ptr[0] <= '7' &&
					word.ptr[0] != '1');
			if (!is_option(word)) {
				has_mode = true;
				if (sets_id)
					judge_hit(l->j, RULE_SET_ID);
				continue;
			}
		}
		if (is_tree && path_is_whole(judge_clean(l->j, word)))
			judge_hit(l->j, RULE_OPEN_SYSTEM);
	}
}

static void look_git(struct looking *l)
{
	if (has_word(l->c, "push") &&
		(has_option(l->c, 'f', "--force") || has_word(l->c, "--mirror")))
		judge_hit(l->j, RULE_FORCE_PUSH);
}

static void look_kill(struct looking *l)
{
	for (int i = 2; i < l->c->n_words; i++)
		if (str_is(l->c->words[i].text, "-1"))
			judge_hit(l->j, RULE_POWER);
}

static void look_systemctl(struct looking *l)
{
	if (has_word(l->c, "enable"))
		judge_hit(l->j, RULE_PERSISTENCE);
	if (has_word(l->c, "poweroff") || has_word(l->c, "reboot") || has_word(l->c, "halt"))
		judge_hit(l->j, RULE_POWER);
}

static void look_crontab(struct looking *l)
{
	if (!has_option(l->c, 'l', NULL))
		judge_hit(l->j, RULE_PERSISTENCE);
}

static void look_installer(struct looking *l)
{
	if (has_word(l->c, "install") || has_word(l->c, "i") || has_word(l->c, "add") ||
		has_word(l->c, "ci"))
		judge_hit(l->j, RULE_INSTALL);
}

static void look_python(struct looking *l)
{
	for (int i = 1; i + 1 < l->c->n_words; i++)
		if (str_is(l->c->words[i].text, "-c") || str_is(l->c->words[i].text, "-e"))
			judge_code(l->j, l->c->words[i + 1].text);
		else if (str_is(l->c->words[i].text, "-m") &&
			str_is(l->c->words[i + 1].text, "pip"))
			look_installer(l);
}

static void look_database(struct looking *l)
{
	auto_buf struct buf text = BUF_INIT(JUDGE_TEXT_MAX);
	for (int i = 1; i < l->c->n_words; i++) {
		for (size_t k = 0; k < l->c->words[i].text.len; k++) {
			char c = l->c->words[i].text.ptr[k];
			buf_putc(&text, c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
		}
		buf_putc(&text, ' ');
	}
	if (strstr(text.ptr, "DROP DATABASE") || strstr(text.ptr, "DROP TABLE") ||
		strstr(text.ptr, "DROP SCHEMA") || strstr(text.ptr, "TRUNCATE TABLE"))
		judge_hit(l->j, RULE_DROP_DATA);
}

static void look_history(struct looking *l)
{
	if (has_option(l->c, 'c', NULL))
		judge_hit(l->j, RULE_COVER_TRACKS);
}

static void look_mount(struct looking *l)
{
	if (l->c->n_words > 1 && !has_option(l->c, 'l', NULL) &&
		!has_option(l->c, 'V', "--version"))
		judge_hit(l->j, RULE_KERNEL);
}

static void look_sysctl(struct looking *l)
{
	if (has_option(l->c, 'w', "--write"))
		judge_hit(l->j, RULE_KERNEL);
}

static void look_firewall(struct looking *l)
{
	bool lists = has_option(l->c, 'L', "--list") || has_option(l->c, 'S', NULL) ||
		has_word(l->c, "list") || has_word(l->c, "status");
	if (!lists && l->c->n_words > 1)
		judge_hit(l->j, RULE_FIREWALL);
}

static void look_docker(struct looking *l)
{
	if (has_word(l->c, "--privileged") || has_word(l->c, "--pid=host"))
		judge_hit(l->j, RULE_CONTAINER);
	for (int i = 1; i < l->c->n_words; i++)
		judge_socket(l->j, l->c->words[i].text);
}

static void look_init(struct looking *l)
{
	if (str_is(word_at(l->c, 1), "0") || str_is(word_at(l->c, 1), "6"))
		judge_hit(l->j, RULE_POWER);
}

/* clang-format off */
static const struct {
	const char *names;     /* between spaces */
	void (*look)(struct looking *l); /* NULL: */
	enum rule rule;        /* what the name alone means */
} programs[] = {
	{ " rm unlink rmdir ", look_rm },
	{ " find fd ", look_find },
	{ " dd ", look_dd },
	{ " mkfs wipefs fdisk sfdisk parted blkdiscard shred mkswap hdparm ", look_disk },
	{ " cp mv tee install ln ", look_copy },
	{ " cat less more head tail grep strings od xxd base64 base32 awk cut sort nl tac source . ", look_read },
	{ " sed perl ", look_sed },
	{ " nc ncat netcat ", look_nc },
	{ " socat ", look_socat },
	{ " chmod chown chgrp ", look_chmod },
	{ " git ", look_git },
	{ " kill ", look_kill },
	{ " systemctl service ", look_systemctl },
	{ " crontab ", look_crontab },
	{ " at batch ", NULL, RULE_PERSISTENCE },
	{ " useradd adduser userdel usermod groupadd passwd chpasswd visudo vipw ", NULL, RULE_ACCOUNTS },
	{ " shutdown reboot poweroff halt ", NULL, RULE_POWER },
	{ " init telinit ", look_init },
	{ " umount mount ", look_mount },
	{ " nsenter unshare chroot pivot_root insmod modprobe rmmod kexec ptrace capsh ", NULL, RULE_KERNEL },
	{ " sysctl ", look_sysctl },
	{ " iptables ip6tables nft ufw ", look_firewall },
	{ " setenforce aa-disable aa-teardown ", NULL, RULE_FIREWALL },
	{ " docker podman nerdctl ", look_docker },
	{ " xmrig minerd cpuminer ethminer cgminer ", NULL, RULE_MINER },
	{ " psql mysql mariadb sqlite3 mongo mongosh ", look_database },
	{ " history ", look_history },
	{ " apt apt-get pip pip3 pipx npm pnpm yarn gem cargo go dnf yum apk conda uv ", look_installer },
	{ " python python3 python2 node ruby perl php ", look_python },
};
/* clang-format on */

static void look_at_program(struct looking *l)
{
	char name[34];
	struct str own = l->c->name;
	if (str_starts(own, STR("mkfs.")))
		own = STR("mkfs");
	if (own.len == 0 || own.len > 30)
		return;
	snprintf(name, sizeof(name), " %.*s ", STR_ARG(own));
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		if (!strstr(programs[i].names, name))
			continue;
		if (programs[i].look)
			programs[i].look(l);
		else
			judge_hit(l->j, programs[i].rule);
	}
}

static void judge_script(struct judging *j, const struct shell_script *script)
{
	if (script->is_cut)
		judge_hit(j, RULE_TOO_LARGE);
	if (script->defines_bomb)
		judge_hit(j, RULE_FORK_BOMB);
	for (int i = 0; i < script->n; i++) {
		if (!arena_has_room(j->arena, JUDGE_ARENA_MAX / 8)) {
			judge_hit(j, RULE_TOO_LARGE);
			return;
		}
		struct looking l = { j, script, &script->commands[i] };
		if (l.c->is_sudo)
			judge_hit(j, RULE_SUDO);
		look_at_program(&l);
		look_at_input(&l);
		look_at_substituted(&l);
		look_at_sender(&l);
		look_at_files(&l);
	}
}

void judge_shell(struct judging *j, struct str text)
{
	auto_arena struct arena arena = ARENA_INIT(SHELL_ARENA_MAX);
	struct shell_script script;
	shell_parse(text, &arena, &script);
	judge_script(j, &script);
}

void judge_program(struct judging *j, const struct str *argv, size_t n, bool has_stdin)
{
	auto_arena struct arena arena = ARENA_INIT(SHELL_ARENA_MAX);
	struct shell_script script;
	shell_take_argv(argv, n, &arena, &script);
	judge_script(j, &script);
	if (has_stdin && script.n && runs_its_input(&script.commands[0]))
		judge_hit(j, RULE_UNSEEN_INPUT);
}

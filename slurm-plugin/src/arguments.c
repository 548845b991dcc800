#include "arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define MOST_DEADLINE_MS 10000u

static const struct fallow_arguments defaults = {
	.runtime = "/run/fallow",
	.cgroup = "fallow.slice/fallowd.service/leases",
	.cgroup_mount = "/sys/fs/cgroup",
	.deadline_ms = 250,
	.vacate = true,
};

bool fallow_cgroup_path_is_ours(const char *path)
{
	bool named = false;
	for (const char *part = path;;) {
		size_t length = strcspn(part, "/");
		if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && memcmp(part, "..", 2) == 0))
			return false;
		for (size_t i = 0; i + 6 <= length; i++)
			named = named || memcmp(part + i, "fallow", 6) == 0;
		if (part[length] == '\0')
			return named;
		part += length + 1;
	}
}

/* An absolute path without ".." and control characters. */
static bool plain_absolute(const char *path)
{
	if (path[0] != '/' || path[1] == '\0' || strstr(path, "/../") != NULL)
		return false;
	size_t length = strlen(path);
	if (length >= 3 && strcmp(path + length - 3, "/..") == 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)path[i] < 0x20)
			return false;
	return true;
}

static bool read_cgroup(char *to, const char *value)
{
	char path[FALLOW_PATH_MAX];
	value += strspn(value, "/");
	if (!fallow_text_copy(path, sizeof path, value))
		return false;
	for (size_t length = strlen(path); length > 0 && path[length - 1] == '/'; length--)
		path[length - 1] = '\0';
	if (!fallow_cgroup_path_is_ours(path))
		return false;
	return fallow_text_copy(to, FALLOW_PATH_MAX, path);
}

static bool read_deadline(unsigned *to, const char *value)
{
	char *end = NULL;
	if (value[0] < '0' || value[0] > '9')
		return false;
	unsigned long ms = strtoul(value, &end, 10);
	if (*end != '\0' || ms == 0 || ms > MOST_DEADLINE_MS)
		return false;
	*to = (unsigned)ms;
	return true;
}

static bool read_switch(bool *to, const char *value)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return false;
	*to = strcmp(value, "on") == 0;
	return true;
}

static bool read_one(struct fallow_arguments *a, const char *argument)
{
	const char *equals = strchr(argument, '=');
	size_t length = equals ? (size_t)(equals - argument) : 0;
	const char *value = equals ? equals + 1 : "";
#define KEY(name) (length == sizeof name - 1 && memcmp(argument, name, length) == 0)
	if (KEY("runtime"))
		return plain_absolute(value) && strlen(value) < sizeof a->runtime &&
		       fallow_text_copy(a->runtime, sizeof a->runtime, value);
	if (KEY("cgroup"))
		return read_cgroup(a->cgroup, value);
	if (KEY("cgroup_mount"))
		return plain_absolute(value) && strlen(value) < sizeof a->cgroup_mount &&
		       fallow_text_copy(a->cgroup_mount, sizeof a->cgroup_mount, value);
	if (KEY("deadline_ms"))
		return read_deadline(&a->deadline_ms, value);
	if (KEY("vacate"))
		return read_switch(&a->vacate, value);
#undef KEY
	return false;
}

void fallow_arguments_parse(struct fallow_arguments *arguments, int count, char *const values[], char *warning,
			    size_t warning_size)
{
	char wrong[160] = "", shown[64];
	*arguments = defaults;
	warning[0] = '\0';
	for (int i = 0; i < count; i++) {
		if (values[i] == NULL || read_one(arguments, values[i]))
			continue;
		fallow_text_show(shown, sizeof shown, values[i]);
		size_t used = strlen(wrong);
		snprintf(wrong + used, sizeof wrong - used, "%s\"%s\"", used ? ", " : "", shown);
	}
	if (wrong[0] != '\0')
		snprintf(warning, warning_size,
			 "plugstack.conf: %s ignored; known are runtime=<directory>, cgroup=<path naming fallow>, "
			 "cgroup_mount=<directory>, deadline_ms=<1..%u>, vacate=<on|off>",
			 wrong, MOST_DEADLINE_MS);
}

/* What Slurm allows in a NodeName, and what is safe inside a path. */
static bool plain_node(const char *node)
{
	size_t length = strspn(node, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return length > 0 && length < FALLOW_NODE_MAX && node[length] == '\0' && node[0] != '.';
}

/* Copies `from`, each "%n" replaced. */
static bool expand(char *to, size_t size, const char *from, const char *node)
{
	size_t used = 0;
	for (; *from != '\0'; from++) {
		if (from[0] == '%' && from[1] == 'n') {
			size_t length = strlen(node);
			if (used + length >= size)
				return false;
			memcpy(to + used, node, length);
			used += length;
			from++;
		} else if (used + 1 < size) {
			to[used++] = *from;
		} else {
			return false;
		}
	}
	to[used] = '\0';
	return true;
}

bool fallow_arguments_place(const struct fallow_arguments *arguments, const char *node, struct fallow_places *places,
			    char *warning, size_t warning_size)
{
	memset(places, 0, sizeof *places);
	if (node == NULL || !plain_node(node)) {
		snprintf(warning, warning_size, "Slurm's NodeName is not known here (SLURMD_NODENAME is unset or odd)");
		return false;
	}
	fallow_text_copy(places->node, sizeof places->node, node);
	if (!expand(places->runtime, sizeof places->runtime, arguments->runtime, node) ||
	    !expand(places->cgroup, sizeof places->cgroup, arguments->cgroup, node)) {
		snprintf(warning, warning_size, "plugstack.conf: runtime= or cgroup= is too long with %%n as %s", node);
		return false;
	}
	snprintf(places->socket, sizeof places->socket, "%s/report.sock", places->runtime);
	return true;
}

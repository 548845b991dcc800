#include "grammar.h"

#include <stdio.h>
#include <string.h>

#include "fallow_report.h"
#include "text.h"

#define MOST_CPUS 1000000u

const struct fallow_lend fallow_lend_unset = {
	.cpus = FALLOW_LEND_UNSET, .mem_bytes = FALLOW_LEND_UNSET, .reserve_mem = -1};
const struct fallow_borrow fallow_borrow_unset = {.given = false};

/* A piece of the argument; not terminated. */
struct piece {
	const char *text;
	size_t length;
};

static bool is(struct piece piece, const char *word)
{
	return piece.length == strlen(word) && memcmp(piece.text, word, piece.length) == 0;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A whole number of at most nine digits. */
static bool parse_count(struct piece piece, uint64_t *count)
{
	*count = 0;
	if (piece.length == 0 || piece.length > 9)
		return false;
	for (size_t i = 0; i < piece.length; i++) {
		if (!digit(piece.text[i]))
			return false;
		*count = *count * 10 + (uint64_t)(piece.text[i] - '0');
	}
	return true;
}

static uint64_t unit_of(char suffix)
{
	switch (suffix) {
	case 'K': case 'k': return 1ull << 10;
	case 'M': case 'm': return 1ull << 20;
	case 'G': case 'g': return 1ull << 30;
	case 'T': case 't': return 1ull << 40;
	default: return 0;
	}
}

bool fallow_parse_size(const char *text, size_t length, uint64_t *bytes)
{
	uint64_t unit = 1, whole = 0, fraction = 0, scale = 1;
	bool suffixed = length > 0 && unit_of(text[length - 1]) != 0;
	if (suffixed)
		unit = unit_of(text[--length]);
	size_t i = 0;
	for (; i < length && digit(text[i]); i++) {
		if (whole > (INT64_MAX - 9) / 10)
			return false;
		whole = whole * 10 + (uint64_t)(text[i] - '0');
	}
	if (i == 0)
		return false;
	if (i < length && text[i] == '.' && suffixed) {
		size_t first = ++i;
		for (; i < length && digit(text[i]); i++) {
			if (scale >= 1000000)
				continue; /* the seventh digit of a fraction is below any unit that matters */
			fraction = fraction * 10 + (uint64_t)(text[i] - '0');
			scale *= 10;
		}
		if (i == first)
			return false;
	}
	if (i != length || whole > (uint64_t)INT64_MAX / unit)
		return false;
	uint64_t sum = whole * unit + fraction * unit / scale;
	if (sum > (uint64_t)INT64_MAX)
		return false;
	*bytes = sum;
	return true;
}

/* Takes the part of `rest` before the next comma, and moves `rest` behind it (text NULL at the end). */
static struct piece next_part(struct piece *rest)
{
	struct piece part = *rest;
	const char *comma = memchr(rest->text, ',', rest->length);
	if (comma == NULL) {
		*rest = (struct piece){NULL, 0};
		return part;
	}
	part.length = (size_t)(comma - part.text);
	rest->length -= part.length + 1;
	rest->text = comma + 1;
	return part;
}

static void say(char *why, size_t size, const char *key, struct piece value, const char *right)
{
	char raw[48], shown[40];
	snprintf(raw, sizeof raw, "%.*s", (int)(value.length < 47 ? value.length : 47), value.text);
	fallow_text_show(shown, sizeof shown, raw);
	snprintf(why, size, "%s\"%s\" is not %s", key, shown, right);
}

static bool parse_cpus(struct piece value, struct fallow_lend *lend, char *why, size_t size)
{
	uint64_t count = 0;
	if (is(value, "auto"))
		lend->cpus = FALLOW_LEND_AUTO;
	else if (parse_count(value, &count) && count <= MOST_CPUS)
		lend->cpus = (int64_t)count;
	else
		return say(why, size, "cpus=", value, "a whole number of cores, \"auto\" or 0"), false;
	return true;
}

static bool parse_mem(struct piece value, struct fallow_lend *lend, char *why, size_t size)
{
	uint64_t bytes = 0;
	if (is(value, "auto"))
		lend->mem_bytes = FALLOW_LEND_AUTO;
	else if (fallow_parse_size(value.text, value.length, &bytes))
		lend->mem_bytes = (int64_t)bytes;
	else
		return say(why, size, "mem=", value, "a size such as 512M or 1.5G, \"auto\" or 0"), false;
	return true;
}

static bool parse_reserve(struct piece value, struct fallow_lend *lend, char *why, size_t size)
{
	uint64_t amount = 0;
	if (value.length > 1 && value.text[value.length - 1] == '%') {
		struct piece number = {value.text, value.length - 1};
		lend->reserve_percent = true;
		if (!parse_count(number, &amount) || amount > 100)
			return say(why, size, "reserve-mem=", value, "a whole percentage from 0% to 100%"), false;
	} else if (!fallow_parse_size(value.text, value.length, &amount)) {
		return say(why, size, "reserve-mem=", value, "a size such as 2G or a percentage such as 20%"), false;
	}
	lend->reserve_mem = (int64_t)amount;
	return true;
}

static const struct {
	const char *name;
	bool (*parse)(struct piece value, struct fallow_lend *lend, char *why, size_t size);
} keys[] = {{"cpus", parse_cpus}, {"mem", parse_mem}, {"reserve-mem", parse_reserve}};

#define KEYS (sizeof keys / sizeof keys[0])

/* One "key=value" of --serverless. */
static bool parse_pair(struct piece part, bool seen[KEYS], struct fallow_lend *lend, char *why, size_t size)
{
	const char *equals = memchr(part.text, '=', part.length);
	struct piece key = {part.text, equals ? (size_t)(equals - part.text) : part.length};
	for (size_t i = 0; i < KEYS && equals != NULL; i++) {
		if (!is(key, keys[i].name))
			continue;
		if (seen[i])
			return snprintf(why, size, "%s= is given twice", keys[i].name), false;
		seen[i] = true;
		return keys[i].parse((struct piece){equals + 1, part.length - key.length - 1}, lend, why, size);
	}
	return say(why, size, "", part, "one of auto, no, cpus=, mem=, reserve-mem="), false;
}

bool fallow_parse_serverless(const char *text, struct fallow_lend *out, char *why, size_t why_size)
{
	struct fallow_lend lend = fallow_lend_unset;
	lend.given = true;
	if (text == NULL || text[0] == '\0' || strcmp(text, "(null)") == 0 || strcmp(text, "auto") == 0) {
		lend.cpus = lend.mem_bytes = FALLOW_LEND_AUTO;
		*out = lend;
		return true;
	}
	if (strcmp(text, "no") == 0) {
		lend.refused = true;
		lend.cpus = lend.mem_bytes = 0;
		*out = lend;
		return true;
	}
	bool seen[KEYS] = {false};
	struct piece rest = {text, strlen(text)};
	while (rest.text != NULL)
		if (!parse_pair(next_part(&rest), seen, &lend, why, why_size))
			return false;
	if (!seen[0] || !seen[1])
		return snprintf(why, why_size, "%s= is missing", seen[0] ? "mem" : "cpus"), false;
	*out = lend;
	return true;
}

bool fallow_parse_remote_mem(const char *text, struct fallow_borrow *out, char *why, size_t why_size)
{
	struct fallow_borrow borrow = {.given = true};
	struct piece rest = {text ? text : "", text ? strlen(text) : 0};
	struct piece size = next_part(&rest);
	if (!fallow_parse_size(size.text, size.length, &borrow.bytes))
		return say(why, why_size, "", size, "a size such as 64G or 512M"), false;
	if (rest.text != NULL) {
		borrow.durable = is(rest, "durable");
		if (!borrow.durable && !is(rest, "cache"))
			return say(why, why_size, "", rest, "\"durable\" or \"cache\""), false;
	}
	*out = borrow;
	return true;
}

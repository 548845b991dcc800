/* What --serverless and --remote-mem accept, and what they do not. */
#include <string.h>

#include "check.h"
#include "fallow_report.h"
#include "grammar.h"

#define K 1024ll
#define AUTO FALLOW_LEND_AUTO

static void sizes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0}, {"4096", 4096}, {"512K", 512 * K}, {"64M", 64 * K * K}, {"1.5G", 3 * K * K * K / 2},
		    {"2T", 2 * K * K * K * K}, {"2t", 2 * K * K * K * K}, {"0.5k", 512}, {"1.0000001K", 1024},
		    {"8388607T", 8388607ull << 40}, {"9223372036854775807", INT64_MAX}};
	static const char *const bad[] = {"", "K", "-1", "+1", " 1", "1 ", "1KB", "1.5", "1.", "1.K", ".5G", "1e3", "0x10",
					  "1..5G", "1.5.5G", "8388608T", "9223372036854775808", "99999999999999999999999",
					  "8388607.9999999999T9", "1,5G", "1P", "G1", "\xc3\xa9"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		uint64_t bytes = 1;
		CHECK(fallow_parse_size(good[i].text, strlen(good[i].text), &bytes), "(%s)", good[i].text);
		CHECK(bytes == good[i].bytes, "(%s gave %llu)", good[i].text, (unsigned long long)bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint64_t bytes = 1;
		CHECK(!fallow_parse_size(bad[i], strlen(bad[i]), &bytes), "(%s)", bad[i]);
		CHECK(bytes == 1, "(%s wrote)", bad[i]);
	}
}

static void serverless_good(void)
{
	static const struct {
		const char *text;
		bool refused, percent;
		long long cpus, mem, reserve;
	} good[] = {
		{NULL, false, false, AUTO, AUTO, -1},
		{"", false, false, AUTO, AUTO, -1},
		{"(null)", false, false, AUTO, AUTO, -1},
		{"auto", false, false, AUTO, AUTO, -1},
		{"no", true, false, 0, 0, -1},
		{"cpus=2,mem=4G", false, false, 2, 4 * K * K * K, -1},
		{"cpus=auto,mem=auto", false, false, AUTO, AUTO, -1},
		{"cpus=0,mem=0", false, false, 0, 0, -1},
		{"mem=1.5G,cpus=auto", false, false, AUTO, 3 * K * K * K / 2, -1},
		{"cpus=1,mem=64M,reserve-mem=2G", false, false, 1, 64 * K * K, 2 * K * K * K},
		{"cpus=1,mem=auto,reserve-mem=20%", false, true, 1, AUTO, 20},
		{"reserve-mem=100%,cpus=1000000,mem=0", false, true, 1000000, 0, 100},
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct fallow_lend lend = fallow_lend_unset;
		char why[160] = "";
		const char *shown = good[i].text ? good[i].text : "NULL";
		CHECK(fallow_parse_serverless(good[i].text, &lend, why, sizeof why), "(%s: %s)", shown, why);
		CHECK(lend.given, "(%s)", shown);
		CHECK(lend.refused == good[i].refused, "(%s)", shown);
		CHECK(lend.cpus == good[i].cpus, "(%s)", shown);
		CHECK(lend.mem_bytes == good[i].mem, "(%s)", shown);
		CHECK(lend.reserve_mem == good[i].reserve && lend.reserve_percent == good[i].percent, "(%s)", shown);
	}
}

static void serverless_bad(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"yes", "\"yes\" is not one of"}, {"AUTO", "is not one of"}, {"auto,", "is not one of"},
		{"cpus=2", "mem= is missing"}, {"mem=1G", "cpus= is missing"}, {"reserve-mem=1G", "is missing"},
		{"cpus=-1,mem=0", "cpus=\"-1\" is not a whole number"}, {"cpus=1.5,mem=0", "whole number"},
		{"cpus=1000001,mem=0", "whole number"}, {"cpus=99999999999999999999,mem=0", "whole number"},
		{"cpus=,mem=1G", "cpus=\"\""}, {"cpus=1,mem=", "mem=\"\""}, {"cpus=1,mem=4GB", "mem=\"4GB\" is not a size"},
		{"cpus=1,mem=-1", "is not a size"}, {"cpus=1,cpus=2,mem=0", "cpus= is given twice"},
		{"cpus=1,mem=0,reserve-mem=101%", "0% to 100%"}, {"cpus=1,mem=0,reserve-mem=%", "reserve-mem"},
		{"cpus=1,mem=0,reserve-mem=1.5%", "percentage"}, {"cpus=1,mem=0,", "is not one of"},
		{"cpus=1,,mem=0", "is not one of"}, {"cpus=1;mem=0", "whole number"}, {"gpus=1,mem=0", "\"gpus=1\""},
		{"cpus =1,mem=0", "is not one of"}, {"cpus", "is not one of"}, {"=", "is not one of"}, {"no,cpus=1", "is not one of"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct fallow_lend lend = {.cpus = 42};
		char why[160] = "";
		CHECK(!fallow_parse_serverless(bad[i].text, &lend, why, sizeof why), "(%s)", bad[i].text);
		CHECK(lend.cpus == 42 && !lend.given, "(%s wrote)", bad[i].text);
		CHECK(strstr(why, bad[i].says) != NULL, "(%s said: %s)", bad[i].text, why);
	}
}

static void remote_mem(void)
{
	struct fallow_borrow borrow = fallow_borrow_unset;
	char why[160] = "";
	CHECK(fallow_parse_remote_mem("64G", &borrow, why, sizeof why));
	CHECK(borrow.given && !borrow.durable && borrow.bytes == 64ull << 30);
	CHECK(fallow_parse_remote_mem("1.5G,durable", &borrow, why, sizeof why));
	CHECK(borrow.durable && borrow.bytes == 3ull << 29);
	CHECK(fallow_parse_remote_mem("512M,cache", &borrow, why, sizeof why));
	CHECK(!borrow.durable && borrow.bytes == 512ull << 20);
	CHECK(fallow_parse_remote_mem("0", &borrow, why, sizeof why) && borrow.given && borrow.bytes == 0);
	static const char *const bad[] = {"", "lots", "64GB", "64G,", "64G,safe", "64G,durable,cache", ",durable", "auto",
					  "64G, durable", "-1"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct fallow_borrow kept = {.bytes = 42};
		why[0] = '\0';
		CHECK(!fallow_parse_remote_mem(bad[i], &kept, why, sizeof why), "(%s)", bad[i]);
		CHECK(kept.bytes == 42 && why[0] != '\0', "(%s)", bad[i]);
	}
	CHECK(!fallow_parse_remote_mem(NULL, &borrow, why, sizeof why));
}

static void hostile_text(void)
{
	char text[70000], why[160];
	struct fallow_lend lend;
	memset(text, '9', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	CHECK(!fallow_parse_serverless(text, &lend, why, sizeof why));
	memcpy(text, "cpus=\x1b[31m\n", 10);
	CHECK(!fallow_parse_serverless(text, &lend, why, sizeof why));
	CHECK(strchr(why, '\n') == NULL && strchr(why, '\x1b') == NULL, "(%s)", why);
	memset(text, ',', sizeof text - 1);
	CHECK(!fallow_parse_serverless(text, &lend, why, sizeof why));
}

const struct test grammar_tests[] = {
	{"grammar: sizes", sizes, NULL},
	{"grammar: --serverless, right forms", serverless_good, NULL},
	{"grammar: --serverless, wrong forms", serverless_bad, NULL},
	{"grammar: --remote-mem", remote_mem, NULL},
	{"grammar: hostile text", hostile_text, NULL},
	{NULL, NULL, NULL},
};

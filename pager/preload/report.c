#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

static int words = 2; /* a copy of standard error: programs close theirs before they exit */

void preload_report_open(void)
{
	int copy = preload_descriptor_keep((int)syscall(SYS_dup, 2));
	words = copy >= 0 ? copy : 2;
}

static void put(int descriptor, const char *line, size_t length)
{
	for (size_t done = 0; done < length;) {
		long some = syscall(SYS_write, descriptor, line + done, length - done);
		if (some <= 0 && errno != EINTR)
			return;
		done += some > 0 ? (size_t)some : 0;
	}
}

void preload_say(const char *format, ...)
{
	char line[512];
	va_list arguments;
	int saved = errno, length = snprintf(line, sizeof line, "fallow run: %s[%d]: ", preload_program(), (int)getpid());
	va_start(arguments, format);
	length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof line - 2)
		length = (int)sizeof line - 2;
	line[length++] = '\n';
	put(words, line, (size_t)length);
	errno = saved;
}

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

void preload_report(void)
{
	const char *where = preload_settings.statistics;
	struct fallow_pager_statistics s = {0};
	struct arena_counts counts = {0};
	if (where[0] == 0 || atomic_load(&preload_arena.state) == ARENA_CHILD)
		return;
	bool is_open = atomic_load(&preload_arena.state) == ARENA_OPEN;
	if (is_open) {
		fallow_pager_get_statistics(preload_arena.pager, &s);
		preload_arena_counts(&counts);
	}
	if (strcmp(where, "1") == 0) {
		if (!is_open) {
			preload_say("used no remote memory: it asked for nothing larger than %.1f MiB at once",
				    mib(preload_settings.threshold_bytes));
			return;
		}
		preload_say("%.1f of %.1f MiB remote memory at its peak, at most %.1f of %.1f MiB of it here; %llu faults, %.1f MiB read, "
			    "%.1f MiB written, %llu allocations, %llu refused, %llu blocks lost",
			    mib(counts.peak_bytes), mib(counts.capacity_bytes), mib(s.peak_resident_bytes),
			    mib(preload_settings.local_bytes), (unsigned long long)s.faults,
			    mib((s.fetched_blocks + s.readahead_blocks) * preload_arena.block_bytes), mib(s.written_bytes),
			    (unsigned long long)counts.allocations, (unsigned long long)counts.refused,
			    (unsigned long long)atomic_load(&preload_store.lost_blocks));
		return;
	}
	char line[1024];
	int length = snprintf(
		line, sizeof line,
		"{\"program\":\"%s\",\"pid\":%d,\"used\":%s,\"capacity_bytes\":%llu,\"peak_bytes\":%llu,\"local_cap_bytes\":%llu,"
		"\"block_bytes\":%llu,\"peak_local_bytes\":%llu,\"faults\":%llu,\"fetched_blocks\":%llu,\"readahead_blocks\":%llu,\"standby_hits\":%llu,"
		"\"evicted_blocks\":%llu,\"written_bytes\":%llu,\"allocations\":%llu,\"refused_allocations\":%llu,"
		"\"lost_blocks\":%llu,\"scratch_reads\":%llu}\n",
		preload_program(), (int)getpid(), is_open ? "true" : "false", (unsigned long long)counts.capacity_bytes,
		(unsigned long long)counts.peak_bytes, (unsigned long long)preload_settings.local_bytes,
		(unsigned long long)preload_settings.block_bytes, (unsigned long long)s.peak_resident_bytes,
		(unsigned long long)s.faults, (unsigned long long)s.fetched_blocks,
		(unsigned long long)s.readahead_blocks, (unsigned long long)s.standby_hits, (unsigned long long)s.evicted_blocks,
		(unsigned long long)s.written_bytes, (unsigned long long)counts.allocations, (unsigned long long)counts.refused,
		(unsigned long long)atomic_load(&preload_store.lost_blocks),
		(unsigned long long)atomic_load(&preload_store.scratch_reads));
	int file = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (file < 0) {
		preload_say("cannot write the statistics to %s: %s", where, strerror(errno));
		return;
	}
	put(file, line, (size_t)length);
	preload_sys_close(file);
}

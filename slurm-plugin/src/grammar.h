/* grammar.h: what --serverless and --remote-mem may say. Pure: text in, values or a sentence out. */
#ifndef FALLOW_GRAMMAR_H
#define FALLOW_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The right forms, for messages. */
#define FALLOW_SERVERLESS_FORM "auto | no | cpus=<n|auto|0>,mem=<size|auto|0>[,reserve-mem=<size|n%>]"
#define FALLOW_REMOTE_MEM_FORM "<size>[,durable|cache]"

/* What a job lends. */
struct fallow_lend {
	bool given;           /* the option was given at all */
	bool refused;         /* "no": nothing of this job is lent */
	bool reserve_percent; /* reserve_mem is a percentage */
	int64_t cpus;         /* cores, or FALLOW_LEND_AUTO, FALLOW_LEND_UNSET */
	int64_t mem_bytes;    /* bytes, or FALLOW_LEND_AUTO, FALLOW_LEND_UNSET */
	int64_t reserve_mem;  /* bytes or percent; -1: not given */
};

/* What a job borrows. */
struct fallow_borrow {
	bool given;
	bool durable;   /* otherwise "cache" */
	uint64_t bytes; /* 0: nothing, said so explicitly */
};

/* The values of a job that said nothing. */
extern const struct fallow_lend fallow_lend_unset;
extern const struct fallow_borrow fallow_borrow_unset;

/* Parses the argument of --serverless. NULL, "" and "(null)" (Slurm hands a bare option over in all three forms) mean
 * auto. False on bad grammar: *out is untouched and `why` says in half a sentence what is wrong. */
bool fallow_parse_serverless(const char *text, struct fallow_lend *out, char *why, size_t why_size);

/* Parses the argument of --remote-mem; as above, but an argument is required. */
bool fallow_parse_remote_mem(const char *text, struct fallow_borrow *out, char *why, size_t why_size);

/* Parses a size: digits, an optional fraction, an optional K, M, G or T (powers of 1024); bytes without a suffix.
 * `length` characters of `text`. False when it is no size or is 2^63 or more; a fraction of a byte is cut off. */
bool fallow_parse_size(const char *text, size_t length, uint64_t *bytes);

#endif

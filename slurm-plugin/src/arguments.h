/* arguments.h: the key=value arguments of our line in plugstack.conf, and the places they name on one node. */
#ifndef FALLOW_ARGUMENTS_H
#define FALLOW_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#define FALLOW_PATH_MAX 512       /* a cgroup path or its mount point */
#define FALLOW_RUNTIME_MAX 96     /* the runtime directory: with "/report.sock" it must fit a socket address */
#define FALLOW_SOCKET_MAX 108     /* sizeof sockaddr_un.sun_path */
#define FALLOW_NODE_MAX 64        /* as in the record */
#define FALLOW_WARNING_MAX 400

/* What plugstack.conf says; "%n" in runtime and cgroup is not yet replaced. */
struct fallow_arguments {
	char runtime[FALLOW_RUNTIME_MAX];
	char cgroup[FALLOW_PATH_MAX];
	char cgroup_mount[FALLOW_PATH_MAX];
	unsigned deadline_ms;
	bool vacate; /* false only in tests: no waiting, no report of a step's start */
};

/* The places of one node. */
struct fallow_places {
	char node[FALLOW_NODE_MAX];
	char runtime[FALLOW_RUNTIME_MAX];
	char socket[FALLOW_SOCKET_MAX];
	char cgroup[FALLOW_PATH_MAX]; /* relative to a hierarchy's mount, no leading slash */
};

/* Reads the arguments. Never fails: what is unknown or malformed keeps its default, and `warning` (empty otherwise)
 * names all of it in one line for the log. */
void fallow_arguments_parse(struct fallow_arguments *arguments, int count, char *const values[], char *warning,
			    size_t warning_size);

/* Puts the node's name in. False, with `warning` saying why, when the name is no plain NodeName or a path becomes too
 * long: then nothing of the node may be touched. */
bool fallow_arguments_place(const struct fallow_arguments *arguments, const char *node, struct fallow_places *places,
			    char *warning, size_t warning_size);

/* Whether `path` may be killed: relative, no empty, "." or ".." part, and some part names fallow, so that no slip of
 * the pen in plugstack.conf can name somebody else's tree. */
bool fallow_cgroup_path_is_ours(const char *path);

#endif

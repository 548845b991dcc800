/* real_tree.h: real cgroups with real processes that do not want to die. */
#ifndef FALLOW_REAL_TREE_H
#define FALLOW_REAL_TREE_H

#include <stdbool.h>
#include <sys/types.h>

/* Where this machine's hierarchies are: NULL when there is none that we may write to. */
const char *freezer_mount(void); /* v1 */
const char *unified_mount(void); /* v2 */
const char *no_freezer(void);    /* why a test of it cannot run, or NULL */
const char *no_unified(void);

/* Makes the cgroup <mount>/<name>; removes it and its children. */
bool tree_make(const char *mount, const char *name);
void tree_remove(const char *mount, const char *name);
bool tree_write(const char *mount, const char *name, const char *file, const char *text);
int tree_count(const char *mount, const char *name);

/* Starts a process in <mount>/<name> (NULL: where we are). It ignores SIGTERM, SIGINT and SIGHUP; with `forking` it keeps
 * `children` such children and forks a new one whenever one dies. */
pid_t tree_enter(const char *mount, const char *name, bool forking, int children);

/* Ends and reaps a process of tree_enter. */
void tree_end(pid_t pid);
bool is_alive(pid_t pid);

#endif

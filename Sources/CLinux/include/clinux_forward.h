/* clinux_forward.h: signals that are passed on to a child. C because a handler may use async-signal-safe calls alone. */
#ifndef CLINUX_FORWARD_H
#define CLINUX_FORWARD_H
#include <sys/types.h>

/* From now on HUP, INT, QUIT, TERM, USR1, USR2, ALRM, WINCH and CONT that somebody sends to this process go to `child` as well. What the
 * terminal sends reaches the child by itself, and is not passed on. 0 or an errno. */
int clinux_forward_signals(pid_t child);
/* From now on they are ignored: the child has been reaped, and its number may be another's. */
void clinux_forward_stop(void);
#endif

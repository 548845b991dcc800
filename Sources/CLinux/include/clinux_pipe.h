/* clinux_pipe.h: a pipe that no other program inherits. C because pipe2 hides behind _GNU_SOURCE. */
#ifndef CLINUX_PIPE_H
#define CLINUX_PIPE_H

/* Makes a pipe whose ends are closed in whatever another thread starts meanwhile. Gives 0 and the ends, the reading one
 * first, or the negated errno. Never blocks. */
int clinux_pipe(int ends[2]);
#endif

/* clinux_epoll.h: epoll, eventfd and timerfd. C because the Glibc module leaves these headers out, and because
 * struct epoll_event is packed with a union inside. */
#ifndef CLINUX_EPOLL_H
#define CLINUX_EPOLL_H
#include <stdint.h>

enum { CLINUX_EPOLL_READABLE = 1, CLINUX_EPOLL_WRITABLE = 2, CLINUX_EPOLL_HANGUP = 4, CLINUX_EPOLL_PRIORITY = 8 };

struct clinux_event {
	uint64_t token;
	uint32_t events; /* CLINUX_EPOLL_* */
	uint32_t reserved;
};

/* Each returns a descriptor (close-on-exec) or -errno. */
int clinux_epoll_create(void);
int clinux_eventfd_create(void);
int clinux_timerfd_create(void); /* CLOCK_MONOTONIC, nonblocking */

/* 0 or -errno. Hang-up and error are always reported. */
int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);
int clinux_epoll_change(int epoll, int fd, uint32_t events, uint64_t token);
int clinux_epoll_remove(int epoll, int fd);

/* The number of events stored, or -errno. timeout in milliseconds, -1 for ever. */
int clinux_epoll_wait(int epoll, struct clinux_event *events, int capacity, int timeout_milliseconds);

/* Arms the timer at an absolute CLOCK_MONOTONIC time; 0 disarms. 0 or -errno. */
int clinux_timerfd_arm(int timer, uint64_t deadline_nanoseconds);

/* Raises and drains an eventfd or timerfd; neither blocks. */
void clinux_eventfd_signal(int fd);
void clinux_eventfd_drain(int fd);
#endif

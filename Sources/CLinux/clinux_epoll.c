#include "clinux_epoll.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { BATCH = 64 };

static int checked(int result)
{
	return result < 0 ? -errno : result;
}

int clinux_epoll_create(void)
{
	return checked(epoll_create1(EPOLL_CLOEXEC));
}

int clinux_eventfd_create(void)
{
	return checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int clinux_timerfd_create(void)
{
	return checked(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t token)
{
	struct epoll_event event;
	memset(&event, 0, sizeof event);
	if (events & CLINUX_EPOLL_READABLE)
		event.events |= EPOLLIN | EPOLLRDHUP;
	if (events & CLINUX_EPOLL_WRITABLE)
		event.events |= EPOLLOUT;
	if (events & CLINUX_EPOLL_PRIORITY)
		event.events |= EPOLLPRI;
	event.data.u64 = token;
	return checked(epoll_ctl(epoll, operation, fd, &event));
}

int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t token)
{
	return control(epoll, EPOLL_CTL_ADD, fd, events, token);
}

int clinux_epoll_change(int epoll, int fd, uint32_t events, uint64_t token)
{
	return control(epoll, EPOLL_CTL_MOD, fd, events, token);
}

int clinux_epoll_remove(int epoll, int fd)
{
	return control(epoll, EPOLL_CTL_DEL, fd, 0, 0);
}

int clinux_epoll_wait(int epoll, struct clinux_event *events, int capacity, int timeout_milliseconds)
{
	struct epoll_event batch[BATCH];
	int count = epoll_wait(epoll, batch, capacity < BATCH ? capacity : BATCH, timeout_milliseconds);
	if (count < 0)
		return -errno;
	for (int index = 0; index < count; index++) {
		uint32_t found = batch[index].events;
		events[index].token = batch[index].data.u64;
		events[index].reserved = 0;
		events[index].events = (found & (EPOLLIN | EPOLLRDHUP) ? CLINUX_EPOLL_READABLE : 0) |
		                       (found & EPOLLOUT ? CLINUX_EPOLL_WRITABLE : 0) |
		                       (found & EPOLLPRI ? CLINUX_EPOLL_PRIORITY : 0) |
		                       (found & (EPOLLHUP | EPOLLERR) ? CLINUX_EPOLL_HANGUP : 0);
	}
	return count;
}

int clinux_timerfd_arm(int timer, uint64_t deadline_nanoseconds)
{
	struct itimerspec when;
	memset(&when, 0, sizeof when);
	when.it_value.tv_sec = (time_t)(deadline_nanoseconds / 1000000000u);
	when.it_value.tv_nsec = (long)(deadline_nanoseconds % 1000000000u);
	return checked(timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL));
}

void clinux_eventfd_signal(int fd)
{
	uint64_t one = 1;
	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void clinux_eventfd_drain(int fd)
{
	uint64_t count;
	while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

/* clinux_pause.h: the CPU's hint for busy waiting. C because Swift has no spelling for it. */
#ifndef CLINUX_PAUSE_H
#define CLINUX_PAUSE_H
static inline void clinux_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}
#endif

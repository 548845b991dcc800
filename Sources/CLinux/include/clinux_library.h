/* clinux_library.h: functions of a loaded library. C because dladdr1(), dlinfo() and their flags hide behind _GNU_SOURCE. */
#ifndef CLINUX_LIBRARY_H
#define CLINUX_LIBRARY_H

/* The address of a function that the library itself defines; NULL when it has no such symbol, when the symbol is data,
 * or when only a library that it depends on has it (dlsym alone would find libc's system() in every library). */
void *clinux_library_function(void *handle, const char *name);
/* The address of a data symbol that the library itself defines, with room for size_bytes; else NULL. */
const void *clinux_library_data(void *handle, const char *name, unsigned long size_bytes);
#endif

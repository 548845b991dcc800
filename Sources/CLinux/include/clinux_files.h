/* clinux_files.h: what stat(2) does not say of files. C because neither sys/xattr.h nor sys/vfs.h is in Swift's Glibc module. */
#ifndef CLINUX_FILES_H
#define CLINUX_FILES_H

/* 1 when a program gets capabilities from its file, 0 when not, or when that cannot be told. */
int clinux_file_has_capabilities(const char *path);
/* 1 when a folder lies in this machine's memory (tmpfs, ramfs), 0 when not, or a negated errno. */
int clinux_folder_is_memory(const char *path);
#endif

#include "clinux_files.h"

#include <errno.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

int clinux_file_has_capabilities(const char *path)
{
	return getxattr(path, "security.capability", NULL, 0) > 0;
}

int clinux_folder_is_memory(const char *path)
{
	struct statfs status;
	if (statfs(path, &status) != 0)
		return -errno;
	return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}

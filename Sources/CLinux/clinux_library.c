#include "clinux_library.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stddef.h>

static void *own_symbol(void *handle, const char *name, const ElfW(Sym) **entry)
{
	struct link_map *map = NULL;
	void *found_in = NULL;
	Dl_info info;
	void *address = dlsym(handle, name);

	if (!address || dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
		return NULL;
	if (!dladdr1(address, &info, &found_in, RTLD_DL_LINKMAP) || found_in != map)
		return NULL;
	if (!dladdr1(address, &info, (void **)entry, RTLD_DL_SYMENT) || !*entry)
		return NULL;
	return address;
}

void *clinux_library_function(void *handle, const char *name)
{
	const ElfW(Sym) *entry = NULL;
	void *address = own_symbol(handle, name, &entry);

	if (!address)
		return NULL;
	int type = ELF64_ST_TYPE(entry->st_info);
	return type == STT_FUNC || type == STT_GNU_IFUNC ? address : NULL;
}

const void *clinux_library_data(void *handle, const char *name, unsigned long size_bytes)
{
	const ElfW(Sym) *entry = NULL;
	void *address = own_symbol(handle, name, &entry);

	if (!address || ELF64_ST_TYPE(entry->st_info) != STT_OBJECT || entry->st_size < size_bytes)
		return NULL;
	return address;
}

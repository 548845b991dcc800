/* cfabric.h: libfabric, found at run time. C because libfallow must load on machines without libfabric: only the
 * library's six entry points are symbols, and they are resolved by dlopen(3) here; everything else in its headers is
 * static inline over tables of function pointers, which Swift calls as it is. */
#ifndef CFABRIC_H
#define CFABRIC_H
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

/* Loads libfabric.so.1, once. 0; or an errno, ENOENT when there is no such library, ENOSYS when it is too old. */
int cfabric_load(void);
/* The version of the library as loaded, FI_VERSION's form; 0 before cfabric_load. */
uint32_t cfabric_version(void);

/* After cfabric_load alone. As fi_getinfo(3), fi_fabric(3) say; results are negated errnos. */
int cfabric_getinfo(uint32_t version, const char *node, const char *service, uint64_t flags,
                    const struct fi_info *hints, struct fi_info **info);
void cfabric_freeinfo(struct fi_info *info);
struct fi_info *cfabric_allocinfo(void);
int cfabric_fabric(struct fi_fabric_attr *attributes, struct fid_fabric **fabric);

/* FI_VERSION(major, minor): a macro with arguments, which Swift does not import. */
static inline uint32_t cfabric_make_version(uint32_t major, uint32_t minor) { return FI_VERSION(major, minor); }

/* One remote write with data for the peer's completion queue: fi_writemsg(3) with its four nested structs. */
static inline ssize_t cfabric_write(struct fid_ep *ep, const void *bytes, size_t byte_count, void *descriptor,
                                    uint64_t address, uint64_t key, uint64_t data, uint64_t flags)
{
	struct iovec from = { (void *)(uintptr_t)bytes, byte_count };
	struct fi_rma_iov to = { address, byte_count, key };
	struct fi_msg_rma message = { &from, &descriptor, 1, 0, &to, 1, NULL, data };
	return fi_writemsg(ep, &message, flags | FI_REMOTE_CQ_DATA);
}

/* The process's own TCP socket between two addresses, or -ENOENT. libfabric has no call that hands its socket out, so it
 * is found among the process's descriptors by its two names. */
struct sockaddr;
int cfabric_find_socket(const struct sockaddr *local, const struct sockaddr *remote);
#endif

/* munge.h, and its variadic setters with fixed signatures: Swift imports no variadic C functions. */
#include <munge.h>

static inline munge_err_t cmunge_set_socket(munge_ctx_t context, const char *path) {
    return munge_ctx_set(context, MUNGE_OPT_SOCKET, path);
}
static inline munge_err_t cmunge_set_uid_restriction(munge_ctx_t context, uid_t uid) {
    return munge_ctx_set(context, MUNGE_OPT_UID_RESTRICTION, uid);
}
static inline munge_err_t cmunge_set_ttl(munge_ctx_t context, int seconds) {
    return munge_ctx_set(context, MUNGE_OPT_TTL, seconds);
}
static inline munge_err_t cmunge_get_encode_time(munge_ctx_t context, time_t *at) {
    return munge_ctx_get(context, MUNGE_OPT_ENCODE_TIME, at);
}
static inline munge_err_t cmunge_get_socket(munge_ctx_t context, char **path) {
    return munge_ctx_get(context, MUNGE_OPT_SOCKET, path);
}

/* libcurl without its variadic functions, which Swift cannot call. Each returns whether libcurl took the value. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

/* libcurl hands out blocks of bytes, and takes them: both return how many were dealt with. */
typedef size_t (*fallow_curl_bytes)(char *bytes, size_t size, size_t count, void *context);
typedef int (*fallow_curl_seek)(void *context, curl_off_t offset, int origin);

bool fallow_curl_set_number(CURL *easy, CURLoption option, int64_t value);
/* A pointer that libcurl copies (text) or keeps (lists, contexts), as the option says. */
bool fallow_curl_set_pointer(CURL *easy, CURLoption option, const void *value);
/* CURLOPT_WRITEFUNCTION, HEADERFUNCTION, READFUNCTION with its ..DATA. */
bool fallow_curl_set_bytes(CURL *easy, CURLoption function, CURLoption data, fallow_curl_bytes call, void *context);
bool fallow_curl_set_seek(CURL *easy, fallow_curl_seek call, void *context);
/* The HTTP status of the reply; 0 without one. */
long fallow_curl_status(CURL *easy);
/* The next transfer that has ended, or NULL. */
CURL *fallow_curl_next_done(CURLM *multi, CURLcode *result);

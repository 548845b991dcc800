/* What is used of libsodium, linked statically: libfallow needs the C library alone. */
#pragma once
#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_secretbox.h>
#include <sodium/utils.h>

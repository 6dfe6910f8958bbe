/* secret.h: keys, for the commands that need one. */
#ifndef CMD_SECRET_H
#define CMD_SECRET_H

#include <sockeye/crypto.h>

#include "options.h"

/* What commands with ciphers share. A command's own struct of options begins with it. */
struct secret_options {
    struct common common;
    const char *provider, *key_file;
};

extern const struct option_row option_provider, option_key_file;

/* Reads the key that --key-file names: a file or, as fd:N, a descriptor, byte for byte; or, as env:NAME, hex
 * digits from the environment. Warns where others may read the file. From then on this process leaves no core
 * dump. Reports its errors; returns the exit status. */
int secret_key(const struct secret_options *options, eye_key **ret_key);

/* From now on this process leaves no core dump (PR_SET_DUMPABLE, prctl(2)): a cipher's own copy of a key
 * would be in it. */
void secret_begin(void);

/* Reads exactly size bytes as hex digits; whether they were that. */
bool secret_hex(const char *text, uint8_t *ret_bytes, size_t size);

#endif

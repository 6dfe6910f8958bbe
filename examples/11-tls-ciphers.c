/* The ciphers that tls endpoints can use, as JSON: for ciphers= those of TLS 1.2, for suites= those of 1.3.
 * With a name, that cipher alone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sockeye/tls.h>

int main(int argc, char **argv) {
    struct eye_tls_cipher cipher;
    int found = 0;

    for (size_t i = 0; eye_tls_cipher(i, &cipher); i++) {
        if (argc > 1 && strcmp(cipher.name, argv[1]) != 0)
            continue;
        printf("{\"id\": %" PRIu32 ", \"name\": \"%s\", \"protocol\": \"%s\", \"description\": \"%s\", "
               "\"strength_bits\": %d, \"alg_bits\": %d}\n",
               cipher.id, cipher.name, cipher.protocol, cipher.description, cipher.strength_bits,
               cipher.alg_bits);
        found++;
    }
    if (!found)
        fprintf(stderr, "%s\n", eye_tls_library() ? "no such cipher" : "this build has no TLS");
    return !found;
}

/* fuzz_endpoint.c: any text as an endpoint, a duration and a size.
 *
 * What is read must have what its scheme needs and read again as the same; an error must be one safe line
 * with its place inside the text. */
#include <sockeye/endpoint.h>

#include "fuzz.h"

static bool same(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_endpoint(const char *text) {
    struct eye_endpoint endpoint, again;
    struct eye_err err;

    int r = eye_endpoint_parse(text, &endpoint, &err);
    MUST(eye_endpoint_parse(text, &again, NULL) == r);
    if (r < 0) {
        fuzz_check_err(r, &err, text);
        return;
    }
    MUST(same(endpoint.text, text));
    MUST(eye_scheme_name(endpoint.scheme));
    bool tls = endpoint.scheme == EYE_TLS, tls_path = tls && !endpoint.host;
    bool has_port = endpoint.scheme == EYE_TCP || endpoint.scheme == EYE_UDP || (tls && !tls_path);
    MUST(has_port == (endpoint.host && endpoint.port && endpoint.port[0]));
    bool has_path =
        endpoint.scheme == EYE_UNIX || endpoint.scheme == EYE_EXEC || endpoint.scheme == EYE_FILE || tls_path;
    MUST(tls == (endpoint.kept != NULL) && endpoint.tls.pin_count <= EYE_PIN_MAX);
    MUST(has_path == (endpoint.path && endpoint.path[0]));
    MUST(endpoint.fd >= 0 && (endpoint.fd == 0 || endpoint.scheme == EYE_FD));
    MUST(endpoint.any_host || !has_port || endpoint.host[0]);
    MUST(endpoint.timeout_ns > 0 && endpoint.idle_ns >= 0 && endpoint.peers_max >= 0);
    MUST(!(endpoint.join || endpoint.ttl || endpoint.broadcast) || endpoint.scheme == EYE_UDP);
    MUST(endpoint.ttl >= 0 && endpoint.ttl <= 255);
    MUST(endpoint.allow_count <= EYE_CIDR_MAX && endpoint.deny_count <= EYE_CIDR_MAX);
    MUST(endpoint.mode <= 0777);
    MUST(same(endpoint.host, again.host) && same(endpoint.port, again.port) &&
         same(endpoint.path, again.path));
    if (endpoint.scheme == EYE_UNIX) {
        struct eye_addr addr;
        if (strchr("/@", endpoint.path[0]))
            MUST(eye_addr_parse(endpoint.path, &addr, NULL) == 0);
    }
    eye_endpoint_done(&endpoint);
    eye_endpoint_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    int64_t value;
    check_endpoint(text);
    MUST(eye_parse_duration(text, &value) < 0 || value >= 0);
    MUST(eye_parse_size(text, &value) < 0 || value >= 0);
    free(text);
    return 0;
}

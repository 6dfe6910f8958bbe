/* endpoint.c: reads the text that names an endpoint.
 *
 *     [SCHEME[,OPTION...]:[//]]TARGET[,OPTION[=VALUE]]...
 *
 * The word before the first colon or comma is the scheme if a scheme has that name (a host of such a name is
 * written tcp:tcp:80). Else the beginning of the text tells: a path or '@' is unix, "-" is stdio, anything
 * else tcp. Each scheme is a row with a function that reads its target; the options are a table of
 * endpoint_options.c.
 *
 * Refused, each with its place in the text: IPv6 literals without brackets (RFC 3986, 3.2.2), since the port
 * could not be told from the address; hosts of other characters than letters, digits, '-', '_', '.' and those
 * beyond ASCII; paths that do not fit a socket address (unix(7)); and everything left over. Names are not
 * looked up here. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "name/endpoint.h"
#include "name/kept.h"
#include "name/name.h"

/* Ended by NULL, so that eye_nearest takes it. */
static const char *const scheme_names[EYE_SCHEME_MAX + 1] = {
    [EYE_TCP] = "tcp",     [EYE_UDP] = "udp", [EYE_UNIX] = "unix", [EYE_EXEC] = "exec",
    [EYE_STDIO] = "stdio", [EYE_FD] = "fd",   [EYE_FILE] = "file", [EYE_TLS] = "tls",
};

const char *eye_scheme_name(size_t scheme) {
    return scheme < EYE_SCHEME_MAX ? scheme_names[scheme] : NULL;
}

int parse_bad(const struct parse *parse, size_t at, const char *fmt, ...) {
    char what[sizeof(((struct eye_err *)NULL)->text)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    err_set(parse->reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s in '%s'", what, parse->text);
    err_column(parse->reterr, at);
    return EYE_ESYNTAX;
}

int parse_no_memory(const struct parse *parse) {
    return err_set(parse->reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", parse->text, eye_strerror(-ENOMEM));
}

char *parse_copy(const struct parse *parse, size_t at, size_t size) {
    char *copy = strndup(parse->text + at, size);
    if (!copy)
        parse_no_memory(parse);
    return copy;
}

/* Reads the options that stand at the end, after a comma. */
static int options_tail(struct parse *parse, size_t at) {
    return parse->text[at] == ',' ? options_read(parse, at + 1, strlen(parse->text)) : 0;
}

static int host_check(const struct parse *parse, size_t at, size_t size) {
    for (size_t i = at; i < at + size; i++) {
        char c = parse->text[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && !strchr("-_.", c) && (unsigned char)c < 0x80) {
            parse_bad(parse, i, "'%c' cannot stand in a host's name", c);
            if (c == '*')
                err_cause(parse->reterr, "':PORT' means every address");
            return EYE_ESYNTAX;
        }
    }
    return 0;
}

static int port_check(const struct parse *parse, size_t at, size_t size) {
    const char *port = parse->text + at;
    if (size == 0)
        return parse_bad(parse, at, "no port");
    int r = name_check_port(port, size);
    if (r == -ERANGE)
        return parse_bad(parse, at, "a port above 65535");
    if (r < 0)
        return parse_bad(parse, at, "'%.*s' is neither a port number nor a service's name",
                         (int)MIN(size, 64), port);
    return 0;
}

/* Whether a text is an IPv6 literal, perhaps with a zone. */
static bool is_ipv6(const char *text, size_t size) {
    const char *percent = memchr(text, '%', size);
    size_t literal = percent ? (size_t)(percent - text) : size;
    struct in6_addr in6;
    if (percent && (literal + 1 == size || memchr(percent, ':', size - literal)))
        return false;
    return name_read_ipv6(text, literal, &in6);
}

/* Fails for a target that is an IPv6 literal without brackets, with a port behind it or without. */
static int bare_ipv6_check(const struct parse *parse, size_t at, size_t size) {
    const char *target = parse->text + at;
    const char *last = memrchr(target, ':', size);
    size_t before = last ? (size_t)(last - target) : 0;
    if (is_ipv6(target, before)) {
        parse_bad(parse, at, "an IPv6 literal without brackets");
        err_cause(parse->reterr, "IPv6 literals stand in brackets: [%.*s]%.*s", (int)before, target,
                  (int)(size - before), last);
        return EYE_ESYNTAX;
    }
    if (is_ipv6(target, size)) {
        parse_bad(parse, at, "an IPv6 literal without brackets");
        err_cause(parse->reterr, "IPv6 literals stand in brackets: [%.*s]:PORT", (int)size, target);
        return EYE_ESYNTAX;
    }
    return 0;
}

/* Reads "[V6]" at a place into the host; *ret_end is behind the bracket. */
static int bracketed_read(const struct parse *parse, size_t at, size_t *ret_end) {
    const char *open = parse->text + at;
    const char *close = strchr(open, ']');
    if (!close)
        return parse_bad(parse, at, "'[' without ']'");
    size_t size = (size_t)(close - open) - 1;
    if (!is_ipv6(open + 1, size))
        return parse_bad(parse, at + 1, "no IPv6 literal between the brackets");
    struct in6_addr in6;
    parse->endpoint->any_host = name_read_ipv6(open + 1, size, &in6) && IN6_IS_ADDR_UNSPECIFIED(&in6);
    *ret_end = at + size + 2;
    return (parse->endpoint->host = parse_copy(parse, at + 1, size)) ? 0 : -ENOMEM;
}

/* Reads HOST:PORT, [V6]:PORT, :PORT or PORT, which is from at to end. */
static int host_port_read(struct parse *parse, bool scheme_said, size_t at, size_t end) {
    struct eye_endpoint *endpoint = parse->endpoint;
    const char *text = parse->text;
    const char *colon = memchr(text + at, ':', end - at);
    size_t port = colon ? (size_t)(colon - text) + 1 : at;
    int r = 0;

    if (text[at] == '[') {
        size_t host_end = at;
        r = bracketed_read(parse, at, &host_end);
        if (r < 0)
            return r;
        if (text[host_end] != ':')
            return parse_bad(parse, host_end, host_end == end ? "no port" : "text after ']'");
        port = host_end + 1;
    } else if (colon) {
        size_t size = port - 1 - at;
        r = host_check(parse, at, size);
        if (r < 0)
            return r;
        endpoint->any_host = size == 0;
        endpoint->host = parse_copy(parse, at, size);
    } else {
        size_t digits = strspn(text + at, "0123456789");
        bool port_only = digits == end - at || (scheme_said && name_check_port(text + at, end - at) == 0);
        if (at == end)
            return parse_bad(parse, at, "no host and port");
        if (!port_only) {
            r = host_check(parse, at, end - at);
            return r < 0 ? r : parse_bad(parse, end, "no port");
        }
        endpoint->bare_port = endpoint->any_host = true;
        endpoint->host = parse_copy(parse, at, 0);
    }
    if (!endpoint->host)
        return -ENOMEM;
    r = port_check(parse, port, end - port);
    if (r < 0)
        return r;
    return (endpoint->port = parse_copy(parse, port, end - port)) ? 0 : -ENOMEM;
}

static int unknown_scheme(const struct parse *parse, size_t size) {
    const char *nearest = eye_nearest(parse->text, size, scheme_names);
    parse_bad(parse, 0, "unknown scheme '%.*s'", (int)size, parse->text);
    if (nearest)
        err_cause(parse->reterr, "did you mean '%s'?", nearest);
    else
        err_cause(parse->reterr, "the schemes are tcp, udp, tls, unix, exec, stdio, fd and file");
    return EYE_ESYNTAX;
}

/* Whether a text that is no HOST:PORT was meant to be SCHEME:TARGET, with a first word of that size: when
 * it is near a scheme's name, or when what follows is "//" or has a colon of its own. */
static bool is_scheme_meant(const char *text, size_t word) {
    if (word == 0 || text[word] == '\0')
        return false;
    for (size_t i = 0; i < word; i++)
        if (!ascii_is_alpha(text[i]) && !(i > 0 && (ascii_is_digit(text[i]) || strchr("+-.", text[i]))))
            return false;
    const char *rest = text + word + 1;
    size_t digits = strspn(rest, "0123456789");
    if (digits > 0 && (rest[digits] == '\0' || rest[digits] == ','))
        return false;
    return eye_nearest(text, word, scheme_names) ||
           (text[word] == ':' && (strncmp(rest, "//", 2) == 0 || strchr(rest, ':')));
}

static int ip_read(struct parse *parse, bool scheme_said, size_t at, bool options_before) {
    (void)options_before;
    /* A zone may hold anything, but it ends with its bracket. */
    const char *close = parse->text[at] == '[' ? strchr(parse->text + at, ']') : NULL;
    size_t end = close ? (size_t)(close - parse->text) : at;
    end += strcspn(parse->text + end, ",");
    int r = bare_ipv6_check(parse, at, end - at);
    if (r < 0)
        return r;
    r = host_port_read(parse, scheme_said, at, end);
    size_t word = strcspn(parse->text, ":,");
    if (r == EYE_ESYNTAX && !scheme_said && is_scheme_meant(parse->text, word))
        return unknown_scheme(parse, word);
    return r < 0 ? r : options_tail(parse, end);
}

/* Finds where the path ends and the options begin: behind the last piece that is no option. A piece that
 * looks like an option and is none is refused rather than made part of the path, and so is one that follows
 * an option with its value: it is far more often a slip than a path. */
static int path_end_find(const struct parse *parse, size_t at, size_t *ret_end) {
    const char *text = parse->text;
    size_t end = at + strcspn(text + at, ",");
    bool value_seen = false;
    for (size_t comma = end, next; text[comma] == ','; comma = next) {
        size_t name = comma + 1, name_size = strcspn(text + name, ",=");
        bool has_value = text[name + name_size] == '=';
        next = name + strcspn(text + name, ",");
        if (option_find(text + name, name_size))
            value_seen |= has_value;
        else if (has_value || value_seen)
            return option_unknown(parse, name);
        else
            end = next;
    }
    *ret_end = end;
    return 0;
}

/* Reads a path and the options behind it; *ret_end is where they began. */
static int path_read(struct parse *parse, size_t at, bool options_before, size_t *ret_end) {
    size_t end = strlen(parse->text);
    int r = options_before ? 0 : path_end_find(parse, at, &end);
    if (r < 0)
        return r;
    if (end == at)
        return parse_bad(parse, at, "no path");
    *ret_end = end;
    return (parse->endpoint->path = parse_copy(parse, at, end - at)) ? 0 : -ENOMEM;
}

static int unix_read(struct parse *parse, bool scheme_said, size_t at, bool options_before) {
    (void)scheme_said;
    size_t end = at;
    int r = path_read(parse, at, options_before, &end);
    if (r < 0)
        return r;
    r = name_check_path(parse->endpoint->path, parse->text, parse->reterr);
    if (r < 0) {
        err_column(parse->reterr, at);
        return r;
    }
    return options_tail(parse, end);
}

static int file_read(struct parse *parse, bool scheme_said, size_t at, bool options_before) {
    (void)scheme_said;
    size_t end = at;
    int r = path_read(parse, at, options_before, &end);
    return r < 0 ? r : options_tail(parse, end);
}

/* A command holds what it likes, so nothing stands behind it. */
static int exec_read(struct parse *parse, bool scheme_said, size_t at, bool options_before) {
    (void)scheme_said, (void)options_before;
    if (parse->text[at] == '\0')
        return parse_bad(parse, at, "no command");
    return (parse->endpoint->path = parse_copy(parse, at, strlen(parse->text) - at)) ? 0 : -ENOMEM;
}

static int fd_read(struct parse *parse, bool scheme_said, size_t at, bool options_before) {
    (void)scheme_said, (void)options_before;
    size_t size = strcspn(parse->text + at, ",");
    uint64_t number;
    if (text_parse_uint(parse->text + at, size, INT_MAX, &number) < 0)
        return parse_bad(parse, at, "'%.*s' is no descriptor's number", (int)MIN(size, 64), parse->text + at);
    parse->endpoint->fd = (int)number;
    return options_tail(parse, at + size);
}

static int stdio_read(struct parse *parse, bool scheme_said, size_t at, bool options_before) {
    (void)scheme_said, (void)options_before;
    if (parse->text[at] != '\0' && parse->text[at] != ',')
        return parse_bad(parse, at, "stdio takes no target");
    return options_tail(parse, at);
}

static int tls_read(struct parse *parse, bool scheme_said, size_t at, bool options_before) {
    bool path = name_is_path(parse->text + at);
    int r = (path ? unix_read : ip_read)(parse, scheme_said, at, options_before);
    if (r == 0)
        r = options_check(parse, path ? EYE_UNIX : EYE_TCP);
    if (r < 0)
        return r;
    parse->endpoint->kept = malloc(sizeof *parse->endpoint->kept);
    if (!parse->endpoint->kept)
        return parse_no_memory(parse);
    *parse->endpoint->kept = (struct eye_kept){.lock = PTHREAD_MUTEX_INITIALIZER};
    return 0;
}

/* How a scheme's target is read, from a place on: scheme_said tells that the text began with the scheme's
 * name, options_before that options stood before the colon. */
static int (*const target_readers[])(struct parse *, bool scheme_said, size_t at, bool options_before) = {
    [EYE_TCP] = ip_read,      [EYE_UDP] = ip_read, [EYE_UNIX] = unix_read, [EYE_EXEC] = exec_read,
    [EYE_STDIO] = stdio_read, [EYE_FD] = fd_read,  [EYE_FILE] = file_read, [EYE_TLS] = tls_read,
};
_Static_assert(ARRAY_LEN(target_readers) == EYE_SCHEME_MAX, "a reader for every scheme");

static bool is_word(const char *text, size_t size, const char *word) {
    return strlen(word) == size && memcmp(text, word, size) == 0;
}

/* Reads what stands before the colon after a scheme's name of that size; *ret_at is where the target is. */
static int head_read(struct parse *parse, size_t word, size_t *ret_at, bool *ret_options_before) {
    const char *text = parse->text;
    const char *colon = strchr(text + word, ':');
    if (!colon && parse->endpoint->scheme == EYE_STDIO) {
        *ret_at = word;
        return 0;
    }
    if (!colon)
        return parse_bad(parse, strlen(text), "no ':' and target");
    size_t at = (size_t)(colon - text);
    if (text[word] == ',') {
        int r = options_read(parse, word + 1, at);
        if (r < 0)
            return r;
        *ret_options_before = true;
    }
    at++;
    *ret_at = at + (strncmp(text + at, "//", 2) == 0 ? 2 : 0);
    return 0;
}

static int endpoint_read(struct parse *parse) {
    struct eye_endpoint *endpoint = parse->endpoint;
    const char *text = parse->text;
    size_t word = strcspn(text, ":,"), at = 0;
    bool scheme_said = false, options_before = false;

    for (size_t i = 0; i < EYE_SCHEME_MAX && !scheme_said; i++) {
        scheme_said = is_word(text, word, scheme_names[i]);
        if (scheme_said)
            endpoint->scheme = (enum eye_scheme)i;
    }
    if (scheme_said) {
        int r = head_read(parse, word, &at, &options_before);
        if (r < 0)
            return r;
    } else if (name_is_path(text)) {
        endpoint->scheme = EYE_UNIX;
    } else if (is_word(text, word, "-") && text[word] != ':') {
        endpoint->scheme = EYE_STDIO;
        at = word;
    }
    return target_readers[endpoint->scheme](parse, scheme_said, at, options_before);
}

int eye_endpoint_parse(const char *text, struct eye_endpoint *ret_endpoint, struct eye_err *reterr) {
    struct eye_endpoint endpoint = {.timeout_ns = 10 * NS_PER_S, .type = SOCK_STREAM, .mode = 0600};
    struct parse parse = {.text = text, .endpoint = &endpoint, .reterr = reterr};
    int r = (endpoint.text = parse_copy(&parse, 0, strlen(text))) ? endpoint_read(&parse) : -ENOMEM;
    if (r < 0) {
        eye_endpoint_done(&endpoint);
        return r;
    }
    *ret_endpoint = endpoint;
    return 0;
}

static void tls_done(struct eye_endpoint *endpoint) {
    struct eye_endpoint_tls *tls = &endpoint->tls;
    char *const owned[] = {tls->cert,    tls->key,    tls->pass, tls->ca,  tls->crl,
                           tls->ciphers, tls->suites, tls->name, tls->alpn};
    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        free(owned[i]);
    if (!endpoint->kept)
        return;
    for (size_t i = 0; i < ARRAY_LEN(endpoint->kept->made); i++)
        if (endpoint->kept->made[i])
            endpoint->kept->release(endpoint->kept->made[i]);
    pthread_mutex_destroy(&endpoint->kept->lock);
    free(endpoint->kept);
}

void eye_endpoint_done(struct eye_endpoint *endpoint) {
    tls_done(endpoint);
    free(endpoint->text);
    free(endpoint->host);
    free(endpoint->port);
    free(endpoint->path);
    free(endpoint->device);
    free(endpoint->bind);
    free(endpoint->join);
    *endpoint = (struct eye_endpoint){0};
}

bool eye_endpoint_admits(const struct eye_endpoint *endpoint, const struct eye_addr *addr) {
    for (size_t i = 0; i < endpoint->deny_count; i++)
        if (eye_cidr_holds(&endpoint->deny[i], addr))
            return false;
    for (size_t i = 0; i < endpoint->allow_count; i++)
        if (eye_cidr_holds(&endpoint->allow[i], addr))
            return true;
    return endpoint->allow_count == 0;
}

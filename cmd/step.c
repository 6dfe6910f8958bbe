#include "step.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <sockeye/err.h>

enum tour_mark step_marked(struct tour_step *step, enum tour_mark mark, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(step->reason, sizeof step->reason, fmt, args);
    va_end(args);
    return mark;
}

static void log_command(struct tour_step *step, const char *const *argv) {
    fputc('$', step->log);
    for (; *argv; argv++)
        fprintf(step->log, strpbrk(*argv, " *$'\\") ? " '%s'" : " %s", *argv);
    fputc('\n', step->log);
}

/* Starts a child of the step; NULL, with the reason, where it cannot be. */
struct child *step_start(struct tour_step *step, const struct child_how *how) {
    struct child *child = malloc(sizeof *child);
    int r = child ? child_start(how, child) : -ENOMEM;
    log_command(step, how->argv);
    if (r < 0) {
        free(child);
        step_marked(step, TOUR_FAILED, "%s: %s", how->argv[0], eye_strerror(r));
        return NULL;
    }
    step->children[step->child_count++] = child;
    return child;
}

/* Runs a sockeye command and shows what it printed; everything in `wants`, ended by NULL, must be in it. */
enum tour_mark step_shown(struct tour_step *step, int status_wanted, const char *const *wants,
                          const struct child_how *how) {
    struct child *child = step_start(step, how);
    int status;
    if (!child)
        return TOUR_FAILED;
    child_send_end(child);
    status = child_wait(child);
    fputs(child->out.data, step->log);
    if (status != status_wanted)
        return step_marked(step, TOUR_FAILED, "exit status %d instead of %d", status, status_wanted);
    for (; *wants; wants++) {
        if (!strstr(child->out.data, *wants))
            return step_marked(step, TOUR_FAILED, "'%s' was not printed", *wants);
    }
    return TOUR_OK;
}

/* Waits for a listening event and takes the address from it. */
static bool listening(struct tour_step *step, struct child *server, char *ret_address, size_t size) {
    static const char key[] = "\"address\":\"";
    const char *address;
    if (!child_await(&server->events, "\"event\":\"listening\"") || !child_await(&server->events, "\n") ||
        !(address = strstr(server->events.data, key))) {
        child_await(&server->out, "\n");
        fputs(server->out.data, step->log);
        step_marked(step, TOUR_FAILED, "the server does not listen");
        return false;
    }
    address += sizeof key - 1;
    snprintf(ret_address, size, "%.*s", (int)strcspn(address, "\""), address);
    return true;
}

/* Starts a server of ours and waits until it listens. */
struct child *step_serve(struct tour_step *step, char *ret_address, size_t size,
                         const struct child_how *how) {
    struct child_how with_events = *how;
    struct child *server;
    with_events.events = true;
    server = step_start(step, &with_events);
    return server && listening(step, server, ret_address, size) ? server : NULL;
}

#define PEER_WORDS_MAX 4

/* The first of these that is installed is the peer; %h, %b, %p and %u stand for a target's parts: %b is the
 * host in brackets if it needs them. */
static const struct peer {
    const char *program;
    const char *tcp[PEER_WORDS_MAX], *unix_dial[PEER_WORDS_MAX], *unix_listen[PEER_WORDS_MAX];
} peers[] = {
    {"nc.openbsd", {"-N", "%h", "%p"}, {"-N", "-U", "%u"}, {"-l", "-U", "%u"}},
    {"socat", {"-t5", "-", "TCP:%b:%p"}, {"-t5", "-", "UNIX-CONNECT:%u"}, {"-u", "UNIX-LISTEN:%u", "-"}},
    {"sockeye", {"connect", "tcp:%b:%p"}, {"connect", "unix:%u"}, {"listen", "unix:%u"}},
};

static const struct peer *peer_installed(void) {
    const struct peer *peer = peers;
    while (strcmp(peer->program, "sockeye") != 0 && !child_installed(peer->program))
        peer++;
    return peer;
}

static void expand(const char *word, const struct target *target, char *out, size_t size) {
    size_t used = 0;
    bool v6 = strchr(target->host, ':') != NULL;
    for (; *word && used + 1 < size; word++) {
        const char *value = word[0] == '%' && word[1] == 'p'   ? target->port
                            : word[0] == '%' && word[1] == 'u' ? target->path
                            : word[0] == '%'                   ? target->host
                                                               : NULL;
        bool brackets = v6 && word[0] == '%' && word[1] == 'b';
        if (value) {
            used += (size_t)snprintf(out + used, size - used, "%s%s%s", brackets ? "[" : "", value,
                                     brackets ? "]" : "");
            word++;
        } else {
            out[used++] = *word;
        }
    }
    out[used < size ? used : size - 1] = '\0';
}

struct child *step_peer(struct tour_step *step, enum step_peer_role role, const struct target *target, int in,
                        int out) {
    const struct peer *peer = peer_installed();
    const char *const *words = role == STEP_LISTENS ? peer->unix_listen
                               : target->path[0]    ? peer->unix_dial
                                                    : peer->tcp;
    struct child_how how = {.argv = {peer->program}, .in = in, .out = out};
    char expanded[PEER_WORDS_MAX][160];
    for (size_t i = 0; i < PEER_WORDS_MAX && words[i]; i++) {
        expand(words[i], target, expanded[i], sizeof expanded[i]);
        how.argv[i + 1] = expanded[i];
    }
    return step_start(step, &how);
}

/* Splits "127.0.0.1:80" or "[::1]:80". */
void target_at(struct target *target, const char *address) {
    const char *colon = strrchr(address, ':');
    *target = (struct target){0};
    if (!colon)
        return;
    snprintf(target->port, sizeof target->port, "%s", colon + 1);
    snprintf(target->host, sizeof target->host, "%.*s", (int)(colon - address), address);
    if (target->host[0] == '[')
        snprintf(target->host, sizeof target->host, "%.*s", (int)(colon - address) - 2, address + 1);
}

/* The peer says a line and must get that line back, and nothing else. */
bool step_says(struct tour_step *step, struct child *peer, const char *line) {
    bool back;
    peer->out.used = 0;
    peer->out.data[0] = '\0';
    back = child_send(peer, line) && child_await(&peer->out, line) && strcmp(peer->out.data, line) == 0;
    fprintf(step->log, "< %s> %s", line, peer->out.data);
    if (!back)
        step_marked(step, TOUR_FAILED, "what came back is not what was sent");
    return back;
}

bool step_ends(struct tour_step *step, struct child *peer) {
    size_t used = peer->out.used;
    int status;
    child_send_end(peer);
    status = child_wait(peer);
    if (status == 0 && peer->out.used == used)
        return true;
    fputs(peer->out.data + used, step->log);
    step_marked(step, TOUR_FAILED, "the peer ended with %d and %zu bytes more", status,
                peer->out.used - used);
    return false;
}

bool step_talk(struct tour_step *step, const struct target *target) {
    struct child *peer = step_peer(step, STEP_DIALS, target, CHILD_PIPE, CHILD_PIPE);
    return peer && step_says(step, peer, "Hello World\n") && step_says(step, peer, "and again\n") &&
           step_ends(step, peer);
}

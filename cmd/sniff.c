/* sniff.c: `sockeye sniff [FILTER]`: watches packets, live or from a capture file.
 *
 * What needs privileges is opened first; then they are given up, and only then is the first packet looked at.
 * A source that can be waited for (an interface, a pipe) is waited for on the loop, and then so much of it is
 * taken at a time that signals are not kept waiting; a regular file is read in the same slices. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sockeye/capture.h>
#include <sockeye/privileges.h>

#include "commands.h"
#include "names.h"
#include "output.h"
#include "run.h"
#include "show.h"

#define SLICE        1024 /* packets between two looks at what else there is to do */
#define ROTATE_LEAST 40   /* a file's head, and its first packet's */

struct sniff_options {
    struct common common;
    const char *interface, *read, *write, *fields, *user, *time;
    int64_t count, snaplen, buffer_bytes, duration_ns, rotate_bytes, rotate_ns, keep;
    bool numeric, link, ascii, hex, hex_ascii, detail, csv, resolve, verify, promiscuous, lines;
};

struct sniff {
    struct run run;
    const struct sniff_options *options;
    eye_source *source;
    eye_dump *dump;
    struct show show;
    eye_op ready, deadline, last_block;
    uint64_t shown;
    int status;
    bool ended;
};

/* ---- packets ---- */

static void sniff_end(struct sniff *sniff, int status) {
    if (status)
        sniff->status = status;
    sniff->ended = true;
    eye_cancel(sniff->run.loop, &sniff->ready);
    eye_cancel(sniff->run.loop, &sniff->deadline);
    eye_cancel(sniff->run.loop, &sniff->last_block);
    run_ended(&sniff->run);
}

/* Takes one packet; false when none came, for now or for good. */
static bool sniff_one(struct sniff *sniff) {
    struct eye_packet packet;
    struct eye_err err;
    int r = eye_source_next(sniff->source, &packet, &err);

    if (r == -EAGAIN)
        return false;
    if (r <= 0) {
        sniff_end(sniff, r < 0 ? report(&err) : STATUS_OK);
        return false;
    }
    if (sniff->dump) {
        r = eye_dump_write(sniff->dump, &packet, &err);
        if (r == 0 && sniff->options->lines)
            r = eye_dump_flush(sniff->dump, &err);
        if (r < 0) {
            sniff_end(sniff, report(&err));
            return false;
        }
    } else if ((r = show_packet(&sniff->show, &packet)) < 0) {
        sniff_end(sniff, report_code(r, "standard output"));
        return false;
    }
    if (++sniff->shown == (uint64_t)sniff->options->count)
        sniff_end(sniff, STATUS_OK);
    return !sniff->ended;
}

/* What is to be seen is seen before anything is waited for. */
static void sniff_flush(struct sniff *sniff) {
    struct eye_err err;
    int r;
    if (sniff->dump && eye_dump_flush(sniff->dump, &err) < 0)
        sniff_end(sniff, report(&err));
    else if (!sniff->dump && (r = show_flush(&sniff->show)) < 0)
        sniff_end(sniff, report_code(r, "standard output"));
}

static void sniff_slice(struct sniff *sniff) {
    for (int i = 0; i < SLICE; i++) {
        if (sniff_one(sniff))
            continue;
        if (!sniff->ended)
            sniff_flush(sniff);
        return;
    }
}

static void sniff_ready(eye_op *op, int64_t result) {
    struct sniff *sniff = op->user;
    if (sniff->ended)
        return;
    if (result < 0) {
        sniff_end(sniff, report_code((int)result, "waiting for packets"));
        return;
    }
    sniff_slice(sniff);
    if (!sniff->ended)
        eye_poll(sniff->run.loop, op, eye_source_fd(sniff->source), EYE_IN, sniff_ready);
}

static void sniff_deadline(eye_op *op, int64_t result) {
    struct sniff *sniff = op->user;
    if (result == 0 && !sniff->ended)
        sniff_end(sniff, STATUS_OK);
}

/* The kernel hands packets over in blocks, so those that were seen when the signal came may still be there.
 */
static void sniff_stop(struct run *run, int64_t grace_ns) {
    struct sniff *sniff = eye_container_of(run, struct sniff, run);
    (void)grace_ns;
    if (sniff->options->read || eye_op_pending(&sniff->last_block))
        sniff_end(sniff, STATUS_OK);
    else
        eye_timer(run->loop, &sniff->last_block, eye_loop_now(run->loop) + 2 * EYE_SOURCE_DELAY_NS,
                  sniff_deadline);
}

static void sniff_run_loop(struct sniff *sniff) {
    eye_loop *loop = sniff->run.loop;

    sniff->ready.user = sniff->deadline.user = sniff->last_block.user = sniff;
    if (sniff->options->duration_ns > 0)
        eye_timer(loop, &sniff->deadline, eye_loop_now(loop) + sniff->options->duration_ns, sniff_deadline);
    if (eye_source_fd(sniff->source) >= 0) {
        eye_poll(loop, &sniff->ready, eye_source_fd(sniff->source), EYE_IN, sniff_ready);
        run_loop(&sniff->run);
        return;
    }
    while (!sniff->ended) {
        sniff_slice(sniff);
        eye_loop_run(loop, 0);
    }
}

/* ---- the end ---- */

static int sniff_close_dump(struct sniff *sniff) {
    struct eye_err err;
    eye_dump *dump = sniff->dump;
    sniff->dump = NULL;
    if (dump && eye_dump_close(dump, eye_source_link(sniff->source), &err) < 0)
        return report(&err);
    return STATUS_OK;
}

static void sniff_tell(struct sniff *sniff) {
    bool live = !sniff->options->read;
    struct eye_source_stats stats;
    char drops[96] = "";
    if (sniff->options->common.quiet)
        return;
    eye_source_stats(sniff->source, &stats);
    if (live)
        snprintf(drops, sizeof drops, ", %llu dropped by the kernel, %llu by the interface",
                 (unsigned long long)stats.dropped_kernel, (unsigned long long)stats.dropped_interface);
    notice("%llu packets %s, %llu %s%s", (unsigned long long)stats.captured, live ? "captured" : "read",
           (unsigned long long)sniff->shown, sniff->options->write ? "written" : "shown", drops);
}

/* ---- the beginning ---- */

static const char *interface_of(const struct sniff_options *o) {
    return o->interface ? o->interface : "any";
}

static int sniff_open_source(struct sniff *sniff, const char *filter) {
    const struct sniff_options *o = sniff->options;
    const struct eye_source_opts opts = {
        .filter = filter,
        .snaplen = (uint32_t)o->snaplen,
        .buffer_bytes = o->buffer_bytes,
        .promiscuous = o->promiscuous,
        .immediate = o->lines || (!o->write && isatty(STDOUT_FILENO)),
    };
    const char *from = o->read ? o->read : interface_of(o);
    char spec[4096];
    struct eye_err err;
    int n = snprintf(spec, sizeof spec, "%s:%s", o->read ? "file" : "live", from);

    if (n < 0 || (size_t)n >= sizeof spec)
        return report_code(-ENAMETOOLONG, from);
    if (eye_source_open(spec, &opts, &sniff->source, &err) < 0)
        return report_in(&err, filter);
    return STATUS_OK;
}

static bool sniff_rotates(const struct sniff_options *o) {
    return o->rotate_bytes > 0 || o->rotate_ns > 0;
}

static int sniff_open_dump(struct sniff *sniff, const struct eye_user *user) {
    const struct sniff_options *o = sniff->options;
    const struct eye_dump_opts opts = {
        .snaplen = (uint32_t)o->snaplen,
        .nano = eye_source_is_nano(sniff->source),
        .rotate_bytes = o->rotate_bytes,
        .rotate_ns = o->rotate_ns,
        .keep = (uint32_t)o->keep,
    };
    struct eye_err err;
    if (eye_dump_open(o->write, &opts, &sniff->dump, &err) == 0)
        return STATUS_OK;
    if (user && sniff_rotates(o) && err.code == -EACCES)
        snprintf(
            err.cause, sizeof err.cause,
            "files are made by user %s, who may not write in that folder: change its owner, or see --user",
            user->name);
    return report(&err);
}

/* The folder in which a series' files are made. */
static void folder_of(const char *path, char *buf, size_t size) {
    const char *slash = strrchr(path, '/');
    snprintf(buf, size, "%.*s", slash == path ? 1 : slash ? (int)(slash - path) : 1, slash ? path : ".");
}

static int sniff_drop(struct sniff *sniff, struct eye_user *user) {
    const struct sniff_options *o = sniff->options;
    char folder[4096];
    struct eye_drop_opts opts = {.insist = o->user, .looks_up = o->resolve};
    struct eye_dropped dropped;
    struct eye_err err;

    if (geteuid() == 0) {
        if (eye_user_find(o->user ? o->user : "nobody", user, &err) < 0)
            return report(&err);
        opts.user = user;
    } else if (o->user) {
        usage_error(&err, NULL, "--user is for root, and this process is not");
        return report(&err);
    }
    if (sniff_rotates(o)) {
        folder_of(o->write, folder, sizeof folder);
        opts.writes = folder;
    }
    if (eye_privileges_drop(&opts, &dropped, &err) < 0)
        return report(&err);
    if (o->common.verbose)
        notice("gave up capabilities%s%s%s%s", dropped.user ? ", root for user " : "",
               dropped.user ? user->name : "", dropped.landlock ? ", files (landlock)" : "",
               dropped.seccomp ? ", programs and sockets (seccomp)" : "");
    return STATUS_OK;
}

static void sniff_greet(const struct sniff *sniff) {
    const struct sniff_options *o = sniff->options;
    char number[16];
    if (!o->common.quiet && !o->read)
        notice("listening on %s, link type %s", interface_of(o),
               eye_link_name(eye_source_link(sniff->source), number, sizeof number));
}

static int sniff_begin(struct sniff *sniff) {
    const struct sniff_options *o = sniff->options;
    struct eye_user user = {.name = ""};
    int status = o->write && !sniff_rotates(o) ? sniff_open_dump(sniff, NULL) : STATUS_OK;

    if (status == STATUS_OK && show_open(&sniff->show) < 0)
        status = report_code(-ENOMEM, "output");
    tzset(); /* reads /etc/localtime while it may be read */
    if (status == STATUS_OK && names_open(&sniff->show.look, !o->read, o->resolve) < 0)
        status = report_code(-ENOMEM, "names");
    if (status == STATUS_OK)
        status = sniff_drop(sniff, &user);
    if (status == STATUS_OK && sniff_rotates(o))
        status = sniff_open_dump(sniff, user.name[0] ? &user : NULL);
    return status;
}

/* The loop is made while files may still be opened. */
static int sniff_watch(struct sniff *sniff, const char *filter) {
    int status = sniff_open_source(sniff, filter);
    if (status == STATUS_OK)
        status = run_open(&sniff->run, &sniff->options->common, sniff_stop);
    if (status == STATUS_OK) {
        status = sniff->run.signum ? STATUS_OK : sniff_begin(sniff);
        if (status == STATUS_OK && !sniff->run.signum) {
            sniff_greet(sniff);
            sniff_run_loop(sniff);
            sniff_flush(sniff);
            status = sniff_close_dump(sniff);
            sniff_tell(sniff);
        }
        status = run_close(&sniff->run, sniff->status ? sniff->status : status);
    }
    sniff_close_dump(sniff);
    show_close(&sniff->show);
    names_close(&sniff->show.look);
    eye_source_free(sniff->source);
    return status;
}

/* ---- the command ---- */

static int wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int wrong(const char *fmt, ...) {
    struct eye_err err;
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    usage_error(&err, NULL, "%s", text);
    return report(&err);
}

/* In the order of enum eye_clock. */
static const char *const time_names[] = {"clock", "date", "utc", "unix", "delta", "none", NULL};
_Static_assert(sizeof time_names / sizeof time_names[0] == EYE_CLOCK_MAX + 1, "a name for every clock");

/* A terminal that shows colours, of somebody who has not said no to them (no-color.org). */
static bool is_coloured(void) {
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(none && *none) && terminal && strcmp(terminal, "dumb") != 0;
}

/* Which would be empty before it is read. */
static bool is_same_file(const char *in, const char *out) {
    struct stat a, b;
    return (strcmp(in, "-") == 0 ? fstat(STDIN_FILENO, &a) : stat(in, &a)) == 0 &&
           (strcmp(out, "-") == 0 ? fstat(STDOUT_FILENO, &b) : stat(out, &b)) == 0 && S_ISREG(a.st_mode) &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* What a packet is shown as. */
static int sniff_check_show(const struct sniff_options *o, struct show *show) {
    const struct {
        bool said;
        const char *name;
        enum show_kind kind;
    } kinds[] = {{o->detail, "--detail", SHOW_DETAIL},
                 {o->common.json, "--json", SHOW_JSON},
                 {o->fields != NULL, "--fields", SHOW_FIELDS}};
    const char *kind = NULL;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!kinds[i].said)
            continue;
        if (kind)
            return wrong("%s and %s: choose one", kind, kinds[i].name);
        kind = kinds[i].name;
        show->kind = kinds[i].kind;
    }
    for (size_t i = 0; o->time && time_names[i]; i++) {
        if (strcmp(time_names[i], o->time) == 0)
            show->look.clock = (enum eye_clock)i;
    }
    show->look.link = o->link;
    show->look.color = is_coloured();
    show->csv = o->csv;
    show->verify = o->verify;
    show->each = o->lines;
    show->dump = o->hex_ascii ? SHOW_HEX_ASCII : o->hex ? SHOW_HEX : o->ascii ? SHOW_ASCII : SHOW_NO_DUMP;
    if (show->dump && show->kind >= SHOW_JSON)
        return wrong("-x, -X and -A do not go with %s", kind);
    if (o->csv && !o->fields)
        return wrong("--csv is a form of --fields");
    return STATUS_OK;
}

static int sniff_check_read(const struct sniff_options *o) {
    const struct {
        bool said;
        const char *name;
    } live[] = {{o->interface != NULL, "--interface"},
                {o->promiscuous, "--promiscuous"},
                {o->buffer_bytes > 0, "--buffer"}};

    for (size_t i = 0; i < sizeof live / sizeof live[0]; i++) {
        if (live[i].said)
            return wrong("%s is for live captures, and --read is none", live[i].name);
    }
    return STATUS_OK;
}

static int sniff_check_write(const struct sniff_options *o) {
    const struct {
        bool said;
        const char *name;
    } shown[] = {
        {o->detail, "--detail"},     {o->common.json, "--json"}, {o->fields != NULL, "--fields"},
        {o->hex, "--hex"},           {o->ascii, "--ascii"},      {o->hex_ascii, "--hex-ascii"},
        {o->link, "--link"},         {o->verify, "--verify"},    {o->resolve, "--resolve"},
        {o->time != NULL, "--time"},
    };
    bool to_output = strcmp(o->write, "-") == 0;

    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        if (shown[i].said)
            return wrong("--write shows nothing: %s does not go with it", shown[i].name);
    }
    if (to_output && isatty(STDOUT_FILENO))
        return wrong("--write -: a capture file is nothing for a terminal; redirect standard output");
    if (to_output && sniff_rotates(o))
        return wrong("standard output does not rotate");
    if (o->rotate_bytes > 0 && o->rotate_bytes <= ROTATE_LEAST)
        return wrong("--rotate-size: %d bytes of a file come before its first packet", ROTATE_LEAST);
    if (o->keep && !sniff_rotates(o))
        return wrong("--rotate-keep wants --rotate-size or --rotate-every");
    if (o->read && is_same_file(o->read, o->write))
        return wrong("--read and --write name one file: %s", o->write);
    return STATUS_OK;
}

/* Reads what the options say together. */
static int sniff_check(const struct sniff_options *o, struct show *show) {
    int status = sniff_check_show(o, show);
    if (status == STATUS_OK && o->read)
        status = sniff_check_read(o);
    if (status == STATUS_OK && o->write)
        status = sniff_check_write(o);
    if (status != STATUS_OK)
        return status;
    if (!o->write && (sniff_rotates(o) || o->keep))
        return wrong("%s is for --write", sniff_rotates(o) ? "rotation" : "--rotate-keep");
    if (o->promiscuous && strcmp(interface_of(o), "any") == 0)
        return wrong("--promiscuous is for one interface: say which, by --interface");
    if (o->snaplen > EYE_SNAPLEN_MAX)
        return wrong("--snaplen is at most %d", EYE_SNAPLEN_MAX);
    return STATUS_OK;
}

/* The arguments as one expression; the caller frees it. NULL where there are none. */
static int filter_join(struct arguments arguments, char **ret_filter) {
    size_t size = 1;
    for (size_t i = 0; i < arguments.count; i++)
        size += strlen(arguments.list[i]) + 1;
    *ret_filter = NULL;
    if (arguments.count == 0)
        return STATUS_OK;
    char *filter = malloc(size);
    if (!filter)
        return report_code(-ENOMEM, "filter");
    size_t used = 0;
    for (size_t i = 0; i < arguments.count; i++)
        used += (size_t)snprintf(filter + used, size - used, "%s%s", i ? " " : "", arguments.list[i]);
    *ret_filter = filter;
    return STATUS_OK;
}

static int sniff_run(const void *options, struct arguments arguments) {
    const struct sniff_options *o = options;
    struct sniff *sniff = calloc(1, sizeof *sniff);
    char *fields = o->fields ? strdup(o->fields) : NULL, *filter = NULL;
    struct eye_err err;
    if (!sniff || (o->fields && !fields)) {
        free(sniff);
        free(fields);
        return report_code(-ENOMEM, "options");
    }

    int status = sniff_check(o, &sniff->show);
    if (status == STATUS_OK && fields && show_fields(&sniff->show, fields, &err) < 0)
        status = report_in(&err, o->fields);
    if (status == STATUS_OK)
        status = filter_join(arguments, &filter);
    if (status == STATUS_OK) {
        sniff->options = o;
        status = sniff_watch(sniff, filter);
    }
    free(filter);
    free(fields);
    free(sniff);
    return status;
}

/* ---- the table ---- */

#define ROW(field, row_name, row_letter, row_kind, row_value, ...)                                           \
    static const struct option_row option_##field = {                                                        \
        row_name,  row_letter,  row_kind,                                                                    \
        row_value, __VA_ARGS__, .offset = offsetof(struct sniff_options, field)}

ROW(interface, "interface", 'i', OPTION_STRING, "IF|any", "the interface to listen on; any unless said");
ROW(read, "read", 'r', OPTION_STRING, "FILE|-", "read a capture file, pcap or pcapng, or standard input",
    .completes = COMPLETE_FILE);
ROW(write, "write", 'w', OPTION_STRING, "FILE|-",
    "write the packets to a capture file (pcap) and show nothing", .completes = COMPLETE_FILE);
ROW(count, "count", 'c', OPTION_INTEGER, "N", "end after so many packets");
ROW(duration_ns, "duration", 0, OPTION_DURATION, "DURATION", "end after so long");
ROW(snaplen, "snaplen", 's', OPTION_NATURAL, "BYTES",
    "take so much of each packet; 0 is all that there may be, 262144, as unless said");
ROW(buffer_bytes, "buffer", 0, OPTION_SIZE, "SIZE",
    "the kernel's buffer for packets that were not yet read; 2 MiB unless said");
ROW(promiscuous, "promiscuous", 0, OPTION_FLAG, NULL, "take what is for other hosts too");
ROW(user, "user", 0, OPTION_STRING, "USER",
    "whom to become after opening, where started as root; nobody unless said");
ROW(detail, "detail", 0, OPTION_FLAG, NULL, "print a block for each header, with every field");
ROW(fields, "fields", 0, OPTION_STRING, "PATH,...",
    "print columns: fields by their paths in the JSON, with tabs between them");
ROW(csv, "csv", 0, OPTION_FLAG, NULL, "with --fields: as CSV, with a line of names");
ROW(link, "link", 'e', OPTION_FLAG, NULL, "show the link layer's addresses too");
ROW(hex, "hex", 'x', OPTION_FLAG, NULL, "dump each packet in hexadecimal, without its link header unless -e");
ROW(hex_ascii, "hex-ascii", 'X', OPTION_FLAG, NULL, "dump it in hexadecimal and as text");
ROW(ascii, "ascii", 'A', OPTION_FLAG, NULL, "dump it as text");
ROW(time, "time", 0, OPTION_CHOICE, "clock|date|utc|unix|delta|none",
    "how a line tells the time; clock unless said, delta is the time since the line before",
    .choices = time_names);
ROW(resolve, "resolve", 0, OPTION_FLAG, NULL, "look up the names of addresses");
ROW(numeric, "numeric", 'n', OPTION_FLAG, NULL, "look up no names, as it is unless --resolve is said");
ROW(verify, "verify", 0, OPTION_FLAG, NULL, "check the checksums of TCP, UDP, ICMP and the like too");
ROW(lines, "line-buffered", 'l', OPTION_FLAG, NULL, "write after every packet, into a pipe or a file too");
ROW(rotate_bytes, "rotate-size", 0, OPTION_SIZE, "SIZE", "with -w: begin another file before one is larger");
ROW(rotate_ns, "rotate-every", 0, OPTION_DURATION, "DURATION",
    "with -w: begin another file when a packet is so much later than the first in it");
ROW(keep, "rotate-keep", 0, OPTION_INTEGER, "N", "with rotation: remove the oldest files beyond so many");

const struct command sniff_command = {
    .name = "sniff",
    .summary = "watches packets, live or from a capture file",
    .arguments = "[FILTER...]",
    .about = "Shows packets as they pass an interface, or from a capture file: a line for\n"
             "each, or blocks with every field, JSON, columns, dumps. FILTER is an\n"
             "expression of pcap-filter(7): 'icmp', 'tcp port 8000', 'host ::1 and udp'.\n"
             "\n"
             "Capturing needs CAP_NET_RAW. It is given up, with all else that root has,\n"
             "before the first packet is looked at.",
    .see_also = "*pcap-filter*(7), *tcpdump*(8), *tshark*(1), *packet*(7)",
    .options =
        (const struct option_row *const[]){&option_interface,    &option_read,        &option_write,
                                           &option_count,        &option_duration_ns, &option_snaplen,
                                           &option_buffer_bytes, &option_promiscuous, &option_detail,
                                           &option_json,         &option_fields,      &option_csv,
                                           &option_link,         &option_hex,         &option_hex_ascii,
                                           &option_ascii,        &option_time,        &option_resolve,
                                           &option_numeric,      &option_verify,      &option_lines,
                                           &option_rotate_bytes, &option_rotate_ns,   &option_keep,
                                           &option_user,         &option_engine,      &option_verbose,
                                           &option_quiet,        &option_help,        NULL},
    .defaults = &(const struct sniff_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct sniff_options),
    .arguments_max = SIZE_MAX,
    .run = sniff_run,
};

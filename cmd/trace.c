#include "trace.h"

#include <inttypes.h>
#include <time.h>

#include "output.h"

#define ROW_BYTES 16

static void write_head(const struct trace *trace, uint64_t conn, enum eye_side from, size_t size) {
    struct timespec ts;
    struct tm tm;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(trace->file, "%c %s.%06ldZ  connection %" PRIu64 ", from the %s end, %zu byte%s\n",
            from == EYE_FROM ? '>' : '<', seconds, ts.tv_nsec / 1000, conn,
            from == EYE_FROM ? "first" : "second", size, size == 1 ? "" : "s");
}

/* A row of at most ROW_BYTES. */
static void write_row(const struct trace *trace, uint64_t offset, const uint8_t *data, size_t size) {
    static const char digits[] = "0123456789abcdef";
    char hex[ROW_BYTES * 3 + 2], text[ROW_BYTES + 1];
    size_t used = 0;
    for (size_t i = 0; i < ROW_BYTES; i++) {
        bool there = i < size;
        if (i == ROW_BYTES / 2)
            hex[used++] = ' ';
        hex[used++] = there ? digits[data[i] >> 4] : ' ';
        hex[used++] = there ? digits[data[i] & 15] : ' ';
        hex[used++] = ' ';
        text[i] = there && data[i] >= ' ' && data[i] < 0x7f ? (char)data[i] : '.';
    }
    hex[used] = '\0';
    fprintf(trace->file, "%08" PRIx64 "  %s |%.*s|\n", offset, hex, (int)size, text);
}

static void write_piece(struct trace *trace, uint64_t conn, enum eye_side from, uint64_t offset,
                        struct eye_bytes bytes) {
    if (trace->failed)
        return;
    write_head(trace, conn, from, bytes.size);
    for (size_t at = 0; at < bytes.size; at += ROW_BYTES) {
        size_t left = bytes.size - at;
        write_row(trace, offset + at, bytes.data + at, left < ROW_BYTES ? left : ROW_BYTES);
    }
    if (fflush(trace->file) == 0 && !ferror(trace->file))
        return;
    trace->failed = true;
    report_code(-errno, trace->name);
}

/* From any thread: a piece stays in one. */
static void on_bytes(void *user, uint64_t conn, enum eye_side from, uint64_t offset, struct eye_bytes bytes) {
    struct trace *trace = user;
    flockfile(trace->file);
    write_piece(trace, conn, from, offset, bytes);
    funlockfile(trace->file);
}

int trace_open(struct trace *trace, const char *name) {
    *trace = (struct trace){.tracer = {.bytes = on_bytes, .user = trace}, .name = "--trace"};
    if (!name)
        return STATUS_OK;
    trace->file = stderr;
    if (!*name)
        return STATUS_OK;
    trace->name = name;
    trace->file = fopen(name, "we");
    return trace->file ? STATUS_OK : report_code(-errno, name);
}

int trace_close(struct trace *trace, int status) {
    if (trace->file && trace->file != stderr && fclose(trace->file) != 0 && !trace->failed) {
        trace->failed = true;
        report_code(-errno, trace->name);
    }
    return trace->failed && status == STATUS_OK ? STATUS_OTHER : status;
}

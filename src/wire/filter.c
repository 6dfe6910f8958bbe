/* filter.c: filter expressions, pcap-filter(7), compiled by libpcap and run by its bpf_filter(3PCAP).
 *
 * What an expression compiles to depends on the link type, and pcapng files may hold several: a program is
 * made for each the first time that a packet of it comes.
 *
 * libpcap says that an expression has a syntax error, and not where. The place is found by trial: the words
 * are the longest beginning of the expression that something can complete, and the fault is the word after
 * it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/filter.h"

enum { LINKS_MAX = 8, EXPRESSION_MAX = 65536, SEARCHED_MAX = 4096 };

struct filter {
    char *expression;
    size_t count, last;
    struct {
        uint32_t link;
        struct bpf_program program;
    } of[LINKS_MAX];
};

int link_from_dlt(int dlt) {
    return dlt == DLT_RAW ? EYE_LINK_RAW : dlt;
}

int link_to_dlt(int link) {
    return link == EYE_LINK_RAW ? DLT_RAW : link;
}

const char *eye_link_name(int link, char *buf, size_t size) {
    const char *name = pcap_datalink_val_to_name(link_to_dlt(link));
    snprintf(buf, size, "%d", link);
    return name ? name : buf;
}

static int compile(pcap_t *pcap, const char *expression, struct bpf_program *ret_program) {
    return pcap_compile(pcap, ret_program, expression, 1, PCAP_NETMASK_UNKNOWN);
}

static bool compiles(pcap_t *pcap, const char *expression) {
    struct bpf_program program;
    if (compile(pcap, expression, &program) < 0)
        return false;
    pcap_freecode(&program);
    return true;
}

/* Whether something can follow the first size bytes so that a whole expression comes of it. */
static bool completes(pcap_t *pcap, const char *expression, size_t size) {
    static const char *const rests[] = {"",
                                        " tcp",
                                        " 1",
                                        " 192.0.2.1",
                                        " host 192.0.2.1",
                                        " port 1",
                                        " 1-2",
                                        " 192.0.2.0/24",
                                        " 00:00:00:00:00:00",
                                        " host 00:00:00:00:00:00",
                                        " proto 1",
                                        " = 1",
                                        " 1 = 1",
                                        "] = 1",
                                        " 1] = 1"};
    size_t depth = 0;
    for (size_t i = 0; i < size; i++)
        depth += expression[i] == '(' ? 1 : expression[i] == ')' && depth > 0 ? (size_t)-1 : 0;
    char *text = malloc(size + 32 + depth);
    bool found = false;
    for (size_t i = 0; text && i < ARRAY_LEN(rests) && !found; i++) {
        int n = sprintf(text, "%.*s%s", (int)size, expression, rests[i]);
        memset(text + n, ')', depth);
        text[(size_t)n + depth] = '\0';
        found = compiles(pcap, text);
    }
    free(text);
    return found;
}

static bool is_of_word(char c) {
    return c && !strchr(" \t\n()[]!&|=<>+-*/", c);
}

/* Where the expression stops being the beginning of one; its length where only something more is missing. */
static size_t fault_at(pcap_t *pcap, const char *expression) {
    size_t at = 0;
    for (;;) {
        at += strspn(expression + at, " \t\n");
        size_t word = at;
        if (!expression[at])
            return at;
        if (!is_of_word(expression[at]))
            at++;
        while (is_of_word(expression[word]) && is_of_word(expression[at]))
            at++;
        if (!completes(pcap, expression, at))
            return word;
    }
}

/* The words that libpcap puts between quotes are the expression's own. */
static size_t quoted_at(const char *message, const char *expression) {
    char word[128];
    const char *found;
    return sscanf(message, "%*[^'\"]%*['\"]%127[^'\"]", word) == 1 && (found = strstr(expression, word))
               ? (size_t)(found - expression)
               : EYE_NO_COLUMN;
}

static int complain(pcap_t *pcap, const char *expression, struct eye_err *reterr) {
    char message[PCAP_ERRBUF_SIZE];
    snprintf(message, sizeof message, "%s", pcap_geterr(pcap));
    bool syntax = strstr(message, "syntax error") != NULL;
    err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "filter: %s", syntax ? "syntax error" : message);
    size_t column = strlen(expression) > SEARCHED_MAX ? EYE_NO_COLUMN
                    : syntax                          ? fault_at(pcap, expression)
                                                      : quoted_at(message, expression);
    err_column(reterr, column);
    if (syntax && column == strlen(expression))
        err_cause(reterr, "something more is wanted at its end");
    return EYE_ESYNTAX;
}

int filter_compile(pcap_t *pcap, const char *expression, struct bpf_program *ret_program,
                   struct eye_err *reterr) {
    if (strlen(expression) > EXPRESSION_MAX)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "filter: longer than %d bytes", EXPRESSION_MAX);
    int r = compile(pcap, expression, ret_program);
    return r < 0 ? complain(pcap, expression, reterr) : r;
}

/* Whether a program reads what a kernel alone has beside a packet: at offsets below 0, SKF_AD_OFF of
 * filter.h. */
static bool wants_kernel(const struct bpf_program *program) {
    for (u_int i = 0; i < program->bf_len; i++) {
        const struct bpf_insn *insn = &program->bf_insns[i];
        if (BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS && insn->k > INT32_MAX)
            return true;
    }
    return false;
}

/* For packets that have nothing beside their bytes. */
static int compile_dead(const char *expression, uint32_t link, struct bpf_program *ret_program,
                        struct eye_err *reterr) {
    pcap_t *pcap = pcap_open_dead(link_to_dlt((int)link), EYE_SNAPLEN_MAX);
    if (!pcap)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "filter: %s", eye_strerror(-ENOMEM));
    int r = filter_compile(pcap, expression, ret_program, reterr);
    pcap_close(pcap);
    if (r == 0 && wants_kernel(ret_program)) {
        pcap_freecode(ret_program);
        r = err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                    "filter: asks for what only a live capture can tell (a direction, an interface)");
    }
    return r;
}

static int filter_add(struct filter *filter, uint32_t link, struct eye_err *reterr) {
    if (filter->count == LINKS_MAX)
        return err_set(reterr, -E2BIG, EYE_FAIL_OTHER, "filter: more than %d link types in one file",
                       LINKS_MAX);
    int r = compile_dead(filter->expression, link, &filter->of[filter->count].program, reterr);
    if (r < 0)
        return r;
    filter->of[filter->count].link = link;
    filter->last = filter->count++;
    return 0;
}

int filter_new(const char *expression, int link, struct filter **ret_filter, struct eye_err *reterr) {
    struct filter *filter = calloc(1, sizeof *filter);
    if (filter)
        filter->expression = strdup(expression);
    if (!filter || !filter->expression) {
        free(filter);
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "filter: %s", eye_strerror(-ENOMEM));
    }
    int r = filter_add(filter, link < 0 ? EYE_LINK_ETHERNET : (uint32_t)link, reterr);
    if (r < 0) {
        filter_free(filter);
        return r;
    }
    *ret_filter = filter;
    return 0;
}

int filter_passes(struct filter *filter, const struct eye_packet *packet, struct eye_err *reterr) {
    if (filter->of[filter->last].link != packet->link) {
        size_t i = 0;
        while (i < filter->count && filter->of[i].link != packet->link)
            i++;
        filter->last = i;
        if (i == filter->count) {
            int r = filter_add(filter, packet->link, reterr);
            if (r < 0)
                return r;
        }
    }
    return bpf_filter(filter->of[filter->last].program.bf_insns, packet->data, packet->len, packet->caplen) >
           0;
}

struct filter *filter_free(struct filter *filter) {
    if (!filter)
        return NULL;
    for (size_t i = 0; i < filter->count; i++)
        pcap_freecode(&filter->of[i].program);
    free(filter->expression);
    free(filter);
    return NULL;
}

const char *filter_version(void) {
    return pcap_lib_version();
}

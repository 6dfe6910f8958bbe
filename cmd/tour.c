/* tour.c: `sockeye tour [ROW...]`: runs the recipes of the cookbook live, on loopback, with real
 * commands as child processes, shows what each printed, and marks it. */
#include "tour.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "json.h"
#include "output.h"

static const char *const mark_names[] = {
    [TOUR_OK] = "ok", [TOUR_FAILED] = "failed", [TOUR_SKIPPED] = "skipped"};
_Static_assert(sizeof mark_names / sizeof mark_names[0] == TOUR_MARK_MAX, "a name for every mark");

static bool folder_make(struct tour_step *step) {
    const char *parent = getenv("TMPDIR");
    int n = snprintf(step->folder, sizeof step->folder, "%s/sockeye-tour-XXXXXX", parent ? parent : "/tmp");
    return n > 0 && (size_t)n < sizeof step->folder && mkdtemp(step->folder);
}

/* Recipes make files in it, and no folders. */
static void folder_remove(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(folder);
}

static enum tour_mark step_run(const struct tour_recipe *recipe, struct tour_step *step) {
    enum tour_mark mark = TOUR_FAILED;
    if (folder_make(step)) {
        mark = recipe->run(step);
        if (child_signal())
            snprintf(step->reason, sizeof step->reason, "interrupted");
        folder_remove(step->folder);
    } else {
        snprintf(step->reason, sizeof step->reason, "no temporary folder: %s", eye_strerror(-errno));
    }
    while (step->child_count > 0) {
        child_end(step->children[--step->child_count]);
        free(step->children[step->child_count]);
    }
    return mark;
}

/* Safe for a terminal, and but for that as it is: a command can be copied, backslashes and all. */
static void print_line(const char *text, size_t size) {
    fputs("      ", stdout);
    for (size_t i = 0; i <= size; i++) {
        char piece[1024];
        const char *backslash = memchr(text + i, '\\', size - i);
        size_t n = backslash ? (size_t)(backslash - text) - i : size - i;
        eye_escape(text + i, n, piece, sizeof piece);
        fputs(piece, stdout);
        if (backslash)
            putchar('\\');
        i += n;
    }
    putchar('\n');
}

static void print_text(const struct tour_recipe *recipe, enum tour_mark mark, const char *reason,
                       const char *log) {
    char number[16] = "";
    if (recipe->row)
        snprintf(number, sizeof number, "%d", recipe->row);
    printf("%2s  %s\n", number, recipe->title);
    while (*log) {
        size_t n = strcspn(log, "\n");
        print_line(log, n);
        log += n + (log[n] == '\n');
    }
    printf("    %s%s%s\n", mark_names[mark], *reason ? ": " : "", reason);
    fflush(stdout);
}

static void print_json(const struct tour_recipe *recipe, enum tour_mark mark, const char *reason,
                       const char *log) {
    struct json json = {.file = stdout};
    json_begin(&json);
    if (recipe->row)
        json_int(&json, "row", recipe->row);
    json_string(&json, "title", recipe->title);
    json_string(&json, "result", mark_names[mark]);
    if (*reason)
        json_string(&json, "reason", reason);
    json_string(&json, "log", log);
    json_end(&json);
    fflush(stdout);
}

static enum tour_mark recipe_run(const struct tour_recipe *recipe, bool as_json) {
    struct tour_step step = {0};
    char *log = NULL;
    size_t size;
    enum tour_mark mark;

    step.log = open_memstream(&log, &size);
    if (!step.log)
        return TOUR_FAILED;
    mark = step_run(recipe, &step);
    fclose(step.log);
    (as_json ? print_json : print_text)(recipe, mark, step.reason, log);
    free(log);
    return mark;
}

static bool chosen(const struct tour_recipe *recipe, struct arguments rows) {
    for (size_t i = 0; i < rows.count; i++) {
        if (atoi(rows.list[i]) == recipe->row)
            return true;
    }
    return rows.count == 0;
}

/* Every row that was asked for must exist. */
static int rows_check(struct arguments rows) {
    struct eye_err err;
    for (size_t i = 0; i < rows.count; i++) {
        const struct tour_recipe *recipe = tour_recipes;
        while (recipe->title && !(recipe->row && chosen(recipe, (struct arguments){&rows.list[i], 1})))
            recipe++;
        if (!recipe->title) {
            usage_error(&err, NULL, "no recipe '%s'", rows.list[i]);
            return report(&err);
        }
    }
    return STATUS_OK;
}

static int tour_run(const void *options, struct arguments arguments) {
    const struct common *common = options;
    unsigned counts[TOUR_MARK_MAX] = {0};
    int status = rows_check(arguments);

    if (status)
        return status;
    child_interruptible();
    for (const struct tour_recipe *recipe = tour_recipes; recipe->title && !child_signal(); recipe++) {
        if (chosen(recipe, arguments))
            counts[recipe_run(recipe, common->json)]++;
    }
    if (!common->json)
        printf("%u ok, %u failed, %u skipped\n", counts[TOUR_OK], counts[TOUR_FAILED], counts[TOUR_SKIPPED]);
    if (child_signal()) {
        fflush(stdout);
        signal(child_signal(), SIG_DFL);
        raise(child_signal());
    }
    return counts[TOUR_FAILED] ? STATUS_OTHER : STATUS_OK;
}

const struct command tour_command = {
    .name = "tour",
    .summary = "runs the recipes of the cookbook live and marks each",
    .arguments = "[ROW...]",
    .about = "Runs every recipe of the cookbook, or those of the given rows, on loopback, shows\n"
             "what each printed, and marks it: ok, failed, or skipped with the reason. Peers\n"
             "are nc and socat where they are installed. Ends with 1 if a recipe failed.",
    .see_also = "*sockeye*(1), *sockeye-doctor*(1)",
    .options = (const struct option_row *const[]){&option_json, &option_help, NULL},
    .defaults = &common_defaults,
    .options_size = sizeof common_defaults,
    .arguments_max = SIZE_MAX,
    .run = tour_run,
};

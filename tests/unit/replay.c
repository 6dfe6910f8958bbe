/* replay.c: a fuzz target without a fuzzer: runs it on every file of its corpus, and on each of them cut
 * short at every byte, so that what was once found stays found. replay_NAME CORPUS; see fuzz/. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

/* In memory of just its size, so that a sanitizer sees a read behind it. */
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size + !size);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static bool run_file(const char *folder, const char *name) {
    static uint8_t data[INPUT_MAX];
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    for (size_t cut = 0; cut <= size; cut++)
        run(data, cut);
    return true;
}

int main(int argc, char **argv) {
    tap_case("every input of the corpus, whole and cut at every byte");
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "# %s: %s\n", argc == 2 ? argv[1] : "usage: replay CORPUS", strerror(errno));
        return 1;
    }
    unsigned count = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            count += CHECK(run_file(argv[1], entry->d_name));
    closedir(folder);
    CHECK(count > 0);
    return tap_done();
}

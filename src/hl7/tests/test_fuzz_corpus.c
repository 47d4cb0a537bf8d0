// The fuzz target over its kept corpus, so that what was once found stays fixed in every build.
#include "base/tests/check.h"

#include <dirent.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/file.h"
#include "../fuzz/fuzz_hl7.c"

#define CORPUS "src/hl7/fuzz/corpus"

enum { CORPUS_LEAST = 30 };

static void replay(const char *name)
{
    char path[300];
    struct buffer input;
    struct error err;
    buffer_init(&input, 1 << 20);
    snprintf(path, sizeof path, CORPUS "/%s", name);
    assert_ok(file_read(path, &input, &err), err);
    LLVMFuzzerTestOneInput(input.data, input.size);
    buffer_free(&input);
}

static void the_kept_corpus_passes(void **state)
{
    (void)state;
    size_t count = 0;
    DIR *folder = opendir(CORPUS);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        replay(entry->d_name);
        count++;
    }
    closedir(folder);
    assert_true(count >= CORPUS_LEAST);
}

int test_fuzz_corpus(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(the_kept_corpus_passes)};
    return cmocka_run_group_tests_name("hl7 fuzz corpus", tests, NULL, NULL);
}

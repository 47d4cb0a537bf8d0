// Runs a fuzz target over every file of a folder, with any compiler: what a fuzzer once reached stays sound.
//
//   fuzz-replay-NAME FOLDER...
//
// Exits 1 when a folder cannot be read or is empty; a broken target aborts, and the file's name stands before it on
// stderr.
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

// A block of exactly the input's size, so that a sanitizer sees a read past its end. NULL when it cannot be read.
static uint8_t *read_input(const char *path, size_t *size)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    uint8_t *data = NULL;
    if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= INPUT_MAX) {
        *size = (size_t)status.st_size;
        data = malloc(*size > 0 ? *size : 1);
        if (data && fread(data, 1, *size, file) != *size) {
            free(data);
            data = NULL;
        }
    }
    fclose(file);
    return data;
}

static bool replay_file(const char *path)
{
    size_t size = 0;
    uint8_t *data = read_input(path, &size);
    if (!data) {
        fprintf(stderr, "%s cannot be read, or has more than %d bytes\n", path, INPUT_MAX);
        return false;
    }
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return true;
}

static size_t replay_folder(const char *folder)
{
    size_t count = 0;
    char path[4096];
    DIR *directory = opendir(folder);
    if (!directory) {
        fprintf(stderr, "%s cannot be read\n", folder);
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof path || !replay_file(path)) {
            closedir(directory);
            return 0;
        }
        count++;
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s FOLDER...\n", argv[0]);
        return 2;
    }
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        size_t count = replay_folder(argv[i]);
        if (count == 0) {
            fprintf(stderr, "no inputs in %s\n", argv[i]);
            return 1;
        }
        printf("%zu inputs of %s\n", count, argv[i]);
    }
    return 0;
}

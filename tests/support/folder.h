// Folders and files of one test. All assert.
#ifndef SUPPORT_FOLDER_H
#define SUPPORT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

// A new folder below TMPDIR (/tmp), its path into `out`; who makes it deletes it, with all that is in it.
void folder_make(char *out, size_t capacity);
void folder_delete(const char *folder);

// The same as a file system of its own of so many MiB, in memory; false, with the reason printed, where this process
// may not mount. What is opened in it is closed before folder_delete_disk.
bool folder_make_disk(char *out, size_t capacity, unsigned megabytes);
void folder_delete_disk(const char *folder);
// Takes all the space that is left but `left` bytes, with one file of that name.
void folder_fill(const char *folder, const char *name, size_t left);

// A path in the folder of this program, which is made at its first use and deleted when the program ends. From a ring
// of static buffers: keep no more than a few at a time.
enum { TEMPORARY_SIZE = 256 };
const char *temporary(const char *name);

// The whole file with a NUL behind it, which *size (may be NULL) does not count; the caller frees.
void *load_file(const char *path, size_t *size);
void save_file(const char *path, const void *data, size_t size);

#endif

// Files, whole reads and writes, and what makes them durable.
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

// Opens a file that a person named for reading; *size (or NULL) is its length. What is no file (a folder, a pipe, a
// socket, a device) is refused in words (UNSUPPORTED), and never waited for. -1 with *err.
int file_open(const char *path, uint64_t *size, struct error *err);

// All of the file (as file_open takes it) behind what `out` holds already. LIMIT when it does not fit into out->limit.
bool file_read(const char *path, struct buffer *out, struct error *err);

// Exactly `size` bytes at `offset`; an early end of file is ERROR_IO. Interrupted and short transfers go on.
bool file_pread(int fd, void *data, size_t size, uint64_t offset, struct error *err);
bool file_pwrite(int fd, const void *data, size_t size, uint64_t offset, struct error *err);
bool file_write_fd(int fd, const void *data, size_t size, struct error *err); // at the file's position, or to a pipe

// Replaces `path` so that after a power cut it holds either the old or the new bytes whole: "PATH.tmp", fsync, rename,
// fsync of the folder. Where root does it the file stays its owner's.
bool file_replace(const char *path, const void *data, size_t size, mode_t mode, struct error *err);

bool file_sync(int fd, const char *what, struct error *err); // fdatasync
bool file_sync_folder(const char *path, struct error *err);  // makes creates, renames and unlinks in it durable
bool file_make_folders(const char *path, mode_t mode,
                       struct error *err); // with parents; durable; an existing folder is fine

// Bytes that can still be written on the file system of `path`.
bool file_space(const char *path, uint64_t *free_bytes, struct error *err);

#endif

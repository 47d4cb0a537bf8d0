// The log of file operations that powercut-record.so writes and powercut-image reads: records one behind the other, in
// the order in which they happened.
#ifndef POWERCUT_LOG_H
#define POWERCUT_LOG_H

#include <stdint.h>

// image.py has the same table.
enum powercut_type {
    POWERCUT_CREATE = 1, // file, path
    POWERCUT_WRITE,      // file, offset, data
    POWERCUT_TRUNCATE,   // file, offset: the new size
    POWERCUT_EXTEND,     // file, offset: the size is at least that (fallocate)
    POWERCUT_ZERO,       // file, offset, length (fallocate, punched hole)
    POWERCUT_LINK,       // file, path
    POWERCUT_RENAME,     // file, "FROM\0TO"
    POWERCUT_UNLINK,     // path
    POWERCUT_MKDIR,      // file, path
    POWERCUT_SYNC_BEGIN, // file, offset: number of the sync, "CALL:PATH"; what was logged before is covered
    POWERCUT_SYNC_END,   // file, offset: number of the sync; only now
};

// All in the machine's byte order. `size` bytes follow.
struct powercut_record {
    uint32_t type;
    uint32_t size;
    int64_t time_ns; // CLOCK_MONOTONIC
    uint64_t file;   // inode
    uint64_t offset;
    uint64_t length;
};

#endif

// The list of a backup: what is in it, and under which name of the vault (docs/store-format.md, "Backups").
#ifndef STORE_BACKUP_LIST_H
#define STORE_BACKUP_LIST_H

#include "store/vault.h"

enum { BACKUP_MARK_SIZE = 16 };

struct backup_row {
    uint64_t container, size;
    // Of a pack: follows from when it was written and from what its index and its first and last records say, so that a
    // pack of the same number and size of another life of this archive is not taken for it. Zeros: it has none.
    uint8_t mark[BACKUP_MARK_SIZE];
    bool packed; // else a lane
    uint8_t name[VAULT_NAME_SIZE];
};

struct backup_list {
    json_t *head;            // all but the containers
    struct backup_row *rows; // by number
    size_t count, capacity;
};

bool backup_list_add(struct backup_list *list, const struct backup_row *row, struct error *err);
const struct backup_row *backup_list_find(const struct backup_list *list, uint64_t container); // NULL: it is not there
void backup_list_free(struct backup_list *list);

// A file of the head's "files": where it belongs, its size, its name in the vault. false past the last, or when the
// list's author was not this program.
struct backup_file {
    const char *path; // "audit-00000001.log", "quarantine/0000000003.dcm"; from elsewhere it begins with '/'
    uint64_t size;
    int64_t written_ns; // when it was written last
    uint8_t name[VAULT_NAME_SIZE];
};
bool backup_list_file(const struct backup_list *list, size_t index, struct backup_file *out);

bool backup_list_write(struct vault *vault, const char *name, const struct backup_list *list, struct error *err);
bool backup_list_read(struct vault *vault, const char *name, struct backup_list *out, struct error *err);
// The newest, or `name` when it is not NULL; its name in `chosen`. NOT_FOUND.
bool backup_list_choose(struct vault *vault, const char *name, char chosen[BACKUP_NAME_SIZE], struct error *err);

#endif

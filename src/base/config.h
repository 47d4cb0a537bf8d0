// Configuration: YAML read into a jansson tree (no aliases, no anchors, no tags; lines are kept for messages), checked
// against one table per room, which also prints the JSON Schema and the room's part of the commented example.
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum config_type { CONFIG_TEXT, CONFIG_INTEGER, CONFIG_BOOLEAN, CONFIG_HOST_PORT, CONFIG_CHOICE, CONFIG_LIST };

// One key. `path` is dotted ("dicom.listen"). The default is YAML text. Integers are checked against least..most; a
// choice is one of the words in `choices`, separated by '|'. A list has no default: it may be absent, its entries are
// judged by whom they belong to, and `standard` is one entry of the example, in which the list is a comment.
struct config_key {
    const char *path;
    enum config_type type;
    const char *standard;
    int64_t least;
    int64_t most;
    const char *choices;
    const char *help;
};

enum { CONFIG_DEPTH_MAX = 16, CONFIG_SIZE_MAX = 1 << 20, CONFIG_NODES_MAX = 10000 };

// What is wrong with a file: the first by their lines, and how many there are.
enum { CONFIG_FAULTS_MAX = 20 };
struct config_faults {
    struct config_fault {
        int64_t line; // 0: none
        struct error err;
    } first[CONFIG_FAULTS_MAX];
    size_t count; // may be above CONFIG_FAULTS_MAX
};

// A file that was read.
struct config {
    const char *name;             // borrowed; for messages
    json_t *tree;                 // owned
    json_t *lines;                // owned: where each value stands, by its path: "http.listen", "rules.2.model"
    struct config_faults *faults; // borrowed; NULL, as config_parse leaves it: a check ends at the first fault
};

// One YAML document. Scalars: plain true/false, null and integers/decimals become JSON values, quoted ones text.
// Refuses duplicate keys, aliases, anchors, tags, a second document, depth past CONFIG_DEPTH_MAX and more than
// CONFIG_NODES_MAX nodes; messages are "NAME:LINE: what". Empty input is an empty object. `out` is to be given to
// config_free, but not on failure.
bool config_parse(const char *text, size_t size, const char *name, struct config *out, struct error *err);
bool config_read(const char *path, struct config *out, struct error *err); // of a file; `path` is borrowed
void config_free(struct config *config);

// Puts "NAME:LINE: " before the message: the line of the value at `path`, or of what it stands in. Returns whether the
// check goes on: false, or true when the fault was kept in config->faults.
bool config_blame(const struct config *config, const char *path, struct error *err);

// A value of the command line over that of the file.
void config_set(struct config *config, const char *path, const char *text);

// Checks that every key of the tree is in one of the tables and of its type, and fills in what is missing with the
// standard. `tables` is a NULL-ended list of tables, each ended by a row with path NULL. What is wrong is named with
// its line, an unknown key with the nearest known one. With config->faults what is wrong is kept there, the standard
// takes its place, and true says only that all was looked at.
bool config_complete(struct config *config, const struct config_key *const *tables, struct error *err);

// After config_complete; the path must be in a table (asserted). Texts live as long as the tree.
const char *config_text(const json_t *tree, const char *path);
int64_t config_integer(const json_t *tree, const char *path);
bool config_boolean(const json_t *tree, const char *path);

void config_print_schema(struct buffer *out, const struct config_key *const *tables);
void config_print_example(struct buffer *out, const struct config_key *const *tables);

#endif

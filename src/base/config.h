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

enum config_type { CONFIG_TEXT, CONFIG_INTEGER, CONFIG_BOOLEAN, CONFIG_HOST_PORT, CONFIG_CHOICE };

// One key. `path` is dotted ("dicom.listen"). The default is YAML text. Integers are checked against least..most; a
// choice is one of the words in `choices`, separated by '|'.
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

// One YAML document. Scalars: plain true/false, null and integers/decimals become JSON values, quoted ones text.
// Refuses duplicate keys, aliases, anchors, tags, a second document, depth past CONFIG_DEPTH_MAX and more than
// CONFIG_NODES_MAX nodes; messages are "NAME:LINE: what". Empty input is an empty object. The caller owns the result
// (json_decref).
json_t *config_parse(const char *text, size_t size, const char *name, struct error *err);

// Checks that every key of the tree is in one of the tables and of its type, and fills in what is missing with the
// standard. `tables` is a NULL-ended list of tables, each ended by a row with path NULL. An unknown key is refused with
// the nearest known one.
bool config_complete(json_t *tree, const struct config_key *const *tables, const char *name, struct error *err);

// After config_complete; the path must be in a table (asserted). Texts live as long as the tree.
const char *config_text(const json_t *tree, const char *path);
int64_t config_integer(const json_t *tree, const char *path);
bool config_boolean(const json_t *tree, const char *path);

void config_print_schema(struct buffer *out, const struct config_key *const *tables);
void config_print_example(struct buffer *out, const struct config_key *const *tables);

#endif

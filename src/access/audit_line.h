// One line of the audit trail: RFC 5424, with the audit message of PS3.15 A.5 as its text.
#ifndef ACCESS_AUDIT_LINE_H
#define ACCESS_AUDIT_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "access/access.h"
#include "base/buffer.h"
#include "base/hash.h"

// What only the trail itself says: a chain that was found broken, a line that was cut, records that were lost.
enum { ACCESS_EVENT_TRAIL = ACCESS_EVENT_COUNT };

enum {
    ACCESS_ACTOR_MAX = 256, // bytes; longer texts are cut
    ACCESS_ADDRESS_MAX = 64,
    ACCESS_PATIENT_MAX = 256,
    ACCESS_STUDY_MAX = 128,
    ACCESS_VERIFIED_MAX = 128,
    ACCESS_DETAIL_MAX = 1000,
    ACCESS_LINE_MAX = 32 << 10, // every byte above escaped to six, and the frame around it
    ACCESS_CHAIN_DIGITS = 2 * HASH_SIZE,
};

// The element that holds the chain; 32473 is the enterprise number that RFC 5612 keeps for those who have none.
//     [chain@32473 seq="7" value="HEX"]      and in the first line of a file
//     [chain@32473 seq="8" previous="HEX" value="HEX"]
//     [chain@32473 seq="8" previous="HEX" key="NAME" value="HEX"]   when the file's values are made with a key
#define ACCESS_CHAIN_START "[chain@32473 seq=\""
#define ACCESS_CHAIN_PREVIOUS "\" previous=\""
#define ACCESS_CHAIN_KEY "\" key=\""
#define ACCESS_CHAIN_VALUE "\" value=\""
#define ACCESS_CHAIN_END "\"]"

// What a trail tells at each start, until a person says that he knows of it: a file begins with the words of one.
enum access_tale { ACCESS_TALE_BREAK, ACCESS_TALE_OLDER, ACCESS_TALE_MISSING, ACCESS_TALES };
struct access_tale_words {
    const char *found, *known;
    const char *alarm; // its subject; NULL: the store's own
};
#define ACCESS_BROKEN_WORDS "the audit chain is broken, a new one begins here: "
#define ACCESS_OLDER_WORDS "the database is an older copy: "
#define ACCESS_MISSING_WORDS "lines may be missing here: "
extern const struct access_tale_words access_tales[ACCESS_TALES];

// What a person says to know of what is damaged in a file: the digest (struct access_damage) in hexadecimal digits, and
// words. Such lines stand at the beginning of a file.
#define ACCESS_KNOWN_WORDS "what is damaged in the audit trail is known: "

struct access_line {
    const struct access_record *record;
    int64_t time_ns;
    uint64_t count; // of the accesses it stands for
    uint64_t seq;
    const char *previous; // ACCESS_CHAIN_DIGITS hexadecimal digits, or NULL
    const char *key;      // with `previous`: the name of the file's key, or NULL
    const char *host;     // letters, digits, '.' and '-' only
    long process;
};

// Whether any line can be of an event with that code, or with that word or more of its name, letters folded.
bool access_line_event_is_known(const char *wanted);

// Appends the line with its line end. The chain's value is left out: it belongs at the returned offset of `out`.
size_t access_line_write(struct buffer *out, const struct access_line *line);

// A text as it stands in a line, at most `size` bytes of it, cut at a character border.
void access_line_text(struct buffer *out, const char *text, size_t size);

// "audit.example-1" from whatever the system says. Returns `out`.
const char *access_line_host(char *out, size_t capacity);

#endif

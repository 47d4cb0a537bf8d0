// Inside the model room: text in the form in which words are compared.
#ifndef MODEL_WORDS_FOLD_H
#define MODEL_WORDS_FOLD_H

#include <stdbool.h>
#include <stddef.h>

enum {
    WORDS_ITEM_SIZE = 96,                      // of a text in a built-in list
    WORDS_TEXT_MAX = 1024,                     // bytes of a text that are looked at
    WORDS_NORMAL_SIZE = 2 * WORDS_TEXT_MAX + 4 // of its normal form
};

// The words of a text, folded, each with a space before and behind: "CT_Schädel nativ" is " ct schadel nativ ", or with
// `umlauts` " ct schaedel nativ ". A '+' is a word of its own, a '|' too (texts that were joined with it
// make no phrase together), as is a '-' or '*' that ends a word ("C-", "cerebr*").
// `out` has WORDS_NORMAL_SIZE bytes; " " for a text without words.
void words_normal(const char *text, bool umlauts, char *out);

// The next of the texts between commas in *list, which has *left bytes, trimmed; moves behind it. false at the end.
bool words_next_item(const char **list, size_t *left, const char **item, size_t *size);

// Strikes the texts of a list (", " between them) out of a normal form without umlauts, the longest first; '|' stands
// in their place. false: none was there.
bool words_strike(char *normal, const char *list);

#endif

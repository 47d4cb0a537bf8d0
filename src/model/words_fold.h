// Inside the model room: text in the form in which words are compared.
#ifndef MODEL_WORDS_FOLD_H
#define MODEL_WORDS_FOLD_H

#include <stdbool.h>
#include <stddef.h>

enum {
    WORDS_TEXT_MAX = 1024,                     // bytes of a text that are looked at
    WORDS_NORMAL_SIZE = 2 * WORDS_TEXT_MAX + 4 // of its normal form
};

// The words of a text, folded, each with a space before and behind: "CT_Schädel nativ" is " ct schadel nativ ", or with
// `umlauts` " ct schaedel nativ ". A '+' is a word of its own, a '|' too (texts that were joined with it
// make no phrase together), as is a '-' or '*' that ends a word ("C-", "cerebr*").
// `out` has WORDS_NORMAL_SIZE bytes; " " for a text without words.
void words_normal(const char *text, bool umlauts, char *out);

#endif

// The vocabulary: what descriptions and Body Part Examined say, for rules and for packages' needs alike. A built-in
// table of parts of the body with their names in the usual languages (words_table.c), and a site's own synonyms.
//
// Words are whole words: letters and digits part, underscores and a small letter before a capital too ("CCT_nativ",
// "HeadRoutine"). Case and accents of Latin, Greek and Cyrillic letters fold, an umlaut matches its spelling with e
// ("Schaedel"), and each character of a script that is written without spaces (Chinese, Japanese, Thai, ...) is a word
// of its own, so that words of such scripts are found inside longer ones. A word that ends in '*' stands for all that
// begin so. What belongs to a longer term that means something else does not count: the head in "femoral head", in
// "head of the pancreas", in "head first".
#ifndef MODEL_WORDS_H
#define MODEL_WORDS_H

#include <stdbool.h>

#include "base/error.h"

enum { MODEL_SYNONYMS_MAX = 16 << 10, MODEL_WORD_MAX = 64, MODEL_SITE_NAMES_MAX = 512 };

struct model_words; // immutable after opening; any thread

// `synonyms` are the site's: "HEAD = CCT, Neurokranium; CHEST = Thx": a part of the body and further names of it; a
// part that the table does not know becomes known. "" for none. BAD_VALUE names what is not of that form, empty, longer
// than MODEL_WORD_MAX or MODEL_SYNONYMS_MAX bytes, or more than MODEL_SITE_NAMES_MAX names. NULL on failure; the caller
// closes it.
struct model_words *model_words_open(const char *synonyms, struct error *err);
void model_words_close(struct model_words *words); // NULL is fine

// Does the description hold the word, or the words of a phrase in that order? No synonyms: it is asked for as it is
// written. An empty word is in no description.
bool model_words_says(const struct model_words *words, const char *description, const char *word);

// Is it the part of the body that is asked for ("HEAD", or any name of it)? Body Part Examined (0018,0015) decides when
// it names a part: that part or one within it is the one, another one excludes whatever the description says. One that
// names none ("", "UNKNOWN", "OTHER"), or a larger part that holds the asked one, leaves it to the description: it must
// say a name of the part or of one within it.
bool model_words_is_part(const struct model_words *words, const char *body_part_examined, const char *description,
                         const char *asked);

// Does Body Part Examined name parts, and none that is, holds or is within the asked one?
bool model_words_is_other(const struct model_words *words, const char *body_part_examined, const char *asked);

#endif

// The vocabulary: is a word said, is a part of the body meant.
#include "model/words.h"

#include <stdlib.h>
#include <string.h>

#include "model/words_fold.h"

struct model_words {
    int nothing;
};

struct model_words *model_words_open(const char *synonyms, struct error *err)
{
    (void)synonyms;
    struct model_words *words = calloc(1, sizeof *words);
    if (!words)
        error_set(err, ERROR_MEMORY, "no memory for the vocabulary");
    return words;
}

void model_words_close(struct model_words *words)
{
    free(words);
}

static bool says(const char *description, const char *word, bool umlauts)
{
    char text[WORDS_NORMAL_SIZE], asked[WORDS_NORMAL_SIZE];
    words_normal(description, umlauts, text);
    words_normal(word, umlauts, asked);
    size_t size = strlen(asked);
    if (size > 3 && strcmp(asked + size - 3, " * ") == 0)
        asked[size - 3] = '\0';
    return asked[1] && strstr(text, asked);
}

bool model_words_says(const struct model_words *words, const char *description, const char *word)
{
    (void)words;
    return says(description, word, false) || says(description, word, true);
}

bool model_words_is_part(const struct model_words *words, const char *body_part_examined, const char *description,
                         const char *asked)
{
    return model_words_says(words, body_part_examined, asked) || model_words_says(words, description, asked);
}

// Inside the model room: the built-in vocabulary. Lists of words are separated by ", ".
#ifndef MODEL_WORDS_TABLE_H
#define MODEL_WORDS_TABLE_H

// A part of the body. Its own name is one of its names.
struct words_part {
    const char *part;   // NULL ends the table
    const char *within; // the larger part that holds it; "" none, "*" it holds all others
    const char *names;
};
extern const struct words_part words_parts[];

// What a head or a neck of something else is said with: "femoral head", "head of the left femur", "tête fémorale".
extern const char *const words_heads;
extern const char *const words_owners_before; // "femoral", "pancreas"
extern const char *const words_owners_after;  // directly behind: "fémorale"
extern const char *const words_owners_of;     // behind a genitive: "femur"
extern const char *const words_genitives;     // "of", "du"
extern const char *const words_sides;         // that may stand between: "left", "the"

// Phrases that mean no part of the body by their words: "head first".
extern const char *const words_phrases;

#endif

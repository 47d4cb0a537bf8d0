// Packages copied and changed at will, and the head to run them on.
#ifndef MODEL_TESTS_SUPPORT_H
#define MODEL_TESTS_SUPPORT_H

#include <jansson.h>

#include "support/check.h"
#include "model/model.h"

#define REAL_PACKAGE "models/head-ct-hyperdense"
enum { SUPPORT_PATH = 128 };

const char *support_path(char out[SUPPORT_PATH], const char *name); // temporary(), kept

// A fresh copy of the real package; its folder into `out`.
void copy_package(char out[SUPPORT_PATH]);
void write_member(const char *folder, const char *name, const void *data, size_t size);
void *read_member_of(const char *folder, const char *name, size_t *size);
json_t *read_manifest(const char *folder);
void write_manifest(const char *folder, json_t *manifest); // takes it
// The graph by make.py's name in place of the real one, with its digest.
struct model_package *package_with_graph(const char *graph);
void set_graph(const char *folder, const void *data, size_t size); // with its digest

// Opens and must be refused; the message names this.
void assert_refused(const char *folder, const char *named);

// The head with a bleed.
struct head {
    struct image_geometry geometry;
    int volume_fd; // sealed
    char side[8];
    double volume_ml;
};
const struct head *the_head(void);

int test_package(void);
int test_packages(void);
int test_runner(void);
int test_answers(void);
int test_words(void);
int test_fit(void);
int test_fit_volume(void);
int test_operators(void);

// Is this process the child of test_answers? Then it has answered.
bool lying_child(int argc, char **argv);

#endif

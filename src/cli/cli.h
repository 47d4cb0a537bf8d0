// The command line: one file per subcommand, one table of them (main.c). Exit status 0 done, 1 failed, 2 wrong use.
// Results on stdout, progress and log on stderr.
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/tls.h"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

#define CLI_SERVER "http://127.0.0.1:8080"
// Where `hilum serve` is by default, for commands that speak DICOM.
#define CLI_DICOM "127.0.0.1:11112"
#define CLI_TITLE "HILUM"

struct cli_command {
    const char *name;
    const char *arguments;             // for the usage line
    const char *help;                  // one line
    int (*run)(int argc, char **argv); // argv[0] is the subcommand's name
    bool hidden;                       // started by `serve`, not by people
};

// Options of one subcommand: `--name VALUE` or `--name=VALUE` into *value, `--name` into *flag. Ended by name NULL.
struct cli_option {
    const char *name;
    const char *value_name; // "HOST:PORT"; NULL for a flag
    const char *help;
    const char **value;
    bool *flag;
};

// Reads options, and -h for --help, and moves the other arguments to the front of argv (from 1 on); *argc becomes their
// number + 1. false when the command should end with *status: after --help (CLI_DONE) or wrong use (CLI_USAGE).
bool cli_options(int *argc, char **argv, const struct cli_command *command, const struct cli_option *options,
                 int *status);

int cli_fail(const struct error *err);                                        // prints it; CLI_FAILED
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2))); // prints it; CLI_USAGE

// Calls the server's API. `path` begins with '/'. The answer's body is in `out` (NUL-terminated). An answer that is no
// success is an error with the server's own words.
bool cli_call(const char *server, const char *method, const char *path, const void *body, size_t size,
              struct buffer *out, struct error *err);
bool cli_call_file(const char *server, const char *path, int fd, unsigned long long size, struct buffer *out,
                   struct error *err); // POST application/dicom

// Calls `each` for every regular file of the NULL-ended list, folders searched to any depth below 64, names in order;
// links are followed, but not into a folder they stand in. false from `each` ends it. What cannot be read, and what is
// neither file nor folder, is told on stderr and counted in *unreadable; with NULL it is passed over without a word.
bool cli_walk(char *const *paths, bool (*each)(const char *path, void *payload, struct error *err), void *payload,
              size_t *unreadable, struct error *err);

// The titles of an association that a command asks for, and whether it speaks TLS.
struct cli_dicom {
    const char *called, *calling;
    bool tls;
    const char *authorities, *certificate, *key; // PEM files; NULL: the system's, none
};
// Their rows in a table of options.
#define CLI_DICOM_OPTIONS(call)                                                                                        \
    {"aec", "TITLE", "the peer's AE title (" CLI_TITLE ")", &(call)->called, NULL},                                    \
        {"aet", "TITLE", "ours (" CLI_TITLE ")", &(call)->calling, NULL},                                              \
        {"tls", NULL, "speak TLS; the peer must show a certificate that counts", NULL, &(call)->tls},                  \
        {"authorities", "FILE", "PEM: those whose word counts for it, in place of the system's", &(call)->authorities, \
         NULL},                                                                                                        \
        {"certificate", "FILE", "PEM: ours, for a peer that asks for one", &(call)->certificate, NULL},                \
    {                                                                                                                  \
        "key", "FILE", "PEM: its key", &(call)->key, NULL                                                              \
    }
int cli_dicom_check(const struct cli_dicom *call); // CLI_USAGE, told, when they do not go together
// *out is the caller's (tls_release), NULL without TLS. false: a file is not what it should be.
bool cli_dicom_tls(const struct cli_dicom *call, struct tls **out, struct error *err);

// As root the process becomes the owner of the folder, whose server could not read root's files. Others stay who they
// are.
bool cli_become_owner(const char *folder, struct error *err);

// Tells on stderr what is wrong with a file: "hilum: PATH WORDS: REASON", fit for a terminal whatever the names hold.
void cli_complain(const char *path, const char *words, const char *reason);

extern const struct cli_command cli_access, cli_account, cli_token, cli_audit, cli_backup, cli_cert, cli_check,
    cli_config, cli_conformance, cli_decode, cli_dump, cli_echo, cli_import, cli_json, cli_model, cli_peer,
    cli_provider, cli_rebuild, cli_restore, cli_runner, cli_send, cli_serve, cli_version;

#endif

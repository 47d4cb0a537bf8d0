// hilum cert: an authority and certificates for a site that has none of its own.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/certificate.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cli_command cli_cert = {"cert", "FOLDER NAME[,NAME...] [OPTIONS]",
                                     "make a certificate of those names and addresses, and an authority where FOLDER "
                                     "has none",
                                     run, false};

struct paths {
    char certificate[PATH_MAX], key[PATH_MAX];
};

static bool name_paths(struct paths *out, const char *folder, const char *file, struct error *err)
{
    int a = snprintf(out->certificate, sizeof out->certificate, "%s/%s.pem", folder, file);
    int b = snprintf(out->key, sizeof out->key, "%s/%s.key", folder, file);
    return (a > 0 && (size_t)a < sizeof out->certificate && b > 0 && (size_t)b < sizeof out->key) ||
           error_set(err, ERROR_BAD_VALUE, "the path is too long");
}

static struct certificate_files files_of(const struct paths *paths)
{
    return (struct certificate_files){paths->certificate, paths->key};
}

static void tell(const char *what, const struct paths *paths, const struct certificate_made *made)
{
    char ends[CLOCK_RFC3339_SIZE];
    printf("%s: %s, key %s\n  SHA-256 fingerprint %s\n  ends %s\n", what, paths->certificate, paths->key,
           made->fingerprint, clock_rfc3339(ends, made->ends_ns));
}

static bool has_authority(const struct paths *paths)
{
    return access(paths->certificate, F_OK) == 0 || errno != ENOENT;
}

static bool make_authority(const struct paths *paths, const char *name, struct error *err)
{
    struct certificate_made made;
    struct certificate_files files = files_of(paths);
    if (has_authority(paths))
        return true;
    if (!certificate_make_authority(name, &files, &made, err))
        return false;
    tell("authority", paths, &made);
    return true;
}

// Cuts `list` at its commas.
static size_t split(char *list, const char **names)
{
    char *save = NULL;
    size_t count = 0;
    for (char *name = strtok_r(list, ",", &save); name && count <= CERTIFICATE_NAMES_MAX;
         name = strtok_r(NULL, ",", &save))
        names[count++] = name;
    return count;
}

static void tell_next(const struct paths *authority, const struct paths *own, bool server)
{
    if (server)
        printf("In the configuration:\n  tls:\n    certificate: %s\n    key: %s\n    authorities: %s\n",
               own->certificate, own->key, authority->certificate);
    else
        printf("Give both files to that system, and %s as the authority that it is to believe; the key is a secret.\n",
               authority->certificate);
}

static int make(const char *folder, char *list, const char *file, const char *authority_name, bool renew)
{
    const char *names[CERTIFICATE_NAMES_MAX + 1];
    size_t count = split(list, names);
    struct paths authority, own;
    struct certificate_made made;
    struct error err;
    if (!file_make_folders(folder, 0700, &err) || !name_paths(&authority, folder, "authority", &err) ||
        !name_paths(&own, folder, file, &err) || !make_authority(&authority, authority_name, &err))
        return cli_fail(&err);
    struct certificate_files by = files_of(&authority), to = files_of(&own);
    if (!certificate_make(names, count, &by, &to, renew, &made, &err))
        return cli_fail(&err);
    tell("certificate", &own, &made);
    tell_next(&authority, &own, strcmp(file, "server") == 0);
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    const char *file = "server", *authority = "Hilum authority of this site";
    bool renew = false;
    const struct cli_option options[] = {
        {"file", "NAME", "the files are NAME.pem and NAME.key (server); give one for each other system", &file, NULL},
        {"authority", "NAME", "what a new authority is called", &authority, NULL},
        {"renew", NULL, "replace the files; the running server takes them without a restart", NULL, &renew},
        {NULL, NULL, NULL, NULL, NULL},
    };
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_cert, options, &status))
        return status;
    if (argc != 3)
        return cli_usage("cert takes a folder, and the names and addresses by which the system is called");
    if (!*file || strchr(file, '/') || file[0] == '.' || strcmp(file, "authority") == 0)
        return cli_usage("--file '%s' is no file name of its own", file);
    return make(argv[1], argv[2], file, authority, renew);
}

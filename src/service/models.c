// The model packages that are installed, and the folders beside the program.
#include "service/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

enum { PACKAGES_MAX = 64 };

bool service_beside(char *out, size_t capacity, const char *configured, const char *relative)
{
    char program[4096];
    if (*configured)
        return text_copy(out, capacity, configured);
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size < 0)
        return false;
    program[size] = '\0';
    char *slash = strrchr(program, '/');
    if (slash)
        *slash = '\0';
    int length = snprintf(out, capacity, "%s/%s", program, relative);
    return length > 0 && (size_t)length < capacity;
}

static bool has_manifest(const char *folder)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    return access(path, R_OK) == 0;
}

// One damaged package keeps no other from running; it is named in the log.
static void open_package(struct service *service, size_t *count, const char *folder)
{
    struct error err;
    if (!has_manifest(folder))
        return;
    if (*count == PACKAGES_MAX) {
        log_error("service", "model package %s is not installed: there are %d already", folder, PACKAGES_MAX);
        return;
    }
    struct model_package *package = model_package_open(folder, &err);
    if (!package) {
        log_error("service", "model package %s is not installed: %s", folder, err.message);
        return;
    }
    for (size_t i = 0; i < *count; i++)
        if (strcmp(model_package_name(service->packages[i]), model_package_name(package)) == 0) {
            log_error("service", "model package %s is not installed: %s is named %s too", folder,
                      model_package_folder(service->packages[i]), model_package_name(package));
            model_package_close(package);
            return;
        }
    service->packages[(*count)++] = package;
    log_info("service", "model %s %s is installed", model_package_name(package), model_package_version(package));
}

bool service_open_packages(struct service *service, const char *folder, struct error *err)
{
    struct dirent **entries;
    size_t used = 0;
    service->packages = calloc(PACKAGES_MAX + 1, sizeof *service->packages);
    if (!service->packages)
        return error_set(err, ERROR_MEMORY, "no memory for model packages");
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0)
        log_warning("service", "there is no folder of model packages at %s", folder);
    for (int i = 0; i < count; i++) {
        char path[4096];
        int size = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && size > 0 && (size_t)size < sizeof path)
            open_package(service, &used, path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return true;
}

void service_close_packages(struct service *service)
{
    for (struct model_package **package = service->packages; package && *package; package++)
        model_package_close(*package);
    free(service->packages);
}

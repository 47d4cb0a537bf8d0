// Packages: the manifest's form, every file's digest, nothing else in the folder.
#include "model/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "model/fit_parts.h"

#define DIGITS "0123456789"

// ---- texts of the manifest

// Joiners have their use between characters of scripts that join, and beside ASCII none.
static bool is_loose_joiner(const char *text, const char *at, size_t length)
{
    bool joiner = length == 3 && (memcmp(at, "\xE2\x80\x8C", 3) == 0 || memcmp(at, "\xE2\x80\x8D", 3) == 0);
    return joiner && (at == text || (at[-1] & 0x80) == 0 || (at[3] & 0x80) == 0);
}

// One line that shows as it is, and shows something. A backslash parts values in DICOM.
static bool check_line(const char *name, const char *text, struct error *err)
{
    char shown[160];
    size_t size = strlen(text), length;
    bool plain = strchr(text, '\\') == NULL && text_is_visible(text, size);
    for (const char *at = text; plain && *at; at += length) {
        length = text_utf8_length(at, size - (size_t)(at - text));
        plain = length > 0 && !text_is_control(at, length) && !is_loose_joiner(text, at, length);
    }
    return plain || error_set(err, ERROR_BAD_DATA,
                              "manifest: '%s' is '%s': use one line of text that shows, without control or invisible "
                              "characters and backslashes",
                              name, text_show(shown, sizeof shown, text, size));
}

static bool check_text(const char *name, const char *text, size_t most, struct error *err)
{
    char shown[60];
    size_t size = strlen(text);
    if (size < most)
        return check_line(name, text, err);
    return error_set(err, ERROR_BAD_DATA, "manifest: '%s' is %zu bytes long, %zu at most: '%s'", name, size, most - 1,
                     text_show(shown, sizeof shown, text, size));
}

static bool take_value(const char *name, const json_t *value, size_t most, const char **out, struct error *err)
{
    *out = json_string_value(value);
    if (*out && **out)
        return check_text(name, *out, most, err);
    return error_set(err, ERROR_BAD_DATA, "manifest: '%s' must be text of 1 to %zu bytes", name, most - 1);
}

static bool take_text(const json_t *object, const char *name, size_t most, const char **out, struct error *err)
{
    return take_value(name, json_object_get(object, name), most, out, err);
}

// Is it one of three words?
static bool check_word(const char *name, const char *text, const char *const *words, struct error *err)
{
    size_t i = 0;
    while (words[i] && strcmp(words[i], text) != 0)
        i++;
    return words[i] || error_set(err, ERROR_BAD_DATA, "manifest: '%s' is '%s': %s, %s or %s", name, text, words[0],
                                 words[1], words[2]);
}

static bool take_code(const json_t *finding, const char *name, bool needed, struct model_code *out, struct error *err)
{
    const json_t *code = json_object_get(finding, name);
    const char *value, *scheme, *meaning;
    *out = (struct model_code){0};
    if (!code && !needed)
        return true;
    if (!take_text(code, "value", sizeof out->value, &value, err) ||
        !take_text(code, "scheme", sizeof out->scheme, &scheme, err) ||
        !take_text(code, "meaning", sizeof out->meaning, &meaning, err))
        return error_prefix(err, "finding.%s", name);
    text_copy(out->value, sizeof out->value, value);
    text_copy(out->scheme, sizeof out->scheme, scheme);
    text_copy(out->meaning, sizeof out->meaning, meaning);
    return true;
}

// Not asked for, and one that is there is fit to show.
static bool check_licence(const json_t *manifest, struct error *err)
{
    const char *licence;
    return !json_object_get(manifest, "licence") || take_text(manifest, "licence", MODEL_LICENCE_SIZE, &licence, err);
}

// The texts of a list, which stay the manifest's.
static bool take_words(const json_t *needs, const char *name, const char **out, size_t *count, struct error *err)
{
    const json_t *list = json_object_get(needs, name), *word;
    size_t i;
    if (list && (!json_is_array(list) || json_array_size(list) > MODEL_WORDS_MAX))
        return error_set(err, ERROR_BAD_DATA, "manifest: needs.%s must be a list of at most %d words", name,
                         MODEL_WORDS_MAX);
    json_array_foreach(list, i, word)
    {
        if (!take_value(name, word, MODEL_WORD_SIZE, &out[*count], err))
            return error_prefix(err, "needs");
        (*count)++;
    }
    return true;
}

enum { NEED_TEXT, NEED_WORDS, NEED_NUMBER, NEED_COUNT, NEED_BOOLEAN };

// What a package may need. A member of another form would ask for nothing, and so is refused.
static const struct {
    const char *name;
    int type;
    double most; // of a number or count, from 0
} need_members[] = {
    {"modality", NEED_TEXT, 0},
    {"body_part", NEED_WORDS, 0},
    {"description", NEED_WORDS, 0},
    {"other_body_part", NEED_WORDS, 0},
    {"image_type", NEED_WORDS, 0},
    {"spacing_max_mm", NEED_NUMBER, 1000},
    {"coverage_min_mm", NEED_NUMBER, 3000},
    {"looked_min_ml", NEED_NUMBER, 1e5},
    {"slices_min", NEED_COUNT, IMAGE_SLICES_MAX},
    {"slices_max", NEED_COUNT, IMAGE_SLICES_MAX},
    {"contrast", NEED_BOOLEAN, 0},
};

static bool check_need(const char *name, const json_t *value, struct error *err)
{
    static const char *const forms[] = {"text", "a list of words", "a number", "a whole number", "true or false"};
    char shown[60];
    size_t i = 0, count = sizeof need_members / sizeof *need_members;
    while (i < count && strcmp(need_members[i].name, name) != 0)
        i++;
    if (i == count)
        return error_set(err, ERROR_BAD_DATA, "manifest: 'needs' has no member '%s'",
                         text_show(shown, sizeof shown, name, strlen(name)));
    const int type = need_members[i].type;
    double number = json_number_value(value);
    bool fits = (type == NEED_TEXT && json_is_string(value)) || (type == NEED_WORDS && json_is_array(value)) ||
                (type == NEED_NUMBER && json_is_number(value)) || (type == NEED_COUNT && json_is_integer(value)) ||
                (type == NEED_BOOLEAN && json_is_boolean(value));
    if (fits && number >= 0 && number <= need_members[i].most) // 0 for what is no number
        return true;
    if (type == NEED_NUMBER || type == NEED_COUNT)
        return error_set(err, ERROR_BAD_DATA, "manifest: needs.%s must be %s from 0 to %g", name, forms[type],
                         need_members[i].most);
    return error_set(err, ERROR_BAD_DATA, "manifest: needs.%s must be %s", name, forms[type]);
}

// A word that is never looked for would take nothing.
static bool check_image_types(const struct model_needs *needs, struct error *err)
{
    for (size_t i = 0; i < needs->image_type_count; i++)
        if (!fit_knows_derived(needs->image_types[i]))
            return error_set(err, ERROR_BAD_DATA,
                             "manifest: needs.image_type: '%s' names no kind of derived images that is known, such as "
                             "MIP, MINIP, SUBTRACTION, IODINE, VNC, VMI, PERFUSION",
                             needs->image_types[i]);
    return true;
}

static bool take_needs(const json_t *manifest, struct model_needs *out, struct error *err)
{
    const json_t *needs = json_object_get(manifest, "needs");
    const char *modality, *name;
    json_t *value;
    if (!take_text(needs, "modality", sizeof out->modality, &modality, err))
        return error_prefix(err, "needs");
    text_copy(out->modality, sizeof out->modality, modality);
    json_object_foreach((json_t *)(uintptr_t)needs, name, value)
    {
        if (!check_need(name, value, err))
            return false;
    }
    out->spacing_max_mm = json_number_value(json_object_get(needs, "spacing_max_mm"));
    out->coverage_min_mm = json_number_value(json_object_get(needs, "coverage_min_mm"));
    out->looked_min_ml = json_number_value(json_object_get(needs, "looked_min_ml"));
    out->slices_min = (uint32_t)json_integer_value(json_object_get(needs, "slices_min"));
    out->slices_max = (uint32_t)json_integer_value(json_object_get(needs, "slices_max"));
    out->contrast_refused = json_is_false(json_object_get(needs, "contrast"));
    return take_words(needs, "body_part", out->body_parts, &out->body_part_count, err) &&
           take_words(needs, "other_body_part", out->other_parts, &out->other_part_count, err) &&
           take_words(needs, "description", out->words, &out->word_count, err) &&
           take_words(needs, "image_type", out->image_types, &out->image_type_count, err) &&
           check_image_types(out, err);
}

static bool check_graph(const json_t *manifest, struct error *err)
{
    static const char *const words[] = {"volume", "mask", "spacing_mm", NULL}; // runner_child knows these
    const json_t *graph = json_object_get(manifest, "graph"), *inputs = json_object_get(graph, "inputs"),
                 *outputs = json_object_get(graph, "outputs");
    const char *name, *text;
    json_t *word;
    size_t i;
    if (json_object_size(inputs) < 1 || json_object_size(inputs) > 3 || json_array_size(outputs) < 1 ||
        json_array_size(outputs) > MODEL_OUTPUTS_MAX)
        return error_set(err, ERROR_BAD_DATA, "manifest: 'graph' needs a file, 1 to 3 inputs and 1 to %d outputs",
                         MODEL_OUTPUTS_MAX);
    json_object_foreach((json_t *)(uintptr_t)inputs, name, word)
    {
        if (!check_text("inputs", name, MODEL_WORD_SIZE, err) || !take_value(name, word, MODEL_WORD_SIZE, &text, err) ||
            !check_word(name, text, words, err))
            return error_prefix(err, "graph");
    }
    json_array_foreach(outputs, i, word)
    {
        if (!take_value("outputs", word, MODEL_WORD_SIZE, &text, err))
            return error_prefix(err, "graph");
    }
    return take_text(graph, "file", MODEL_WORD_SIZE, &text, err) || error_prefix(err, "graph");
}

static bool is_plain_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return *name && *name != '.' && strlen(name) < 128 && strspn(name, allowed) == strlen(name);
}

// It stands in URLs, logs and names of folders.
static bool check_name(const char *name, struct error *err)
{
    return is_plain_name(name) ||
           error_set(err, ERROR_BAD_DATA,
                     "manifest: name '%.64s': use letters, digits, '.', '_' and '-', not beginning with '.'", name);
}

// It stands in logs, results and answers of the command line.
static bool check_version(const char *version, struct error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+-_";
    return strspn(version, allowed) == strlen(version) ||
           error_set(err, ERROR_BAD_DATA, "manifest: version '%.64s': use letters, digits, '.', '+', '-' and '_'",
                     version);
}

// The texts of one member of the rule; what they mean is for flow to say.
static bool check_rule_texts(const char *name, const json_t *member, struct error *err)
{
    size_t i;
    json_t *one;
    const char *text = json_string_value(member);
    if (!check_text("rule", name, MODEL_WORD_SIZE, err) || (text && !check_text(name, text, MODEL_WORD_SIZE, err)))
        return false;
    json_array_foreach((json_t *)(uintptr_t)member, i, one)
    {
        text = json_string_value(one);
        if (text && !check_text(name, text, MODEL_WORD_SIZE, err))
            return false;
    }
    return true;
}

// It asks for this package, by a name that can stand in a URL.
static bool check_rule(const json_t *rule, const char *package, struct error *err)
{
    const char *name, *model;
    json_t *member;
    if (!json_is_object(rule))
        return error_set(err, ERROR_BAD_DATA, "it must be an object");
    json_object_foreach((json_t *)(uintptr_t)rule, name, member)
    {
        if (!check_rule_texts(name, member, err))
            return false;
    }
    if (!take_text(rule, "name", MODEL_NAME_SIZE, &name, err) || !check_name(name, err) ||
        !take_text(rule, "model", MODEL_NAME_SIZE, &model, err))
        return false;
    return strcmp(model, package) == 0 ||
           error_set(err, ERROR_BAD_DATA, "manifest: model is '%s': it must be the package's own name, '%s'", model,
                     package);
}

static bool take_rule(struct model_package *package, struct error *err)
{
    const json_t *rule = json_object_get(package->manifest, "rule");
    if (rule && !check_rule(rule, package->name, err))
        return error_prefix(err, "rule");
    package->rule = rule ? json_dumps(rule, JSON_COMPACT) : strdup("");
    return package->rule != NULL || error_set(err, ERROR_MEMORY, "no memory for a package");
}

// A member that nobody reads would be taken for one that means something.
static bool check_members(const json_t *object, const char *of, const char *const *names, struct error *err)
{
    char shown[60];
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        size_t i = 0;
        while (names[i] && strcmp(names[i], name) != 0)
            i++;
        if (!names[i])
            return error_set(err, ERROR_BAD_DATA, "manifest: %s has no member '%s'", of,
                             text_show(shown, sizeof shown, name, strlen(name)));
    }
    return true;
}

// Volumes are told in mL and findings as suspected: what asks for something else would not get it.
static bool check_finding(const json_t *finding, struct error *err)
{
    static const char *const members[] = {"concept", "site", "certainty", "unit", "urgency", "calibrated", NULL};
    static const struct {
        const char *name, *only;
    } fixed[] = {{"unit", "mL"}, {"certainty", "suspected"}};
    const json_t *calibrated = json_object_get(finding, "calibrated");
    if (!check_members(finding, "'finding'", members, err))
        return false;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const json_t *value = json_object_get(finding, fixed[i].name);
        const char *text = json_string_value(value);
        if (value && !(text && strcmp(text, fixed[i].only) == 0))
            return error_set(err, ERROR_BAD_DATA, "manifest: finding.%s is '%s' or is not said", fixed[i].name,
                             fixed[i].only);
    }
    return !calibrated || json_is_boolean(calibrated) ||
           error_set(err, ERROR_BAD_DATA, "manifest: finding.calibrated must be true or false");
}

static bool take_manifest(struct model_package *package, struct error *err)
{
    static const char *const members[] = {"format", "name", "version", "title", "licence", "label",   "files",
                                          "needs",  "rule", "before",  "graph", "after",   "finding", NULL};
    const json_t *m = package->manifest, *finding = json_object_get(m, "finding");
    static const char *const urgencies[] = {"routine", "urgent", "stat", NULL}; // model.h
    const char *format, *urgency;
    if (!take_text(m, "format", 32, &format, err))
        return false;
    if (strcmp(format, "hilum-model/1") != 0)
        return error_set(err, ERROR_UNSUPPORTED, "manifest: format '%s'; this program reads hilum-model/1", format);
    if (!take_text(m, "name", MODEL_NAME_SIZE, &package->name, err) || !check_name(package->name, err) ||
        !take_text(m, "version", MODEL_NAME_SIZE, &package->version, err) || !check_version(package->version, err) ||
        !take_text(m, "title", 65, &package->title, err) || !take_text(m, "label", 129, &package->label, err) ||
        !check_members(m, "it", members, err) || !check_finding(finding, err) || !check_licence(m, err) ||
        !take_needs(m, &package->needs, err) || !check_graph(m, err) || !operators_check(m, err) ||
        !take_code(finding, "concept", true, &package->concept, err) ||
        !take_code(finding, "site", false, &package->site, err) || !take_text(finding, "urgency", 8, &urgency, err) ||
        !check_word("urgency", urgency, urgencies, err))
        return false;
    return take_rule(package, err);
}

// ---- files

// A regular file of one name, not reached through a link, all of it.
static bool read_member(int folder, const char *name, size_t most, struct buffer *out, struct error *err)
{
    struct stat status;
    buffer_init(out, most);
    int fd = is_plain_name(name) ? openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    if (fd < 0)
        return error_set(err, ERROR_BAD_DATA, "package file '%.80s' is not there, or is a link", name);
    bool ok =
        fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 && (uint64_t)status.st_size <= most;
    if (!ok)
        error_set(err, ERROR_BAD_DATA, "package file '%.80s' is no plain file of its own, or larger than %zu bytes",
                  name, most);
    uint8_t *to = ok && status.st_size > 0 ? buffer_reserve(out, (size_t)status.st_size) : NULL;
    if (ok && status.st_size > 0)
        ok = to ? file_pread(fd, to, (size_t)status.st_size, 0, err)
                : error_set(err, ERROR_MEMORY, "no memory for package file '%.80s'", name);
    out->size = ok ? (size_t)status.st_size : 0;
    close(fd);
    return ok;
}

static bool check_digest(const char *name, const struct buffer *data, const char *wanted, struct error *err)
{
    uint8_t digest[HASH_SIZE];
    char hex[2 * HASH_SIZE + 1];
    hash_of(data->size > 0 ? (const void *)data->data : "", data->size, digest);
    text_hex(hex, digest, sizeof digest);
    return strcmp(hex, wanted) == 0 ||
           error_set(err, ERROR_BAD_DATA,
                     "package file '%.80s' has been changed: its SHA-256 is %.16s..., the manifest says %.16s...", name,
                     hex, wanted);
}

static bool check_files(struct model_package *package, int folder, struct error *err)
{
    const json_t *files = json_object_get(package->manifest, "files");
    const char *graph = json_string_value(json_object_get(json_object_get(package->manifest, "graph"), "file"));
    const char *name;
    json_t *digest;
    if (json_object_size(files) < 1 || json_object_size(files) > MODEL_FILES_MAX || !json_object_get(files, graph))
        return error_set(err, ERROR_BAD_DATA,
                         "manifest: 'files' must name the SHA-256 of 1 to %d files, the graph among them",
                         MODEL_FILES_MAX);
    json_object_foreach((json_t *)(uintptr_t)files, name, digest)
    {
        struct buffer data = {0};
        const char *wanted;
        bool ok = check_text("files", name, MODEL_WORD_SIZE, err) &&
                  take_value(name, digest, 2 * HASH_SIZE + 1, &wanted, err) &&
                  read_member(folder, name, MODEL_FILE_MAX, &data, err) && check_digest(name, &data, wanted, err);
        if (ok && strcmp(name, graph) == 0)
            package->graph = data;
        else
            buffer_free(&data);
        if (!ok)
            return false;
    }
    return true;
}

static bool check_nothing_else(const struct model_package *package, int folder_fd, struct error *err)
{
    struct dirent *entry;
    char shown[80];
    bool ok = true;
    int fd = openat(folder_fd, ".",
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC); // the folder that was read, whatever the path names now
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        error_errno(err, errno, "cannot list package %s", package->folder);
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (ok && (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "manifest.json") != 0 &&
            !json_object_get(json_object_get(package->manifest, "files"), entry->d_name))
            ok = error_set(err, ERROR_BAD_DATA, "package %s holds '%s', which its manifest does not name",
                           package->folder, text_show(shown, sizeof shown, entry->d_name, strlen(entry->d_name)));
    closedir(folder);
    return ok;
}

static bool open_package(struct model_package *package, struct error *err)
{
    json_error_t where;
    uint8_t digest[HASH_SIZE];
    int folder = open(package->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return error_errno(err, errno, "cannot open package %s", package->folder);
    bool ok = read_member(folder, "manifest.json", MODEL_MANIFEST_MAX, &package->manifest_text, err);
    if (ok) {
        package->manifest = json_loadb((const char *)package->manifest_text.data, package->manifest_text.size,
                                       JSON_REJECT_DUPLICATES, &where);
        ok = json_is_object(package->manifest) ||
             error_set(err, ERROR_BAD_DATA, "manifest.json: %s at line %d", where.text, where.line);
    }
    ok = ok && take_manifest(package, err) && check_files(package, folder, err) &&
         check_nothing_else(package, folder, err) && onnx_check(package->graph.data, package->graph.size, err);
    close(folder);
    if (ok) {
        hash_of(package->manifest_text.data, package->manifest_text.size, digest);
        text_hex(package->digest, digest, sizeof digest);
    }
    return ok;
}

struct model_package *model_package_open(const char *folder, struct error *err)
{
    struct model_package *package = calloc(1, sizeof *package);
    bool ok = package != NULL || error_set(err, ERROR_MEMORY, "no memory for a package");
    if (ok) {
        package->shares = 1;
        package->folder = strdup(folder);
        ok = package->folder ? open_package(package, err) : error_set(err, ERROR_MEMORY, "no memory for a package");
    }
    if (ok)
        return package;
    model_package_close(package);
    return NULL;
}

struct model_package *model_package_share(const struct model_package *package)
{
    struct model_package *shared = (struct model_package *)(uintptr_t)package; // only the count changes
    atomic_fetch_add(&shared->shares, 1);
    return shared;
}

void model_package_close(struct model_package *package)
{
    if (!package || atomic_fetch_sub(&package->shares, 1) > 1)
        return;
    json_decref(package->manifest);
    buffer_free(&package->manifest_text);
    buffer_free(&package->graph);
    free(package->rule);
    free(package->folder);
    free(package);
}

const char *model_package_folder(const struct model_package *package)
{
    return package->folder;
}

const char *model_package_name(const struct model_package *package)
{
    return package->name;
}

const char *model_package_version(const struct model_package *package)
{
    return package->version;
}

// Where two versions part: '-' begins what comes before a release, and a shorter one is earlier.
static int rank(char c)
{
    if (c == '-')
        return 0;
    return c == '\0' || c == '+' ? 1 : 2 + (unsigned char)c;
}

// Of two numbers of any length, and past them.
static int compare_numbers(const char **a, const char **b)
{
    *a += strspn(*a, "0");
    *b += strspn(*b, "0");
    size_t x = strspn(*a, DIGITS), y = strspn(*b, DIGITS);
    int order = x != y ? (x > y) - (x < y) : strncmp(*a, *b, x);
    *a += x;
    *b += y;
    return order;
}

int model_version_compare(const char *a, const char *b)
{
    for (;;) {
        int order = rank(*a) - rank(*b);
        if (strspn(a, DIGITS) > 0 && strspn(b, DIGITS) > 0)
            order = compare_numbers(&a, &b);
        else if (order == 0 && rank(*a) == 1)
            return 0;
        else if (order == 0) {
            a++;
            b++;
        }
        if (order != 0)
            return order;
    }
}

// Names between points, at least one; `numbers`: one of digits alone has no leading zero. Returns what is behind.
static const char *skip_names(const char *text, bool numbers)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
    for (;;) {
        size_t size = strspn(text, allowed), digits = strspn(text, DIGITS);
        if (size == 0 || (numbers && digits == size && size > 1 && *text == '0'))
            return NULL;
        text += size;
        if (*text != '.')
            return text;
        text++;
    }
}

bool model_version_is_semantic(const char *version)
{
    for (int i = 0; i < 3; i++) {
        size_t digits = strspn(version, DIGITS);
        if (digits == 0 || (digits > 1 && *version == '0') || (i < 2 && version[digits] != '.'))
            return false;
        version += digits + (i < 2);
    }
    if (*version == '-')
        version = skip_names(version + 1, true);
    if (version && *version == '+')
        version = skip_names(version + 1, false);
    return version && *version == '\0';
}

const char *model_package_title(const struct model_package *package)
{
    return package->title;
}

const char *model_package_label(const struct model_package *package)
{
    return package->label;
}

const char *model_package_digest(const struct model_package *package)
{
    return package->digest;
}

const char *model_package_rule(const struct model_package *package)
{
    return package->rule;
}

bool model_package_calibrated(const struct model_package *package)
{
    return json_is_true(json_object_get(json_object_get(package->manifest, "finding"), "calibrated"));
}

const struct model_needs *model_package_needs(const struct model_package *package)
{
    return &package->needs;
}

const struct model_code *model_package_concept(const struct model_package *package)
{
    return &package->concept;
}

const struct model_code *model_package_site(const struct model_package *package)
{
    return &package->site;
}

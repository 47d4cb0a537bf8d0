// hilum dump and hilum json: one file, shown.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reader.h"
#include "base/text.h"
#include "cli/cli.h"
#include "dicom/dataset.h"
#include "dicom/json.h"
#include "dicom/part10.h"

static int run_dump(int argc, char **argv);
static int run_json(int argc, char **argv);

const struct cli_command cli_dump = {"dump", "FILE", "show a DICOM file's elements", run_dump, false};
const struct cli_command cli_json = {"json", "FILE [--bulk]", "print a DICOM file in the DICOM JSON model", run_json,
                                     false};

enum { ARENA = 512 << 20, BLOCK = 256 << 10, SHOWN = 64, JSON_MAX = 1 << 30 };

struct view {
    struct dicom_meta meta;
    const struct dicom_dataset *dataset;
    struct arena arena;
    uint8_t *block;
};

static bool read_view(const char *path, size_t value_max, struct view *view, struct error *err)
{
    struct dicom_parse_options options = {.value_max = value_max, .depth_max = DICOM_DEPTH_MAX};
    uint64_t size;
    arena_init(&view->arena, ARENA);
    view->block = malloc(BLOCK);
    if (!view->block)
        return error_set(err, ERROR_MEMORY, "no memory to read %s", path);
    int fd = file_open(path, &size, err);
    if (fd < 0)
        return false;
    size_t head = size < BLOCK ? (size_t)size : BLOCK;
    bool ok = file_pread(fd, view->block, head, 0, err) && dicom_meta_parse(view->block, head, &view->meta, err);
    if (ok) {
        struct source_reader file = {reader_from_fd(fd, view->meta.data_offset, size - view->meta.data_offset), 0,
                                     view->block, BLOCK};
        ok = dicom_parse(source_from_reader(&file), dicom_transfer_syntax_or_default(view->meta.transfer_syntax),
                         &options, &view->arena, &view->dataset, err);
    }
    close(fd);
    return ok || error_prefix(err, "%s", path);
}

static void close_view(struct view *view)
{
    free(view->block);
    arena_free(&view->arena);
}

// ---- dump

static void print_value(const struct dicom_dataset *dataset, const struct dicom_element *element, struct arena *arena)
{
    char shown[SHOWN + 1];
    double number;
    if (element->length == 0 && element->fragment_count == 0)
        return;
    const char *text =
        dicom_vr_is_text(element->vr) && element->value ? dicom_text(dataset, element->tag, arena) : NULL;
    if (text) {
        printf(" [%s]", text_show(shown, sizeof shown, text, strlen(text)));
    } else if (element->fragment_count > 0) {
        printf(" %zu fragments", element->fragment_count);
    } else if (element->value && dicom_number(dataset, element->tag, 0, &number)) {
        size_t count = dicom_value_count(dataset, element->tag);
        for (size_t i = 0; i < count && i < 8 && dicom_number(dataset, element->tag, i, &number); i++)
            printf("%s%.15g", i ? "\\" : " ", number);
        if (count > 8)
            printf("\\... (%zu values)", count);
    } else {
        printf(" %u bytes", element->length);
    }
}

// Depth is bounded by the parser.
static void print_dataset(const struct dicom_dataset *dataset, int indent, struct arena *arena)
{
    for (size_t i = 0; i < dataset->count; i++) {
        const struct dicom_element *element = &dataset->elements[i];
        const struct dicom_attribute *attribute = dicom_attribute(element->tag);
        char tag[DICOM_TAG_TEXT_SIZE], vr[3];
        dicom_vr_text(element->vr, vr);
        printf("%*s%s %s %s", indent * 2, "", dicom_tag_text(tag, element->tag), vr,
               attribute                            ? attribute->keyword
               : dicom_tag_is_private(element->tag) ? "(private)"
                                                    : "(unknown)");
        print_value(dataset, element, arena);
        putchar('\n');
        for (size_t k = 0; k < element->item_count; k++) {
            printf("%*sitem %zu\n", indent * 2 + 2, "", k + 1);
            print_dataset(element->items[k], indent + 2, arena);
        }
    }
}

static int run_dump(int argc, char **argv)
{
    static const struct cli_option options[] = {{NULL, NULL, NULL, NULL, NULL}};
    struct view view = {0};
    struct error err;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_dump, options, &status))
        return status;
    if (argc != 2)
        return cli_usage("dump needs one file");
    if (read_view(argv[1], 64 << 10, &view, &err)) {
        const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax(view.meta.transfer_syntax);
        printf("# transfer syntax %s %s%s\n", view.meta.transfer_syntax, syntax ? syntax->name : "(unknown)",
               view.meta.guessed ? ", guessed: there is no meta information" : "");
        print_dataset(view.dataset, 0, &view.arena);
        status = CLI_DONE;
    } else {
        status = cli_fail(&err);
    }
    close_view(&view);
    return status;
}

// ---- json

static int run_json(int argc, char **argv)
{
    bool bulk = false;
    const struct cli_option options[] = {
        {"bulk", NULL, "put binary values of any size inline, pixels too", NULL, &bulk},
        {NULL, NULL, NULL, NULL, NULL},
    };
    struct view view = {0};
    struct error err;
    struct buffer out;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_json, options, &status))
        return status;
    if (argc != 2)
        return cli_usage("json needs one file");
    struct dicom_json_options how = {.bulk_base = bulk ? NULL : argv[1], .inline_max = bulk ? JSON_MAX : 1024};
    buffer_init(&out, JSON_MAX);
    if (read_view(argv[1], bulk ? ARENA : 64 << 10, &view, &err) &&
        dicom_json_write(&out, view.dataset, &how, &view.arena, &err) && buffer_check(&out, "the JSON", &err)) {
        status = fwrite(out.data, 1, out.size, stdout) == out.size && putchar('\n') != EOF ? CLI_DONE : CLI_FAILED;
    } else {
        status = cli_fail(&err);
    }
    buffer_free(&out);
    close_view(&view);
    return status;
}

// A trial of the sandbox with ONNX Runtime inside: loaded before the lock-down, model and input in sealed memfds,
// output read with pread. Then each thing that a runner must not do is done in a child of its own.
// tests/sandbox-trial/run runs it in several environments; docs/sandbox.md holds what they gave.
//
//   trial LIBRARY [reduced]      exit status 0 when the inference is right and every misdeed is stopped
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "onnxruntime_c_api.h"

enum { SIDE = 256, API_VERSION = 22, THREADS = 2, IR_VERSION = 8, OPSET = 17 };
#define MATRIX_BYTES (SIDE * SIDE * sizeof(float))
#define MEMORY_MAX ((size_t)512 << 20)

// ---- the model: y = MatMul(x, x), written as protocol buffers

static void field(struct buffer *out, unsigned number, const void *data, size_t size)
{
    buffer_byte(out, (uint8_t)(number << 3 | 2));
    if (size >= 128)
        buffer_byte(out, (uint8_t)(size | 128));
    buffer_byte(out, (uint8_t)(size >= 128 ? size >> 7 : size));
    buffer_append(out, data, size);
}

static void text_field(struct buffer *out, unsigned number, const char *text)
{
    field(out, number, text, strlen(text));
}

static void whole_field(struct buffer *out, unsigned number, struct buffer *inner)
{
    field(out, number, inner->data, inner->size);
    buffer_free(inner);
}

// ValueInfoProto: float[SIDE, SIDE]
static void value_info(struct buffer *graph, unsigned number, const char *name)
{
    static const uint8_t dimension[] = {0x0a, 0x03, 0x08, (SIDE & 127) | 128,
                                        SIDE >> 7}; // TensorShapeProto.dim { dim_value }
    struct buffer shape = {.limit = 256}, tensor = {.limit = 256}, type = {.limit = 256}, value = {.limit = 256};
    buffer_append(&shape, dimension, sizeof dimension);
    buffer_append(&shape, dimension, sizeof dimension);
    buffer_append(&tensor, "\x08\x01", 2); // elem_type FLOAT
    whole_field(&tensor, 2, &shape);
    whole_field(&type, 1, &tensor);
    text_field(&value, 1, name);
    whole_field(&value, 2, &type);
    whole_field(graph, number, &value);
}

static void write_model(struct buffer *out)
{
    struct buffer node = {.limit = 256}, graph = {.limit = 1024}, opset = {.limit = 64};
    text_field(&node, 1, "x");
    text_field(&node, 1, "x");
    text_field(&node, 2, "y");
    text_field(&node, 4, "MatMul");
    whole_field(&graph, 1, &node);
    text_field(&graph, 2, "trial");
    value_info(&graph, 11, "x");
    value_info(&graph, 12, "y");
    buffer_append(out, (const uint8_t[]){0x08, IR_VERSION}, 2);
    whole_field(out, 7, &graph);
    buffer_append(&opset, (const uint8_t[]){0x10, OPSET}, 2);
    whole_field(out, 8, &opset);
}

// ---- the child that computes

static const OrtApi *ort;

static void must(OrtStatus *status)
{
    if (!status)
        return;
    fprintf(stderr, "trial: %s\n", ort->GetErrorMessage(status));
    _exit(3);
}

static void lock_down(bool reduced)
{
    struct error err;
    const struct sandbox_rules rules = {.memory_max = MEMORY_MAX, .threads = true, .reduced = reduced};
    if (!sandbox_enter(&rules, &err)) {
        fprintf(stderr, "trial: %s\n", err.message);
        _exit(4);
    }
}

static OrtSession *make_session(OrtEnv *env, const void *model, size_t size)
{
    OrtSessionOptions *options;
    OrtSession *session;
    must(ort->CreateSessionOptions(&options));
    must(ort->SetIntraOpNumThreads(options, THREADS));
    must(ort->CreateSessionFromArray(env, model, size, options, &session));
    return session;
}

static void infer(OrtSession *session, float *x, float *y)
{
    static const char *const inputs[] = {"x"}, *const outputs[] = {"y"};
    const int64_t shape[] = {SIDE, SIDE};
    OrtMemoryInfo *memory;
    OrtValue *in, *out;
    must(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    must(ort->CreateTensorWithDataAsOrtValue(memory, x, MATRIX_BYTES, shape, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                             &in));
    must(ort->CreateTensorWithDataAsOrtValue(memory, y, MATRIX_BYTES, shape, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                             &out));
    must(ort->Run(session, NULL, inputs, (const OrtValue *const *)&in, 1, outputs, 1, &out));
}

static int infer_main(const char *library, bool reduced)
{
    setenv("ORT_DISABLE_TELEMETRY", "1", 1); // else CreateEnv makes a thread and readies uploads to its makers
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        fprintf(stderr, "trial: %s\n", dlerror());
        return 2;
    }
    const OrtApiBase *(*base)(void);
    *(void **)&base = dlsym(handle, "OrtGetApiBase");
    ort = base()->GetApi(API_VERSION);
    OrtEnv *env;
    must(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "trial", &env)); // reads what the processor can from /proc and /sys
    lock_down(reduced);

    struct error err;
    struct process self = {.socket = PROCESS_SOCKET};
    size_t model_size, size, count = 3;
    int fds[3];
    if (!process_receive(&self, 0, &model_size, sizeof model_size, &size, fds, &count, &err) || count != 3)
        return 5;
    void *model = mmap(NULL, model_size, PROT_READ, MAP_SHARED, fds[0], 0);
    float *x = mmap(NULL, MATRIX_BYTES, PROT_READ, MAP_SHARED, fds[1], 0);
    float *y = malloc(MATRIX_BYTES);
    int64_t start = clock_monotonic_ns();
    OrtSession *session = make_session(env, model, model_size);
    int64_t made = clock_monotonic_ns();
    infer(session, x, y);
    int64_t times[] = {made - start, clock_monotonic_ns() - made};
    if (!file_pwrite(fds[2], y, MATRIX_BYTES, 0, &err) ||
        !process_send(PROCESS_SOCKET, times, sizeof times, NULL, 0, &err))
        return 6;
    _exit(0);
}

// ---- children that misbehave; each returns only when nothing stopped it

static void do_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    (void)!connect(fd, (struct sockaddr *)&to, sizeof to);
}

static void do_fork(void)
{
    if (fork() == 0)
        _exit(0);
}

static void do_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
    execl("/proc/self/exe", "trial", (char *)NULL);
}

static void do_write(void)
{
    (void)!open("/tmp/sandbox-trial", O_WRONLY | O_CREAT, 0600);
}

static void do_kill(void)
{
    kill(getppid(), 0);
}

static void do_loop(void)
{
    for (volatile unsigned i = 0;; i++)
        ;
}

static void do_eat(void)
{
    for (size_t block = 16 << 20;;) {
        char *more = malloc(block);
        if (!more)
            _exit(12); // RLIMIT_DATA
        memset(more, 1, block);
    }
}

static void do_crash(void)
{
    raise(SIGSEGV);
}

// Refused softly: an error, and nothing read.
static void do_read(void)
{
    static const char *const paths[] = {"/etc/passwd", "/proc/self/environ", "/", "/root", "/sys"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int fd = open(paths[i], O_RDONLY);
        if (fd >= 0 && read(fd, &(char){0}, 1) == 1)
            return;
    }
    _exit(13);
}

static void do_grow(void)
{
    if (write(PROCESS_SOCKET + 1, "x", 1) != 1) // a sealed memfd in a real run; here: nothing else is open
        _exit(9);
}

static const struct misdeed {
    const char *name;
    void (*commit)(void);
    const char *ends; // how process_stop's text must begin
} misdeeds[] = {
    {"connect", do_connect, "signal 31"},
    {"fork", do_fork, "signal 31"},
    {"exec", do_exec, "signal 31"},
    {"open for writing", do_write, "signal 31"},
    {"signal the parent", do_kill, "signal 31"},
    {"read files", do_read, "exit 13"},
    {"use another descriptor", do_grow, "exit 9"},
    {"eat memory", do_eat, "exit 12"},
    {"loop for ever", do_loop, "still running"},
    {"crash", do_crash, "signal 11"},
};

enum { MISDEEDS = sizeof misdeeds / sizeof misdeeds[0] };

static int misdeed_main(const char *number, bool reduced)
{
    lock_down(reduced);
    misdeeds[strtoul(number, NULL, 10) % MISDEEDS].commit();
    _exit(0);
}

// ---- the parent

static bool right(const float *x, const float *y)
{
    for (int row = 0; row < SIDE; row += 17)
        for (int column = 0; column < SIDE; column += 13) {
            float sum = 0;
            for (int k = 0; k < SIDE; k++)
                sum += x[row * SIDE + k] * x[k * SIDE + column];
            if (sum != y[row * SIDE + column]) // small integers: exact in any order
                return false;
        }
    return true;
}

static bool try_inference(const char *library, const char *reduced, struct error *err)
{
    static float x[SIDE * SIDE], y[SIDE * SIDE];
    struct buffer model = {.limit = 4096};
    write_model(&model);
    for (int i = 0; i < SIDE * SIDE; i++)
        x[i] = (float)(i * 7 % 11 - 5);
    int fds[] = {process_memfd("model", model.data, model.size, true, err), process_memfd("x", x, sizeof x, true, err),
                 process_memfd("y", NULL, sizeof y, false, err)};
    struct process process;
    int64_t start = clock_monotonic_ns(), times[2] = {0};
    size_t size;
    char why[PROCESS_WHY_SIZE];
    if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0 ||
        !process_start(&process, (const char *[]){"infer", library, reduced, NULL}, MEMORY_MAX, err))
        return false;
    bool ok = process_send(process.socket, &model.size, sizeof model.size, fds, 3, err) &&
              process_receive(&process, 20 * CLOCK_SECOND, times, sizeof times, &size, NULL, NULL, err);
    int64_t took = clock_monotonic_ns() - start;
    process_stop(&process, why);
    if (!ok)
        return error_prefix(err, "inference (%s)", why);
    ok = file_pread(fds[2], y, sizeof y, 0, err) && (right(x, y) || error_set(err, ERROR_BAD_DATA, "wrong product"));
    printf("inference               right; %.0f ms from start to answer, session %.1f ms, run %.1f ms\n",
           (double)took / 1e6, (double)times[0] / 1e6, (double)times[1] / 1e6);
    return ok;
}

static bool try_misdeed(size_t index, const char *reduced, struct error *err)
{
    struct process process;
    char number[8], why[PROCESS_WHY_SIZE], message[8];
    size_t size;
    snprintf(number, sizeof number, "%zu", index);
    if (!process_start(&process, (const char *[]){"misdeed", number, reduced, NULL}, MEMORY_MAX, err))
        return false;
    struct error ignored;
    (void)process_receive(&process, 2 * CLOCK_SECOND, message, sizeof message, &size, NULL, NULL, &ignored);
    process_stop(&process, why);
    bool stopped = strncmp(why, misdeeds[index].ends, strlen(misdeeds[index].ends)) == 0;
    printf("%-23s %s: %s\n", misdeeds[index].name, stopped ? "stopped" : "NOT STOPPED", why);
    return stopped || error_set(err, ERROR_FORBIDDEN, "%s was not stopped", misdeeds[index].name);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "infer") == 0)
        return infer_main(argv[2], argc > 3);
    if (argc >= 3 && strcmp(argv[1], "misdeed") == 0)
        return misdeed_main(argv[2], argc > 3);
    if (argc < 2) {
        fprintf(stderr, "usage: trial LIBRARY [reduced]\n");
        return 2;
    }
    const char *reduced = argc > 2 ? "reduced" : NULL;
    char report[512];
    struct error err;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("uid %d: %s\n", (int)geteuid(), (sandbox_probe(report, sizeof report), report));
    if (!try_inference(argv[1], reduced, &err)) {
        printf("inference               FAILED: %s\n", err.message);
        return 1;
    }
    int failed = 0;
    for (size_t i = 0; i < MISDEEDS; i++)
        failed |= !try_misdeed(i, reduced, &err);
    return failed != 0;
}

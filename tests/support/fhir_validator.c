#include "support/fhir_validator.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "support/check.h"

int validate_fhir(const struct buffer *resources, const char *modules)
{
    int in[2], status;
    struct error err;
    assert_int_equal(pipe(in), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(in[0], 0);
        close(in[1]);
        setenv("NODE_PATH", modules, 1);
        execlp("node", "node", "src/fhir/tests/validate.js", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    assert_ok(file_write_fd(in[1], resources->data, resources->size, &err), err);
    close(in[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

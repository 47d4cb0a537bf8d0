#include <string.h>

int test_alarm(void);
int test_config(void);
int test_file(void);
int test_memory(void);
int test_notify(void);
int test_process(void);
int test_text(void);
int test_tls(void);

int process_child_main(int argc, char **argv);
int process_reader_main(int argc, char **argv);
int process_parent_main(void);

// The tests of process.h start this program again as a child: argv[1] says as which.
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "process-child") == 0)
        return process_child_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "process-reader") == 0)
        return process_reader_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "process-parent") == 0)
        return process_parent_main();
    return test_alarm() + test_config() + test_file() + test_memory() + test_notify() + test_process() + test_text() +
           test_tls();
}

// What systemd hears of a server (Type=notify), by a datagram socket in its place.
#include "support/check.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/notify.h"

static int listen_at(const char *name, bool abstract)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path + abstract, name, strlen(name));
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    return fd;
}

static void hears(int fd, const char *said)
{
    char text[64] = "";
    struct error err;
    assert_true(notify_send(said, &err));
    assert_int_equal(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), strlen(said));
    assert_string_equal(text, said);
    close(fd);
}

static void a_socket_with_a_path_hears_that_we_are_ready(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "/tmp/hilum-notify-%d", (int)getpid());
    int fd = listen_at(path, false);
    setenv("NOTIFY_SOCKET", path, 1);
    hears(fd, "READY=1");
    unlink(path);
}

static void a_socket_with_an_abstract_name_hears_it_too(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@hilum-notify-%d", (int)getpid());
    int fd = listen_at(name + 1, true);
    setenv("NOTIFY_SOCKET", name, 1);
    hears(fd, "STOPPING=1");
}

static void without_a_socket_nobody_is_told(void **state)
{
    (void)state;
    struct error err;
    unsetenv("NOTIFY_SOCKET");
    assert_true(notify_send("READY=1", &err));
}

static void a_socket_that_is_not_there_or_none_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct error err;
    setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
    assert_false(notify_send("READY=1", &err));
    assert_non_null(strstr(err.message, "READY=1"));
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_false(notify_send("READY=1", &err));
    assert_non_null(strstr(err.message, "'relative'"));
}

int test_notify(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_with_a_path_hears_that_we_are_ready),
        cmocka_unit_test(a_socket_with_an_abstract_name_hears_it_too),
        cmocka_unit_test(without_a_socket_nobody_is_told),
        cmocka_unit_test(a_socket_that_is_not_there_or_none_is_an_error_that_names_it),
    };
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}

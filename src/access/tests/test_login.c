// Accounts, sessions and tokens.
#include "place.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/account.h"
#include "access/access_internal.h"
#include "access/label.h"
#include "access/account_row.h"
#include "access/login.h"
#include "access/provider.h"
#include "base/alarm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

#define PASSWORD "correct horse battery"
#define OTHER "another horse entirely"
#define HERE "192.0.2.1"

static struct access_account person(const char *name, enum access_role role)
{
    struct access_account account = {.roles = 1u << role, .enabled = true};
    text_copy(account.name, sizeof account.name, name);
    snprintf(account.shown, sizeof account.shown, "Dr. %s", name);
    return account;
}

static void put(struct place *place, const struct access_account *account, const char *password)
{
    assert_ok(access_account_put(place->access, account, password, "admin", &place->err), place->err);
}

static void open_with_two(struct place *place)
{
    struct access_account admin = person("admin", ACCESS_ADMINISTRATOR), doctor = person("doctor", ACCESS_RADIOLOGIST);
    place_open(place);
    put(place, &admin, PASSWORD);
    put(place, &doctor, PASSWORD);
}

static bool log_in(struct place *place, const char *name, const char *password, const char *address,
                   char secret[ACCESS_SECRET_SIZE])
{
    struct access_session session;
    int wait_s;
    return access_log_in(place->access, name, password, address, clock_now_ns(), secret, &session, &wait_s,
                         &place->err);
}

static bool is_in(struct place *place, const char *secret)
{
    struct access_session session;
    return access_session(place->access, secret, HERE, true, clock_now_ns(), &session);
}

static void a_login_gives_a_session_that_outlives_a_restart_and_ends_when_it_is_left(void **state)
{
    struct place place;
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE];
    (void)state;
    open_with_two(&place);
    assert_true(access_accounts_exist(place.access));
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, secret), place.err);
    place_reopen(&place);
    assert_true(access_session(place.access, secret, HERE, false, clock_now_ns(), &session));
    assert_string_equal(session.subject.name, "doctor");
    assert_string_equal(session.shown, "Dr. doctor");
    assert_int_equal(session.subject.kind, ACCESS_USER);
    assert_true(session.subject.verified);
    assert_true(access_allows(&session.subject, ACCESS_TO_JUDGE));
    assert_false(access_allows(&session.subject, ACCESS_TO_CONFIGURE));
    access_log_out(place.access, secret, HERE, clock_now_ns());
    assert_false(is_in(&place, secret));
    place_reopen(&place);
    assert_false(is_in(&place, secret));
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    char *trail = place_trail(place.audit);
    assert_int_equal(place_count(trail, "csd-code=\"110122\""), 1);
    assert_int_equal(place_count(trail, "csd-code=\"110123\""), 1);
    assert_int_equal(place_count(trail, PASSWORD), 0);
    assert_int_equal(place_count(trail, secret), 0);
    free(trail);
    place_close(&place);
}

static void a_session_ends_after_a_while_without_use_and_at_its_end_and_a_look_is_no_use(void **state)
{
    struct place place;
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE];
    (void)state;
    open_with_two(&place);
    int64_t now_ns = clock_now_ns();
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, secret), place.err);
    const int64_t idle_ns = access_idle_ns(place.access);
    assert_true(access_session(place.access, secret, HERE, false, now_ns + idle_ns - CLOCK_SECOND, &session));
    assert_true(access_session(place.access, secret, HERE, true, now_ns + 2 * idle_ns - 2 * CLOCK_SECOND, &session));
    assert_false(access_session(place.access, secret, HERE, true, now_ns + 2 * idle_ns, &session));
    access_set_idle(place.access, 48 * 3600 * CLOCK_SECOND);
    assert_true(access_session(place.access, secret, HERE, false, now_ns + 11 * 3600 * CLOCK_SECOND, &session));
    assert_false(access_session(place.access, secret, HERE, false, now_ns + 13 * 3600 * CLOCK_SECOND, &session));
    place_close(&place);
}

static void an_emergency_shows_all_labels_for_an_hour_to_one_session_and_the_trail_has_its_reason(void **state)
{
    struct place place;
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE], other[ACCESS_SECRET_SIZE];
    const int64_t now_ns = clock_now_ns(), hour_ns = ACCESS_EMERGENCY_MINUTES * 60 * CLOCK_SECOND;
    (void)state;
    open_with_two(&place);
    access_set_idle(place.access, 4 * hour_ns);
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, secret), place.err);
    assert_false(access_session_emergency(place.access, secret, "because", HERE, now_ns, &session, &place.err));
    assert_int_equal(place.err.code, ERROR_BAD_VALUE);
    assert_int_equal(alarm_count(ALARM_EMERGENCY), 0);
    assert_ok(access_session_emergency(place.access, secret, "unconscious in the emergency room", HERE, now_ns,
                                       &session, &place.err),
              place.err);
    assert_int_equal(alarm_count(ALARM_EMERGENCY), 1);
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, other), place.err); // which reads all sessions anew
    assert_true(access_session(place.access, secret, HERE, true, now_ns + hour_ns - 1, &session));
    assert_true(session.subject.labels == ACCESS_LABELS_ALL && session.emergency_ns == now_ns + hour_ns);
    assert_true(access_session(place.access, other, HERE, true, now_ns, &session));
    assert_true(session.subject.labels == 0 && session.emergency_ns == 0);
    assert_true(access_session(place.access, secret, HERE, true, now_ns + hour_ns, &session));
    assert_true(session.subject.labels == 0 && session.emergency_ns == 0);
    struct alarm alarms[ALARMS_MAX];
    uint64_t unlisted;
    assert_int_equal(alarm_list(alarms, &unlisted), 0);
    char *trail = place_trail(place.audit);
    assert_int_equal(place_count(trail, "csd-code=\"110127\""), 1);
    assert_int_equal(place_count(trail, "unconscious in the emergency room"), 1);
    free(trail);
    place_close(&place);
}

// Who sees what is hidden without its reason in the trail could not be called to account for it.
static void no_emergency_begins_without_its_line_on_the_disk(void **state)
{
    struct place place;
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE];
    const int64_t now_ns = clock_now_ns();
    const uint64_t alarms = alarm_count(ALARM_EMERGENCY);
    (void)state;
    open_with_two(&place);
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, secret), place.err);
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    place_limit_files(100);
    bool began = access_session_emergency(place.access, secret, "unconscious in the emergency room", HERE, now_ns,
                                          &session, &place.err);
    place_limit_files(RLIM_INFINITY);
    assert_false(began);
    assert_int_equal(place.err.code, ERROR_FULL);
    assert_int_equal(alarm_count(ALARM_EMERGENCY), alarms);
    assert_true(access_session(place.access, secret, HERE, true, now_ns, &session));
    assert_true(session.subject.labels == 0 && session.emergency_ns == 0);
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    place_close(&place);
}

static void what_is_changed_of_an_account_ends_its_sessions_and_nobody_else_s(void **state)
{
    struct place place;
    struct access_account doctor = person("doctor", ACCESS_RADIOLOGIST);
    char first[ACCESS_SECRET_SIZE], admin[ACCESS_SECRET_SIZE];
    (void)state;
    open_with_two(&place);
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, first), place.err);
    assert_ok(log_in(&place, "admin", PASSWORD, HERE, admin), place.err);
    text_copy(doctor.shown, sizeof doctor.shown, "Dr. Who");
    put(&place, &doctor, NULL);
    assert_true(is_in(&place, first)); // a name alone is no reason
    doctor.roles = 1u << ACCESS_RESIDENT;
    put(&place, &doctor, NULL);
    assert_false(is_in(&place, first));
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, first), place.err);
    doctor.enabled = false;
    put(&place, &doctor, NULL);
    assert_false(is_in(&place, first));
    assert_false(log_in(&place, "doctor", PASSWORD, HERE, first));
    assert_int_equal(place.err.code, ERROR_FORBIDDEN);
    doctor.enabled = true;
    put(&place, &doctor, OTHER);
    assert_false(log_in(&place, "doctor", PASSWORD, HERE, first));
    assert_ok(log_in(&place, "doctor", OTHER, HERE, first), place.err);
    text_copy(doctor.issuer, sizeof doctor.issuer, "https://login.example.org");
    text_copy(doctor.subject, sizeof doctor.subject, "4711");
    put(&place, &doctor, NULL);
    assert_false(is_in(&place, first));
    assert_ok(log_in(&place, "doctor", OTHER, HERE, first), place.err);
    text_copy(doctor.issuer, sizeof doctor.issuer, "https://other.example.org"); // whose 4711 is somebody else
    put(&place, &doctor, NULL);
    assert_false(is_in(&place, first));
    assert_ok(log_in(&place, "doctor", OTHER, HERE, first), place.err);
    assert_ok(access_account_remove(place.access, "doctor", "admin", &place.err), place.err);
    assert_false(is_in(&place, first));
    assert_true(is_in(&place, admin));
    place_close(&place);
}

static void the_last_administrator_who_can_log_in_stays(void **state)
{
    struct place place;
    struct access_account admin = person("admin", ACCESS_ADMINISTRATOR),
                          second = person("second", ACCESS_ADMINISTRATOR);
    (void)state;
    open_with_two(&place);
    assert_false(access_account_remove(place.access, "admin", "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    admin.enabled = false;
    assert_false(access_account_put(place.access, &admin, NULL, "admin", &place.err));
    admin.enabled = true;
    admin.roles = 1u << ACCESS_AUDITOR;
    assert_false(access_account_put(place.access, &admin, NULL, "admin", &place.err));
    put(&place, &second, NULL); // cannot log in
    assert_false(access_account_remove(place.access, "admin", "admin", &place.err));
    put(&place, &second, OTHER);
    assert_ok(access_account_remove(place.access, "admin", "admin", &place.err), place.err);
    place_close(&place);
}

// The words are the same, and the time is that of a hash.
static void nobody_learns_which_names_there_are(void **state)
{
    struct place place;
    char secret[ACCESS_SECRET_SIZE], said[3][ERROR_MESSAGE_SIZE];
    static const char *const names[] = {"doctor", "nobody", "no such name as this"};
    int64_t took_ns[3];
    (void)state;
    open_with_two(&place);
    assert_false(log_in(&place, "first", OTHER, "198.51.100.9", secret)); // makes the hash of nobody
    for (size_t i = 0; i < 3; i++) {
        int64_t before_ns = clock_monotonic_ns();
        assert_false(log_in(&place, names[i], OTHER, HERE, secret));
        took_ns[i] = clock_monotonic_ns() - before_ns;
        text_copy(said[i], sizeof said[i], place.err.message);
        assert_string_equal(said[i], said[0]);
    }
    assert_true(took_ns[1] > took_ns[0] / 3 && took_ns[2] > took_ns[0] / 3);
    place_close(&place);
}

static void who_guesses_locks_out_himself_and_nobody_else(void **state)
{
    struct place place;
    char secret[ACCESS_SECRET_SIZE];
    (void)state;
    open_with_two(&place);
    for (int i = 0; i < ACCESS_FREE_TRIES; i++)
        assert_false(log_in(&place, "doctor", OTHER, "203.0.113.5", secret));
    assert_false(log_in(&place, "doctor", PASSWORD, "203.0.113.5", secret)); // right, and too early
    assert_int_equal(place.err.code, ERROR_BUSY);
    assert_ok(log_in(&place, "admin", PASSWORD, "203.0.113.5", secret), place.err); // another name from there
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, secret), place.err);         // the same from elsewhere
    place_close(&place);
}

static void an_address_that_guesses_many_names_waits_and_so_does_its_network(void **state)
{
    struct place place;
    char secret[ACCESS_SECRET_SIZE], name[32];
    struct access_session session;
    int wait_s = 0;
    (void)state;
    open_with_two(&place);
    for (int i = 0; i < ACCESS_FREE_TRIES_ADDRESS; i++) {
        snprintf(name, sizeof name, "guess%d", i);
        assert_false(log_in(&place, name, OTHER, "2001:db8:1:2::1", secret));
    }
    assert_false(access_log_in(place.access, "doctor", PASSWORD, "2001:db8:1:2:ffff::99", clock_now_ns(), secret,
                               &session, &wait_s, &place.err));
    assert_int_equal(place.err.code, ERROR_BUSY);
    assert_in_range(wait_s, 1, 2);
    assert_ok(log_in(&place, "doctor", PASSWORD, "2001:db8:1:3::1", secret), place.err);
    place_close(&place);
}

static void each_further_guess_doubles_the_wait_up_to_its_limit(void **state)
{
    static struct tries tries;
    int64_t now_ns = CLOCK_SECOND;
    (void)state;
    tries_init(&tries);
    for (int i = 1; i <= ACCESS_FREE_TRIES + 12; i++) {
        const int past = i - ACCESS_FREE_TRIES;
        tries_failed(&tries, "doctor", HERE, now_ns);
        const int wait_s = tries_wait(&tries, "doctor", HERE, now_ns);
        assert_int_equal(wait_s, past < 0 ? 0 : past < 10 ? 1 << past : ACCESS_WAIT_MAX_SECONDS);
        now_ns += wait_s * CLOCK_SECOND;
        assert_int_equal(tries_wait(&tries, "doctor", HERE, now_ns), 0);
    }
    tries_end(&tries);
}

// Who guesses from very many addresses pushes out what he tried long ago, and not what he tried just now.
static void where_places_are_taken_the_guess_of_longest_ago_is_forgotten(void **state)
{
    enum { ALL = 2 * TRIES_ROWS, LAST = TRIES_ROWS / 8 };
    static struct tries tries;
    char address[16];
    int waiting = 0;
    (void)state;
    tries_init(&tries);
    for (int i = 0; i < ALL; i++) {
        snprintf(address, sizeof address, "10.0.%d.%d", i / 256, i % 256);
        for (int tried = 0; tried < ACCESS_FREE_TRIES; tried++)
            tries_failed(&tries, "doctor", address, CLOCK_SECOND + i);
    }
    for (int i = ALL - LAST; i < ALL; i++) {
        snprintf(address, sizeof address, "10.0.%d.%d", i / 256, i % 256);
        waiting += tries_wait(&tries, "doctor", address, CLOCK_SECOND + ALL) > 0;
    }
    assert_in_range(waiting, LAST * 9 / 10, LAST);
    tries_end(&tries);
}

struct guesser {
    struct place *place;
    const char *address;
    bool right;
    struct error err;
};

static void *guess(void *payload)
{
    struct guesser *guesser = payload;
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE];
    int wait_s;
    guesser->right = access_log_in(guesser->place->access, "doctor", PASSWORD, guesser->address, clock_now_ns(), secret,
                                   &session, &wait_s, &guesser->err);
    return NULL;
}

static size_t count_line(struct hasher *hasher)
{
    size_t count = 0;
    pthread_mutex_lock(&hasher->lock);
    for (size_t i = 0; i < ACCESS_HASHES_WAITING; i++)
        count += hasher->line[i] != 0;
    pthread_mutex_unlock(&hasher->lock);
    return count;
}

static void wait_for_line(struct hasher *hasher, size_t wanted)
{
    for (int i = 0; i < 5000 && count_line(hasher) < wanted; i++)
        usleep(1000);
    assert_int_equal(count_line(hasher), wanted);
}

static void many_logins_of_one_network_leave_places_in_the_line_for_others(void **state)
{
    struct place place;
    struct guesser guessers[12], honest = {.place = &place, .address = "2001:db8:1:3::1"};
    pthread_t threads[12], other;
    char address[12][32];
    size_t refused = 0;
    (void)state;
    open_with_two(&place);
    struct hasher *hasher = &place.access->login->hasher;
    pthread_mutex_lock(&hasher->turn);
    for (size_t i = 0; i < 12; i++) {
        snprintf(address[i], sizeof address[i], "2001:db8:1:2::%zu", i);
        guessers[i] = (struct guesser){.place = &place, .address = address[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, guess, &guessers[i]), 0);
    }
    wait_for_line(hasher, ACCESS_HASHES_OF_ADDRESS);
    assert_int_equal(pthread_create(&other, NULL, guess, &honest), 0);
    wait_for_line(hasher, ACCESS_HASHES_OF_ADDRESS + 1);
    pthread_mutex_unlock(&hasher->turn);
    pthread_join(other, NULL);
    for (size_t i = 0; i < 12; i++) {
        pthread_join(threads[i], NULL);
        refused += !guessers[i].right && guessers[i].err.code == ERROR_BUSY;
    }
    assert_ok(honest.right, honest.err);
    assert_in_range(refused, 1, 12 - ACCESS_HASHES_OF_ADDRESS);
    assert_int_equal(count_line(hasher), 0);
    place_close(&place);
}

static void passwords_are_judged_by_their_length_and_by_what_everybody_guesses(void **state)
{
    struct error err;
    (void)state;
    static const char *const bad[] = {
        "short", "elevenchars", "administrator1", "Password1234", "aaaaaaaaaaaaaaa", "j.doe@siteABCDEF", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (access_password_fits("j.doe@site", bad[i], &err))
            fail_msg("'%s' was taken", bad[i]);
    static const char *const good[] = {PASSWORD, "twelvechars!", "Füßchen über Äcker",
                                       "0123456789 and a password story"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(access_password_fits("j.doe@site", good[i], &err), err);
}

static void the_first_administrator_is_made_once_with_the_code_of_the_file(void **state)
{
    struct place place;
    struct buffer file;
    struct stat status;
    char path[PLACE_PATH + 32], secret[ACCESS_SECRET_SIZE];
    int wait_s;
    (void)state;
    place_open(&place);
    snprintf(path, sizeof path, "%s/first-administrator", place.folder);
    assert_ok(access_first_begin(place.access, path, &place.err), place.err);
    assert_true(access_first_is_due(place.access));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    buffer_init(&file, 100);
    assert_true(file_read(path, &file, &place.err));
    buffer_byte(&file, 0);
    char *code = (char *)file.data;
    code[strcspn(code, "\n")] = '\0';
    assert_false(access_first_make(place.access, "guess", "boss", PASSWORD, HERE, &wait_s, &place.err));
    assert_int_equal(place.err.code, ERROR_FORBIDDEN);
    assert_false(access_first_make(place.access, code, "boss", "short", HERE, &wait_s, &place.err));
    assert_ok(access_first_make(place.access, code, "boss", PASSWORD, HERE, &wait_s, &place.err), place.err);
    assert_false(access_first_make(place.access, code, "second", PASSWORD, HERE, &wait_s, &place.err));
    assert_false(access_first_is_due(place.access));
    assert_int_not_equal(stat(path, &status), 0);
    assert_ok(log_in(&place, "boss", PASSWORD, HERE, secret), place.err);
    buffer_free(&file);
    place_close(&place);
}

static void the_code_of_the_first_administrator_makes_none_beside_another_account(void **state)
{
    struct place place;
    struct access_account boss = person("boss", ACCESS_ADMINISTRATOR), second;
    struct buffer file;
    char path[PLACE_PATH + 32];
    int wait_s;
    (void)state;
    place_open(&place);
    snprintf(path, sizeof path, "%s/first-administrator", place.folder);
    assert_ok(access_first_begin(place.access, path, &place.err), place.err);
    buffer_init(&file, 100);
    assert_ok(file_read(path, &file, &place.err), place.err);
    buffer_byte(&file, 0);
    char *code = (char *)file.data;
    code[strcspn(code, "\n")] = '\0';
    put(&place, &boss, PASSWORD); // as the command does
    assert_false(access_first_make(place.access, code, "second", PASSWORD, HERE, &wait_s, &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_false(access_account_get(place.access, "second", &second, &place.err));
    buffer_free(&file);
    place_close(&place);
}

static void a_token_does_what_its_roles_may_until_its_end(void **state)
{
    struct place place;
    struct access_subject subject;
    char secret[ACCESS_SECRET_SIZE];
    const int64_t now_ns = clock_now_ns(), day_ns = 86400 * CLOCK_SECOND;
    struct access_token token = {.name = "viewer", .roles = 1u << ACCESS_SERVICE, .ends_ns = now_ns + 2 * day_ns};
    (void)state;
    open_with_two(&place);
    assert_ok(access_token_make(place.access, &token, "admin", now_ns, secret, &place.err), place.err);
    assert_false(access_token_make(place.access, &token, "admin", now_ns, secret, &place.err));
    assert_int_equal(place.err.code, ERROR_DUPLICATE);
    place_reopen(&place);
    assert_false(access_token_subject(place.access, secret, HERE, now_ns, &subject)); // of the one that was refused
    assert_ok(access_token_remove(place.access, "viewer", "admin", &place.err), place.err);
    assert_ok(access_token_make(place.access, &token, "admin", now_ns, secret, &place.err), place.err);
    assert_true(access_token_subject(place.access, secret, HERE, now_ns + day_ns, &subject));
    assert_int_equal(subject.kind, ACCESS_TOKEN);
    assert_true(access_allows(&subject, ACCESS_TO_QUERY) && !access_allows(&subject, ACCESS_TO_JUDGE));
    assert_false(access_token_subject(place.access, secret, HERE, now_ns + 3 * day_ns, &subject));
    token.ends_ns = now_ns + 401 * day_ns;
    text_copy(token.name, sizeof token.name, "for ever");
    assert_false(access_token_make(place.access, &token, "admin", now_ns, secret, &place.err));
    assert_false(access_token_subject(place.access, "", HERE, now_ns, &subject));
    place_close(&place);
}

static void who_goes_leaves_the_tokens_that_he_made_and_those_that_these_made(void **state)
{
    struct place place;
    struct access_token *left;
    struct arena arena;
    char secret[ACCESS_SECRET_SIZE];
    const int64_t now_ns = clock_now_ns(), day_ns = 86400 * CLOCK_SECOND;
    static const char *const made[][2] = {
        {"third", "second"}, {"other", "doctor"}, {"first", "admin"}, {"second", "first"}, {"past", "admin"}};
    size_t count = 0;
    (void)state;
    open_with_two(&place);
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        struct access_token token = {.roles = 1u << ACCESS_SERVICE, .ends_ns = now_ns + (i == 4 ? 1 : 2) * day_ns};
        text_copy(token.name, sizeof token.name, made[i][0]);
        assert_ok(access_token_make(place.access, &token, made[i][1], now_ns, secret, &place.err), place.err);
    }
    assert_ok(access_token_left(place.access, &arena, "admin", now_ns + day_ns, &left, &count, &place.err), place.err);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++)
        assert_true(strcmp(left[i].name, "other") != 0 && strcmp(left[i].name, "past") != 0);
    assert_ok(access_token_left(place.access, &arena, "nobody", now_ns, &left, &count, &place.err), place.err);
    assert_int_equal(count, 0);
    arena_free(&arena);
    place_close(&place);
}

static void of_very_many_sessions_of_one_account_the_one_of_longest_ago_goes(void **state)
{
    struct place place;
    char secrets[ACCESS_SESSIONS_PER_ACCOUNT + 1][ACCESS_SECRET_SIZE];
    (void)state;
    open_with_two(&place);
    for (int i = 0; i <= ACCESS_SESSIONS_PER_ACCOUNT; i++)
        assert_ok(log_in(&place, "doctor", PASSWORD, HERE, secrets[i]), place.err);
    assert_false(is_in(&place, secrets[0]));
    for (int i = 1; i <= ACCESS_SESSIONS_PER_ACCOUNT; i++)
        assert_true(is_in(&place, secrets[i]));
    place_close(&place);
}

static void an_identity_provider_s_word_makes_an_account_and_keeps_its_roles_as_it_says(void **state)
{
    struct place place;
    struct access_session session;
    struct access_account account = person("p.reader", ACCESS_RADIOLOGIST), kept;
    struct access_provider provider = access_provider_start;
    char secret[ACCESS_SECRET_SIZE];
    (void)state;
    open_with_two(&place);
    provider.issuer = "https://login.example.org";
    provider.client_id = "hilum";
    provider.roles = "readers=radiologist";
    assert_ok(access_provider_put(place.access, &provider, "admin", &place.err), place.err);
    text_copy(account.issuer, sizeof account.issuer, "https://login.example.org");
    text_copy(account.subject, sizeof account.subject, "4711");
    assert_ok(access_log_in_by_provider(place.access, &account, 1, HERE, clock_now_ns(), secret, &session, &place.err),
              place.err);
    assert_true(is_in(&place, secret));
    account.roles = 1u << ACCESS_RESIDENT;
    text_copy(account.name, sizeof account.name, "renamed");
    assert_ok(access_log_in_by_provider(place.access, &account, 1, HERE, clock_now_ns(), secret, &session, &place.err),
              place.err);
    assert_ok(access_account_get(place.access, "p.reader", &kept, &place.err), place.err); // the same person
    assert_int_equal(kept.roles, 1u << ACCESS_RESIDENT);
    kept.enabled = false;
    put(&place, &kept, NULL);
    assert_false(
        access_log_in_by_provider(place.access, &account, 1, HERE, clock_now_ns(), secret, &session, &place.err));
    text_copy(account.subject, sizeof account.subject, "4712"); // another person of a name that is taken
    text_copy(account.name, sizeof account.name, "doctor");
    assert_false(
        access_log_in_by_provider(place.access, &account, 1, HERE, clock_now_ns(), secret, &session, &place.err));
    assert_int_equal(place.err.code, ERROR_FORBIDDEN);
    assert_ok(access_account_get(place.access, "p.reader", &kept, &place.err), place.err);
    kept.version--; // somebody has changed it since it was read
    kept.enabled = true;
    assert_false(login_account_put(place.access, &kept, false, "identity provider", &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_false(log_in(&place, "p.reader", "", HERE, secret)); // it has no password
    place_close(&place);
}

// A bar with much room: a look-up takes a microsecond or so.
static bool come_in(struct place *place, const char *name, const char *shown, const char *subject, bool made,
                    struct access_session *session)
{
    struct access_account account = person(name, ACCESS_RADIOLOGIST);
    char secret[ACCESS_SECRET_SIZE];
    text_copy(account.shown, sizeof account.shown, shown);
    text_copy(account.issuer, sizeof account.issuer, "https://login.example.org");
    text_copy(account.subject, sizeof account.subject, subject);
    account.name_made = made;
    return access_log_in_by_provider(place->access, &account, 1, HERE, clock_now_ns(), secret, session, &place->err);
}

static void people_of_a_provider_whose_names_are_the_same_here_have_their_own_and_are_told_apart(void **state)
{
    struct place place;
    struct access_session session;
    struct access_provider provider = access_provider_start;
    (void)state;
    open_with_two(&place);
    provider.issuer = "https://login.example.org";
    provider.client_id = "hilum";
    provider.roles = "readers=radiologist";
    assert_ok(access_provider_put(place.access, &provider, "admin", &place.err), place.err);
    assert_ok(come_in(&place, "__", "First", "1", true, &session), place.err);
    assert_string_equal(session.subject.name, "__");
    assert_ok(come_in(&place, "__", "Second", "2", true, &session), place.err);
    assert_string_equal(session.subject.name, "__-2");
    assert_ok(come_in(&place, "__", "first ", "3", false, &session), place.err);
    assert_string_equal(session.subject.name, "__-3");
    assert_string_equal(session.shown, "first  (__-3)");
    assert_ok(come_in(&place, "__", "first ", "3", false, &session), place.err); // the same at the next login
    assert_string_equal(session.shown, "first  (__-3)");
    assert_ok(come_in(&place, "__", "First", "1", true, &session), place.err);
    assert_string_equal(session.shown, "First");
    assert_ok(come_in(&place, "doctor", "Third", "4", true, &session), place.err); // made of "d\u00f6ctor"
    assert_string_equal(session.subject.name, "doctor-2");
    assert_false(come_in(&place, "doctor", "Fourth", "5", false, &session)); // may be who has the password, or not
    assert_non_null(strstr(place.err.message, "an administrator gives it the provider's issuer and the subject '5'"));
    place_close(&place);
}

static void a_name_that_shows_otherwise_than_it_is_or_as_another_one_s_is_refused(void **state)
{
    struct place place;
    char secret[ACCESS_SECRET_SIZE];
    static const char *const hostile[] = {"Ada\x1B[31m", "Ada\nboss",
                                          "\xE2\x80\xAE"
                                          "admin",
                                          "a\xE2\x80\x8B"};
    const int64_t now_ns = clock_now_ns();
    (void)state;
    open_with_two(&place);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct access_account ada = person("ada", ACCESS_RADIOLOGIST);
        struct access_token token = {.roles = 1u << ACCESS_SERVICE, .ends_ns = now_ns + 86400 * CLOCK_SECOND};
        struct access_label label = {.name = "vip"};
        text_copy(ada.shown, sizeof ada.shown, hostile[i]);
        text_copy(token.name, sizeof token.name, hostile[i]);
        text_copy(label.description, sizeof label.description, hostile[i]);
        assert_false(access_account_put(place.access, &ada, PASSWORD, "admin", &place.err));
        assert_int_equal(place.err.code, ERROR_BAD_VALUE);
        assert_false(access_token_make(place.access, &token, "admin", now_ns, secret, &place.err));
        assert_int_equal(place.err.code, ERROR_BAD_VALUE);
        assert_false(access_label_put(place.access, &label, "admin", &place.err));
        assert_int_equal(place.err.code, ERROR_BAD_VALUE);
    }
    struct access_account other = person("other", ACCESS_RADIOLOGIST);
    text_copy(other.shown, sizeof other.shown, "dr.  DOCTOR");
    assert_false(access_account_put(place.access, &other, PASSWORD, "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    other.enabled = false; // judges nothing
    put(&place, &other, PASSWORD);
    other.enabled = true;
    assert_false(access_account_put(place.access, &other, NULL, "admin", &place.err));
    place_close(&place);
}

static void who_has_no_role_at_the_provider_any_more_is_out_and_the_trail_says_so(void **state)
{
    struct place place;
    struct access_account ada = person("ada", ACCESS_ADMINISTRATOR), now;
    char secret[ACCESS_SECRET_SIZE];
    struct access_session session;
    int wait_s;
    (void)state;
    open_with_two(&place);
    text_copy(ada.issuer, sizeof ada.issuer, "https://login.example.org");
    text_copy(ada.subject, sizeof ada.subject, "4711");
    put(&place, &ada, PASSWORD);
    assert_ok(log_in(&place, "ada", PASSWORD, HERE, secret), place.err);
    assert_ok(access_provider_gives_no_role(place.access, ada.issuer, "4712", &place.err), place.err); // another one
    assert_true(is_in(&place, secret));
    assert_ok(access_provider_gives_no_role(place.access, ada.issuer, ada.subject, &place.err), place.err);
    assert_false(is_in(&place, secret));
    assert_ok(access_account_get(place.access, "ada", &now, &place.err), place.err);
    assert_int_equal(now.roles, 0);
    assert_ok(access_log_in(place.access, "ada", PASSWORD, HERE, clock_now_ns(), secret, &session, &wait_s, &place.err),
              place.err); // and may nothing
    assert_false(access_allows(&session.subject, ACCESS_TO_MANAGE_ACCOUNTS));
    now.enabled = false;
    put(&place, &now, NULL); // is not refused for want of roles
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    char *trail = place_trail(place.audit);
    assert_int_equal(place_count(trail, "all sessions of ada were ended: the provider gives no role"), 1);
    free(trail);
    place_close(&place);
}

static void the_last_administrator_keeps_his_roles_and_no_session_when_the_provider_gives_none(void **state)
{
    struct place place;
    struct access_account admin = person("admin", ACCESS_ADMINISTRATOR), now;
    char secret[ACCESS_SECRET_SIZE];
    (void)state;
    place_open(&place);
    text_copy(admin.issuer, sizeof admin.issuer, "https://login.example.org");
    text_copy(admin.subject, sizeof admin.subject, "1");
    put(&place, &admin, PASSWORD);
    assert_ok(log_in(&place, "admin", PASSWORD, HERE, secret), place.err);
    assert_ok(access_provider_gives_no_role(place.access, admin.issuer, admin.subject, &place.err), place.err);
    assert_false(is_in(&place, secret));
    assert_ok(access_account_get(place.access, "admin", &now, &place.err), place.err);
    assert_int_equal(now.roles, 1u << ACCESS_ADMINISTRATOR);
    place_close(&place);
}

static void a_clock_that_was_ahead_makes_no_session_and_no_emergency_longer(void **state)
{
    struct place place;
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE];
    int wait_s;
    const int64_t now_ns = clock_now_ns(), ahead_ns = now_ns + 24 * 3600 * CLOCK_SECOND;
    (void)state;
    open_with_two(&place);
    assert_ok(access_log_in(place.access, "doctor", PASSWORD, HERE, ahead_ns, secret, &session, &wait_s, &place.err),
              place.err);
    assert_ok(access_session_emergency(place.access, secret, "unconscious in the emergency room", HERE, ahead_ns,
                                       &session, &place.err),
              place.err);
    assert_true(access_session(place.access, secret, HERE, true, ahead_ns - 10 * CLOCK_SECOND, &session));
    assert_false(access_session(place.access, secret, HERE, false, now_ns, &session));
    struct alarm alarms[ALARMS_MAX];
    uint64_t unlisted;
    assert_int_equal(alarm_list(alarms, &unlisted), 0);
    place_close(&place);
}

static bool write_many(struct database *db, void *payload, struct error *err)
{
    const int64_t *now_ns = payload;
    bool ok = true;
    for (uint64_t i = 0; ok && i < ACCESS_SESSIONS_MAX - 1; i++) {
        struct session_row row = {
            .began_ns = *now_ns, .used_ns = *now_ns, .ends_ns = *now_ns + ACCESS_SESSION_HOURS * 3600 * CLOCK_SECOND};
        hash_of(&i, sizeof i, row.digest);
        snprintf(row.id, sizeof row.id, "%llu", (unsigned long long)i);
        text_copy(row.account, sizeof row.account, "doctor");
        ok = session_row_add(db, &row, err);
    }
    return ok;
}

// As many as there may be, of people who just went away, but for one place.
static void fill_sessions(struct place *place, int64_t now_ns)
{
    assert_ok(store_write(place->store, STORE_REPLAYABLE, write_many, &now_ns, &place->err), place->err);
    assert_ok(login_reload(place->access, &place->err), place->err);
}

static bool count_session(const struct session_row *row, void *payload)
{
    (void)row;
    ++*(size_t *)payload;
    return true;
}

static size_t kept_sessions(struct place *place)
{
    size_t count = 0;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(db && session_row_each(db, count_session, &count, &place->err), place->err);
    store_read_end(place->store, db);
    return count;
}

// Of a reader who works: neither a change of somebody's account nor a restart puts him out, and neither prolongs what
// was left alone.
static void when_a_session_was_used_outlives_a_change_of_accounts_and_a_restart(void **state)
{
    struct place place;
    struct access_session session;
    struct access_account other = person("other", ACCESS_RESIDENT);
    char secret[ACCESS_SECRET_SIZE];
    (void)state;
    open_with_two(&place);
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, secret), place.err);
    const int64_t idle_ns = access_idle_ns(place.access), first_ns = clock_now_ns() + idle_ns * 2 / 3,
                  second_ns = first_ns + 30 * CLOCK_SECOND; // within what the database may be behind
    assert_true(access_session(place.access, secret, HERE, false, first_ns, &session));
    assert_true(access_session(place.access, secret, HERE, false, second_ns, &session));
    put(&place, &other, NULL);
    assert_true(access_session(place.access, secret, HERE, true, second_ns + idle_ns - 1, &session));
    assert_false(access_session(place.access, secret, HERE, true, second_ns + idle_ns, &session));
    place_reopen(&place);
    assert_true(access_session(place.access, secret, HERE, true, first_ns + idle_ns - 1, &session));
    assert_false(access_session(place.access, secret, HERE, true, second_ns + idle_ns, &session));
    place_close(&place);
}

static void people_who_went_away_keep_nobody_out(void **state)
{
    struct place place;
    char secret[ACCESS_SECRET_SIZE];
    struct access_session session;
    int wait_s;
    (void)state;
    open_with_two(&place);
    const int64_t now_ns = clock_now_ns();
    fill_sessions(&place, now_ns);
    for (int i = 0; i < 3; i++) {
        assert_ok(access_log_in(place.access, "admin", PASSWORD, HERE, now_ns + access_idle_ns(place.access) + i,
                                secret, &session, &wait_s, &place.err),
                  place.err);
        assert_int_equal(kept_sessions(&place), i + 1); // all of them have gone at once
    }
    place_close(&place);
}

static void a_session_is_looked_up_within_20_microseconds_beside_4096(void **state)
{
    enum { LOOKS = 20000 };
    struct place place;
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE];
    (void)state;
    open_with_two(&place);
    assert_ok(log_in(&place, "doctor", PASSWORD, HERE, secret), place.err);
    fill_sessions(&place, clock_now_ns());
    const int64_t before_ns = clock_monotonic_ns(), now_ns = clock_now_ns();
    for (int i = 0; i < LOOKS; i++)
        assert_true(access_session(place.access, secret, HERE, false, now_ns, &session));
    assert_true((clock_monotonic_ns() - before_ns) / LOOKS < 20000);
    place_close(&place);
}

int test_login(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_gives_a_session_that_outlives_a_restart_and_ends_when_it_is_left),
        cmocka_unit_test(a_session_ends_after_a_while_without_use_and_at_its_end_and_a_look_is_no_use),
        cmocka_unit_test(an_emergency_shows_all_labels_for_an_hour_to_one_session_and_the_trail_has_its_reason),
        cmocka_unit_test(no_emergency_begins_without_its_line_on_the_disk),
        cmocka_unit_test(what_is_changed_of_an_account_ends_its_sessions_and_nobody_else_s),
        cmocka_unit_test(the_last_administrator_who_can_log_in_stays),
        cmocka_unit_test(nobody_learns_which_names_there_are),
        cmocka_unit_test(who_guesses_locks_out_himself_and_nobody_else),
        cmocka_unit_test(an_address_that_guesses_many_names_waits_and_so_does_its_network),
        cmocka_unit_test(each_further_guess_doubles_the_wait_up_to_its_limit),
        cmocka_unit_test(where_places_are_taken_the_guess_of_longest_ago_is_forgotten),
        cmocka_unit_test(many_logins_of_one_network_leave_places_in_the_line_for_others),
        cmocka_unit_test(passwords_are_judged_by_their_length_and_by_what_everybody_guesses),
        cmocka_unit_test(the_first_administrator_is_made_once_with_the_code_of_the_file),
        cmocka_unit_test(the_code_of_the_first_administrator_makes_none_beside_another_account),
        cmocka_unit_test(a_token_does_what_its_roles_may_until_its_end),
        cmocka_unit_test(who_goes_leaves_the_tokens_that_he_made_and_those_that_these_made),
        cmocka_unit_test(of_very_many_sessions_of_one_account_the_one_of_longest_ago_goes),
        cmocka_unit_test(an_identity_provider_s_word_makes_an_account_and_keeps_its_roles_as_it_says),
        cmocka_unit_test(people_of_a_provider_whose_names_are_the_same_here_have_their_own_and_are_told_apart),
        cmocka_unit_test(a_name_that_shows_otherwise_than_it_is_or_as_another_one_s_is_refused),
        cmocka_unit_test(who_has_no_role_at_the_provider_any_more_is_out_and_the_trail_says_so),
        cmocka_unit_test(the_last_administrator_keeps_his_roles_and_no_session_when_the_provider_gives_none),
        cmocka_unit_test(a_clock_that_was_ahead_makes_no_session_and_no_emergency_longer),
        cmocka_unit_test(when_a_session_was_used_outlives_a_change_of_accounts_and_a_restart),
        cmocka_unit_test(people_who_went_away_keep_nobody_out),
        cmocka_unit_test(a_session_is_looked_up_within_20_microseconds_beside_4096),
    };
    return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}

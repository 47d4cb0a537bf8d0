// Where a request comes from, when a proxy that is trusted stands in front: Forwarded (RFC 7239), else X-Forwarded-For
// and X-Forwarded-Proto. Each proxy adds to the right; from there on those that are trusted are passed over, and the
// first other one is the client. What a client says of itself stands further left, and counts for nothing. A proxy may
// add a line or lengthen the one that is there, so that all lines of a name are one list, in their order; and it may
// pass on the kind of header that it does not write itself as the client sent it, so that both kinds must tell the
// same.
#include "http/internal.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { NODE_SIZE = 80 };

static bool parse_address(const char *text, struct in6_addr *out)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = (struct in6_addr){0};
        out->s6_addr[10] = out->s6_addr[11] = 0xFF;
        memcpy(out->s6_addr + 12, &v4, 4);
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

// Who is trusted: an address, or all whose first `bits` are those of it (RFC 4632, section 3.1).
struct range {
    struct in6_addr address;
    unsigned bits;
};

// "10.1.2.3", "10.0.0.0/8", "fd00::/8". A range of all addresses would trust everybody, and is none.
static bool parse_range(const char *text, size_t size, struct range *out)
{
    char one[INET6_ADDRSTRLEN];
    uint64_t bits;
    const char *slash = memchr(text, '/', size);
    const size_t length = slash ? (size_t)(slash - text) : size;
    if (!text_copy_n(one, sizeof one, text, length) || !parse_address(one, &out->address))
        return false;
    const unsigned most = strchr(one, ':') ? 128 : 32;
    out->bits = 128;
    if (!slash)
        return true;
    if (!text_to_u64(slash + 1, size - length - 1, &bits) || bits == 0 || bits > most)
        return false;
    out->bits = 128 - most + (unsigned)bits;
    return true;
}

static bool is_in(const struct range *range, const struct in6_addr *address)
{
    const unsigned bytes = range->bits / 8, rest = range->bits % 8;
    return memcmp(&range->address, address, bytes) == 0 &&
           (rest == 0 || (range->address.s6_addr[bytes] ^ address->s6_addr[bytes]) >> (8 - rest) == 0);
}

static bool is_trusted(const struct http_server *server, const struct in6_addr *address)
{
    struct range range;
    for (const char *p = server->trusted_proxies; *p;) {
        size_t size = strcspn(p, ", ");
        if (parse_range(p, size, &range) && is_in(&range, address))
            return true;
        p += size + strspn(p + size, ", ");
    }
    return false;
}

bool http_check_proxies(const char *text, struct error *err)
{
    char shown[NODE_SIZE];
    struct range range;
    for (size_t size; *text; text += size, text += strspn(text, ", ")) {
        size = strcspn(text, ", ");
        if (!parse_range(text, size, &range))
            return error_set(err, ERROR_BAD_VALUE,
                             "'%s' is no numeric address of a proxy, and no range of such (10.0.0.0/8, fd00::/8)",
                             text_show(shown, sizeof shown, text, size));
    }
    return true;
}

// "192.0.2.1", "192.0.2.1:47011", "[2001:db8::1]", "[2001:db8::1]:47011", each perhaps in quotes.
static bool parse_node(const char *text, size_t size, struct in6_addr *out)
{
    char node[NODE_SIZE];
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"') {
        text++;
        size -= 2;
    }
    if (size > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', size);
        return end && text_copy_n(node, sizeof node, text + 1, (size_t)(end - text) - 1) && parse_address(node, out);
    }
    const char *colon = memchr(text, ':', size);
    bool port = colon && !memchr(colon + 1, ':', size - (size_t)(colon + 1 - text));
    return text_copy_n(node, sizeof node, text, port ? (size_t)(colon - text) : size) && parse_address(node, out);
}

// The last element of a list with commas, without blanks around; *size of the list becomes that of what is before it.
static const char *last_of(const char *list, size_t *size, size_t *length)
{
    size_t end = *size;
    while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
        end--;
    size_t start = end;
    while (start > 0 && list[start - 1] != ',')
        start--;
    *size = start > 0 ? start - 1 : 0;
    while (start < end && (list[start] == ' ' || list[start] == '\t'))
        start++;
    *length = end - start;
    return list + start;
}

// The value of a parameter of a Forwarded element; NULL: it has none.
static const char *parameter(const char *element, size_t size, const char *name, size_t *length)
{
    const size_t name_size = strlen(name);
    for (size_t at = 0; at < size;) {
        const char *pair = element + at;
        const char *end = memchr(pair, ';', size - at);
        size_t pair_size = end ? (size_t)(end - pair) : size - at;
        while (pair_size > 0 && *pair == ' ') {
            pair++;
            pair_size--;
        }
        if (pair_size > name_size && pair[name_size] == '=' && strncasecmp(pair, name, name_size) == 0) {
            *length = pair_size - name_size - 1;
            return pair + name_size + 1;
        }
        at = end ? (size_t)(end - element) + 1 : size;
    }
    return NULL;
}

// A quoted comma or semicolon (in a host, for one) would be taken for the end of an element.
static bool is_flat(const char *list)
{
    bool quoted = false;
    for (; *list; list++) {
        quoted ^= *list == '"';
        if (*list == '\\' || (quoted && (*list == ',' || *list == ';')))
            return false;
    }
    return !quoted;
}

// What the proxies tell.
struct told {
    struct in6_addr address;
    bool secure;
};

static bool is_word(const char *text, size_t size, const char *word)
{
    return text && size == strlen(word) && strncasecmp(text, word, size) == 0;
}

// Both lists have an element for each proxy; of a list that is shorter the last one counts for all.
static void walk(const struct http_server *server, const char *list, bool is_rfc, const char *protocols,
                 struct told *told)
{
    size_t left = strlen(list), protocols_left = strlen(protocols), length, node_size;
    while (left > 0 && is_trusted(server, &told->address)) {
        const char *element = last_of(list, &left, &length);
        const char *node = is_rfc ? parameter(element, length, "for", &node_size) : element;
        if (!is_rfc)
            node_size = length;
        if (is_rfc) {
            const char *protocol = parameter(element, length, "proto", &length);
            told->secure = is_word(protocol, length, "https");
        } else if (protocols_left > 0) {
            const char *protocol = last_of(protocols, &protocols_left, &length);
            told->secure = is_word(protocol, length, "https");
        }
        if (!node || !parse_node(node, node_size, &told->address))
            return; // "unknown", or hidden: the proxy is all that is known
    }
}

struct lines {
    struct arena *arena;
    const char *name;
    const char *list; // NULL: no line of that name
    bool failed;
};

static enum MHD_Result add_line(void *payload, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct lines *lines = payload;
    if (!text_same_fold(name, lines->name))
        return MHD_YES;
    value = value ? value : "";
    lines->list = lines->list ? arena_printf(lines->arena, "%s,%s", lines->list, value) : value;
    lines->failed = !lines->list;
    return lines->failed ? MHD_NO : MHD_YES;
}

// All lines of that name as one list; *list NULL: there are none.
static bool list_of(struct http_request *request, const char *name, const char **list)
{
    struct lines lines = {.arena = &request->arena, .name = name};
    MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, add_line, &lines);
    *list = lines.list;
    return !lines.failed || http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
}

static bool tell(struct http_request *request, const struct told *told)
{
    char text[INET6_ADDRSTRLEN];
    http_address_text(&told->address, text);
    request->secure = told->secure;
    request->client = arena_strdup(&request->arena, text);
    return request->client || http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
}

// What X-Forwarded-For and -Proto tell; both may be absent.
static void walk_old(const struct http_server *server, const char *list, const char *protocols, struct told *told)
{
    if (list && *list)
        walk(server, list, false, protocols ? protocols : "", told);
    else if (protocols)
        told->secure = is_word(protocols, strlen(protocols), "https");
}

bool http_look_at_proxies(struct http_request *request)
{
    const struct http_connection *connection = request->connection;
    const char *rfc, *list, *protocols;
    struct told told = {connection->address, connection->secure}, old = told;
    request->secure = connection->secure;
    if (!is_trusted(connection->server, &connection->address))
        return true;
    if (!list_of(request, "Forwarded", &rfc) || !list_of(request, "X-Forwarded-For", &list) ||
        !list_of(request, "X-Forwarded-Proto", &protocols))
        return false;
    walk_old(connection->server, list, protocols, &old);
    if (!rfc)
        return tell(request, &old);
    if (!is_flat(rfc))
        return http_refuse(request, MHD_HTTP_BAD_REQUEST, "Forwarded has a comma, semicolon or backslash in quotes");
    walk(connection->server, rfc, true, "", &told);
    if ((list || protocols) &&
        (memcmp(&told.address, &old.address, sizeof old.address) != 0 || told.secure != old.secure))
        return http_refuse(request, MHD_HTTP_BAD_REQUEST,
                           "Forwarded and X-Forwarded-For tell two clients; let the "
                           "proxy remove the one that it does not write itself");
    return tell(request, &told);
}

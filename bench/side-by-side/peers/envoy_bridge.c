// An Envoy dynamic module (envoy.upstreams.http.dynamic_modules, Envoy 1.40) that does the work of the bridges under test: the request's body goes out as one frame
// (u32 big-endian length, payload), the payload of the frame that comes back is the answer. In C and without cgo, so a faster peer than Envoy's own Go bridge.
// Envoy finds the hooks by name; only the declarations that are needed are written out here.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { max_frame = 64 * 1024 * 1024, first_capacity = 1024, kept_capacity = 256 * 1024 };

typedef struct {
  const char *data;
  size_t length;
} buffer_t;

typedef struct {
  const char *key;
  size_t key_length;
  const char *value;
  size_t value_length;
} header_t;

#define CALLBACK(name) envoy_dynamic_module_callback_upstream_http_tcp_bridge_##name
extern size_t CALLBACK(get_request_buffer_chunks_size)(void *envoy);
extern void CALLBACK(get_request_buffer)(void *envoy, buffer_t *chunks, size_t *count);
extern size_t CALLBACK(get_response_buffer_chunks_size)(void *envoy);
extern void CALLBACK(get_response_buffer)(void *envoy, buffer_t *chunks, size_t *count);
extern void CALLBACK(send_upstream_data)(void *envoy, buffer_t data, bool end_stream);
extern void CALLBACK(send_response)(void *envoy, uint32_t status, header_t *headers, size_t count, buffer_t body);

typedef struct bridge {
  struct bridge *next_free;
  void *envoy;
  char *memory; // first the request's frame, then the response's
  size_t capacity, length;
  bool sent, answered;
} bridge_t;

static _Thread_local bridge_t *free_bridges; // bridges are made and destroyed on one worker thread

static void reserve(bridge_t *b, size_t wanted) {
  if (wanted <= b->capacity) return;
  size_t capacity = b->capacity ? b->capacity : first_capacity;
  while (capacity < wanted) capacity *= 2;
  b->memory = realloc(b->memory, capacity);
  if (b->memory == NULL) abort();
  b->capacity = capacity;
}

static void append(bridge_t *b, const buffer_t *chunks, size_t count) {
  for (size_t i = 0; i < count; i++) {
    reserve(b, b->length + chunks[i].length);
    memcpy(b->memory + b->length, chunks[i].data, chunks[i].length);
    b->length += chunks[i].length;
  }
}

static uint32_t read_u32(const char *at) {
  const unsigned char *p = (const unsigned char *)at;
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write_u32(char *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (char)(value >> (24 - 8 * i));
}

static void fail(bridge_t *b, uint32_t status, const char *text) {
  b->answered = true;
  CALLBACK(send_response)(b->envoy, status, NULL, 0, (buffer_t){text, strlen(text)});
}

static void answer(bridge_t *b, const char *payload, size_t length) {
  char digits[24];
  int count = snprintf(digits, sizeof digits, "%zu", length);
  header_t headers[2] = {{"content-length", 14, digits, (size_t)count}, {"content-type", 12, "application/octet-stream", 24}};
  b->answered = true; // nothing of the bridge is touched after the call: it may end the stream
  CALLBACK(send_response)(b->envoy, 200, headers, 2, (buffer_t){payload, length});
}

static void send_request(bridge_t *b) {
  if (b->sent || b->answered) return;
  size_t payload = b->length - 4;
  if (payload > max_frame) return fail(b, 413, "the frame is too large\n");
  write_u32(b->memory, (uint32_t)payload);
  b->sent = true;
  CALLBACK(send_upstream_data)(b->envoy, (buffer_t){b->memory, b->length}, false);
  b->length = 0;
}

#define HOOK __attribute__((visibility("default")))
#define ON(name) envoy_dynamic_module_on_upstream_http_tcp_bridge_##name

HOOK const char *envoy_dynamic_module_on_program_init(void) { return "v0.2.0"; }

HOOK const void *ON(config_new)(void *config, buffer_t name, buffer_t value) {
  (void)config, (void)name, (void)value;
  static int one;
  return &one;
}

HOOK void ON(config_destroy)(const void *config) { (void)config; }

HOOK const void *ON(new)(const void *config, void *envoy) {
  (void)config;
  bridge_t *b = free_bridges;
  if (b) free_bridges = b->next_free;
  else b = calloc(1, sizeof *b);
  if (b == NULL) return NULL;
  b->envoy = envoy;
  b->sent = b->answered = false;
  reserve(b, first_capacity);
  b->length = 4; // room for the length
  return b;
}

HOOK void ON(destroy)(const void *bridge) {
  bridge_t *b = (bridge_t *)bridge;
  if (b->capacity > kept_capacity) {
    free(b->memory);
    b->memory = NULL;
    b->capacity = 0;
  }
  b->next_free = free_bridges;
  free_bridges = b;
}

HOOK void ON(encode_headers)(void *envoy, const void *bridge, bool end) {
  bridge_t *b = (bridge_t *)bridge;
  b->envoy = envoy;
  if (end) send_request(b);
}

HOOK void ON(encode_data)(void *envoy, const void *bridge, bool end) {
  bridge_t *b = (bridge_t *)bridge;
  if (b->sent || b->answered) return;
  size_t count = CALLBACK(get_request_buffer_chunks_size)(envoy);
  if (count > 0) {
    buffer_t few[32], *chunks = count <= 32 ? few : malloc(count * sizeof *chunks);
    if (chunks == NULL) abort();
    CALLBACK(get_request_buffer)(envoy, chunks, &count);
    append(b, chunks, count);
    if (chunks != few) free(chunks);
  }
  if (end) send_request(b);
}

HOOK void ON(encode_trailers)(void *envoy, const void *bridge) {
  (void)envoy;
  send_request((bridge_t *)bridge);
}

/** Answers when the frame is whole. false: more is to come. */
static bool take(bridge_t *b, const buffer_t *chunks, size_t count) {
  if (!b->sent) return fail(b, 502, "the server spoke first\n"), true;
  if (b->length == 0 && count == 1 && chunks[0].length >= 4 && chunks[0].length - 4 == read_u32(chunks[0].data))
    return answer(b, chunks[0].data + 4, chunks[0].length - 4), true; // in one piece: no copy here
  append(b, chunks, count);
  if (b->length < 4) return false;
  size_t wanted = read_u32(b->memory);
  if (wanted > max_frame) return fail(b, 502, "the server announced too large a frame\n"), true;
  if (b->length - 4 > wanted) return fail(b, 502, "bytes after the frame\n"), true;
  if (b->length - 4 == wanted) return answer(b, b->memory + 4, wanted), true;
  reserve(b, wanted + 4);
  return false;
}

HOOK void ON(on_upstream_data)(void *envoy, const void *bridge, bool end) {
  bridge_t *b = (bridge_t *)bridge;
  if (b->answered) return;
  size_t count = CALLBACK(get_response_buffer_chunks_size)(envoy);
  if (count > 0) {
    buffer_t few[32], *chunks = count <= 32 ? few : malloc(count * sizeof *chunks);
    if (chunks == NULL) abort();
    CALLBACK(get_response_buffer)(envoy, chunks, &count);
    bool done = take(b, chunks, count);
    if (chunks != few) free(chunks);
    if (done) return;
  }
  if (end) fail(b, 502, "the server closed the connection in the middle of a frame\n");
}

#pragma once
// What passes between a Go library and its host, as Envoy's SDK v1.36.2 lays it out (docs/bridge.md, section 5).
#include <cstdint>

struct HttpRequest {
  const char* plugin_name;
  uint64_t plugin_name_length;
  uint64_t config_id;
};

struct ProcessState {
  HttpRequest* request;
  int is_encoding;
  int state;
};

struct HttpConfig {
  uint64_t name;
  uint64_t name_length;
  uint64_t config;
  uint64_t config_length;
};

struct GoString {
  const char* data;
  intptr_t length;
};

static_assert(sizeof(HttpRequest) == 24 && sizeof(ProcessState) == 16 && sizeof(HttpConfig) == 32,
              "the layout that Go libraries are compiled with");

/** What a host function answers; the SDK turns all but ok into a panic that it recovers. */
enum : int { kOk = 0, kNotInGo = -3, kInvalidPhase = -4 };

/** The six functions of a library. */
struct Library {
  uint64_t (*on_config)(HttpConfig*);
  void (*destroy_config)(uint64_t);
  uint64_t (*on_encode_header)(ProcessState*, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
  uint64_t (*on_encode_data)(ProcessState*, uint64_t, uint64_t, uint64_t);
  uint64_t (*on_upstream_data)(ProcessState*, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
  void (*on_destroy)(HttpRequest*);
};

#pragma once
// What the parts of the add-on share: JavaScript's arguments, and what the last call left for it to ask for.
#include <node_api.h>

#include <string>

#include "call.h"

inline napi_value fail(napi_env env, const char* message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

struct Arguments {
  napi_env env;
  napi_value values[8];
  size_t count = 8;
  Arguments(napi_env e, napi_callback_info info) : env(e) { napi_get_cb_info(e, info, &count, values, nullptr, nullptr); }
  double number(size_t i) const {
    double value = 0;
    napi_get_value_double(env, values[i], &value);
    return value;
  }
  std::string text(size_t i) const {
    size_t length = 0;
    if (napi_get_value_string_utf8(env, values[i], nullptr, 0, &length) != napi_ok) return {};
    std::string value(length + 1, '\0');
    napi_get_value_string_utf8(env, values[i], value.data(), length + 1, &length);
    value.resize(length);
    return value;
  }
};

inline napi_value to_number(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

/** Makes `call` the one on the stack for as long as it lives. */
struct OnStack {
  explicit OnStack(Call& call) { current_call = &call; }
  ~OnStack() { current_call = nullptr; }
};

/** Indices of the frame. */
enum {
  // Results.
  kFlags,
  kDrained,
  kFrontBegin,
  kFrontEnd,
  kBackBegin,
  kBackEnd,
  // An argument, and the result where it was kNoRequest.
  kRequest,
  // Arguments.
  kPlugin,
  kPhase,
  kEnd,
  kHeaderCount,
  kHeaderBytes,
  kHeadersOut,
  kLength,
  // How much of the arena has bytes that JavaScript may look at.
  kArenaUsed,
  kFrameSize
};
constexpr uint32_t kNoRequest = UINT32_MAX;
/** Bits of kFlags. */
enum : uint32_t {
  kBodyChanged = 1,
  kBodyInList = 2,
  kHeaderChanges = 4,
  kHalfCloseOn = 8,
  kHalfCloseOff = 16,
  kUnknownPlugin = 32,
  kPanicked = 64,
};

/** What the last call left. */
struct Details {
  std::string error;
  std::string header_changes;
  napi_ref list = nullptr;
};
extern Details last;

/** The functions that JavaScript gets; module.cc gives them their names. */
napi_value start(napi_env env, napi_callback_info info);
napi_value set_log_level(napi_env env, napi_callback_info info);
napi_value glibc_version(napi_env env, napi_callback_info info);
napi_value die_with_parent(napi_env env, napi_callback_info info);
napi_value trim_memory(napi_env env, napi_callback_info info);
napi_value map_shared_memory(napi_env env, napi_callback_info info);
napi_value open_library(napi_env env, napi_callback_info info);
napi_value initialize(napi_env env, napi_callback_info info);
napi_value configure(napi_env env, napi_callback_info info);
napi_value destroy_config(napi_env env, napi_callback_info info);
napi_value last_error(napi_env env, napi_callback_info info);
napi_value last_header_changes(napi_env env, napi_callback_info info);
napi_value last_chunks(napi_env env, napi_callback_info info);
napi_value make_call(napi_env env, napi_callback_info info);
napi_value destroy(napi_env env, napi_callback_info info);
napi_value live_requests(napi_env env, napi_callback_info info);
napi_value live_configs(napi_env env, napi_callback_info info);

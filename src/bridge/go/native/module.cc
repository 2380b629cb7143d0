// What JavaScript sees of the host: it is started, and the names of its functions.
#include "addon.h"

Host& host() {
  // Never destroyed: goroutines go on while the process ends.
  static Host* const instance = new Host();
  return *instance;
}

Details last;

/** `start({ frame, arena, headers, text, logs })` */
napi_value start(napi_env env, napi_callback_info info) {
  const Arguments args(env, info);
  Host& h = host();
  if (h.env != nullptr) return fail(env, "the host runs already, in another thread");
  napi_value value;
  void* data;
  size_t length;
  napi_get_named_property(env, args.values[0], "frame", &value);
  napi_get_typedarray_info(env, value, nullptr, &length, &data, nullptr, nullptr);
  if (length < kFrameSize) return fail(env, "the frame is too small");
  h.frame = static_cast<uint32_t*>(data);
  napi_ref keep;
  napi_create_reference(env, value, 1, &keep);
  napi_get_named_property(env, args.values[0], "arena", &value);
  napi_get_typedarray_info(env, value, nullptr, &length, &data, nullptr, nullptr);
  h.arena = {static_cast<uint8_t*>(data), static_cast<uint32_t>(length), h.frame + kArenaUsed};
  napi_create_reference(env, value, 1, &keep);
  napi_get_named_property(env, args.values[0], "headers", &value);
  napi_create_reference(env, value, 1, &h.headers);
  napi_get_named_property(env, args.values[0], "text", &value);
  napi_create_reference(env, value, 1, &h.text);
  napi_get_named_property(env, args.values[0], "logs", &value);
  if (!h.logs.start(env, value)) return fail(env, "no thread-safe function");
  h.env = env;
  return nullptr;
}

napi_value set_log_level(napi_env env, napi_callback_info info) {
  host().log_level.store(static_cast<uint32_t>(Arguments(env, info).number(0)), std::memory_order_relaxed);
  return nullptr;
}

napi_value last_error(napi_env env, napi_callback_info) {
  napi_value value;
  napi_create_string_utf8(env, last.error.data(), last.error.size(), &value);
  return value;
}

napi_value last_header_changes(napi_env env, napi_callback_info) {
  napi_value value;
  napi_create_string_latin1(env, last.header_changes.data(), last.header_changes.size(), &value);
  last.header_changes.clear();
  return value;
}

/** The chunks of the last body that are too many for the frame, or not in the arena: how many come before the input, then Buffer (undefined: the arena), begin, end, … */
napi_value last_chunks(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  if (last.list == nullptr) return nullptr;
  napi_get_reference_value(env, last.list, &value);
  napi_delete_reference(env, last.list);
  last.list = nullptr;
  return value;
}

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"start", start},
      {"setLogLevel", set_log_level},
      {"glibcVersion", glibc_version},
      {"dieWithParent", die_with_parent},
      {"trimMemory", trim_memory},
      {"mapSharedMemory", map_shared_memory},
      {"open", open_library},
      {"initialize", initialize},
      {"configure", configure},
      {"destroyConfig", destroy_config},
      {"error", last_error},
      {"headerChanges", last_header_changes},
      {"chunks", last_chunks},
      {"call", make_call},
      {"destroy", destroy},
      {"liveRequests", live_requests},
      {"liveConfigs", live_configs},
  };
  for (const auto& [name, function] : functions) {
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    napi_set_named_property(env, exports, name, value);
  }
  return exports;
}

// What JavaScript sees of the host: open libraries, hand them configurations, make their calls.
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "call.h"

Host& host() {
  // Never destroyed: goroutines go on while the process ends.
  static Host* const instance = new Host();
  return *instance;
}

namespace {

/** Free requests wait until there are this many of them before the oldest is used again. */
constexpr size_t kRestingRequests = 4096;

/** Indices of the frame. */
enum { kFlags, kDrained, kFront, kBack, kRequest, kPhase, kEnd, kHeaderCount, kHeaderBytes, kHeadersOut, kFrameSize };
/** Bits of kFlags. */
enum : uint32_t {
  kBodyInScratch = 1,
  kBodyInList = 2,
  kHeaderChanges = 4,
  kHalfCloseOn = 8,
  kHalfCloseOff = 16,
  kUnknownPlugin = 32,
  kPanicked = 64,
};

/** What the last call left for `details()`. */
struct Details {
  std::string error;
  std::string header_changes;
  napi_ref list = nullptr;
} last;

napi_value fail(napi_env env, const char* message) {
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
  bool truth(size_t i) const {
    bool value = false;
    napi_get_value_bool(env, values[i], &value);
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

napi_value to_number(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

/** `start({ frame, scratch, headers, text, logs })` */
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
  napi_get_named_property(env, args.values[0], "scratch", &value);
  napi_get_typedarray_info(env, value, nullptr, &h.scratch_size, &data, nullptr, nullptr);
  h.scratch = static_cast<uint8_t*>(data);
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

napi_value glibc_version(napi_env env, napi_callback_info) {
  napi_value value;
  napi_create_string_utf8(env, gnu_get_libc_version(), NAPI_AUTO_LENGTH, &value);
  return value;
}

/** The kernel ends this process when its parent is gone, whatever a library does to it meanwhile. */
napi_value die_with_parent(napi_env, napi_callback_info) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return nullptr;
}

/** `open(path)`: the library's number. */
napi_value open_library(napi_env env, napi_callback_info info) {
  const std::string path = Arguments(env, info).text(0);
  void* handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) return fail(env, dlerror());
  Library library{};
  const auto find = [handle](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    return function != nullptr;
  };
  if (!find("envoyGoHttpTcpBridgeOnConfig", library.on_config) ||
      !find("envoyGoHttpTcpBridgeDestroyPluginConfig", library.destroy_config) ||
      !find("envoyGoHttpTcpBridgeOnEncodeHeader", library.on_encode_header) ||
      !find("envoyGoHttpTcpBridgeOnEncodeData", library.on_encode_data) ||
      !find("envoyGoHttpTcpBridgeOnUpstreamData", library.on_upstream_data) ||
      !find("envoyGoHttpTcpBridgeOnDestroy", library.on_destroy))
    return fail(env, "it does not export the six functions of a bridge");
  host().libraries.push_back(library);
  return to_number(env, static_cast<double>(host().libraries.size() - 1));
}

const Library* library_at(double index) {
  auto& libraries = host().libraries;
  return index >= 0 && index < libraries.size() ? &libraries[static_cast<size_t>(index)] : nullptr;
}

/** Makes `call` the one on the stack for as long as it lives. */
struct OnStack {
  explicit OnStack(Call& call) { current_call = &call; }
  ~OnStack() { current_call = nullptr; }
};

/** `configure(library, plugin, any)`: a number for the configured plugin; -1: refused, see `error()`. */
napi_value configure(napi_env env, napi_callback_info info) {
  const Arguments args(env, info);
  const Library* library = library_at(args.number(0));
  if (library == nullptr || current_call != nullptr) return fail(env, "no such library");
  Host& h = host();
  const std::string& name = *h.names.insert(args.text(1)).first;
  Call call(Phase::config, name);
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(env, args.values[2], nullptr, &length, &data, nullptr, nullptr);
  HttpConfig config{reinterpret_cast<uint64_t>(name.data()), name.size(), reinterpret_cast<uint64_t>(data), length};
  uint64_t id;
  {
    const OnStack on(call);
    id = library->on_config(&config);
  }
  last.error = call.error;
  if (id == 0) return to_number(env, -1);
  size_t number = h.plugins.size();
  if (h.free_plugins.empty()) {
    h.plugins.emplace_back();
  } else {
    number = h.free_plugins.back();
    h.free_plugins.pop_back();
  }
  h.plugins[number] = {library, &name, id};
  return to_number(env, static_cast<double>(number));
}

/** `destroyConfig(plugin)`: no exchange may have it any more. */
napi_value destroy_config(napi_env env, napi_callback_info info) {
  const double number = Arguments(env, info).number(0);
  Host& h = host();
  if (!(number >= 0 && number < h.plugins.size())) return fail(env, "no such plugin");
  const Plugin& plugin = h.plugins[static_cast<size_t>(number)];
  plugin.library->destroy_config(plugin.config);
  h.free_plugins.push_back(static_cast<size_t>(number));
  return nullptr;
}

/** `initialize(library)`: returns when Go's init functions have run, for which the first call waits. */
napi_value initialize(napi_env env, napi_callback_info info) {
  const Library* library = library_at(Arguments(env, info).number(0));
  if (library == nullptr) return fail(env, "no such library");
  library->destroy_config(0);
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

/** The chunks of the last body that did not fit into the scratch: Buffer, begin, Buffer, begin, … */
napi_value last_chunks(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  if (last.list == nullptr) return nullptr;
  napi_get_reference_value(env, last.list, &value);
  napi_delete_reference(env, last.list);
  last.list = nullptr;
  return value;
}

/** `acquire(plugin)`: the number of a request that no exchange has. */
napi_value acquire(napi_env env, napi_callback_info info) {
  const double number = Arguments(env, info).number(0);
  Host& h = host();
  if (!(number >= 0 && number < h.plugins.size())) return fail(env, "no such plugin");
  const Plugin& plugin = h.plugins[static_cast<size_t>(number)];
  Request* request;
  if (h.free.size() > kRestingRequests) {
    request = h.free.front();
    h.free.pop_front();
  } else {
    request = &h.requests.emplace_back();
    request->encoding = {&request->http, 1, static_cast<int>(h.requests.size() - 1)};
    request->decoding = {&request->http, 0, static_cast<int>(h.requests.size() - 1)};
  }
  request->http = {plugin.name->data(), plugin.name->size(), plugin.config};
  request->plugin = &plugin;
  request->called = false;
  request->smallest_count = request->smallest_bytes = UINT64_MAX;
  return to_number(env, request->encoding.state);
}

Request* request_at(double index) {
  auto& requests = host().requests;
  return index >= 0 && index < requests.size() ? &requests[static_cast<size_t>(index)] : nullptr;
}

/** Undefined, a Buffer, or an array of Buffers. */
void read_body(napi_env env, napi_value value) {
  Body& body = host().body;
  body.reset(env);
  void* data;
  size_t length;
  bool is_array = false;
  if (napi_get_typedarray_info(env, value, nullptr, &length, &data, nullptr, nullptr) == napi_ok) {
    body.add_input(static_cast<uint8_t*>(data), length);
    return;
  }
  napi_is_array(env, value, &is_array);
  if (!is_array) return;
  uint32_t count = 0;
  napi_get_array_length(env, value, &count);
  for (uint32_t i = 0; i < count; i++) {
    napi_value piece;
    napi_get_element(env, value, i, &piece);
    if (napi_get_typedarray_info(env, piece, nullptr, &length, &data, nullptr, nullptr) == napi_ok)
      body.add_input(static_cast<uint8_t*>(data), length);
  }
}

uint32_t write_body(napi_env env) {
  Host& h = host();
  const Body& body = h.body;
  if (!body.changed()) return 0;
  h.frame[kDrained] = static_cast<uint32_t>(body.drained());
  size_t total = 0;
  bool small = true;
  body.each_chunk([&](const Body::Chunk& chunk) {
    total += chunk.size();
    small = small && chunk.large == nullptr;
  });
  if (small && total <= h.scratch_size) {
    size_t at = 0;
    static std::vector<size_t> ends;
    ends.clear();
    const size_t front = body.each_chunk([&](const Body::Chunk& chunk) {
      memcpy(h.scratch + at, chunk.data() + chunk.begin, chunk.size());
      at += chunk.size();
      if (ends.size() < 64) ends.push_back(at);
    });
    if (front <= ends.size()) {
      h.frame[kFront] = front == 0 ? 0 : static_cast<uint32_t>(ends[front - 1]);
      h.frame[kBack] = static_cast<uint32_t>(at) - h.frame[kFront];
      return kBodyInScratch;
    }
  }
  napi_value list, value;
  uint32_t at = 0;
  napi_create_array(env, &list);
  const size_t front = body.each_chunk([&](const Body::Chunk& chunk) {
    if (chunk.large == nullptr) {
      napi_create_buffer_copy(env, chunk.size(), chunk.data() + chunk.begin, nullptr, &value);
      napi_set_element(env, list, at++, value);
      napi_set_element(env, list, at++, to_number(env, 0));
    } else {
      napi_set_element(env, list, at++, chunk.buffer);
      napi_set_element(env, list, at++, to_number(env, static_cast<double>(chunk.begin)));
    }
  });
  h.frame[kFront] = static_cast<uint32_t>(front);
  if (last.list != nullptr) napi_delete_reference(env, last.list);
  napi_create_reference(env, list, 1, &last.list);
  return kBodyInList;
}

/** `call(body)`: the plugin's answer. The other arguments, and what came of it, are in the frame. */
napi_value make_call(napi_env env, napi_callback_info info) {
  Host& h = host();
  size_t count = 1;
  napi_value body;
  napi_get_cb_info(env, info, &count, &body, nullptr, nullptr);
  Request* request = request_at(h.frame[kRequest]);
  if (request == nullptr || current_call != nullptr) return fail(env, "no such request");
  static Call call(Phase::encode_headers, *request->plugin->name);
  call.phase = static_cast<Phase>(h.frame[kPhase]);
  call.request = request;
  call.plugin = request->plugin->name;
  const Library* library = request->plugin->library;
  const uint64_t end = h.frame[kEnd];
  call.headers_out = h.frame[kHeadersOut] != 0;
  call.header_count = h.frame[kHeaderCount];
  call.header_bytes = h.frame[kHeaderBytes];
  call.self_half_close = -1;
  call.headers_copied = false;
  call.unknown_plugin = call.panicked = false;
  call.error.clear();
  call.header_changes.clear();
  read_body(env, body);
  const uint64_t handle = h.next_buffer++;
  const uint64_t length = h.body.size();
  request->tainted.store(false);
  request->buffer.store(handle);
  request->called = true;
  uint64_t answer = 0;
  {
    const OnStack on(call);
    switch (call.phase) {
      case Phase::encode_headers:
        answer = library->on_encode_header(&request->encoding, end, call.header_count, call.header_bytes,
                                                    handle, length);
        break;
      case Phase::encode_data:
        answer = library->on_encode_data(&request->encoding, end, handle, length);
        break;
      default: {
        // Once they are out Go is told of none, and gets none.
        const uint64_t count = call.headers_out ? 0 : call.header_count;
        const uint64_t room = call.headers_out ? 0 : call.header_bytes + kHeaderSlack;
        answer = library->on_upstream_data(&request->decoding, end, count, room, handle, length);
        if (call.headers_copied || call.headers_out) break;
        request->smallest_count = std::min(request->smallest_count, count);
        request->smallest_bytes = std::min(request->smallest_bytes, room);
      }
    }
  }
  request->buffer.store(0);
  uint32_t flags = write_body(env);
  if (!call.header_changes.empty()) {
    flags |= kHeaderChanges;
    last.header_changes.swap(call.header_changes);
  }
  if (call.self_half_close >= 0) flags |= call.self_half_close == 1 ? kHalfCloseOn : kHalfCloseOff;
  if (call.unknown_plugin) flags |= kUnknownPlugin;
  if (call.panicked) {
    flags |= kPanicked;
    last.error = call.error;
  }
  h.frame[kFlags] = flags;
  napi_value value;
  napi_create_uint32(env, answer > 2 ? UINT32_MAX : static_cast<uint32_t>(answer), &value);
  return value;
}

/** `destroy(request)`: false when the plugin's OnDestroy panicked; the address is never used again then, because Go still has the request in its map. */
napi_value destroy(napi_env env, napi_callback_info info) {
  const Arguments args(env, info);
  Request* request = request_at(args.number(0));
  if (request == nullptr || current_call != nullptr) return fail(env, "no such request");
  Call call(Phase::destroy, *request->plugin->name);
  call.request = request;
  if (request->called) {
    const OnStack on(call);
    request->plugin->library->on_destroy(&request->http);
  }
  if (call.panicked) last.error = call.error;
  else host().free.push_back(request);
  napi_value value;
  napi_get_boolean(env, !call.panicked, &value);
  return value;
}

/** `requests()`: how many exchanges have one now; retired ones included. */
napi_value live_requests(napi_env env, napi_callback_info) {
  return to_number(env, static_cast<double>(host().requests.size() - host().free.size()));
}

/** `liveConfigs()`: how many configurations Go has. */
napi_value live_configs(napi_env env, napi_callback_info) {
  return to_number(env, static_cast<double>(host().plugins.size() - host().free_plugins.size()));
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"start", start},
      {"setLogLevel", set_log_level},
      {"glibcVersion", glibc_version},
      {"dieWithParent", die_with_parent},
      {"open", open_library},
      {"initialize", initialize},
      {"configure", configure},
      {"destroyConfig", destroy_config},
      {"error", last_error},
      {"headerChanges", last_header_changes},
      {"chunks", last_chunks},
      {"acquire", acquire},
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

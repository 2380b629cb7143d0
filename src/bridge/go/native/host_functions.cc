// The ten functions that a Go library finds by name in its host. A call is honoured only on the thread, and for the address, whose call is on the stack.
#include <cstring>

#include "call.h"

thread_local Call* current_call = nullptr;

namespace {

/** A call that does nothing, because its thread has no call of ours on its stack. An error here would end the process: Go would panic where nobody recovers. */
int rogue(const HttpRequest* request, const char* function) {
  std::string plugin;
  // The memory behind it is never freed, and neither is the name, which ends with NUL: its length may change at this moment.
  if (request != nullptr && request->plugin_name != nullptr)
    plugin = request->plugin_name;
  host().logs.add_rogue(plugin, function);
  return kOk;
}

/** The call on the stack is one of those that the SDK recovers panics in. */
Call* recoverable() { return current_call != nullptr && current_call->phase != Phase::config ? current_call : nullptr; }

bool is_request_phase(Phase phase) { return phase == Phase::encode_headers || phase == Phase::encode_data; }

bool is_own_state(const Call& call, const void* state) {
  if (call.request == nullptr) return false;
  if (is_request_phase(call.phase)) return state == &call.request->encoding;
  return call.phase == Phase::upstream_data && state == &call.request->decoding;
}

const HttpRequest* request_of(void* state) { return state == nullptr ? nullptr : static_cast<ProcessState*>(state)->request; }

/** For functions on a buffer: ok, or what to answer. */
int check_buffer(Call& call, void* state, uint64_t buffer) {
  if (!is_own_state(call, state)) return kNotInGo;
  return buffer != 0 && buffer == call.request->buffer.load() ? kOk : kInvalidPhase;
}

/** A goroutine used a buffer: if it is the one of the call that runs, its length in Go can't be trusted any more. */
int rogue_buffer(void* state, uint64_t buffer, const char* function) {
  const HttpRequest* http = request_of(state);
  if (http != nullptr) {
    auto* request = reinterpret_cast<Request*>(const_cast<HttpRequest*>(http));
    if (request->buffer.load() == buffer) request->tainted.store(true);
  }
  return rogue(http, function);
}

int check_response_headers(Call& call, void* state) {
  if (call.request != nullptr && state == &call.request->encoding) return kInvalidPhase;
  if (!is_own_state(call, state)) return kNotInGo;
  return call.headers_out ? kInvalidPhase : kOk;
}

void change_header(Call& call, char action, const void* name, uint32_t name_length, const void* value,
                   uint32_t value_length) {
  std::string& changes = call.header_changes;
  changes.push_back(action);
  for (const uint32_t length : {name_length, value_length})
    for (int shift = 0; shift < 32; shift += 8) changes.push_back(static_cast<char>(length >> shift));
  if (name_length > 0) changes.append(static_cast<const char*>(name), name_length);
  if (value_length > 0) changes.append(static_cast<const char*>(value), value_length);
}

/** Asks JavaScript for the headers, into host().header_text. */
bool fetch_headers(bool request) {
  Host& h = host();
  napi_value function, global, argument, text;
  size_t length = 0;
  if (napi_get_reference_value(h.env, h.headers, &function) != napi_ok) return false;
  napi_get_global(h.env, &global);
  napi_get_boolean(h.env, request, &argument);
  if (napi_call_function(h.env, global, function, 1, &argument, &text) != napi_ok) return false;
  if (napi_get_value_string_latin1(h.env, text, nullptr, 0, &length) != napi_ok) return false;
  h.header_text.resize(length + 1);
  if (napi_get_value_string_latin1(h.env, text, h.header_text.data(), length + 1, &length) != napi_ok) return false;
  h.header_text.resize(length);
  return true;
}

/** The host's memory is bounded even when a plugin sets headers for ever. */
constexpr size_t kMostHeaderChanges = 16 << 20;

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int envoyGoHttpTcpBridgeCopyHeaders(void* state, void* strings, void* buffer) {
  Call* call = recoverable();
  if (call == nullptr) return rogue(request_of(state), "CopyHeaders");
  if (!is_own_state(*call, state)) return kNotInGo;
  const bool request = is_request_phase(call->phase);
  if (!request && call->headers_out) return kInvalidPhase;
  // Go always has room for 16 headers.
  const uint64_t most = call->request->smallest_count;
  if (!request && ((call->header_count > most && call->header_count > 16) ||
                   call->header_bytes > call->request->smallest_bytes))
    return kInvalidPhase;
  call->headers_copied = true;
  if (call->header_count == 0) return kOk;
  if (!fetch_headers(request)) return kInvalidPhase;
  const std::string& text = host().header_text;
  const uint64_t parts = call->header_count * 2;
  if (text.size() != call->header_bytes + parts - 1) return kInvalidPhase;
  auto* out = static_cast<GoString*>(strings);
  auto* to = static_cast<char*>(buffer);
  const char* from = text.data();
  const char* const end = from + text.size();
  for (uint64_t i = 0; i < parts; i++) {
    const auto* separator = from < end ? static_cast<const char*>(memchr(from, 0, end - from)) : nullptr;
    if ((separator == nullptr) != (i == parts - 1)) return kInvalidPhase;
    const size_t length = (separator == nullptr ? end : separator) - from;
    out[i].length = static_cast<intptr_t>(length);
    // Go's garbage collector must not find a pointer behind the end of its memory.
    if (length > 0) {
      out[i].data = to;
      memcpy(to, from, length);
      to += length;
    }
    from += length + 1;
  }
  return kOk;
}

EXPORT int envoyGoHttpTcpBridgeSetRespHeader(void* state, void* name, int name_length, void* value, int value_length,
                                             int action) {
  Call* call = recoverable();
  if (call == nullptr) return rogue(request_of(state), "SetRespHeader");
  if (const int wrong = check_response_headers(*call, state)) return wrong;
  if (name_length < 0 || value_length < 0 || action < 0 || action > 1) return kInvalidPhase;
  if (call->header_changes.size() + name_length + size_t(value_length) > kMostHeaderChanges) return kInvalidPhase;
  change_header(*call, static_cast<char>(action), name, name_length, value, value_length);
  return kOk;
}

EXPORT int envoyGoHttpTcpBridgeRemoveRespHeader(void* state, void* name, int name_length) {
  Call* call = recoverable();
  if (call == nullptr) return rogue(request_of(state), "RemoveRespHeader");
  if (const int wrong = check_response_headers(*call, state)) return wrong;
  if (name_length < 0 || call->header_changes.size() + size_t(name_length) > kMostHeaderChanges) return kInvalidPhase;
  change_header(*call, 2, name, name_length, nullptr, 0);
  return kOk;
}

EXPORT int envoyGoHttpTcpBridgeGetBuffer(void* state, uint64_t buffer, void* out) {
  Call* call = recoverable();
  // Go's memory is new, so its bytes are zero already.
  if (call == nullptr) return rogue_buffer(state, buffer, "GetBuffer");
  if (const int wrong = check_buffer(*call, state, buffer)) return wrong;
  if (call->request->tainted.load()) return kInvalidPhase;
  return host().body.copy_to(static_cast<uint8_t*>(out)) ? kOk : kInvalidPhase;
}

EXPORT int envoyGoHttpTcpBridgeDrainBuffer(void* state, uint64_t buffer, uint64_t count) {
  Call* call = recoverable();
  if (call == nullptr) return rogue_buffer(state, buffer, "DrainBuffer");
  if (const int wrong = check_buffer(*call, state, buffer)) return wrong;
  host().body.drain(count);
  return kOk;
}

EXPORT int envoyGoHttpTcpBridgeSetBufferHelper(void* state, uint64_t buffer, void* data, int length, int action) {
  Call* call = recoverable();
  if (call == nullptr) return rogue_buffer(state, buffer, "SetBufferHelper");
  if (const int wrong = check_buffer(*call, state, buffer)) return wrong;
  if (length < 0) return kInvalidPhase;
  Body& body = host().body;
  const bool done = action == 0   ? body.set(data, length)
                    : action == 1 ? body.append(data, length)
                    : action == 2 ? body.prepend(data, length)
                                  : false;
  return done ? kOk : kInvalidPhase;
}

EXPORT int envoyGoHttpTcpBridgeGetStringValue(void* request, int id, uint64_t* data, int* length) {
  *data = 0;
  *length = 0;
  Call* call = recoverable();
  if (call == nullptr) return rogue(static_cast<HttpRequest*>(request), "GetStringValue");
  if (request != call->request) return kNotInGo;
  if (id != 1 && id != 2) return kInvalidPhase;
  Host& h = host();
  std::string& text = call->request->strings[id - 1];
  napi_value function, global, argument, value;
  size_t size = 0;
  napi_get_global(h.env, &global);
  napi_create_int32(h.env, id, &argument);
  if (napi_get_reference_value(h.env, h.text, &function) != napi_ok ||
      napi_call_function(h.env, global, function, 1, &argument, &value) != napi_ok ||
      napi_get_value_string_utf8(h.env, value, nullptr, 0, &size) != napi_ok)
    return kInvalidPhase;
  text.resize(size + 1);
  napi_get_value_string_utf8(h.env, value, text.data(), size + 1, &size);
  text.resize(size);
  *data = reinterpret_cast<uint64_t>(text.data());
  *length = static_cast<int>(size);
  return kOk;
}

EXPORT int envoyGoHttpTcpBridgeSetSelfHalfCloseForUpstreamConn(void* request, int enabled) {
  Call* call = recoverable();
  if (call == nullptr) return rogue(static_cast<HttpRequest*>(request), "SetSelfHalfCloseForUpstreamConn");
  if (request != call->request) return kNotInGo;
  call->self_half_close = enabled != 0 ? 1 : 0;
  return kOk;
}

EXPORT uint32_t envoyGoFilterLogLevel(void) { return host().log_level.load(std::memory_order_relaxed); }

EXPORT void envoyGoFilterLog(uint32_t level, void* data, int length) {
  if (length < 0) return;
  const auto* text = static_cast<const char*>(data);
  Call* call = current_call;
  if (call != nullptr && level >= 4) {
    call->error.assign(text, length > 8192 ? 8192 : length);
    if (call->error.find("plugin " + *call->plugin + " not found, pass through by default") != std::string::npos)
      call->unknown_plugin = true;
    if (call->error.find(": panic serving: ") != std::string::npos) call->panicked = true;
  }
  host().logs.add(level, call == nullptr ? std::string() : *call->plugin, length > 0 ? text : "", length);
}

// Requests, and the calls that are made for them.
#include <algorithm>
#include <cstring>

#include "addon.h"

namespace {

/** Free requests wait until there are this many of them before the oldest is used again. */
constexpr size_t kRestingRequests = 4096;

/** The one chunk before the input, or after it, that there is room for in the frame. */
void write_chunk(const Body::Chunk& chunk, uint32_t* place) {
  const size_t start = chunk.memory - host().arena.memory;
  place[0] = static_cast<uint32_t>(start + chunk.begin);
  place[1] = static_cast<uint32_t>(start + chunk.end);
}

void write_list(napi_env env) {
  napi_value list, undefined;
  uint32_t at = 1;
  napi_create_array(env, &list);
  napi_get_undefined(env, &undefined);
  const size_t front = host().body.each_chunk([&](const Body::Chunk& chunk) {
    const bool in_arena = chunk.buffer == nullptr;
    const size_t start = in_arena ? chunk.memory - host().arena.memory : 0;
    napi_set_element(env, list, at++, in_arena ? undefined : chunk.buffer);
    napi_set_element(env, list, at++, to_number(env, static_cast<double>(start + chunk.begin)));
    napi_set_element(env, list, at++, to_number(env, static_cast<double>(start + chunk.end)));
  });
  napi_set_element(env, list, 0, to_number(env, static_cast<double>(front)));
  if (last.list != nullptr) napi_delete_reference(env, last.list);
  napi_create_reference(env, list, 1, &last.list);
}

uint32_t write_body(napi_env env) {
  Host& h = host();
  const Body& body = h.body;
  if (!body.changed()) return 0;
  h.frame[kDrained] = static_cast<uint32_t>(body.drained());
  size_t count = 0;
  bool in_arena = true;
  const Body::Chunk* chunks[2];
  const size_t front = body.each_chunk([&](const Body::Chunk& chunk) {
    if (count < 2) chunks[count] = &chunk;
    count += 1;
    in_arena = in_arena && chunk.buffer == nullptr;
  });
  if (!in_arena || front > 1 || count - front > 1) {
    write_list(env);
    return kBodyChanged | kBodyInList;
  }
  std::fill_n(h.frame + kFrontBegin, 4, 0);
  if (front > 0) write_chunk(*chunks[0], h.frame + kFrontBegin);
  if (count > front) write_chunk(*chunks[front], h.frame + kBackBegin);
  return kBodyChanged;
}

/** A request that no exchange has, for the plugin of the frame. */
Request* acquire() {
  Host& h = host();
  if (h.frame[kPlugin] >= h.plugins.size()) return nullptr;
  const Plugin& plugin = h.plugins[h.frame[kPlugin]];
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
  h.frame[kRequest] = static_cast<uint32_t>(request->encoding.state);
  return request;
}

}  // namespace

static Request* request_at(double index) {
  auto& requests = host().requests;
  return index >= 0 && index < requests.size() ? &requests[static_cast<size_t>(index)] : nullptr;
}

/** `call(body)`: the plugin's answer. The other arguments, and what came of it, are in the frame. Without a request it takes one. */
napi_value make_call(napi_env env, napi_callback_info info) {
  Host& h = host();
  size_t count = 1;
  napi_value body;
  napi_get_cb_info(env, info, &count, &body, nullptr, nullptr);
  if (current_call != nullptr) return fail(env, "a call is being made");
  Request* request = h.frame[kRequest] == kNoRequest ? acquire() : request_at(h.frame[kRequest]);
  if (request == nullptr) return fail(env, "no such request");
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
  h.body.reset(env, body, h.frame[kLength], h.arena);
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
  h.body.forget_input();
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

/** `liveRequests()`: how many exchanges have one now; those that are never used again included. */
napi_value live_requests(napi_env env, napi_callback_info) {
  return to_number(env, static_cast<double>(host().requests.size() - host().free.size()));
}

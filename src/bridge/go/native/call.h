#pragma once
#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "abi.h"
#include "body.h"
#include "log_queue.h"

/** How much more than its response headers a header map's memory in Go has; see Request::smallest_bytes. */
constexpr uint64_t kHeaderSlack = 1024;

/** A configuration of a plugin. Never freed, and neither is the name, which is shared: Go reads it with the request. */
struct Plugin {
  const Library* library;
  const std::string* name;
  uint64_t config;
};

/**
 * One exchange, as Go knows it. Go keeps its address, and goroutines that should not may come back with it at any time: its memory is never freed, and used
 * again late.
 */
struct Request {
  HttpRequest http{};
  ProcessState encoding{};
  ProcessState decoding{};
  const Plugin* plugin = nullptr;
  /** Go has it in its map: one of the calls was made. */
  bool called = false;
  /** The handle of the buffer of the call that is on the stack; no other is honoured. */
  std::atomic<uint64_t> buffer{0};
  /** A stray goroutine used that buffer: Go's idea of its length may be wrong. */
  std::atomic<bool> tainted{false};
  /** What callbacks hand out; must outlive the call. */
  std::string strings[2];
  /**
   * The least room that an unread response header map of an earlier call has in Go's memory. A plugin that has kept one may read it now, and it can't be told
   * from the present one: nothing larger is written.
   */
  uint64_t smallest_count = UINT64_MAX;
  uint64_t smallest_bytes = UINT64_MAX;
};

enum class Phase { config, encode_headers, encode_data, upstream_data, destroy };

/** A call into Go that is on this thread's stack. */
struct Call {
  Call(Phase p, const std::string& name) : phase(p), plugin(&name) {}
  Phase phase;
  Request* request = nullptr;
  const std::string* plugin;
  uint64_t header_count = 0;
  uint64_t header_bytes = 0;
  bool headers_out = false;
  bool headers_copied = false;
  /** -1: not asked for; else the new value. */
  int self_half_close = -1;
  bool unknown_plugin = false;
  bool panicked = false;
  /** The last error that was logged. */
  std::string error;
  /** Changes of the response headers: a byte of action, two lengths of four bytes, name, value, … */
  std::string header_changes;
};

/** All that belongs to the process. */
struct Host {
  napi_env env = nullptr;
  /** JavaScript's answers: the headers joined by NUL (`headers(isRequest)`), a name (`text(id)`). */
  napi_ref headers = nullptr;
  napi_ref text = nullptr;
  /** The arguments and results of a call that are numbers. */
  uint32_t* frame = nullptr;
  Arena arena;
  std::deque<Library> libraries;
  std::set<std::string> names;
  std::deque<Plugin> plugins;
  /** Those whose configuration was destroyed. */
  std::vector<size_t> free_plugins;
  std::deque<Request> requests;
  std::deque<Request*> free;
  uint64_t next_buffer = 1;
  Body body;
  std::string header_text;
  LogQueue logs;
  std::atomic<uint32_t> log_level{2};
};

Host& host();

/** The call on this thread's stack, if any. */
extern thread_local Call* current_call;

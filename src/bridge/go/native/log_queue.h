#pragma once
#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

/** What Go's threads have to say, on its way to JavaScript's thread. Bounded: what is too much is counted and dropped. */
class LogQueue {
 public:
  /** `listener(lines, rogues, dropped)`: lines is level, plugin, text, …; rogues is plugin, function, count, … */
  bool start(napi_env env, napi_value listener);
  void add(uint32_t level, const std::string& plugin, const char* text, size_t length);
  /** A host call from a thread that has no business with it. */
  void add_rogue(const std::string& plugin, const char* function);

 private:
  struct Line {
    uint32_t level;
    std::string plugin;
    std::string text;
  };
  static void deliver(napi_env env, napi_value listener, void* context, void* data);
  void wake();

  std::mutex mutex_;
  std::vector<Line> lines_;
  size_t bytes_ = 0;
  uint64_t dropped_ = 0;
  std::map<std::pair<std::string, std::string>, uint64_t> rogues_;
  bool scheduled_ = false;
  napi_threadsafe_function function_ = nullptr;
};

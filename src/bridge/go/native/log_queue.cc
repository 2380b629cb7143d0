#include "log_queue.h"

#include <algorithm>

namespace {
constexpr size_t kLongestText = 8192;
constexpr size_t kMostBytes = 4 << 20;
constexpr size_t kMostRogueKinds = 64;
}  // namespace

bool LogQueue::start(napi_env env, napi_value listener) {
  napi_value name;
  napi_create_string_utf8(env, "pontoon go logs", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, listener, nullptr, name, 0, 1, nullptr, nullptr, this, deliver, &function_) !=
      napi_ok)
    return false;
  // Logs alone must not keep the process alive.
  return napi_unref_threadsafe_function(env, function_) == napi_ok;
}

void LogQueue::add(uint32_t level, const std::string& plugin, const char* text, size_t length) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const size_t kept = std::min(length, kLongestText);
  if (bytes_ + kept + sizeof(Line) > kMostBytes) {
    dropped_ += 1;
  } else {
    bytes_ += kept + sizeof(Line);
    lines_.push_back({level, plugin, std::string(text, kept)});
  }
  wake();
}

void LogQueue::add_rogue(const std::string& plugin, const char* function) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto key = std::make_pair(plugin, std::string(function));
  if (rogues_.size() >= kMostRogueKinds && rogues_.find(key) == rogues_.end()) key = {"", ""};
  rogues_[key] += 1;
  wake();
}

void LogQueue::wake() {
  if (scheduled_ || function_ == nullptr) return;
  scheduled_ = napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

void LogQueue::deliver(napi_env env, napi_value listener, void* context, void*) {
  auto* queue = static_cast<LogQueue*>(context);
  std::vector<Line> lines;
  std::map<std::pair<std::string, std::string>, uint64_t> rogues;
  uint64_t dropped;
  {
    const std::lock_guard<std::mutex> lock(queue->mutex_);
    lines.swap(queue->lines_);
    rogues.swap(queue->rogues_);
    dropped = queue->dropped_;
    queue->dropped_ = 0;
    queue->bytes_ = 0;
    queue->scheduled_ = false;
  }
  if (env == nullptr) return;  // The process is ending.
  napi_value all[3], undefined, value;
  napi_get_undefined(env, &undefined);
  napi_create_array(env, &all[0]);
  uint32_t at = 0;
  const auto push_text = [&](napi_value list, const std::string& text) {
    napi_create_string_utf8(env, text.data(), text.size(), &value);
    napi_set_element(env, list, at++, value);
  };
  const auto push_number = [&](napi_value list, double number) {
    napi_create_double(env, number, &value);
    napi_set_element(env, list, at++, value);
  };
  for (const Line& line : lines) {
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    push_number(all[0], line.level);
    push_text(all[0], line.plugin);
    push_text(all[0], line.text);
    napi_close_handle_scope(env, scope);
  }
  napi_create_array(env, &all[1]);
  at = 0;
  for (const auto& [key, count] : rogues) {
    push_text(all[1], key.first);
    push_text(all[1], key.second);
    push_number(all[1], static_cast<double>(count));
  }
  napi_create_double(env, static_cast<double>(dropped), &all[2]);
  napi_call_function(env, undefined, listener, 3, all, nullptr);
}

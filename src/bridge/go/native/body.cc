#include "body.h"

#include <algorithm>
#include <cstring>

namespace {
/** The least that a Buffer for chunks has room for: a plugin that adds byte after byte must not cost an object for each. */
constexpr size_t kLeastBuffer = 16384;
/** A plugin that fills more than this in one call has run wild: the call fails. */
constexpr size_t kLargest = size_t{256} << 20;
}  // namespace

void Body::reset(napi_env env, napi_value input, size_t size, const Arena& arena) {
  env_ = env;
  arena_ = arena;
  input_ = input;
  input_size_ = size_ = size;
  drained_ = 0;
  front_.clear();
  back_.clear();
  changed_ = false;
}

bool Body::copy_to(uint8_t* out) const {
  const auto copy = [&out](const Chunk& chunk) {
    if (chunk.size() > 0) memcpy(out, chunk.memory + chunk.begin, chunk.size());
    out += chunk.size();
  };
  for (auto chunk = front_.rbegin(); chunk != front_.rend(); ++chunk) copy(*chunk);
  if (drained_ < input_size_ && !copy_input(out)) return false;
  out += input_size_ - drained_;
  for (const Chunk& chunk : back_) copy(chunk);
  return true;
}

bool Body::copy_input(uint8_t* out) const {
  size_t skip = drained_;
  size_t rest = input_size_ - drained_;
  const auto copy = [&](napi_value piece) {
    void* data = nullptr;
    size_t length = 0;
    if (napi_get_typedarray_info(env_, piece, nullptr, &length, &data, nullptr, nullptr) != napi_ok) return false;
    const size_t gone = std::min(skip, length);
    const size_t size = std::min(length - gone, rest);
    if (size > 0) memcpy(out, static_cast<uint8_t*>(data) + gone, size);
    skip -= gone;
    rest -= size;
    out += size;
    return true;
  };
  bool is_array = false;
  if (input_ == nullptr || napi_is_array(env_, input_, &is_array) != napi_ok) return false;
  if (!is_array) return copy(input_) && rest == 0;
  uint32_t count = 0;
  if (napi_get_array_length(env_, input_, &count) != napi_ok) return false;
  for (uint32_t i = 0; i < count; i++) {
    napi_handle_scope scope;
    napi_value piece;
    napi_open_handle_scope(env_, &scope);
    const bool copied = napi_get_element(env_, input_, i, &piece) == napi_ok && copy(piece);
    napi_close_handle_scope(env_, scope);
    if (!copied) return false;
  }
  return rest == 0;
}

void Body::drain(uint64_t count) {
  size_t rest = static_cast<size_t>(std::min<uint64_t>(count, size_));
  if (rest == 0) return;
  changed_ = true;
  size_ -= rest;
  const auto take = [&rest](Chunk& chunk) {
    const size_t gone = std::min(rest, chunk.size());
    chunk.begin += gone;
    rest -= gone;
  };
  while (rest > 0 && !front_.empty()) {
    take(front_.back());
    if (front_.back().size() == 0) front_.pop_back();
  }
  const size_t of_input = std::min(rest, input_size_ - drained_);
  drained_ += of_input;
  rest -= of_input;
  for (size_t i = 0; rest > 0 && i < back_.size(); i++) take(back_[i]);
}

bool Body::set(const void* data, size_t size) {
  if (size > kLargest) return false;
  changed_ = true;
  drained_ = input_size_;
  front_.clear();
  back_.clear();
  size_ = 0;
  return append(data, size);
}

bool Body::append(const void* data, size_t size) {
  if (size == 0) return true;
  if (!fits(size)) return false;
  Chunk* last = back_.empty() ? nullptr : &back_.back();
  // The one that the arena ends with can grow.
  if (last != nullptr && last->buffer == nullptr && last->memory + last->end == arena_.memory + *arena_.used &&
      size <= arena_.room()) {
    *arena_.used += static_cast<uint32_t>(size);
    last->capacity += size;
  }
  if (last == nullptr || last->capacity - last->end < size) {
    Chunk chunk;
    if (!make_chunk(size, chunk)) return false;
    back_.push_back(chunk);
    last = &back_.back();
  }
  memcpy(last->memory + last->end, data, size);
  last->end += size;
  grow(size);
  return true;
}

bool Body::prepend(const void* data, size_t size) {
  if (size == 0) return true;
  if (!fits(size)) return false;
  if (front_.empty() || front_.back().buffer == nullptr || front_.back().begin < size) {
    Chunk chunk;
    if (!make_chunk(size, chunk)) return false;
    chunk.begin = chunk.end = chunk.capacity;
    front_.push_back(chunk);
  }
  Chunk& first = front_.back();
  first.begin -= size;
  memcpy(first.memory + first.begin, data, size);
  grow(size);
  return true;
}

bool Body::fits(size_t size) const { return size <= kLargest - std::min(size_, kLargest); }

void Body::grow(size_t size) {
  size_ += size;
  changed_ = true;
}

bool Body::make_chunk(size_t size, Chunk& chunk) {
  if (size <= arena_.room()) {
    chunk = {arena_.memory + *arena_.used, nullptr, 0, 0, size};
    *arena_.used += static_cast<uint32_t>(size);
    return true;
  }
  const size_t capacity = std::max(size, kLeastBuffer);
  void* memory = nullptr;
  chunk = {nullptr, nullptr, 0, 0, capacity};
  if (napi_create_buffer(env_, capacity, &memory, &chunk.buffer) != napi_ok || memory == nullptr) return false;
  chunk.memory = static_cast<uint8_t*>(memory);
  return true;
}

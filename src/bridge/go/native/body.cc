#include "body.h"

#include <algorithm>
#include <cstring>

namespace {
/** Up to this size bytes are gathered in our memory; above, they go straight into a Buffer of JavaScript. */
constexpr size_t kSmall = 4096;
/** A plugin that fills more than this in one call has run wild: the call fails. */
constexpr size_t kLargest = size_t{256} << 20;
}  // namespace

void Body::reset(napi_env env) {
  env_ = env;
  input_.clear();
  input_size_ = drained_ = size_ = 0;
  front_count_ = back_count_ = 0;
  changed_ = false;
}

void Body::add_input(const uint8_t* data, size_t size) {
  input_.push_back({data, size});
  input_size_ += size;
  size_ += size;
}

void Body::copy_to(uint8_t* out) const {
  const auto copy = [&out](const uint8_t* data, size_t size) {
    if (size > 0) memcpy(out, data, size);
    out += size;
  };
  for (size_t i = front_count_; i-- > 0;) copy(front_[i].data() + front_[i].begin, front_[i].size());
  size_t skip = drained_;
  for (const Input& piece : input_) {
    const size_t gone = std::min(skip, piece.size);
    skip -= gone;
    copy(piece.data + gone, piece.size - gone);
  }
  for (size_t i = 0; i < back_count_; i++) copy(back_[i].data() + back_[i].begin, back_[i].size());
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
  while (rest > 0 && front_count_ > 0) {
    take(front_[front_count_ - 1]);
    if (front_[front_count_ - 1].size() == 0) front_count_ -= 1;
  }
  const size_t of_input = std::min(rest, input_size_ - drained_);
  drained_ += of_input;
  rest -= of_input;
  for (size_t i = 0; rest > 0 && i < back_count_; i++) take(back_[i]);
}

bool Body::set(const void* data, size_t size) {
  if (size > kLargest) return false;
  changed_ = true;
  drained_ = input_size_;
  front_count_ = back_count_ = 0;
  size_ = 0;
  return append(data, size);
}

bool Body::append(const void* data, size_t size) {
  if (size == 0) return true;
  if (size > kLargest - std::min(size_, kLargest)) return false;
  if (back_count_ > 0) {
    Chunk& last = back_[back_count_ - 1];
    if (last.large == nullptr && last.end + size <= kSmall) {
      last.small.append(static_cast<const char*>(data), size);
      last.end += size;
      size_ += size;
      return true;
    }
  }
  return put(back_, back_count_, data, size);
}

bool Body::prepend(const void* data, size_t size) {
  if (size == 0) return true;
  if (size > kLargest - std::min(size_, kLargest)) return false;
  return put(front_, front_count_, data, size);
}

bool Body::put(std::vector<Chunk>& list, size_t& count, const void* data, size_t size) {
  if (count == list.size()) list.emplace_back();
  Chunk& chunk = list[count];
  chunk.large = nullptr;
  chunk.buffer = nullptr;
  chunk.small.clear();
  if (size <= kSmall) {
    chunk.small.assign(static_cast<const char*>(data), size);
  } else {
    void* memory = nullptr;
    if (napi_create_buffer(env_, size, &memory, &chunk.buffer) != napi_ok || memory == nullptr) return false;
    chunk.large = static_cast<uint8_t*>(memory);
    memcpy(chunk.large, data, size);
  }
  chunk.begin = 0;
  chunk.end = size;
  count += 1;
  size_ += size;
  changed_ = true;
  return true;
}

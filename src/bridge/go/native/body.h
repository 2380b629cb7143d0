#pragma once
#include <node_api.h>

#include <cstdint>
#include <string>
#include <vector>

/**
 * The buffer of one call: a view of JavaScript's bytes, and what the plugin put before and after them. Bytes that stay are never copied; large ones that the
 * plugin sets are copied once, into the memory that JavaScript gets. One instance serves all calls, so that its memory is reused.
 */
class Body {
 public:
  /** One piece that the plugin gave. */
  struct Chunk {
    std::string small;
    uint8_t* large = nullptr;
    napi_value buffer = nullptr;
    size_t begin = 0;
    size_t end = 0;
    const uint8_t* data() const { return large ? large : reinterpret_cast<const uint8_t*>(small.data()); }
    size_t size() const { return end - begin; }
  };

  void reset(napi_env env);
  void add_input(const uint8_t* data, size_t size);

  size_t size() const { return size_; }
  bool changed() const { return changed_; }
  /** How much of the input is gone from its beginning. */
  size_t drained() const { return drained_; }
  void copy_to(uint8_t* out) const;
  void drain(uint64_t count);
  /** False: there is no memory, or the buffer would grow beyond every bound. */
  bool set(const void* data, size_t size);
  bool append(const void* data, size_t size);
  bool prepend(const void* data, size_t size);

  /** Calls `visit(chunk)` for those before the input, then for those after it; returns how many came before. */
  template <typename Visit>
  size_t each_chunk(Visit visit) const {
    size_t front = 0;
    for (size_t i = front_count_; i-- > 0;) {
      if (front_[i].size() == 0) continue;
      visit(front_[i]);
      front += 1;
    }
    for (size_t i = 0; i < back_count_; i++)
      if (back_[i].size() > 0) visit(back_[i]);
    return front;
  }

 private:
  struct Input {
    const uint8_t* data;
    size_t size;
  };
  /** Makes room for a chunk at the end of `list`. */
  bool put(std::vector<Chunk>& list, size_t& count, const void* data, size_t size);

  napi_env env_ = nullptr;
  std::vector<Input> input_;
  size_t input_size_ = 0;
  size_t drained_ = 0;
  size_t size_ = 0;
  bool changed_ = false;
  /** The last one comes first. */
  std::vector<Chunk> front_;
  std::vector<Chunk> back_;
  size_t front_count_ = 0;
  size_t back_count_ = 0;
};
